// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sigmascope {

/// Bytes of @p count codes of @p bits each, packed without gaps; the last byte is filled up with zero bits.
[[nodiscard]] constexpr std::size_t packedBytes(std::uint64_t count, int bits)
{
    return static_cast<std::size_t>((count * static_cast<std::uint64_t>(bits) + 7) / 8);
}

/// Eight codes, one a byte, as 8 * bits neighbouring bits: neighbours are pushed together by twos, fours and eights.
[[nodiscard]] constexpr std::uint64_t packedEight(std::uint64_t codes, int bits)
{
    codes = (codes & 0x00FF00FF00FF00FFU) | ((codes & 0xFF00FF00FF00FF00U) >> (8 - bits));
    codes = (codes & 0x0000FFFF0000FFFFU) | ((codes & 0xFFFF0000FFFF0000U) >> (16 - 2 * bits));
    return (codes & 0x00000000FFFFFFFFU) | ((codes & 0xFFFFFFFF00000000U) >> (32 - 4 * bits));
}

/// Inverse of packedEight; bits beyond 8 * bits are ignored.
[[nodiscard]] constexpr std::uint64_t unpackedEight(std::uint64_t packed, int bits)
{
    const auto lowBits = [](int count) { return count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1; };
    packed = (packed & lowBits(4 * bits)) | ((packed & (lowBits(8 * bits) ^ lowBits(4 * bits))) << (32 - 4 * bits));
    const std::uint64_t pair = lowBits(2 * bits) * 0x0000000100000001U;
    packed = (packed & pair) | ((packed & (pair << (2 * bits))) << (16 - 2 * bits));
    const std::uint64_t one = lowBits(bits) * 0x0001000100010001U;
    return (packed & one) | ((packed & (one << bits)) << (8 - bits));
}

/// Packs codes little end first: code i takes bits [i * bits, (i + 1) * bits) of the stream, bit 0 being the
/// lowest of byte 0. @pre 1 <= bits <= 8, codes below 2^bits, out.size() == packedBytes(codes.size(), bits).
inline void packBits(std::span<const std::uint8_t> codes, int bits, std::span<std::byte> out)
{
    const auto bytes = static_cast<std::size_t>(bits);
    std::size_t i = 0;
    std::size_t at = 0;
    if (bits == 4) {  // the usual width: pairs, which compilers turn into vectors
        for (; i + 2 <= codes.size(); i += 2, ++at)
            out[at] = static_cast<std::byte>(codes[i] | (codes[i + 1] << 4));
    }
    for (; i + 8 <= codes.size(); i += 8, at += bytes) {
        std::uint64_t eight = 0;
        std::memcpy(&eight, codes.data() + i, sizeof eight);
        eight = packedEight(eight, bits);
        if (at + sizeof eight <= out.size())  // what is too much is written over by the next
            std::memcpy(out.data() + at, &eight, sizeof eight);
        else
            std::memcpy(out.data() + at, &eight, bytes);
    }
    std::uint64_t rest = 0;
    for (int filled = 0; i < codes.size(); ++i, filled += bits)
        rest |= static_cast<std::uint64_t>(codes[i]) << filled;
    if (at < out.size())
        std::memcpy(out.data() + at, &rest, out.size() - at);
}

/// Inverse of packBits. @pre packed.size() == packedBytes(out.size(), bits).
inline void unpackBits(std::span<const std::byte> packed, int bits, std::span<std::uint8_t> out)
{
    const auto bytes = static_cast<std::size_t>(bits);
    std::size_t i = 0;
    std::size_t at = 0;
    std::uint64_t eight = 0;
    if (bits == 4) {
        for (; i + 2 <= out.size(); i += 2, ++at) {
            out[i] = std::to_integer<std::uint8_t>(packed[at] & std::byte{15});
            out[i + 1] = std::to_integer<std::uint8_t>(packed[at] >> 4);
        }
    }
    for (; i + 8 <= out.size() && at + sizeof eight <= packed.size(); i += 8, at += bytes) {
        std::memcpy(&eight, packed.data() + at, sizeof eight);
        eight = unpackedEight(eight, bits);
        std::memcpy(out.data() + i, &eight, sizeof eight);
    }
    for (; i < out.size(); i += 8, at += bytes) {
        eight = 0;
        std::memcpy(&eight, packed.data() + at, std::min(sizeof eight, packed.size() - at));
        eight = unpackedEight(eight, bits);
        std::memcpy(out.data() + i, &eight, std::min<std::size_t>(sizeof eight, out.size() - i));
    }
}

}  // namespace sigmascope
