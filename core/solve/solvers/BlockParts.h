// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/tensor/DType.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sigmascope {

/// A GGUF block type taken apart: runs of weights, each value being
///
///     (d * scale) * level(code) - (m * minimum)
///
/// with d and m stored as f16 of the block, scale and minimum as whole numbers of the run.
struct BlockShape {
    DType type{};
    std::size_t elements = 0;  ///< of a block
    std::size_t run = 0;  ///< weights that share scale and minimum
    int lowest = 0, highest = 0;  ///< levels; with `uneven` the sixteen of IQ4
    bool uneven = false;
    int scaleLow = 1, scaleHigh = 1;  ///< both 1: d is the run's own
    int minimumLow = 0, minimumHigh = 0;  ///< both 0: none; both 1: m is the run's own, of any sign

    [[nodiscard]] std::size_t runs() const { return elements / run; }
    [[nodiscard]] bool hasMinimum() const { return minimumHigh > 0; }
    [[nodiscard]] bool hasFreeMinimum() const { return minimumLow > 0; }
};

/// Null for types that have no scale to be searched.
[[nodiscard]] const BlockShape* blockShapeOf(DType type);

/// The sixteen levels of IQ4_NL and IQ4_XS.
inline constexpr std::array<double, 16> kUnevenLevels{-127, -104, -83, -65, -49, -35, -22, -10,
                                                      1,    13,   25,  38,  53,  69,  89,  113};

/// A block's numbers. `code` counts levels from the lowest, 0 up.
struct BlockParts {
    float d = 0, m = 0;  ///< as f16 has them
    std::array<int, 16> scale{}, minimum{};
    std::array<std::uint8_t, 256> code{};
};

/// d, m, scale and minimum of a stored block; codes are left alone.
void readScales(const BlockShape& shape, std::span<const std::byte> block, BlockParts& parts);

/// The stored block. @pre every number fits its place, d and m are exact as f16.
void writeBlock(const BlockShape& shape, const BlockParts& parts, std::span<std::byte> block);

}  // namespace sigmascope
