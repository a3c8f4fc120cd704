// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

namespace sigmascope::bench {

/// The peer of every memory-bound bench: reads the bytes and adds them up as 64-bit words, nothing else.
/// One object per instruction set, built with the flags of the kernels of that level.
[[nodiscard]] std::uint64_t memoryScanScalar(const std::byte* from, std::size_t bytes);
[[nodiscard]] std::uint64_t memoryScanAvx2(const std::byte* from, std::size_t bytes);
[[nodiscard]] std::uint64_t memoryScanAvx512(const std::byte* from, std::size_t bytes);

}  // namespace sigmascope::bench
