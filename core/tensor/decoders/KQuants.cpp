// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/decoders/Decoders.h"

#include <array>

namespace sigmascope::decoders {

namespace {

float signedFloat(int value)
{
    return static_cast<float>(value);
}

/// Scale and minimum of eight runs of 32, six bits each in twelve bytes (Q4_K, Q5_K).
struct SixBits {
    std::array<float, 8> scale{};
    std::array<float, 8> minimum{};
};

SixBits sixBitScales(const std::byte* in, float d, float dmin)
{
    SixBits out;
    for (std::size_t j = 0; j < 8; ++j) {
        unsigned scale = byteAt(in, j) & 63U;
        unsigned minimum = byteAt(in, j + 4) & 63U;
        if (j >= 4) {
            scale = (byteAt(in, j + 4) & 15U) | (byteAt(in, j - 4) >> 6) << 4;
            minimum = (byteAt(in, j + 4) >> 4) | (byteAt(in, j) >> 6) << 4;
        }
        out.scale[j] = d * static_cast<float>(scale);
        out.minimum[j] = dmin * static_cast<float>(minimum);
    }
    return out;
}

}  // namespace

SIGMASCOPE_CLONES void q2_K(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 84;
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in + 80);
        const float dmin = halfAt(in + 82);
        float* __restrict to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < 16; ++run, to += 16) {
            const unsigned coded = byteAt(in, run);
            const float scale = d * static_cast<float>(coded & 15U);
            const float minimum = dmin * static_cast<float>(coded >> 4);
            const std::byte* codes = in + 16 + 32 * (run / 8) + 16 * (run % 2);
            const unsigned shift = 2 * (run % 8 / 2);
#pragma GCC unroll 1
            for (std::size_t l = 0; l < 16; ++l)
                to[l] = scale * signedFloat(static_cast<int>((byteAt(codes, l) >> shift) & 3U)) - minimum;
        }
    }
}

SIGMASCOPE_CLONES void q3_K(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 110;
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in + 108);
        const std::byte* scales = in + 96;
        float* __restrict to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < 16; ++run, to += 16) {
            const unsigned low = run < 8 ? byteAt(scales, run) & 15U : byteAt(scales, run - 8) >> 4;
            const unsigned high = (byteAt(scales, 8 + run % 4) >> (2 * (run / 4))) & 3U;
            const float scale = d * signedFloat(static_cast<int>(low | high << 4) - 32);
            const std::byte* codes = in + 32 + 32 * (run / 8) + 16 * (run % 2);
            const std::byte* third = in + 16 * (run % 2);
            const unsigned shift = 2 * (run % 8 / 2);
            const auto bit = static_cast<unsigned>(run / 2);
#pragma GCC unroll 1
            for (std::size_t l = 0; l < 16; ++l) {
                const unsigned code = ((byteAt(codes, l) >> shift) & 3U) | ((byteAt(third, l) >> bit) & 1U) << 2;
                to[l] = scale * signedFloat(static_cast<int>(code) - 4);
            }
        }
    }
}

SIGMASCOPE_CLONES void q4_K(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 144;
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const SixBits runs = sixBitScales(in + 4, halfAt(in), halfAt(in + 2));
        float* __restrict to = out.data() + b * kSuper;
        for (std::size_t j = 0; j < 8; j += 2, to += 64) {
            const std::byte* codes = in + 16 + 16 * j;
            for (std::size_t l = 0; l < 32; ++l) {
                const unsigned pair = byteAt(codes, l);
                to[l] = runs.scale[j] * signedFloat(static_cast<int>(pair & 15U)) - runs.minimum[j];
                to[l + 32] = runs.scale[j + 1] * signedFloat(static_cast<int>(pair >> 4)) - runs.minimum[j + 1];
            }
        }
    }
}

SIGMASCOPE_CLONES void q5_K(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 176;
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const SixBits runs = sixBitScales(in + 4, halfAt(in), halfAt(in + 2));
        const std::byte* fifth = in + 16;
        float* __restrict to = out.data() + b * kSuper;
        for (unsigned j = 0; j < 8; j += 2, to += 64) {
            const std::byte* codes = in + 48 + 16 * j;
            for (std::size_t l = 0; l < 32; ++l) {
                const unsigned pair = byteAt(codes, l);
                const unsigned low = (pair & 15U) | ((byteAt(fifth, l) >> j) & 1U) << 4;
                const unsigned high = (pair >> 4) | ((byteAt(fifth, l) >> (j + 1)) & 1U) << 4;
                to[l] = runs.scale[j] * signedFloat(static_cast<int>(low)) - runs.minimum[j];
                to[l + 32] = runs.scale[j + 1] * signedFloat(static_cast<int>(high)) - runs.minimum[j + 1];
            }
        }
    }
}

SIGMASCOPE_CLONES void q6_K(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 210;
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in + 208);
        float* __restrict to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < 16; ++run, to += 16) {
            const std::size_t half = run / 8;
            const std::size_t quarter = run % 8 / 2;
            const std::byte* low = in + 64 * half + 32 * (quarter % 2) + 16 * (run % 2);
            const std::byte* high = in + 128 + 32 * half + 16 * (run % 2);
            const float scale = d * signedFloat(static_cast<std::int8_t>(in[192 + run]));
            const unsigned lowShift = quarter < 2 ? 0 : 4;
            const auto highShift = static_cast<unsigned>(2 * quarter);
#pragma GCC unroll 1
            for (std::size_t l = 0; l < 16; ++l) {
                const unsigned code = ((byteAt(low, l) >> lowShift) & 15U) | ((byteAt(high, l) >> highShift) & 3U) << 4;
                to[l] = scale * signedFloat(static_cast<int>(code) - 32);
            }
        }
    }
}

}  // namespace sigmascope::decoders
