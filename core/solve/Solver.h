// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/calibration/Metric.h"
#include "core/compute/ComputeBackend.h"
#include "core/grid/Grid.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sigmascope {

/// One matrix to be put on a grid. Borrowed for the call.
struct SolveProblem {
    std::span<const float> weights{};  ///< [rows x cols] row-major, finite
    std::uint64_t rows = 0, cols = 0;
    const Grid* grid = nullptr;
    const Metric* metric = nullptr;
    ComputeBackend* backend = nullptr;
};

struct Solution {
    QuantizedTensor quantized;
    std::string device;                ///< that ran the encode: "cpu", "vulkan:0"
    std::string note{};                ///< what could not be done as asked; empty if all was
    /// By what part a search that goes beyond the format's published encoder lowered the error under the metric: 0.04 is
    /// 4 %. Absent where no such search ran.
    std::optional<double> searchGain{};
};

/// How codes and grid parameters are chosen. Never worse than nearest on its own objective.
struct Solver {
    std::string_view id;               ///< "nearest", "clip-search"
    std::string_view title;
    std::string_view source;
    Result<Solution> (*solve)(const SolveProblem& problem, const JobContext& job);
    bool (*accepts)(const Grid& grid); ///< false: solve() would answer NotRepresentable, plans are refused with it
    bool usesMetric = false;           ///< another metric, other codes
    /// Codes of a row depend on that row alone, and the note on none: a matrix may come in slices of rows.
    bool isByRows = false;
};

/// Explicit rows, core/solve/SolverRegistry.cpp.
[[nodiscard]] std::span<const Solver> solvers();
[[nodiscard]] const Solver* findSolver(std::string_view id);
/// The one that runs when this one is asked for: nearest where it has nothing to choose, or is unknown.
[[nodiscard]] const Solver& solverFor(std::string_view id, const Grid& grid);

}  // namespace sigmascope
