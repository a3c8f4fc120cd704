// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What GridRegistry.cpp builds its rows from. Included by the registry and the grids themselves only.

#include "core/grid/Grid.h"

#include <cstdint>
#include <memory>

namespace sigmascope {

/// Parameters of one INT grid.
struct IntGroupOptions {
    int bits = 4;             ///< 2 to 8
    std::uint64_t group = 0;  ///< elements per scale; 0 = the row
    bool asymmetric = false;
    ScaleType scale = ScaleType::F16;
};

/// "int4-g128-asym-f32" and its like (grids/IntGroup.cpp).
[[nodiscard]] std::unique_ptr<const Grid> makeIntGroup(const IntGroupOptions& options);

/// The grid of a GGUF block type: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 (grids/GgufBlock.cpp). Lives for the process.
/// @pre one of these five.
[[nodiscard]] const Grid& ggufBlockGrid(DType type);

}  // namespace sigmascope
