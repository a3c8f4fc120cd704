// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The three stored types that have native kernels: how 16 elements become floats, and in which lanes.

#include "core/compute/kernels/Vectors.h"

namespace sigmascope::kernels {
namespace {

struct F32Element {
    using Code = uint32_t;
    using Key = int32_t;
    static constexpr Code kMagnitude = 0x7FFFFFFFU;
    static constexpr Code kInfinity = 0x7F800000U;
    static constexpr Code kSmallestNormal = 0x00800000U;

    static float value(Code code) { return floatOf(code); }
    static size_t laneOf(size_t element) { return element; }
    static void load16(const uint8_t* from, HalfFloats* to)
    {
        for (size_t g = 0; g < kGroups; ++g)
            to[g] = load<HalfFloats>(from + g * sizeof(HalfFloats));
    }
};

struct Bf16Element {
    using Code = uint16_t;
    using Key = int16_t;
    static constexpr Code kMagnitude = 0x7FFFU;
    static constexpr Code kInfinity = 0x7F80U;
    static constexpr Code kSmallestNormal = 0x0080U;

    static float value(Code code) { return floatOf(static_cast<uint32_t>(code) << 16); }
    /// Even elements take the first eight lanes, odd ones the others: two codes in a 32-bit word become two
    /// floats by one shift and one mask, cheaper than widening. (Little-endian, as the files are.)
    static size_t laneOf(size_t element) { return (element & 1U) * (kLanes / 2) + element / 2; }
    static void load16(const uint8_t* from, HalfFloats* to)
    {
        for (size_t g = 0; g < kGroups / 2; ++g) {
            const auto pairs = load<HalfInts>(from + g * sizeof(HalfInts));
            to[g] = reinterpret_cast<HalfFloats>(pairs << 16);
            to[g + kGroups / 2] = reinterpret_cast<HalfFloats>(pairs & 0xFFFF0000U);
        }
    }
};

struct F16Element {
    using Code = uint16_t;
    using Key = int16_t;
    static constexpr Code kMagnitude = 0x7FFFU;
    static constexpr Code kInfinity = 0x7C00U;
    static constexpr Code kSmallestNormal = 0x0400U;

    /// Finite codes only.
    static float value(Code code)
    {
        const uint32_t sign = static_cast<uint32_t>(code & 0x8000U) << 16;
        const uint32_t magnitude = static_cast<uint32_t>(code & kMagnitude) << 13;
        if (magnitude >= (1U << 23))
            return floatOf(sign | (magnitude + (112U << 23)));
        return floatOf(sign | bitsOf(floatOf(magnitude + (113U << 23)) - 0x1.0p-14F));
    }
    static size_t laneOf(size_t element) { return element; }
    static HalfFloats widened(const uint8_t* from)
    {
#if defined(__F16C__) && SIGMASCOPE_VECTOR_BYTES == 64
        return reinterpret_cast<HalfFloats>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#elif defined(__F16C__) && SIGMASCOPE_VECTOR_BYTES == 32
        return reinterpret_cast<HalfFloats>(_mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
#else
        const HalfInts code = __builtin_convertvector(load<QuarterShorts>(from), HalfInts);
        const HalfInts sign = (code & 0x8000U) << 16;
        const HalfInts magnitude = (code & 0x7FFFU) << 13;
        const HalfInts normal = magnitude + (112U << 23);
        const HalfInts tiny =
            reinterpret_cast<HalfInts>(reinterpret_cast<HalfFloats>(normal + (1U << 23)) - 0x1.0p-14F);
        return reinterpret_cast<HalfFloats>(sign | (magnitude < (1U << 23) ? tiny : normal));
#endif
    }
    static void load16(const uint8_t* from, HalfFloats* to)
    {
        for (size_t g = 0; g < kGroups; ++g)
            to[g] = widened(from + g * sizeof(QuarterShorts));
    }
};

/// Integer with the order of the float: -Inf < -1 < -0 < +0 < 1 < Inf < NaN; a NaN with its sign set lies
/// below -Inf. (The function is its own inverse.)
template <class E>
inline typename E::Key keyOf(typename E::Code code)
{
    using Key = typename E::Key;
    const auto signedCode = static_cast<Key>(code);
    return signedCode < 0 ? static_cast<Key>(signedCode ^ static_cast<Key>(E::kMagnitude)) : signedCode;
}

template <class E>
inline typename E::Code codeOf(typename E::Key key)
{
    return static_cast<typename E::Code>(keyOf<E>(static_cast<typename E::Code>(key)));
}

}  // namespace
}  // namespace sigmascope::kernels
