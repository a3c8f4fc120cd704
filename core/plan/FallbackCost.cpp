// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/FallbackCost.h"

#include "core/plan/RecipeRules.h"

namespace sigmascope {

namespace {

/// No grid's block is longer.
constexpr std::uint64_t kLongestBlock = 4096;

double codedBytes(const Grid& grid, std::uint64_t rows, std::uint64_t cols)
{
    std::uint64_t whole = cols;
    while (!grid.accepts(whole) && whole < cols + kLongestBlock)
        ++whole;
    if (!grid.accepts(whole))
        return 0;
    return static_cast<double>(rows) * static_cast<double>(grid.rowBytes(whole)) * static_cast<double>(cols) / static_cast<double>(whole);
}

double correctionBytes(FactorType type, std::uint64_t rows, std::uint64_t cols, std::uint32_t rank)
{
    if (canStore(type, cols, rank))
        return static_cast<double>(factorBytes(type, rows, cols, rank));
    // Q8_0 of a shape it cannot hold: what its blocks would come to.
    return 8.5 / 8 * static_cast<double>(rank) * static_cast<double>(rows + cols);
}

}  // namespace

Result<std::unordered_map<std::size_t, double>> fallbackCosts(const Recipe& recipe, const ResolvedPlan& resolved,
                                                             std::span<const std::size_t> rule, const Checkpoint& checkpoint)
{
    const auto intents = intentsOf(recipe);
    if (!intents)
        return passOn(intents);
    std::unordered_map<std::size_t, double> costs;
    for (const Fallback& fallback : resolved.fallbacks) {
        const std::size_t at = fallback.tensor;
        const TensorInfo& tensor = checkpoint.tensors()[at];
        const Intent& asked = rule[at] == SIZE_MAX ? intents->back() : (*intents)[rule[at]];
        const std::uint64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
        // A mixture gives each tensor a type of its own, and a type by hand is no rule's.
        const auto own = fallback.asked.empty() ? Result<const Grid*>(asked.grid) : findGrid(fallback.asked);
        const Grid* wantedGrid = own ? *own : nullptr;
        if (wantedGrid == nullptr || cols == 0 || tensor.elements() == 0 || costs.contains(at))
            continue;
        const std::uint64_t rows = tensor.elements() / cols;
        const LayerPlan& plan = resolved.plan.layers[at];
        const auto grid = findGrid(plan.grid);
        const double kept = static_cast<double>(tensor.bytes) * (tensor.dtype == DType::F64 ? 0.5 : 1);  // F32 instead
        const double stored = plan.keep || !grid
            ? kept
            : codedBytes(**grid, rows, cols) + correctionBytes(plan.factors, rows, cols, plan.rank);
        const bool isMatrix = tensor.shape.size() >= 2;  // what is kept for having one dimension was never to be coded
        const double wanted = isMatrix ? codedBytes(*wantedGrid, rows, cols) + (plan.keep ? 0.0 : correctionBytes(asked.factors, rows, cols, asked.rank))
                                       : stored;
        costs.emplace(at, stored - wanted);
    }
    return costs;
}

}  // namespace sigmascope
