// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"

#include <memory>
#include <vector>

namespace sigmascope::ui {

/// A recipe applied to the open model: what it asks, what became of it, and who decided. Shared, never changed.
struct RecipeState {
    Recipe recipe;
    ResolvedPlan resolved;
    std::vector<std::size_t> rule;  ///< that decides each tensor; SIZE_MAX: the default
    std::vector<std::size_t> type{};  ///< by hand, that decides each tensor; SIZE_MAX: none. Empty where there are none
};

/// @param isCalibrated  some mixtures choose otherwise with an importance matrix. Fails as resolve() does. Regular expressions over all names: not for the GUI thread.
[[nodiscard]] Result<std::shared_ptr<const RecipeState>> resolveRecipe(Recipe recipe, const Checkpoint& checkpoint,
                                                                      const ModelTopology& topology, bool isCalibrated);

}  // namespace sigmascope::ui
