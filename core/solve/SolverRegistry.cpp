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
               solveNearest},
    };
    return kSolvers;
}

const Solver* findSolver(std::string_view id)
{
    const auto it = std::ranges::find(solvers(), id, &Solver::id);
    return it == solvers().end() ? nullptr : &*it;
}

}  // namespace sigmascope
