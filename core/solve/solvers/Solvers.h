// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What SolverRegistry.cpp builds its rows from. Included by the registry and the solvers themselves only.

#include "core/solve/Solver.h"

namespace sigmascope {

/// Every element takes the nearest code of its group: GGUF types on the backend, others on the CPU.
/// NonFinite, ScaleOutOfRange, Cancelled, or what the device says; the caller adds the tensor's name.
[[nodiscard]] Result<Solution> solveNearest(const SolveProblem& problem, const JobContext& job);

/// A range for each group under the metric (solvers/ClipSearch.cpp), on the CPU. As solveNearest(); NotRepresentable
/// where canClip() says no.
[[nodiscard]] Result<Solution> solveClipSearch(const SolveProblem& problem, const JobContext& job);
[[nodiscard]] bool canClip(const Grid& grid);

/// The grid's published search by mean squares of the inputs (solvers/ByImportance.cpp), on the CPU; nearest where the
/// metric has none, and for GGUF types whose encoder takes none. As solveNearest(); NotRepresentable for all other grids.
[[nodiscard]] Result<Solution> solveByImportance(const SolveProblem& problem, const JobContext& job);
[[nodiscard]] bool canWeigh(const Grid& grid);

/// More starts and descent over the coded scales of GGUF types, under the metric (solvers/WideSearch.cpp), on the CPU:
/// no block is worse than ggml's encoders leave it. As solveNearest(); NotRepresentable where canSearchWider() says no.
[[nodiscard]] Result<Solution> solveWideSearch(const SolveProblem& problem, const JobContext& job);
[[nodiscard]] bool canSearchWider(const Grid& grid);

}  // namespace sigmascope
