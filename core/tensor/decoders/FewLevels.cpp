// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/decoders/Decoders.h"

#include <array>
#include <bit>

namespace sigmascope::decoders {

namespace {

/// Digit n of bytes that hold five base-3 digits, less one: the byte times 3^n, modulo 256, has it on top.
void digits(const std::byte* in, std::size_t count, unsigned power, float d, float* to)
{
    for (std::size_t i = 0; i < count; ++i) {
        const unsigned turned = (byteAt(in, i) * power) & 0xFFU;
        to[i] = static_cast<float>(static_cast<int>((turned * 3U) >> 8) - 1) * d;
    }
}

}  // namespace

SIGMASCOPE_CLONES void tq1_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 54;
    constexpr std::array<unsigned, 5> kPowers{1, 3, 9, 27, 81};
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in + 52);
        float* __restrict to = out.data() + b * kSuper;
        for (std::size_t n = 0; n < 5; ++n)
            digits(in, 32, kPowers[n], d, to + 32 * n);
        for (std::size_t n = 0; n < 5; ++n)
            digits(in + 32, 16, kPowers[n], d, to + 160 + 16 * n);
        for (std::size_t n = 0; n < 4; ++n)
            digits(in + 48, 4, kPowers[n], d, to + 240 + 4 * n);
    }
}

SIGMASCOPE_CLONES void tq2_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 66;
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in + 64);
        float* __restrict to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < 8; ++run, to += 32) {
            const std::byte* codes = in + 32 * (run / 4);
            const auto shift = static_cast<unsigned>(2 * (run % 4));
            for (std::size_t l = 0; l < 32; ++l)
                to[l] = static_cast<float>(static_cast<int>((byteAt(codes, l) >> shift) & 3U) - 1) * d;
        }
    }
}

SIGMASCOPE_CLONES void q1_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 18;
    constexpr std::size_t kBlock = 128;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const auto minus = std::bit_cast<std::uint32_t>(-halfAt(in));
        for (std::size_t byte = 0; byte < kBlock / 8; ++byte) {
            const unsigned signs = byteAt(in, 2 + byte);
            float* __restrict to = out.data() + b * kBlock + 8 * byte;
            for (unsigned bit = 0; bit < 8; ++bit)
                to[bit] = std::bit_cast<float>(minus ^ ((signs >> bit) & 1U) << 31);
        }
    }
}

SIGMASCOPE_CLONES void q2_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 18;
    constexpr std::size_t kBlock = 64;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = halfAt(in);
        float* __restrict to = out.data() + b * kBlock;
        for (std::size_t e = 0; e < kBlock; ++e)
            to[e] = static_cast<float>(static_cast<int>((byteAt(in, 2 + e / 4) >> (2 * (e % 4))) & 3U) - 1) * d;
    }
}

}  // namespace sigmascope::decoders
