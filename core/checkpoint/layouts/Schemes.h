// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/layouts/CheckpointLayout.h"

#include <array>
#include <string>
#include <vector>

namespace sigmascope {

/// How one group of layers of a compressed-tensors config stores its weights.
struct QuantizationScheme {
    int bits = 0;
    std::uint64_t groupSize = 0;  ///< along the inputs; 0: a whole row, or the whole matrix
    bool isSymmetric = true;
    std::array<std::uint64_t, 2> block{};  ///< rows and columns that share a scale; zeros: no blocks
};

/// All schemes of config_groups, and the one of an fp8 config with weight_block_size; none if there are neither.
/// InvalidMetadata naming the key for what is no scheme.
[[nodiscard]] Result<std::vector<QuantizationScheme>> schemesOf(const LayoutSettings& settings);

/// "4 or 8", for messages; "1 to 8" if nobody says.
[[nodiscard]] std::string bitsOf(const std::vector<QuantizationScheme>& schemes);
/// "128 or a row"; "any size" if nobody says.
[[nodiscard]] std::string groupsIn(const std::vector<QuantizationScheme>& schemes);

}  // namespace sigmascope
