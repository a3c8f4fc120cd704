// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/solve/Solver.h"
#include "core/solve/solvers/Solvers.h"

#include <algorithm>
#include <array>

namespace sigmascope {

std::span<const Solver> solvers()
{
    static constexpr std::array kSolvers{
        Solver{"nearest", "Nearest code (RTN)", "ggml's reference encoders; round to nearest, ties to even, for INT",
               solveNearest, [](const Grid&) { return true; }, false, true},
        Solver{"clip-search", "Clip search under the metric",
               "range search of GPTQ (arXiv 2210.17323) and AWQ (arXiv 2306.00978), diagonal metric", solveClipSearch,
               canClip, true},
        Solver{"imatrix", "Search weighted by importances",
               "ggml's encoders with an importance matrix (llama.cpp pull requests 4861 and 4930)", solveByImportance, canWeigh,
               true},
        Solver{"wide", "Wider search than ggml's, never worse",
               "least squares, nearest codes and coded scales in turn, from ggml's own choice and many more", solveWideSearch,
               canSearchWider, true},
    };
    return kSolvers;
}

const Solver* findSolver(std::string_view id)
{
    const auto it = std::ranges::find(solvers(), id, &Solver::id);
    return it == solvers().end() ? nullptr : &*it;
}

const Solver& solverFor(std::string_view id, const Grid& grid)
{
    const Solver* asked = findSolver(id);
    return asked != nullptr && asked->accepts(grid) ? *asked : solvers().front();
}

}  // namespace sigmascope
