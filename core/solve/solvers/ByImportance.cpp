// SPDX-License-Identifier: GPL-3.0-or-later
//
// What llama-quantize --imatrix does: the block type's own encoder, told how much an error in each column costs; on a
// device where that has one. The importances are those of the calibration file, untouched, since a square root and a
// square would change bytes.

#include "core/grid/FiniteCheck.h"
#include "core/solve/solvers/Solvers.h"

#include <fmt/format.h>

#include <cassert>
#include <vector>

namespace sigmascope {

namespace {

/// Importances of each matrix of a stack [matrices x cols]: the calibration's, else the squares of the metric's scale.
std::vector<float> importancesOf(const Metric& metric)
{
    if (!metric.meanSquares.empty())
        return metric.meanSquares;
    std::vector<float> squares;
    squares.reserve(metric.scale.size());
    for (const float scale : metric.scale)
        squares.push_back(scale * scale);
    return squares;
}

/// A device that has a search of its own for the grid's type; the CPU's is the grid's.
ComputeBackend* deviceWithSearch(const SolveProblem& problem)
{
    const bool isDevice = problem.backend != nullptr && problem.backend->device().kind != "cpu";
    return isDevice && problem.backend->supports(Op::EncodeWeighted, *problem.grid->ggufType()) ? problem.backend
                                                                                                : nullptr;
}

}  // namespace

bool canWeigh(const Grid& grid)
{
    return grid.ggufType().has_value();
}

Result<Solution> solveByImportance(const SolveProblem& problem, const JobContext& job)
{
    assert(problem.grid != nullptr && problem.weights.size() == problem.rows * problem.cols);
    const Grid& grid = *problem.grid;
    const ImportanceSearch* search = grid.importanceSearch();
    if (!canWeigh(grid))
        return fail(ErrorCode::NotRepresentable,
                    fmt::format("grid {} has no search weighted by importances; nearest: solver nearest", grid.id()));
    if (search == nullptr || problem.metric == nullptr || problem.metric->isPlain())
        return solveNearest(problem, job);
    if (!grid.accepts(problem.cols))
        return fail(ErrorCode::NotRepresentable,
                    fmt::format("rows of {} elements do not fit grid {}", problem.cols, grid.id()));
    if (Status finite = checkFinite(problem.weights, problem.cols); !finite)
        return passOn(finite);

    const std::vector<float> importances = importancesOf(*problem.metric);
    // Stacked experts have importances of their own where the calibration kept them apart and their rows divide.
    std::uint64_t matrices = importances.size() / problem.cols;
    assert(matrices > 0 && importances.size() % problem.cols == 0);
    if (problem.rows % matrices != 0)
        matrices = 1;
    const std::uint64_t rows = problem.rows / matrices;
    ComputeBackend* const device = deviceWithSearch(problem);
    Solution solution{.device = "cpu"};
    solution.quantized
        = {&grid, problem.rows, problem.cols, std::vector<std::byte>(problem.rows * grid.rowBytes(problem.cols))};
    for (std::uint64_t m = 0; m < matrices; ++m) {
        const auto codes = std::span(solution.quantized.codes)
                               .subspan(m * rows * grid.rowBytes(problem.cols), rows * grid.rowBytes(problem.cols));
        const auto weights = problem.weights.subspan(m * rows * problem.cols, rows * problem.cols);
        const auto columns = std::span(importances).subspan(m * problem.cols, problem.cols);
        auto note = device != nullptr
            ? device->encodeWeighted(*grid.ggufType(), weights, rows, problem.cols, columns, codes, job)
            : search->encodeWeighted(weights, rows, problem.cols, columns, codes, job);
        if (!note)
            return passOn(note);
        if (solution.note.empty() && !note->empty())
            solution.note = matrices == 1 ? *note : fmt::format("matrix {} of {}: {}", m + 1, matrices, *note);
    }
    if (device != nullptr) {  // asked afterwards: it may have failed over meanwhile, and has told what ran
        solution.device = device->deviceFor(Op::EncodeWeighted, *grid.ggufType());
        return solution;
    }
    const bool isElsewhere = problem.backend != nullptr && problem.backend->device().kind != "cpu";
    job.reportRan(id(Op::Encode), solution.device,
                  isElsewhere ? fmt::format("{} has no search weighted by importances", problem.backend->device().id)
                              : std::string());
    return solution;
}

}  // namespace sigmascope
