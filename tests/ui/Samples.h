// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Half.h"
#include "ui/plots/DensityPlot.h"
#include "ui/plots/SpectrumPlot.h"

#include <cmath>
#include <memory>
#include <vector>

// Made-up matrices with the arithmetic of real ones, for the plots' tests and pictures.

namespace sigmascope::ui::samples {

/// BF16 codes of `count` weights, normal with the given deviation: quantiles, so no randomness is needed.
inline std::shared_ptr<const CodeCounts> normalCodes(std::size_t count, double deviation)
{
    auto codes = std::make_shared<CodeCounts>();
    codes->counts.assign(65536, 0);
    for (std::size_t i = 0; i < count; ++i) {
        const double p = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
        // Logistic approximation of the normal quantile: a bell with visible tails is all that is wanted.
        const double value = deviation * std::log(p / (1 - p)) / 1.702;
        ++codes->counts[floatToBf16(static_cast<float>(value))];
    }
    return codes;
}

inline DensityView density(int levels = 16)
{
    DensityView view;
    view.codes = normalCodes(200000, 0.02);
    view.elements = 200000;
    view.min = -0.145;
    view.max = 0.145;
    const double step = 0.011 * 16 / levels;
    for (int code = -levels / 2; code < levels / 2; ++code)
        view.levels.push_back({code * step, static_cast<double>(code), code});
    view.levelsNote = QStringLiteral("group of median scale");
    view.clip = {{(-levels / 2 - 0.5) * step, (levels / 2 - 0.5) * step}};
    view.centre = -0.00031;
    return view;
}

/// The same bell on a grid of 4 bits whose two groups clip its tails.
inline DensityView scaledDensity()
{
    DensityView view = density();
    constexpr std::size_t kCols = 20000;
    std::vector<float> weights(kCols), restored(kCols);
    const std::vector<CodedMatrix::Group> groups{{0.011F, 0}, {-0.012F, 0}};
    for (std::size_t i = 0; i < kCols; ++i) {
        const double p = (static_cast<double>(i * 7919 % kCols) + 0.5) / kCols;
        weights[i] = static_cast<float>(0.02 * std::log(p / (1 - p)) / 1.702);
        const float scale = groups[i / (kCols / 2)].scale;
        restored[i] = scale * std::min(7.0F, std::max(-8.0F, std::nearbyint(weights[i] / scale)));
    }
    std::vector<double> levels;
    for (const DensityLevel& level : view.levels)
        levels.push_back(level.level);
    view.grid = std::make_shared<const GridDensity>(
        gridDensity({weights, restored, 1, kCols, kCols / 2, groups}, levels, {}).value());
    view.rows = 1;
    view.groupsInRow = 2;
    return view;
}

inline SingularValues decaying(std::size_t total, std::size_t computed, double top, double power)
{
    SingularValues values;
    values.total = total;
    for (std::size_t i = 0; i < computed; ++i) {
        const double r = static_cast<double>(i + 1);
        values.values.push_back(top * std::pow(r, -power) * std::sqrt(1.0 - 0.97 * r / static_cast<double>(total)));
    }
    values.certified = computed;
    values.lowerBound = computed < total;
    return values;
}

inline double energyOf(const SingularValues& values)
{
    double sum = 0;
    for (const double s : values.values)
        sum += s * s;
    return sum;
}

/// A layer whose error has structure under the metric; `computed` of 256 values of E and E·S.
inline SpectrumView spectrum(std::size_t computed = 256, bool calibrated = true)
{
    SpectrumView view;
    view.w = decaying(256, 256, 9.5, 0.25);
    view.e = decaying(256, computed, 0.16, 0.08);
    view.e.noiseEdge = 0.0925;
    view.maxRank = 256;
    const double lost = computed < 256 ? 0.4 : 0.0;
    const double e = energyOf(view.e) * (1 + lost);
    view.e.unresolvedShare = lost / (1 + lost);
    view.weightError = ErrorSpectrum(view.e.values, e, e / (0.033 * 0.033));
    if (calibrated) {
        view.es = decaying(256, computed, 1.9, 0.52);
        const double tail = computed < 256 ? 0.016 : 0.0;
        const double es = energyOf(view.es) / (1 - tail);
        view.es.unresolvedShare = tail;
        view.outputError = ErrorSpectrum(view.es.values, es, es / (0.031 * 0.031));
    } else {
        view.plainReason = QStringLiteral("no calibration");
    }
    return view;
}

/// What a session would answer: error after the rank, bits and bytes of F16 factors on a 256 x 704 layer.
inline MarkerReadout readout(const SpectrumView& view, int rank)
{
    const ErrorSpectrum& error = view.outputError.isEmpty() ? view.weightError : view.outputError;
    const auto r = static_cast<std::size_t>(rank);
    return {QStringLiteral("rank %1").arg(rank),
            QStringLiteral("%1 % of E·S energy").arg(100 * error.capturedAtRank(r), 0, 'f', 1),
            QStringLiteral("error %1 % → %2 % · +%3 bpw · +%4 MiB")
                .arg(100 * error.errorAtRank(0), 0, 'f', 2)
                .arg(100 * error.errorAtRank(r), 0, 'f', 2)
                .arg(rank * 960.0 * 16 / (256 * 704), 0, 'f', 2)
                .arg(rank * 960.0 * 2 / 1048576, 0, 'f', 2),
            false};
}

}  // namespace sigmascope::ui::samples
