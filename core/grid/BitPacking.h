// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sigmascope {

/// Bytes of @p count codes of @p bits each, packed without gaps; the last byte is filled up with zero bits.
[[nodiscard]] constexpr std::size_t packedBytes(std::uint64_t count, int bits)
{
    return static_cast<std::size_t>((count * static_cast<std::uint64_t>(bits) + 7) / 8);
}

/// Packs codes little end first: code i takes bits [i * bits, (i + 1) * bits) of the stream, bit 0 being the
/// lowest of byte 0. @pre 1 <= bits <= 8, codes below 2^bits, out.size() == packedBytes(codes.size(), bits).
inline void packBits(std::span<const std::uint8_t> codes, int bits, std::span<std::byte> out)
{
    std::uint32_t window = 0;
    int filled = 0;
    std::size_t at = 0;
    for (const std::uint8_t code : codes) {
        window |= static_cast<std::uint32_t>(code) << filled;
        filled += bits;
        if (filled >= 8) {
            out[at++] = static_cast<std::byte>(window & 0xFFU);
            window >>= 8;
            filled -= 8;
        }
    }
    if (filled > 0)
        out[at] = static_cast<std::byte>(window & 0xFFU);
}

/// Inverse of packBits. @pre packed.size() == packedBytes(out.size(), bits).
inline void unpackBits(std::span<const std::byte> packed, int bits, std::span<std::uint8_t> out)
{
    const std::uint32_t mask = (1U << bits) - 1U;
    std::uint32_t window = 0;
    int filled = 0;
    std::size_t at = 0;
    for (std::uint8_t& code : out) {
        if (filled < bits) {
            window |= std::to_integer<std::uint32_t>(packed[at++]) << filled;
            filled += 8;
        }
        code = static_cast<std::uint8_t>(window & mask);
        window >>= bits;
        filled -= bits;
    }
}

}  // namespace sigmascope
