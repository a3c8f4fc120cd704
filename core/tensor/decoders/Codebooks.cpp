// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/decoders/CodebookPoints.h"
#include "core/tensor/decoders/Decoders.h"

namespace sigmascope::decoders {

namespace {

/// Runs of 32 elements in a super-block.
constexpr std::size_t kRuns = 8;
/// What the ternary points of IQ1 are shifted by, up or down.
constexpr float kShift = 0.125F;

unsigned wordAt16(const std::byte* in, std::size_t at)
{
    return byteAt(in, at) | byteAt(in, at + 1) << 8;
}

std::uint32_t wordAt32(const std::byte* in, std::size_t at)
{
    std::uint32_t word = 0;
    std::memcpy(&word, in + at, sizeof word);
    return word;
}

/// Eight signs in seven bits: the number of minus signs is even.
unsigned evenSigns(unsigned seven)
{
    unsigned parity = seven ^ seven >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return seven | (parity & 1U) << 7;
}

/// Bit i of @p signs turns element i round.
template <std::size_t n> void putSigned(const Point<n>& point, float scale, unsigned signs, float* to)
{
    for (std::size_t i = 0; i < n; ++i) {
        const float value = scale * static_cast<float>(point[i]);
        to[i] = ((signs >> i) & 1U) != 0 ? -value : value;
    }
}

/// Two points of four share a byte of signs.
void putPair(const Point<4>& first, const Point<4>& second, float scale, unsigned signs, float* to)
{
    putSigned(first, scale, signs, to);
    putSigned(second, scale, signs >> 4, to + 4);
}

void putShifted(const Point<8>& point, float scale, float shift, float* to)
{
    for (std::size_t i = 0; i < point.size(); ++i)
        to[i] = scale * (static_cast<float>(point[i]) + shift);
}

/// Scales of the two-bit and three-bit types: four bits, half a step up, in fractions of d.
float halfStepScale(float d, unsigned code, float fraction)
{
    return d * (0.5F + static_cast<float>(code)) * fraction;
}

float oddScale(float d, unsigned code)
{
    return d * static_cast<float>(2 * code + 1);
}

}  // namespace

void iq2_XXS(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 66;
    const auto& points = iq2XxsPoints();
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in);
        float* to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < kRuns; ++run) {
            const std::uint32_t word = wordAt32(in, 2 + 8 * run + 4);
            const float scale = halfStepScale(d, word >> 28, 0.25F);
            for (std::size_t l = 0; l < 4; ++l, to += 8)
                putSigned(points[byteAt(in, 2 + 8 * run + l)], scale, evenSigns((word >> (7 * l)) & 127U), to);
        }
    }
}

void iq2_XS(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 74;
    const auto& points = iq2XsPoints();
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in);
        float* to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < kRuns; ++run) {
            const unsigned scales = byteAt(in, 66 + run);
            for (std::size_t l = 0; l < 4; ++l, to += 8) {
                const unsigned code = wordAt16(in, 2 + 8 * run + 2 * l);
                const float scale = halfStepScale(d, (scales >> (4 * (l / 2))) & 15U, 0.25F);
                putSigned(points[code & 511U], scale, evenSigns(code >> 9), to);
            }
        }
    }
}

void iq2_S(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 82;
    const auto& points = iq2SPoints();
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in);
        float* to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < kRuns; ++run) {
            const unsigned high = byteAt(in, 66 + run);
            const unsigned scales = byteAt(in, 74 + run);
            for (std::size_t l = 0; l < 4; ++l, to += 8) {
                const unsigned code = byteAt(in, 2 + 4 * run + l) | ((high >> (2 * l)) & 3U) << 8;
                const float scale = halfStepScale(d, (scales >> (4 * (l / 2))) & 15U, 0.25F);
                putSigned(points[code], scale, byteAt(in, 34 + 4 * run + l), to);
            }
        }
    }
}

void iq3_XXS(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 98;
    const auto& points = iq3XxsPoints();
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in);
        float* to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < kRuns; ++run) {
            const std::uint32_t word = wordAt32(in, 66 + 4 * run);
            const float scale = halfStepScale(d, word >> 28, 0.5F);
            const std::byte* codes = in + 2 + 8 * run;
            for (std::size_t l = 0; l < 4; ++l, to += 8) {
                putPair(points[byteAt(codes, 2 * l)], points[byteAt(codes, 2 * l + 1)], scale,
                        evenSigns((word >> (7 * l)) & 127U), to);
            }
        }
    }
}

void iq3_S(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 110;
    const auto& points = iq3SPoints();
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in);
        float* to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < kRuns; ++run) {
            const unsigned high = byteAt(in, 66 + run);
            const float scale = oddScale(d, (byteAt(in, 106 + run / 2) >> (4 * (run % 2))) & 15U);
            const std::byte* codes = in + 2 + 8 * run;
            for (std::size_t l = 0; l < 4; ++l, to += 8) {
                const unsigned first = byteAt(codes, 2 * l) | ((high >> (2 * l)) & 1U) << 8;
                const unsigned second = byteAt(codes, 2 * l + 1) | ((high >> (2 * l + 1)) & 1U) << 8;
                putPair(points[first], points[second], scale, byteAt(in, 74 + 4 * run + l), to);
            }
        }
    }
}

void iq1_S(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 50;
    const auto& points = iq1Points();
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        const float d = halfAt(in);
        float* to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < kRuns; ++run) {
            const unsigned high = wordAt16(in, 34 + 2 * run);
            const float scale = oddScale(d, (high >> 12) & 7U);
            const float shift = (high & 0x8000U) != 0 ? -kShift : kShift;
            for (std::size_t l = 0; l < 4; ++l, to += 8) {
                const unsigned code = byteAt(in, 2 + 4 * run + l) | ((high >> (3 * l)) & 7U) << 8;
                putShifted(points[code], scale, shift, to);
            }
        }
    }
}

void iq1_M(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 56;
    const auto& points = iq1Points();
    for (std::size_t b = 0; b < out.size() / kSuper; ++b, in += kSize) {
        // The top four bits of each of four words are the scale of the super-block, the rest scales of 16.
        std::uint16_t half = 0;
        for (std::size_t i = 0; i < 4; ++i)
            half = static_cast<std::uint16_t>(half | (wordAt16(in, 48 + 2 * i) >> 12) << (4 * i));
        const float d = f16ToFloat(half);
        float* to = out.data() + b * kSuper;
        for (std::size_t run = 0; run < kRuns; ++run) {
            const unsigned scales = wordAt16(in, 48 + 2 * (run / 2)) >> (6 * (run % 2));
            for (std::size_t l = 0; l < 4; ++l, to += 8) {
                const unsigned high = byteAt(in, 32 + 2 * run + l / 2) >> (4 * (l % 2));
                const unsigned code = byteAt(in, 4 * run + l) | (high & 7U) << 8;
                const float scale = oddScale(d, (scales >> (3 * (l / 2))) & 7U);
                putShifted(points[code], scale, (high & 8U) != 0 ? -kShift : kShift, to);
            }
        }
    }
}

}  // namespace sigmascope::decoders
