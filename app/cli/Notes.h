// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace sigmascope::cli
{

/// Tensor and what is to be said of it.
using PlanNote = std::pair<std::string, std::string>;

/// A line for each thing said, in the order in which they come: of one tensor with its name, of many with their number and the
/// first's name. Safe to show; empty for none.
[[nodiscard]] std::string linesOf(const std::vector<PlanNote>& notes);

} // namespace sigmascope::cli
