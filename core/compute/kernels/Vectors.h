// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Vectors of SIGMASCOPE_VECTOR_BYTES in the vector language that g++ and clang share: one source for SSE2,
// NEON, AVX2 and AVX-512. Everything has internal linkage (see KernelTable.h).

#include <stddef.h>
#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sigmascope::kernels {
namespace {

constexpr size_t kVectorBytes = SIGMASCOPE_VECTOR_BYTES;
constexpr size_t kDoubles = kVectorBytes / 8;
constexpr size_t kFloats = kVectorBytes / 4;
/// Virtual lanes of every sum, at every level.
constexpr size_t kLanes = 16;
/// Vectors of double that hold the 16 lanes.
constexpr size_t kGroups = kLanes / kDoubles;

template <class T, size_t bytes>
struct VectorOf {
    typedef T type __attribute__((vector_size(bytes)));
};
using Doubles = VectorOf<double, kVectorBytes>::type;
using Floats = VectorOf<float, kVectorBytes>::type;
using Ints = VectorOf<int32_t, kVectorBytes>::type;
using Int8s = VectorOf<int8_t, kFloats>::type;          ///< as many as Ints has
template <class V>
inline V load(const void* from)
{
    V value;
    __builtin_memcpy(&value, from, sizeof(V));
    return value;
}

template <class V>
inline void store(void* to, V value)
{
    __builtin_memcpy(to, &value, sizeof(V));
}

template <class V>
inline V smaller(V a, V b)
{
    return a < b ? a : b;
}

template <class V>
inline V larger(V a, V b)
{
    return a > b ? a : b;
}

inline uint32_t bitsOf(float value)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof(bits));
    return bits;
}

inline float floatOf(uint32_t bits)
{
    float value;
    __builtin_memcpy(&value, &bits, sizeof(value));
    return value;
}

/// kDoubles floats as doubles. By intrinsics: g++ 12 splits the portable conversion in two and joins it again.
inline Doubles widened(const uint8_t* from)
{
#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
    return reinterpret_cast<Doubles>(_mm512_cvtps_pd(_mm256_loadu_ps(reinterpret_cast<const float*>(from))));
#elif defined(__AVX2__) && SIGMASCOPE_VECTOR_BYTES == 32
    return reinterpret_cast<Doubles>(_mm256_cvtps_pd(_mm_loadu_ps(reinterpret_cast<const float*>(from))));
#else
    return __builtin_convertvector(load<VectorOf<float, kVectorBytes / 2>::type>(from), Doubles);
#endif
}

/// sum + a * b where a * b is exact in double: then one rounding or two give the same bits, at every level.
inline Doubles withExactProduct(Doubles sum, Doubles a, Doubles b)
{
#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
    return reinterpret_cast<Doubles>(
        _mm512_fmadd_pd(reinterpret_cast<__m512d>(a), reinterpret_cast<__m512d>(b), reinterpret_cast<__m512d>(sum)));
#elif defined(__FMA__) && SIGMASCOPE_VECTOR_BYTES == 32
    return reinterpret_cast<Doubles>(
        _mm256_fmadd_pd(reinterpret_cast<__m256d>(a), reinterpret_cast<__m256d>(b), reinterpret_cast<__m256d>(sum)));
#else
    return sum + a * b;
#endif
}

/// Joins the 16 lanes of a sum, as a tree whose shape is the same at every level.
inline double joined(const double* lanes)
{
    double s[8];
    for (size_t i = 0; i < 8; ++i)
        s[i] = lanes[i] + lanes[i + 8];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

}  // namespace
}  // namespace sigmascope::kernels
