// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibration/Metric.h"

#include "core/checkpoint/ModelTopology.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::array<std::pair<MetricKind, std::string_view>, 3> kIds{{
    {MetricKind::Plain, "plain"},
    {MetricKind::DiagonalRms, "rms"},
    {MetricKind::DiagonalLqer, "lqer"},
}};

constexpr double kLqerFloor = 1e-4;

/// Clamp and centring of LQER's statistic (methods-lowrank §2.4), in place.
void centreLqer(std::span<double> meanAbs)
{
    for (double& value : meanAbs)
        value = std::max(value, kLqerFloor);
    const auto [low, high] = std::ranges::minmax(meanAbs);
    const double centre = std::sqrt(low * high);
    for (double& value : meanAbs)
        value /= centre;
}

/// Root mean square of x_j. Experts stacked in one tensor share a metric: the mean over the experts.
std::vector<double> rmsOf(const ImatrixEntry& entry, std::uint64_t cols)
{
    std::vector<double> rms(cols);
    for (std::uint64_t column = 0; column < cols; ++column) {
        double sum = 0;
        for (std::uint64_t matrix = 0; matrix < entry.matrices; ++matrix)
            sum += entry.meanSquares[matrix * cols + column];
        rms[column] = std::sqrt(sum / static_cast<double>(entry.matrices));
    }
    return rms;
}

/// What concerns one tensor: of a stack's entry the expert's own part, where the tensor is one expert.
ImatrixEntry ownPart(const ImatrixEntry& entry, std::string_view tensorName, std::uint64_t cols)
{
    ImatrixEntry own = entry;
    if (const auto part = expertPartOf(tensorName); part && entry.matrices > 1) {
        const auto first = entry.meanSquares.begin() + static_cast<std::ptrdiff_t>(part->expert * cols);
        own.meanSquares.assign(first, first + static_cast<std::ptrdiff_t>(cols));
        own.matrices = 1;
    }
    return own;
}

std::string whyNoEntry(const Imatrix& imatrix, std::string_view tensorName)
{
    const auto part = expertPartOf(tensorName);
    const std::string gguf = part ? part->stack : ggufNameOf(tensorName).value_or(std::string(tensorName));
    for (const std::string& reason : imatrix.unusable) {
        if (reason.starts_with(gguf + ": ") || reason.starts_with(std::string(tensorName) + ": "))
            return "plain metric: calibration of " + escaped(reason);
    }
    const auto it = imatrix.entries.find(gguf);
    if (it != imatrix.entries.end())
        return fmt::format("plain metric: the calibration of {} has {} columns", escaped(gguf),
                           it->second.meanSquares.size() / it->second.matrices);
    return "plain metric: no calibration of this tensor";
}

}  // namespace

std::string_view id(MetricKind kind)
{
    return std::ranges::find(kIds, kind, [](const auto& row) { return row.first; })->second;
}

std::optional<MetricKind> metricFromId(std::string_view id)
{
    const auto it = std::ranges::find(kIds, id, [](const auto& row) { return row.second; });
    if (it == kIds.end())
        return std::nullopt;
    return it->first;
}

Metric metricFor(MetricKind kind, const Imatrix* imatrix, std::string_view tensorName, std::uint64_t cols)
{
    if (kind == MetricKind::Plain)
        return {};
    if (imatrix == nullptr)
        return {.note = "plain metric: no calibration"};
    const ImatrixEntry* found = imatrix->find(tensorName, cols);
    if (found == nullptr)
        return {.note = whyNoEntry(*imatrix, tensorName)};

    ImatrixEntry entry = ownPart(*found, tensorName, cols);
    std::vector<double> scale = rmsOf(entry, cols);
    Metric metric{.kind = kind, .tokens = entry.tokens};
    if (kind == MetricKind::DiagonalLqer) {
        // A Gaussian of this RMS has that mean absolute value; an imatrix does not know the real one.
        for (double& value : scale)
            value *= std::sqrt(2 / std::numbers::pi);
        centreLqer(scale);
        metric.note = "mean |x| taken as RMS * sqrt(2/pi): an imatrix holds squares only";
    }
    metric.scale.assign(scale.begin(), scale.end());
    if (kind == MetricKind::DiagonalRms)
        metric.meanSquares = std::move(entry.meanSquares);
    return metric;
}

std::vector<double> lqerScale(const std::vector<std::vector<double>>& batches, std::size_t n)
{
    std::vector<double> scale(n, 0);
    for (const std::vector<double>& batch : batches) {
        assert(n != 0 && batch.size() % n == 0);
        std::vector<double> sums(n, 0);
        for (std::size_t i = 0; i < batch.size(); ++i)
            sums[i % n] += std::abs(batch[i]);
        const double tokens = static_cast<double>(std::max<std::size_t>(1, batch.size() / n));
        for (std::size_t column = 0; column < n; ++column)
            scale[column] = std::max(scale[column], sums[column] / tokens);
    }
    if (n != 0)
        centreLqer(scale);
    return scale;
}

}  // namespace sigmascope
