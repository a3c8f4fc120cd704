// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/GridDensity.h"
#include "core/calibration/Imatrix.h"
#include "core/compute/CodeCounts.h"
#include "core/compute/ComputeBackend.h"
#include "core/lowrank/ErrorSpectrum.h"
#include "core/lowrank/Spectrum.h"
#include "core/plan/Plan.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope::ui {

/// What depends on a tensor's values alone.
struct ValueAnalysis {
    std::shared_ptr<const CodeCounts> codes;
    TensorStats stats;
    double median = 0;        ///< centre of density, from the code counts
    std::uint64_t outliers = 0;
    std::string device;       ///< that counted the statistics
};

[[nodiscard]] Result<ValueAnalysis> analyseValues(const Checkpoint& checkpoint, std::size_t tensor, ComputeBackend& backend,
                                                  const JobContext& job);

/// What a grid and a metric make of a tensor: spectra of W, E = W - Q and E S, and the levels of the grid.
/// Valid for the grid, metric and solver it names; a rank needs no new one.
struct LayerPreview {
    std::string grid;                       ///< id it was computed for; empty for a kept tensor
    MetricKind metricKind = MetricKind::Plain;
    std::string solver;                     ///< as planned; a grid that leaves it nothing to choose takes nearest codes
    Metric metric;                          ///< as used, with its note
    std::uint64_t rows = 0, cols = 0;
    double bitsPerWeight = 0;               ///< codes and scales alone
    Spectrum w, e;
    std::optional<Spectrum> es;             ///< absent for the plain metric
    ErrorSpectrum weightError;              ///< relative to ||W||
    ErrorSpectrum outputError;              ///< relative to ||W S||; empty for the plain metric
    std::vector<double> levels;             ///< code values / scale
    double medianScale = 0, medianOffset = 0;
    std::size_t groups = 0;
    std::shared_ptr<const GridDensity> density;  ///< of the whole tensor; null for a kept one
    double seconds = 0;

    /// The error shown for a rank: of the output with a metric, else of the weights.
    [[nodiscard]] const ErrorSpectrum& shownError() const { return outputError.isEmpty() ? weightError : outputError; }
};

/// Leading singular values computed for display; the sum of the rest is exact.
inline constexpr std::size_t kShownValues = 128;

/// @param spectrumOfW reused when already known (it does not depend on grid or metric); may be null.
[[nodiscard]] Result<LayerPreview> previewLayer(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                                                const Imatrix* calibration, const Spectrum* spectrumOfW, std::uint64_t seed,
                                                ComputeBackend& backend, const JobContext& job);

/// Which weights of a layer the Density plot looks at.
struct DensityScope {
    enum class Kind { Tensor, Row, Group };
    Kind kind = Kind::Tensor;
    std::uint64_t row = 0;
    std::uint64_t group = 0;  ///< within the row

    friend bool operator==(const DensityScope&, const DensityScope&) = default;
};

/// Groups in a row of @p cols elements.
[[nodiscard]] std::uint64_t groupsInRow(const Grid& grid, std::uint64_t cols);

/// One row, or one group of a row, on the layer's grid: coded as in the whole tensor, for rows are coded on their own.
/// @pre scope.kind is Row or Group, and row and group exist.
[[nodiscard]] Result<GridDensity> densityOf(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                                            const Imatrix* calibration, const DensityScope& scope,
                                            ComputeBackend& backend, const JobContext& job);

}  // namespace sigmascope::ui
