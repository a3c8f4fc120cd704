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

/// "mxint4-b32" (QERA's variant) or, with @p blockFloat, "bfp4-b16" (LQER's); 2 to 8 bits (grids/MxInt.cpp).
[[nodiscard]] std::unique_ptr<const Grid> makeMxInt(int bits, std::uint64_t block, bool blockFloat);

/// "nf4-g64", "nf3-g64-dq"; 3 or 4 bits (grids/NormalFloat.cpp). @param group  elements per scale; 0 = the row.
[[nodiscard]] std::unique_ptr<const Grid> makeNormalFloat(int bits, std::uint64_t group, bool doubleQuantized);

/// The grid of a GGUF block type: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 (grids/GgufBlock.cpp). Lives for the process.
/// @pre one of these five.
[[nodiscard]] const Grid& ggufBlockGrid(DType type);

/// The grid of a GGUF super-block type: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K (grids/SuperBlock.cpp). Lives for the process.
/// @pre one of these five.
[[nodiscard]] const Grid& superBlockGrid(DType type);

/// MXFP4 and NVFP4 (grids/MicroFloat.cpp); TQ1_0, TQ2_0, Q1_0 and Q2_0 (grids/FewLevels.cpp); IQ4_NL and IQ4_XS
/// (grids/UnevenLevels.cpp). They live for the process. @pre one of these types.
[[nodiscard]] const Grid& microFloatGrid(DType type);
[[nodiscard]] const Grid& fewLevelGrid(DType type);
[[nodiscard]] const Grid& unevenLevelGrid(DType type);

}  // namespace sigmascope
