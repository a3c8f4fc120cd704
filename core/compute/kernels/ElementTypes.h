// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The three stored types that have native kernels: their special codes, and how codes become floats.

#include "core/compute/kernels/Vectors.h"

namespace sigmascope::kernels {
namespace {

/// Elements that become floats at a time: a tile stays in the first-level cache beside its codes.
constexpr size_t kTile = 1024;
using Words = VectorOf<uint32_t, kVectorBytes>::type;

struct F32Element {
    using Code = uint32_t;
    using Key = int32_t;
    static constexpr Code kMagnitude = 0x7FFFFFFFU;
    static constexpr Code kInfinity = 0x7F800000U;
    static constexpr Code kSmallestNormal = 0x00800000U;
    /// Significant bits of a value: its k-th power, k <= 4, is exact in double if k times as many fit in 53 (the
    /// range of double holds every such power of a 16-bit value, and every square of a float).
    static constexpr int kSignificand = 24;

    static float value(Code code) { return floatOf(code); }
    /// Where n <= kTile elements lie as floats: here, in place.
    static const uint8_t* floats(const uint8_t* from, size_t, float*) { return from; }
};

struct Bf16Element {
    using Code = uint16_t;
    using Key = int16_t;
    static constexpr Code kMagnitude = 0x7FFFU;
    static constexpr Code kInfinity = 0x7F80U;
    static constexpr Code kSmallestNormal = 0x0080U;
    static constexpr int kSignificand = 8;

    static float value(Code code) { return floatOf(static_cast<uint32_t>(code) << 16); }
    /// Of every 32 elements the 16 even ones first, then the odd ones: a pair of codes in a 32-bit word becomes
    /// two floats by one shift and one mask, which is cheaper than widening. (Little-endian, as files are.)
    static const uint8_t* floats(const uint8_t* from, size_t n, float* tile)
    {
        const size_t whole = n / 32 * 32;
        for (size_t i = 0; i < whole; i += 32) {
            for (size_t v = 0; v < 16; v += kFloats) {
                const auto pairs = load<Words>(from + 2 * i + 4 * v);
                store(tile + i + v, pairs << 16);
                store(tile + i + 16 + v, pairs & 0xFFFF0000U);
            }
        }
        for (size_t i = whole; i < n; ++i)
            tile[i] = value(load<Code>(from + 2 * i));
        return reinterpret_cast<const uint8_t*>(tile);
    }
};

struct F16Element {
    using Code = uint16_t;
    using Key = int16_t;
    static constexpr Code kMagnitude = 0x7FFFU;
    static constexpr Code kInfinity = 0x7C00U;
    static constexpr Code kSmallestNormal = 0x0400U;
    static constexpr int kSignificand = 11;

    /// Finite codes only. The exponent is moved by an addition; a subnormal is repaired by an exact subtraction.
    static float value(Code code)
    {
        const uint32_t sign = static_cast<uint32_t>(code & 0x8000U) << 16;
        const uint32_t magnitude = static_cast<uint32_t>(code & kMagnitude) << 13;
        if (magnitude >= (1U << 23))
            return floatOf(sign | (magnitude + (112U << 23)));
        return floatOf(sign | bitsOf(floatOf(magnitude + (113U << 23)) - 0x1.0p-14F));
    }
    static Words widened(const uint8_t* from)
    {
#if defined(__F16C__) && SIGMASCOPE_VECTOR_BYTES == 64
        return reinterpret_cast<Words>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#elif defined(__F16C__) && SIGMASCOPE_VECTOR_BYTES == 32
        return reinterpret_cast<Words>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#else
        using Shorts = VectorOf<uint16_t, kVectorBytes / 2>::type;
        const Words code = __builtin_convertvector(load<Shorts>(from), Words);
        const Words sign = (code & 0x8000U) << 16;
        const Words magnitude = (code & 0x7FFFU) << 13;
        const Words normal = magnitude + (112U << 23);
        const Words tiny = reinterpret_cast<Words>(reinterpret_cast<Floats>(normal + (1U << 23)) - 0x1.0p-14F);
        return sign | (magnitude < (1U << 23) ? tiny : normal);
#endif
    }
    static const uint8_t* floats(const uint8_t* from, size_t n, float* tile)
    {
        const size_t whole = n / kFloats * kFloats;
        for (size_t i = 0; i < whole; i += kFloats)
            store(tile + i, widened(from + 2 * i));
        for (size_t i = whole; i < n; ++i)
            tile[i] = value(load<Code>(from + 2 * i));
        return reinterpret_cast<const uint8_t*>(tile);
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
