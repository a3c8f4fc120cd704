// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The codebooks of ggml's IQ1, IQ2 and IQ3 types. Included by their decoder and its tests only.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sigmascope::decoders {

/// Values of neighbouring elements, to be multiplied by a scale and by signs.
template <std::size_t n> using Point = std::array<std::int8_t, n>;
/// A code is an index here.
template <std::size_t n> using Codebook = std::vector<Point<n>>;

[[nodiscard]] const Codebook<8>& iq2XxsPoints();  ///< 256 points of 8, 25, 43
[[nodiscard]] const Codebook<8>& iq2XsPoints();  ///< 512 points of the same values
[[nodiscard]] const Codebook<8>& iq2SPoints();  ///< 1024 points of the same values
[[nodiscard]] const Codebook<8>& iq1Points();  ///< 2048 points of -1, 0, 1: IQ1_S and IQ1_M
[[nodiscard]] const Codebook<4>& iq3XxsPoints();  ///< 256 points of 4, 12, ... 52, 62
[[nodiscard]] const Codebook<4>& iq3SPoints();  ///< 512 points of 1, 3, ... 15

}  // namespace sigmascope::decoders
