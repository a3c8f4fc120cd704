// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What one rule of a recipe means, apart from any model. Included by core/plan only.

#include "core/plan/Plan.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// What default and rule together ask of a tensor.
struct Intent {
    const Grid* grid = nullptr;     ///< null: nothing was asked, the tensor stays as it is
    std::string preset{};
    std::uint32_t rank = 0;
    bool rankAsked = false;         ///< in so many words, not by a preset
    FactorType factors = FactorType::F16;
    MetricKind metric = MetricKind::DiagonalRms;
    std::string solver = "nearest";
    std::optional<GgufMix> mix{};   ///< decides the grid of each tensor, and which are left as they are
};

/// @p base with what @p rule says laid over it; the rule's `skip` and `match` are the caller's. A preset resets
/// everything, a width or a grid replaces the inherited one. InvalidRecipe or NotRepresentable.
/// @pre checkTarget(target).
[[nodiscard]] Result<Intent> applied(const RecipeRule& rule, Intent base, std::string_view target);

/// Lets a preset, a width, a grid and a solver that the target lacks give way to its nearest, in the rule itself; what gave
/// way, one line each. Anything else that is wrong is left for applied() to tell. @pre as for applied().
[[nodiscard]] std::vector<std::string> givenWay(RecipeRule& rule, const Intent& base, std::string_view target);

/// "rules[2] 'q_proj'"
[[nodiscard]] std::string ruleName(std::size_t index, const RecipeRule& rule);

/// One intent per rule, the default's last. Errors say which rule.
[[nodiscard]] Result<std::vector<Intent>> intentsOf(const Recipe& recipe);

}  // namespace sigmascope
