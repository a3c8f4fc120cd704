// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/TargetGrids.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace sigmascope {

namespace {

struct Width {
    int bits;
    std::string_view grid;
};

constexpr std::array kGgufWidths{Width{4, "q4_0"}, Width{5, "q5_0"}, Width{8, "q8_0"}};
constexpr std::array<std::string_view, 5> kLaterTargets{"compressed-tensors", "gptq", "awq", "bf16", "research"};

/// Of two equally far the wider: it loses less.
const Width& nearestWidth(int bits)
{
    return *std::ranges::min_element(kGgufWidths, {}, [bits](const Width& width) {
        return 2 * std::abs(width.bits - bits) - (width.bits > bits ? 1 : 0);
    });
}

}  // namespace

Status checkTarget(std::string_view target)
{
    if (target == "gguf")
        return {};
    if (std::ranges::find(kLaterTargets, target) != kLaterTargets.end())
        return fail(ErrorCode::NotRepresentable,
                    fmt::format("target '{}' is not built in this version; nearest: gguf", target));
    return fail(ErrorCode::InvalidRecipe, fmt::format("no target '{}'; expected gguf", escaped(target)));
}

Result<const Grid*> ownGrid(std::string_view target, int bits, std::string_view method)
{
    const Width& nearest = nearestWidth(bits);
    if (nearest.bits == bits)
        return findGrid(nearest.grid);
    const std::string plan = method.empty() ? fmt::format("{} bits", nearest.bits) : fmt::format("{}-w{}", method, nearest.bits);
    return fail(ErrorCode::NotRepresentable,
                fmt::format("{} has no {}-bit type in this version; nearest: {} ({})", target, bits, plan, nearest.grid));
}

Status checkRepresentable(std::string_view target, const Grid& grid)
{
    if (grid.ggufType())
        return {};
    return fail(ErrorCode::NotRepresentable, fmt::format("{} cannot carry grid '{}'; nearest: {}", target, grid.id(),
                                                         nearestWidth(grid.bits()).grid));
}

bool needsFusedAlike(std::string_view target)
{
    // vLLM and its kin load these formats into fused projections.
    return target == "compressed-tensors" || target == "gptq" || target == "awq";
}

}  // namespace sigmascope
