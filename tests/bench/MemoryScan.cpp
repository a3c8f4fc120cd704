// SPDX-License-Identifier: GPL-3.0-or-later
// Built once per instruction set: SIGMASCOPE_SCAN names the function, SIGMASCOPE_VECTOR_BYTES its vectors.
#include "bench/MemoryScan.h"

#include <cstring>

namespace sigmascope::bench {

std::uint64_t SIGMASCOPE_SCAN(const std::byte* from, std::size_t bytes)
{
    using Words [[gnu::vector_size(SIGMASCOPE_VECTOR_BYTES)]] = std::uint64_t;
    constexpr std::size_t kStreams = 8;  // enough loads in flight to saturate the memory
    Words sums[kStreams] = {};
    std::size_t at = 0;
    for (; at + sizeof(sums) <= bytes; at += sizeof(sums)) {
#pragma GCC unroll 8
        for (std::size_t s = 0; s < kStreams; ++s) {
            Words words;
            std::memcpy(&words, from + at + s * sizeof(Words), sizeof(words));
            sums[s] += words;
        }
    }
    std::uint64_t total = 0;
    for (const Words& sum : sums) {
        for (std::size_t lane = 0; lane < sizeof(Words) / sizeof(std::uint64_t); ++lane)
            total += sum[lane];
    }
    for (; at < bytes; ++at)
        total += std::to_integer<std::uint64_t>(from[at]);
    return total;
}

}  // namespace sigmascope::bench
