// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// GGUF types whose codes follow from the largest magnitude of a block alone (of Q1_0: from the mean), byte for byte
// what ggml's reference encoders write.

#include "core/compute/kernels/BlockTable.h"
#include "core/compute/kernels/HalfBits.h"
#include "core/compute/kernels/KernelTable.h"

namespace sigmascope::kernels {
namespace {

constexpr size_t kRun = 32;  ///< elements of the smaller blocks, and of the parts of IQ4_XS

/// Bits of the largest magnitude; not below those of infinity if a value is not finite.
inline uint32_t largestMagnitude(const float* in, size_t n)
{
    int32_t most = 0;
    for (size_t i = 0; i < n; ++i) {
        int32_t bits;
        __builtin_memcpy(&bits, in + i, sizeof(bits));
        bits &= 0x7FFFFFFF;
        most = bits > most ? bits : most;
    }
    return static_cast<uint32_t>(most);
}

inline unsigned troubleOf(uint32_t magnitude)
{
    return magnitude >= 0x7F800000U ? kNonFiniteInput : 0U;
}

/// 1 / d, and 0 for d = 0; infinite for the smallest d.
inline float reciprocal(float d)
{
    return d != 0.0F ? 1.0F / d : 0.0F;
}

inline bool isInfinite(float value)
{
    return (bitsOf(value) & 0x7FFFFFFFU) == 0x7F800000U;
}

/// Stores a block's scale; kScaleOverflow if it is beyond f16.
inline unsigned storeScale(uint8_t* to, float scale)
{
    const uint16_t half = halfOf(scale);
    __builtin_memcpy(to, &half, sizeof(half));
    return (half & 0x7C00U) == 0x7C00U ? kScaleOverflow : 0U;
}

/// E2M1 by magnitude in units of half a step, so that all are whole: 0 1 2 3 4 6 8 12. What lies in the middle goes to
/// the smaller one; nothing becomes -0.
struct E2M1 {
    float middles[7];

    /// @param unit  value of 1. Where it is 0 all codes are 0; levels beyond the floats are not taken.
    explicit E2M1(float unit)
    {
        constexpr float kNever = 0x1.FFFFFEp127F;
        constexpr float kMiddles[7] = {0.5F, 1.5F, 2.5F, 3.5F, 5.0F, 7.0F, 10.0F};
        constexpr float kUpper[7] = {1, 2, 3, 4, 6, 8, 12};
        for (size_t i = 0; i < 7; ++i)
            middles[i] = unit != 0.0F && !isInfinite(unit * kUpper[i]) ? unit * kMiddles[i] : kNever;
    }
    [[nodiscard]] Ints codes(Floats x) const
    {
        const Floats magnitude = reinterpret_cast<Floats>(reinterpret_cast<Ints>(x) & 0x7FFFFFFF);
        Ints code{};
        for (const float middle : middles)
            code -= magnitude > middle;  // a true lane is -1
        return code | ((code != 0) & (x < 0.0F) & 8);
    }
    /// 2 n values in n bytes: the first n in the low nibbles.
    template <size_t n> void pack(const float* in, uint8_t* out) const
    {
        static_assert(2 * n % kFloats == 0);
        int32_t code[2 * n];
        for (size_t e = 0; e < 2 * n; e += kFloats)
            store(code + e, codes(load<Floats>(in + e)));
        for (size_t e = 0; e < n; ++e)
            out[e] = static_cast<uint8_t>(code[e] | code[e + n] << 4);
    }
};

/// floor(log2f(x)) where the logarithm is rounded to float, as ggml takes it: just below a power of two it is already
/// that power. @param magnitude  bits of x, a normal number; something without meaning of what is not finite.
int32_t flooredLog2(uint32_t magnitude)
{
    // floor(2^p ln 2): so many 2^-24ths below 2^k the logarithm lies nearer to k than to the float under k, where these
    // are 2^(p - 23) apart.
    constexpr int32_t kClose[8] = {0, 1, 2, 5, 11, 22, 44, 88};
    const int32_t below = static_cast<int32_t>(magnitude >> 23) - 127;
    const auto missing = static_cast<int32_t>(0x800000U - (magnitude & 0x7FFFFFU));
    const uint32_t span = static_cast<uint32_t>(below >= 0 ? below : -1 - below);
    if (span == 0)
        return below;
    return missing <= kClose[31 - __builtin_clz(span)] ? below + 1 : below;
}

/// One byte, biased by 127: two below the power of two of the largest magnitude, so that this is 4 to 8 steps. Below
/// 2^-125, where ggml's conversion to a byte overflows, the smallest there is.
uint32_t e8m0Of(uint32_t magnitude)
{
    if (magnitude < 0x00800000U)
        return 0;
    const int32_t exponent = flooredLog2(magnitude) - 2 + 127;
    return exponent < 0 ? 0U : static_cast<uint32_t>(exponent);
}

unsigned encodeMxfp4(const BlockRun& blocks, uint8_t* out)
{
    const float* in = blocks.in;
    constexpr size_t kSize = 17;
    unsigned trouble = 0;
    for (size_t b = 0; b < blocks.count; ++b, in += kRun, out += kSize) {
        const uint32_t magnitude = largestMagnitude(in, kRun);
        trouble |= troubleOf(magnitude);
        const uint32_t exponent = e8m0Of(magnitude);
        out[0] = static_cast<uint8_t>(exponent);
        const E2M1 levels(floatOf(exponent < 2 ? 0x00200000U << exponent : (exponent - 1) << 23));
        levels.pack<kRun / 2>(in, out + 1);
    }
    return trouble;
}

/// Unsigned E4M3 of bias 7, half up; the largest is 0x7E. A subnormal never rounds up to the first normal number.
uint32_t ue4m3Of(float x)
{
    if (!(x > 0.0F))
        return 0;
    if (x < 0x1p-6F) {
        const float halfUp = x * 512.0F + 0.5F;
        const auto mantissa = static_cast<uint32_t>(halfUp);
        return mantissa > 7 ? 7 : mantissa;
    }
    const uint32_t code = x >= 256.0F ? 0x7EU : ((bitsOf(x) + (1U << 19)) >> 20) - (120U << 3);
    return code >= 0x78U ? 0x7EU : code;
}

float valueOfUe4m3(uint32_t code)
{
    if (code < 8)
        return static_cast<float>(code) * 0x1p-9F;
    return floatOf(((code >> 3) + 120U) << 23 | (code & 7U) << 20);
}

unsigned encodeNvfp4(const BlockRun& blocks, uint8_t* out)
{
    const float* in = blocks.in;
    constexpr size_t kSize = 36;
    constexpr size_t kPart = 16;
    unsigned trouble = 0;
    for (size_t b = 0; b < blocks.count; ++b, out += kSize) {
        for (size_t part = 0; part < 4; ++part, in += kPart) {
            const uint32_t magnitude = largestMagnitude(in, kPart);
            trouble |= troubleOf(magnitude);
            const uint32_t scale = ue4m3Of(floatOf(magnitude) / 6.0F);
            out[part] = static_cast<uint8_t>(scale);
            const E2M1 levels(valueOfUe4m3(scale) * 0.5F);
            levels.pack<kPart / 2>(in, out + 4 + 8 * part);
        }
    }
    return trouble;
}

/// 0, 1 or 2: a value divided by the largest magnitude, to the nearest of -1, 0, 1 and half away from 0, plus 1.
struct Ternary {
    float inverseScale;

    /// Where the reciprocal is infinite all become 0, as the conversion of an infinity or NaN makes them in ggml.
    explicit Ternary(float largest)
        : inverseScale(reciprocal(largest))
    {
        if (isInfinite(inverseScale))
            inverseScale = 0.0F;
    }
    [[nodiscard]] int32_t code(float x) const
    {
        const float ratio = x * inverseScale;
        return 1 + (ratio >= 0.5F ? 1 : 0) - (ratio <= -0.5F ? 1 : 0);
    }
};

/// @p bytes bytes of up to five base-3 digits, digit n of byte i being element n * bytes + i: as a fraction of 3^5 that
/// is scaled to 256 and rounded up, so that a multiplication brings out the next digit.
void packDigits(const float* in, const Ternary& ternary, size_t digits, size_t bytes, uint8_t* out)
{
    for (size_t i = 0; i < bytes; ++i) {
        uint32_t number = 0;
        for (size_t n = 0; n < 5; ++n)
            number = 3 * number + (n < digits ? static_cast<uint32_t>(ternary.code(in[n * bytes + i])) : 0U);
        out[i] = static_cast<uint8_t>((number * 256 + 242) / 243);
    }
}

unsigned encodeTq1_0(const BlockRun& blocks, uint8_t* out)
{
    const float* in = blocks.in;
    constexpr size_t kSize = 54;
    constexpr size_t kSuper = 256;
    unsigned trouble = 0;
    for (size_t b = 0; b < blocks.count; ++b, in += kSuper, out += kSize) {
        const uint32_t magnitude = largestMagnitude(in, kSuper);
        trouble |= troubleOf(magnitude) | storeScale(out + 52, floatOf(magnitude));
        const Ternary ternary(floatOf(magnitude));
        packDigits(in, ternary, 5, 32, out);
        packDigits(in + 160, ternary, 5, 16, out + 32);
        packDigits(in + 240, ternary, 4, 4, out + 48);
    }
    return trouble;
}

unsigned encodeTq2_0(const BlockRun& blocks, uint8_t* out)
{
    const float* in = blocks.in;
    constexpr size_t kSize = 66;
    constexpr size_t kSuper = 256;
    unsigned trouble = 0;
    for (size_t b = 0; b < blocks.count; ++b, in += kSuper, out += kSize) {
        const uint32_t magnitude = largestMagnitude(in, kSuper);
        trouble |= troubleOf(magnitude) | storeScale(out + 64, floatOf(magnitude));
        const Ternary ternary(floatOf(magnitude));
        for (size_t half = 0; half < 2; ++half) {
            const float* from = in + 128 * half;
            for (size_t i = 0; i < 32; ++i) {
                out[32 * half + i]
                    = static_cast<uint8_t>(ternary.code(from[i]) | ternary.code(from[i + 32]) << 2
                                           | ternary.code(from[i + 64]) << 4 | ternary.code(from[i + 96]) << 6);
            }
        }
    }
    return trouble;
}

/// The sign of every element; the scale is the mean magnitude, summed in order.
unsigned encodeQ1_0(const BlockRun& blocks, uint8_t* out)
{
    const float* in = blocks.in;
    constexpr size_t kSize = 18;
    constexpr size_t kElements = 128;
    unsigned trouble = 0;
    for (size_t b = 0; b < blocks.count; ++b, in += kElements, out += kSize) {
        trouble |= troubleOf(largestMagnitude(in, kElements));
        float sum = 0.0F;
        for (size_t i = 0; i < kElements; ++i)
            sum += __builtin_fabsf(in[i]);
        trouble |= storeScale(out, sum / static_cast<float>(kElements));
        for (size_t byte = 0; byte < kElements / 8; ++byte) {
            uint32_t bits = 0;
            for (size_t bit = 0; bit < 8; ++bit)
                bits |= (in[8 * byte + bit] >= 0.0F ? 1U : 0U) << bit;
            out[2 + byte] = static_cast<uint8_t>(bits);
        }
    }
    return trouble;
}

/// As TQ2_0 in other blocks; code 3, twice the scale, is never chosen. Where the reciprocal of the scale is infinite,
/// and the scale 0, all codes are 0.
unsigned encodeQ2_0(const BlockRun& blocks, uint8_t* out)
{
    const float* in = blocks.in;
    constexpr size_t kSize = 18;
    constexpr size_t kElements = 64;
    unsigned trouble = 0;
    for (size_t b = 0; b < blocks.count; ++b, in += kElements, out += kSize) {
        const uint32_t magnitude = largestMagnitude(in, kElements);
        trouble |= troubleOf(magnitude) | storeScale(out, floatOf(magnitude));
        if (isInfinite(reciprocal(floatOf(magnitude)))) {
            __builtin_memset(out + 2, 0, kSize - 2);
            continue;
        }
        const Ternary ternary(floatOf(magnitude));
        for (size_t byte = 0; byte < kElements / 4; ++byte) {
            int32_t codes = 0;
            for (size_t n = 0; n < 4; ++n)
                codes |= ternary.code(in[4 * byte + n]) << (2 * n);
            out[2 + byte] = static_cast<uint8_t>(codes);
        }
    }
    return trouble;
}

}  // namespace
}  // namespace sigmascope::kernels
