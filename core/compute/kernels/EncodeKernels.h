// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// GGUF blocks of 32, byte for byte what ggml's reference encoders write: their order of float operations,
// their rounding (truncation after +0.5, or half away from zero), their choice among ties.

#include "core/compute/kernels/KernelTable.h"
#include "core/compute/kernels/Vectors.h"

namespace sigmascope::kernels {
namespace {

constexpr size_t kBlock = 32;
constexpr size_t kBlockVectors = kBlock / kFloats;
constexpr size_t kHalfVectors = kBlockVectors / 2;

/// Every element holds the extreme of its vector and the one `distance` away; log2 of these join a vector.
template <size_t distance>
Floats rotated(Floats v)
{
    Floats turned = v;
    // Constant indices, so one shuffle instruction; a loop over elements would go through memory.
    if constexpr (distance == 8) {
#if SIGMASCOPE_VECTOR_BYTES == 64
        turned = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
#endif
    } else if constexpr (distance == 4) {
#if SIGMASCOPE_VECTOR_BYTES == 64
        turned = __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
#elif SIGMASCOPE_VECTOR_BYTES == 32
        turned = __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
#endif
    } else if constexpr (distance == 2) {
#if SIGMASCOPE_VECTOR_BYTES == 64
        turned = __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
#elif SIGMASCOPE_VECTOR_BYTES == 32
        turned = __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
#else
        turned = __builtin_shufflevector(v, v, 2, 3, 0, 1);
#endif
    } else {
#if SIGMASCOPE_VECTOR_BYTES == 64
        turned = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
#elif SIGMASCOPE_VECTOR_BYTES == 32
        turned = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
#else
        turned = __builtin_shufflevector(v, v, 1, 0, 3, 2);
#endif
    }
    return turned;
}

float smallestOf(Floats v)
{
    if constexpr (kFloats == 16)
        v = smaller(v, rotated<8>(v));
    if constexpr (kFloats >= 8)
        v = smaller(v, rotated<4>(v));
    v = smaller(v, rotated<2>(v));
    v = smaller(v, rotated<1>(v));
    return v[0];
}

float largestOf(Floats v)
{
    if constexpr (kFloats == 16)
        v = larger(v, rotated<8>(v));
    if constexpr (kFloats >= 8)
        v = larger(v, rotated<4>(v));
    v = larger(v, rotated<2>(v));
    v = larger(v, rotated<1>(v));
    return v[0];
}

/// IEEE binary16, nearest, ties to even. As core/base/Half.h, which these objects may not include.
uint16_t f16Of(float value)
{
    const uint32_t bits = bitsOf(value);
    const uint32_t sign = (bits >> 16) & 0x8000U;
    const uint32_t magnitude = bits & 0x7FFFFFFFU;
    if (magnitude >= 0x47800000U)  // 65536 and up, Inf, NaN: refused by the caller
        return static_cast<uint16_t>(sign | 0x7C00U);
    if (magnitude < 0x38800000U) {
        // Adding 0.5 leaves a multiple of 2^-24 in the low bits, rounded by the addition itself.
        return static_cast<uint16_t>(sign | (bitsOf(floatOf(magnitude) + 0.5F) - 0x3F000000U));
    }
    const uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

/// Collects over a row what must not be encoded.
struct Trouble {
    Ints nonFinite{};
    unsigned flags = 0;

    void look(const Floats* x)
    {
        for (size_t v = 0; v < kBlockVectors; ++v)
            nonFinite |= (reinterpret_cast<Ints>(x[v]) & 0x7F800000) == 0x7F800000;
    }
    /// Writes a block's scale or minimum.
    void storeF16(uint8_t* to, float value)
    {
        const uint16_t half = f16Of(value);
        if ((half & 0x7C00U) == 0x7C00U)
            flags |= kScaleOverflow;
        __builtin_memcpy(to, &half, sizeof(half));
    }
    [[nodiscard]] unsigned found() const
    {
        for (size_t lane = 0; lane < kFloats; ++lane) {
            if (nonFinite[lane] != 0)
                return flags | kNonFiniteInput;
        }
        return flags;
    }
};

void loadBlock(const float* in, Floats* x)
{
    for (size_t v = 0; v < kBlockVectors; ++v)
        x[v] = load<Floats>(in + v * kFloats);
}

struct Range {
    float low, high;
};

Range rangeOf(const Floats* x)
{
    Floats low = x[0];
    Floats high = x[0];
    for (size_t v = 1; v < kBlockVectors; ++v) {
        low = smaller(low, x[v]);
        high = larger(high, x[v]);
    }
    return {smallestOf(low), largestOf(high)};
}

/// The value of largest magnitude with its sign; of a tie the one that comes first.
float signedExtreme(const float* in, Range range)
{
    if (range.high > -range.low)
        return range.high;
    if (range.high < -range.low)
        return range.low;
    for (size_t e = 0; e < kBlock; ++e) {
        if (in[e] == range.low || in[e] == range.high)
            return in[e] == 0.0F ? 0.0F : in[e];
    }
    return 0.0F;  // NaN only: refused
}

/// The minimum; if it is a zero, the sign of the first zero in the block.
float firstMinimum(const float* in, float low)
{
    for (size_t e = 0; low == 0.0F && e < kBlock; ++e) {
        if (in[e] == 0.0F)
            return in[e];
    }
    return low;
}

/// 1 / d, and 0 for d = 0. Infinite for the smallest d: all codes are then 0, as x86's conversion of an
/// infinity or NaN, cut to a byte, makes them in ggml.
float inverse(float d)
{
    return d != 0.0F ? 1.0F / d : 0.0F;
}

bool isInfinite(float value)
{
    return (bitsOf(value) & 0x7FFFFFFFU) == 0x7F800000U;
}

/// Codes of (x - minimum) / scale: truncated after adding `offset`, at most `largest`.
struct Quantizer {
    float minimum, inverseScale, offset;
    int32_t largest;

    [[nodiscard]] Ints codes(Floats x) const
    {
        const Ints code = __builtin_convertvector((x - minimum) * inverseScale + offset, Ints);
        return smaller(code, Ints{} + largest);
    }
};

/// Codes of one block, low nibbles packed as GGUF does; the fifth bits, if any, into `high`.
template <bool fifthBit>
void packCodes(const Floats* x, const Quantizer& quantizer, uint8_t* nibbles, uint8_t* high)
{
    Ints lowHigh{};
    Ints highHigh{};
    Ints position{};
    for (size_t lane = 0; lane < kFloats; ++lane)
        position[lane] = static_cast<int32_t>(lane);
    for (size_t v = 0; v < kHalfVectors; ++v) {
        const Ints first = quantizer.codes(x[v]);
        const Ints second = quantizer.codes(x[v + kHalfVectors]);
        store(nibbles + v * kFloats, __builtin_convertvector((first & 15) | ((second & 15) << 4), Int8s));
        if constexpr (fifthBit) {
            const Ints shift = position + static_cast<int32_t>(v * kFloats);
            lowHigh |= (first >> 4) << shift;
            highHigh |= (second >> 4) << shift;
        }
    }
    if constexpr (fifthBit) {
        uint32_t bits = 0;
        for (size_t lane = 0; lane < kFloats; ++lane)
            bits |= static_cast<uint32_t>(lowHigh[lane]) | static_cast<uint32_t>(highHigh[lane]) << 16;
        __builtin_memcpy(high, &bits, sizeof(bits));
    }
}

/// Q4_0, Q5_0: d = signed extreme / -half, code = trunc(x / d + half + 0.5).
template <bool fifthBit>
unsigned encodeSymmetric(const float* in, size_t blocks, uint8_t* out)
{
    constexpr int32_t kHalf = fifthBit ? 16 : 8;
    constexpr size_t kNibbles = fifthBit ? 6 : 2;
    constexpr size_t kSize = kNibbles + kBlock / 2;
    Trouble trouble;
    for (size_t b = 0; b < blocks; ++b, in += kBlock, out += kSize) {
        Floats x[kBlockVectors];
        loadBlock(in, x);
        trouble.look(x);
        const float d = signedExtreme(in, rangeOf(x)) / static_cast<float>(-kHalf);
        const float id = inverse(d);
        trouble.storeF16(out, d);
        if (isInfinite(id)) {
            __builtin_memset(out + 2, 0, kSize - 2);
            continue;
        }
        const Quantizer quantizer{0.0F, id, static_cast<float>(kHalf) + 0.5F, 2 * kHalf - 1};
        packCodes<fifthBit>(x, quantizer, out + kNibbles, out + 2);
    }
    return trouble.found();
}

/// Q4_1, Q5_1: d = (max - min) / steps, code = trunc((x - min) / d + 0.5).
template <bool fifthBit>
unsigned encodeFromMinimum(const float* in, size_t blocks, uint8_t* out)
{
    constexpr int32_t kSteps = fifthBit ? 31 : 15;
    constexpr size_t kNibbles = fifthBit ? 8 : 4;
    constexpr size_t kSize = kNibbles + kBlock / 2;
    Trouble trouble;
    for (size_t b = 0; b < blocks; ++b, in += kBlock, out += kSize) {
        Floats x[kBlockVectors];
        loadBlock(in, x);
        trouble.look(x);
        const Range range = rangeOf(x);
        const float minimum = firstMinimum(in, range.low);
        // All zeros: +0 - -0 would depend on which zero the vector extremes came from.
        const float spread = range.high > minimum ? range.high - minimum : 0.0F;
        const float d = spread / static_cast<float>(kSteps);
        const float id = inverse(d);
        trouble.storeF16(out, d);
        trouble.storeF16(out + 2, minimum);
        if (isInfinite(id)) {
            __builtin_memset(out + 4, 0, kSize - 4);
            continue;
        }
        const Quantizer quantizer{minimum, id, 0.5F, kSteps};
        packCodes<fifthBit>(x, quantizer, out + kNibbles, out + 4);
    }
    return trouble.found();
}

/// Nearest integer, half away from zero (roundf). Adding 0.5 first would round 0.49999997 up.
Ints roundedHalfAway(Floats x)
{
    const Ints whole = __builtin_convertvector(x, Ints);
    const Floats rest = x - __builtin_convertvector(whole, Floats);
    return whole - (rest >= 0.5F) + (rest <= -0.5F);  // a true lane is -1
}

unsigned encodeQ8_0(const float* in, size_t blocks, uint8_t* out)
{
    constexpr size_t kSize = 34;
    Trouble trouble;
    for (size_t b = 0; b < blocks; ++b, in += kBlock, out += kSize) {
        Floats x[kBlockVectors];
        loadBlock(in, x);
        trouble.look(x);
        const Range range = rangeOf(x);
        const float d = (larger(range.high, -range.low) + 0.0F) / 127.0F;  // + 0: never a scale of -0
        const float id = inverse(d);
        trouble.storeF16(out, d);
        if (isInfinite(id)) {
            __builtin_memset(out + 2, 0, kBlock);
            continue;
        }
        for (size_t v = 0; v < kBlockVectors; ++v)
            store(out + 2 + v * kFloats, __builtin_convertvector(roundedHalfAway(x[v] * id), Int8s));
    }
    return trouble.found();
}

}  // namespace
}  // namespace sigmascope::kernels
