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

constexpr std::array kGgufWidths{Width{2, "q2_k"}, Width{3, "q3_k"}, Width{4, "q4_0"},
                                 Width{5, "q5_0"}, Width{6, "q6_k"}, Width{8, "q8_0"}};
/// Containers of our own, and values instead of codes: any grid will do.
constexpr std::array<std::string_view, 2> kOpenTargets{"research", "bf16"};
constexpr std::array<std::string_view, 3> kLaterTargets{"compressed-tensors", "gptq", "awq"};

bool isOpen(std::string_view target)
{
    return std::ranges::find(kOpenTargets, target) != kOpenTargets.end();
}

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
    if (target == "gguf" || isOpen(target))
        return {};
    if (std::ranges::find(kLaterTargets, target) != kLaterTargets.end())
        return fail(ErrorCode::NotRepresentable,
                    fmt::format("target '{}' is not built in this version; nearest: gguf", target));
    return fail(ErrorCode::InvalidRecipe, fmt::format("no target '{}'; expected gguf, research or bf16", escaped(target)));
}

Result<const Grid*> ownGrid(std::string_view target, int bits, std::string_view method)
{
    if (isOpen(target)) {
        const bool isLqer = method == "lqer" || method == "l2qer";
        return gridOf(!isLqer ? "int-g128" : bits == 3 ? "bfp-b32" : "bfp-b16", bits);
    }
    const Width& nearest = nearestWidth(bits);
    if (nearest.bits == bits)
        return findGrid(nearest.grid);
    const std::string plan = method.empty() ? fmt::format("{} bits", nearest.bits) : fmt::format("{}-w{}", method, nearest.bits);
    return fail(ErrorCode::NotRepresentable,
                fmt::format("{} has no {}-bit type in this version; nearest: {} ({})", target, bits, plan, nearest.grid));
}

Status checkRepresentable(std::string_view target, const Grid& grid)
{
    if (grid.ggufType() || isOpen(target))
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
