// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/decoders/Decoders.h"

#include <array>
#include <bit>
#include <cmath>

namespace sigmascope::decoders {

namespace {

using Levels = std::array<float, 16>;

constexpr Levels kNonLinear{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/// E2M1, doubled so that all are whole; the scale is halved instead. Code 8 is +0, as ggml has it.
constexpr Levels kE2M1Doubled{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// 2 n codes in n bytes: the low nibbles are the first n elements, the high ones the others.
void nibbles(const std::byte* in, std::size_t n, float scale, const Levels& levels, float* to)
{
    Levels scaled;
    for (std::size_t i = 0; i < levels.size(); ++i)
        scaled[i] = scale * levels[i];
    for (std::size_t e = 0; e < n; ++e) {
        const unsigned pair = byteAt(in, e);
        to[e] = scaled[pair & 15U];
        to[e + n] = scaled[pair >> 4];
    }
}

/// Half of 2^(code - 127): never zero, infinite or NaN.
float halfE8M0(unsigned code)
{
    return std::bit_cast<float>(code < 2 ? 0x00200000U << code : (code - 1) << 23);
}

/// Half of an unsigned E4M3 of bias 7. 0x7F is 0; the top bit is not looked at, but for that one code.
float halfUE4M3(unsigned code)
{
    if (code == 0 || code == 0x7F)
        return 0;
    const int exponent = static_cast<int>((code >> 3) & 15U);
    const auto mantissa = static_cast<float>(code & 7U);
    const float value
        = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(1.0F + mantissa / 8.0F, exponent - 7);
    return value * 0.5F;
}

std::array<float, 256> tableOfUE4M3()
{
    std::array<float, 256> table{};
    for (unsigned code = 0; code < table.size(); ++code)
        table[code] = halfUE4M3(code);
    return table;
}

}  // namespace

void iq4_NL(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 18;
    constexpr std::size_t kBlock = 32;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize)
        nibbles(in + 2, 16, halfAt(in), kNonLinear, out.data() + b * kBlock);
}

void iq4_XS(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 136;
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in);
        const unsigned high = byteAt(in, 2) | byteAt(in, 3) << 8;
        for (unsigned run = 0; run < 8; ++run) {
            const unsigned low = (byteAt(in, 4 + run / 2) >> (4 * (run % 2))) & 15U;
            const unsigned coded = low | ((high >> (2 * run)) & 3U) << 4;
            const float scale = d * static_cast<float>(static_cast<int>(coded) - 32);
            nibbles(in + 8 + 16 * run, 16, scale, kNonLinear, out.data() + b * kSuper + 32 * run);
        }
    }
}

void mxfp4(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 17;
    constexpr std::size_t kBlock = 32;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize)
        nibbles(in + 1, 16, halfE8M0(byteAt(in, 0)), kE2M1Doubled, out.data() + b * kBlock);
}

void nvfp4(const std::byte* in, std::span<float> out)
{
    static const std::array<float, 256> scales = tableOfUE4M3();
    constexpr std::size_t kSize = 36;
    constexpr std::size_t kBlock = 64;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        for (std::size_t run = 0; run < 4; ++run)
            nibbles(in + 4 + 8 * run, 8, scales[byteAt(in, run)], kE2M1Doubled, out.data() + b * kBlock + 16 * run);
    }
}

}  // namespace sigmascope::decoders
