// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"

#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// A recipe in which what its target lacks has given way.
struct NearestRecipe {
    Recipe recipe;
    /// "rules[2] 'q_proj': q4_0 instead of int4-g128, +0.375 bits per weight". Empty: the target takes it as it is.
    std::vector<std::string> changes;
};

/// Like parseRecipe(), but a preset, a width, a grid or a solver that the target lacks becomes what parseRecipe() would have
/// named as the nearest. What no model can change is refused as there.
[[nodiscard]] Result<NearestRecipe> parseNearestRecipe(std::string_view json, std::string_view file);

}  // namespace sigmascope
