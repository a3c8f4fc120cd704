// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/solve/CodeFormatOf.h"

namespace sigmascope {

std::optional<CodeFormat> codeFormatOf(const Grid& grid)
{
    if (const auto type = grid.ggufType())
        return CodeFormat{.block = type};
    // A grid of the same name has the same bytes (tests/gpu compares them): scales of other types are named otherwise.
    const std::string id = grid.id();
    const CodeFormat format{.groups = {grid.bits(), grid.groupSize(), id.ends_with("-asym")}};
    return format.groups.id() == id ? std::optional(format) : std::nullopt;
}

}  // namespace sigmascope
