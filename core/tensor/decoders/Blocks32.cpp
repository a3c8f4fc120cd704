// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/decoders/Decoders.h"

namespace sigmascope::decoders {

namespace {

// Element e < 16 is the low nibble of byte e, element e + 16 its high one.
constexpr std::size_t kBlock = 32;
constexpr std::size_t kHalf = 16;

/// The fifth bits of a block: bit e of `high` belongs to element e.
int fiveBits(unsigned nibble, std::uint32_t high, std::size_t e)
{
    return static_cast<int>(nibble | ((high >> e) & 1U) << 4);
}

std::uint32_t wordAt(const std::byte* in)
{
    std::uint32_t word = 0;
    std::memcpy(&word, in, sizeof word);
    return word;
}

}  // namespace

SIGMASCOPE_CLONES void q8_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 34;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = halfAt(in);
        float* __restrict to = out.data() + b * kBlock;
        for (std::size_t e = 0; e < kBlock; ++e)
            to[e] = static_cast<float>(static_cast<std::int8_t>(in[2 + e])) * d;
    }
}

SIGMASCOPE_CLONES void q4_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 18;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = halfAt(in);
        float* __restrict to = out.data() + b * kBlock;
#pragma GCC unroll 1
        for (std::size_t e = 0; e < kHalf; ++e) {
            const unsigned pair = byteAt(in, 2 + e);
            to[e] = static_cast<float>(static_cast<int>(pair & 15U) - 8) * d;
            to[e + kHalf] = static_cast<float>(static_cast<int>(pair >> 4) - 8) * d;
        }
    }
}

SIGMASCOPE_CLONES void q4_1(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 20;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = halfAt(in);
        const float m = halfAt(in + 2);
        float* __restrict to = out.data() + b * kBlock;
#pragma GCC unroll 1
        for (std::size_t e = 0; e < kHalf; ++e) {
            const unsigned pair = byteAt(in, 4 + e);
            to[e] = static_cast<float>(static_cast<int>(pair & 15U)) * d + m;
            to[e + kHalf] = static_cast<float>(static_cast<int>(pair >> 4)) * d + m;
        }
    }
}

SIGMASCOPE_CLONES void q5_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 22;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = halfAt(in);
        const std::uint32_t high = wordAt(in + 2);
        float* __restrict to = out.data() + b * kBlock;
#pragma GCC unroll 1
        for (std::size_t e = 0; e < kHalf; ++e) {
            const unsigned pair = byteAt(in, 6 + e);
            to[e] = static_cast<float>(fiveBits(pair & 15U, high, e) - 16) * d;
            to[e + kHalf] = static_cast<float>(fiveBits(pair >> 4, high, e + kHalf) - 16) * d;
        }
    }
}

SIGMASCOPE_CLONES void q5_1(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 24;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = halfAt(in);
        const float m = halfAt(in + 2);
        const std::uint32_t high = wordAt(in + 4);
        float* __restrict to = out.data() + b * kBlock;
#pragma GCC unroll 1
        for (std::size_t e = 0; e < kHalf; ++e) {
            const unsigned pair = byteAt(in, 8 + e);
            to[e] = static_cast<float>(fiveBits(pair & 15U, high, e)) * d + m;
            to[e + kHalf] = static_cast<float>(fiveBits(pair >> 4, high, e + kHalf)) * d + m;
        }
    }
}

}  // namespace sigmascope::decoders
