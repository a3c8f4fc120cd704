// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/grid/Grid.h"

#include <cstdint>
#include <optional>

namespace sigmascope {

/// What an INT grid (grids/IntGroup.cpp) is made of, for formats that store such codes in another arrangement.
struct IntForm {
    int bits = 4;
    std::uint64_t group = 0;  ///< columns that share a scale; 0: the row
    bool isAsymmetric = false;
    ScaleType scale = ScaleType::F16;

    /// Scales of a row; the last one may be of a short group.
    [[nodiscard]] std::uint64_t groups(std::uint64_t cols) const
    {
        return group == 0 ? 1 : cols / group + (cols % group == 0 ? 0 : 1);
    }
    friend bool operator==(const IntForm&, const IntForm&) = default;
};

/// Nothing for grids of other families.
[[nodiscard]] std::optional<IntForm> intFormOf(const Grid& grid);

}  // namespace sigmascope
