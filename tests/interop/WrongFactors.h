// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Adapters as they come out when one step is forgotten. F32 factors only.

#include "core/export/GgufWriter.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace sigmascope {

/// Rows of a lora_a; a single one is stored without its dimension.
inline std::uint64_t rankOf(const GgufTensorSpec& loraA)
{
    return loraA.shape.size() == 2 ? loraA.shape.front() : 1;
}

/// A' = B^T, B' = A^T: of a square matrix it loads, as the shapes fit.
inline void swapFactors(const GgufTensorSpec& loraA, std::vector<std::byte>& a, std::vector<std::byte>& b)
{
    const std::uint64_t rank = rankOf(loraA);
    const std::uint64_t side = loraA.shape.back();
    const auto oldA = a;
    const auto oldB = b;
    for (std::uint64_t k = 0; k < rank; ++k) {
        for (std::uint64_t n = 0; n < side; ++n) {
            std::memcpy(a.data() + 4 * (k * side + n), oldB.data() + 4 * (n * rank + k), 4);
            std::memcpy(b.data() + 4 * (n * rank + k), oldA.data() + 4 * (k * side + n), 4);
        }
    }
}

/// Rows of a lora_b back to the folder's order: row p * 16 + i of a head of 32 stands at 2 i + p in GGUF.
inline void undoPermutation(const GgufTensorSpec& loraB, std::vector<std::byte>& b)
{
    constexpr std::uint64_t kHead = 32;
    const std::uint64_t rows = loraB.shape[0];
    const std::size_t rowBytes = b.size() / rows;
    const auto old = b;
    for (std::uint64_t r = 0; r < rows; ++r) {
        const std::uint64_t inHead = r % kHead;
        const std::uint64_t from = r - inHead + 2 * (inHead % (kHead / 2)) + inHead / (kHead / 2);
        std::memcpy(b.data() + r * rowBytes, old.data() + from * rowBytes, rowBytes);
    }
}

}  // namespace sigmascope
