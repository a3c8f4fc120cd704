// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/IntForm.h"

#include <string>

namespace sigmascope {

std::optional<IntForm> intFormOf(const Grid& grid)
{
    if (!familyOf(grid).id.starts_with("int-"))
        return std::nullopt;
    const std::string id = grid.id();
    return IntForm{.bits = grid.bits(),
                   .group = grid.groupSize(),
                   .isAsymmetric = id.find("-asym") != std::string::npos,
                   .scale = id.ends_with("-f64") ? ScaleType::F64
                       : id.ends_with("-f32")    ? ScaleType::F32
                                                 : ScaleType::F16};
}

}  // namespace sigmascope
