// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/Coded.h"
#include "core/grid/Grid.h"

#include <optional>

namespace sigmascope {

/// How a grid's codes lie, for ops of a ComputeBackend; nothing for grids that backends do not know.
[[nodiscard]] std::optional<CodeFormat> codeFormatOf(const Grid& grid);

}  // namespace sigmascope
