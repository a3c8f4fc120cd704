// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/TargetGrids.h"

#include "core/grid/IntForm.h"

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
/// INT codes in words, scales as the runtimes' kernels take them.
struct PackedTarget {
    std::string_view id;
    std::array<int, 4> widths;  ///< ascending; 0: no further one
    bool onlyAsymmetric;
    bool takesF32Scales;

    [[nodiscard]] bool has(int bits) const { return bits != 0 && std::ranges::find(widths, bits) != widths.end(); }
    /// The narrowest that is not narrower, or the widest: it loses least.
    [[nodiscard]] int nearest(int bits) const
    {
        int best = 0;
        for (const int width : widths)
            best = width != 0 && best < bits ? width : best;
        return best;
    }
};
constexpr std::array kPackedTargets{PackedTarget{"compressed-tensors", {4, 8}, false, true},
                                    PackedTarget{"gptq", {2, 3, 4, 8}, false, false}, PackedTarget{"awq", {4}, true, false}};

const PackedTarget* packedTarget(std::string_view id)
{
    const auto* found = std::ranges::find(kPackedTargets, id, &PackedTarget::id);
    return found == kPackedTargets.end() ? nullptr : found;
}

/// Of the target, with the grid's group where it has one.
const Grid* nearestPacked(const PackedTarget& target, const Grid& grid)
{
    const auto form = intFormOf(grid);
    const std::uint64_t group = form ? form->group : 128;
    const std::string family = fmt::format("int-{}{}", group == 0 ? "row" : fmt::format("g{}", group),
                                           target.onlyAsymmetric || (form && form->isAsymmetric) ? "-asym" : "");
    return gridOf(family, target.nearest(grid.bits())).value_or(nullptr);
}

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
    if (target == "gguf" || isOpen(target) || packedTarget(target) != nullptr)
        return {};
    return fail(ErrorCode::InvalidRecipe,
                fmt::format("no target '{}'; expected gguf, compressed-tensors, gptq, awq, research or bf16", escaped(target)));
}

Result<const Grid*> ownGrid(std::string_view target, int bits, std::string_view method)
{
    if (isOpen(target)) {
        const bool isLqer = method == "lqer" || method == "l2qer";
        return gridOf(!isLqer ? "int-g128" : bits == 3 ? "bfp-b32" : "bfp-b16", bits);
    }
    if (const PackedTarget* packed = packedTarget(target)) {
        const int width = packed->nearest(bits);
        auto grid = gridOf(packed->onlyAsymmetric ? "int-g128-asym" : "int-g128", width);
        if (!grid || width == bits)
            return grid;
        return fail(ErrorCode::NotRepresentable,
                    fmt::format("{} has no {}-bit codes; nearest: {} ({})", target, bits,
                                method.empty() ? fmt::format("{} bits", width) : fmt::format("{}-w{}", method, width), (*grid)->id()));
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
    if (const PackedTarget* packed = packedTarget(target)) {
        const auto form = intFormOf(grid);
        const bool isScaleTaken = form && (form->scale == ScaleType::F16 || (form->scale == ScaleType::F32 && packed->takesF32Scales));
        if (isScaleTaken && packed->has(form->bits) && (form->isAsymmetric || !packed->onlyAsymmetric))
            return {};
        const Grid* nearest = nearestPacked(*packed, grid);
        return fail(ErrorCode::NotRepresentable, fmt::format("{} cannot carry grid '{}'; nearest: {}", target, grid.id(),
                                                             nearest == nullptr ? "research" : nearest->id()));
    }
    if (grid.ggufType() || isOpen(target))
        return {};
    return fail(ErrorCode::NotRepresentable, fmt::format("{} cannot carry grid '{}'; nearest: {}", target, grid.id(),
                                                         nearestWidth(grid.bits()).grid));
}

int nearestBits(std::string_view target, int bits)
{
    if (const PackedTarget* packed = packedTarget(target))
        return packed->nearest(bits);
    return isOpen(target) ? std::clamp(bits, 2, 8) : nearestWidth(bits).bits;
}

const Grid* nearestGrid(std::string_view target, const Grid& grid)
{
    if (checkRepresentable(target, grid))
        return &grid;
    if (const PackedTarget* packed = packedTarget(target))
        return nearestPacked(*packed, grid);
    return findGrid(nearestWidth(grid.bits()).grid).value_or(nullptr);
}

const Grid* gridForRows(std::string_view target, const Grid& grid, std::uint64_t cols)
{
    const auto form = packedTarget(target) == nullptr ? std::nullopt : intFormOf(grid);
    if (!form || form->group == 0 || cols % form->group == 0)
        return &grid;
    const std::string tail = form->isAsymmetric ? "-asym" : "";
    for (const std::uint64_t group : {64, 32}) {
        if (group < form->group && cols % group == 0)
            return gridOf(fmt::format("int-g{}{}", group, tail), form->bits).value_or(nullptr);
    }
    return gridOf("int-row" + tail, form->bits).value_or(nullptr);
}

bool needsFusedAlike(std::string_view target)
{
    // vLLM and its kin load these formats into fused projections.
    return packedTarget(target) != nullptr;
}

bool needsOneScheme(std::string_view target)
{
    return target == "awq";
}

}  // namespace sigmascope
