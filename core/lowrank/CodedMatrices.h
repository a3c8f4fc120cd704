// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/CodedTensors.h"
#include "core/grid/Grid.h"
#include "core/lowrank/LowRank.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace sigmascope {

/// One array that a coded matrix is stored in by the research container (docs/research-container.md).
struct CodedArray {
    std::string_view name;   ///< "scales", "zeros", "codes", "blocks", "left", …
    DType dtype = DType::U8;
    Shape shape{};
    /// Of a row of codes: where the array's bytes begin in it, and how many they are. Factors have none.
    std::size_t rowOffset = 0;
    std::size_t rowBytes = 0;
};

/// The arrays of a matrix on a grid, in the order in which they stand in a coded row: parameters, then codes. What the
/// parameters are called is the grid's; GGUF block types are one array of blocks. Together they are rowBytes(cols).
[[nodiscard]] std::vector<CodedArray> arraysOf(const Grid& grid, std::uint64_t rows, std::uint64_t cols);
/// Of the factors: "left" and "right", and their scales where the type has any. Empty for rank 0. Q8_0 is a row of blocks
/// in bytes.
[[nodiscard]] std::vector<CodedArray> arraysOf(FactorType type, std::uint64_t rows, std::uint64_t cols, std::uint64_t rank);

/// The grids of the registry, for Checkpoint::open(). Lives for the process.
[[nodiscard]] const CodedFormats& codedFormats();

}  // namespace sigmascope
