// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"

#include <cstddef>
#include <span>
#include <unordered_map>

namespace sigmascope {

/// What the fallbacks of a resolved recipe add to each tensor's stored bytes against what was asked: above zero for rows
/// that no grid holds and factors that need more bits, below zero for a correction that is left out or cut to the
/// highest rank. Rows that the grid cannot hold count as their fraction of the next length that it can.
/// @param rule  that decides each tensor, as decidingRules() says. InvalidRecipe and NotRepresentable as resolve().
[[nodiscard]] Result<std::unordered_map<std::size_t, double>> fallbackCosts(const Recipe& recipe, const ResolvedPlan& resolved,
                                                                           std::span<const std::size_t> rule,
                                                                           const Checkpoint& checkpoint);

}  // namespace sigmascope
