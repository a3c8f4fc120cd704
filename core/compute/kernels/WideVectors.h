// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Two vectors side by side. A search is one long chain of dependent operations; two of them fill the pipes.

#include "core/compute/kernels/Vectors.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace sigmascope::kernels {
namespace {

/// Lanes of a Wide: each works on a run of weights of its own.
constexpr size_t kTeam = 2 * kFloats;

struct Wide {
    Floats a, b;
};
/// Integers, or what a comparison gives: all bits set where true.
struct WideInts {
    Ints a, b;
};

inline Floats filled(float value)
{
    return value - Floats{};
}
inline Wide wide(float value)
{
    return {filled(value), filled(value)};
}
inline Wide loadWide(const float* from)
{
    return {load<Floats>(from), load<Floats>(from + kFloats)};
}
inline void storeWide(float* to, Wide value)
{
    store(to, value.a);
    store(to + kFloats, value.b);
}

inline Wide operator+(Wide x, Wide y)
{
    return {x.a + y.a, x.b + y.b};
}
inline Wide operator-(Wide x, Wide y)
{
    return {x.a - y.a, x.b - y.b};
}
inline Wide operator*(Wide x, Wide y)
{
    return {x.a * y.a, x.b * y.b};
}
inline Wide operator/(Wide x, Wide y)
{
    return {x.a / y.a, x.b / y.b};
}
inline Wide operator-(Wide x)
{
    return {-x.a, -x.b};
}
inline WideInts operator<(Wide x, Wide y)
{
    return {x.a < y.a, x.b < y.b};
}
inline WideInts operator>(Wide x, Wide y)
{
    return {x.a > y.a, x.b > y.b};
}
inline WideInts operator==(Wide x, Wide y)
{
    return {x.a == y.a, x.b == y.b};
}
inline WideInts operator!=(Wide x, Wide y)
{
    return {x.a != y.a, x.b != y.b};
}
inline WideInts operator<=(Wide x, Wide y)
{
    return {x.a <= y.a, x.b <= y.b};
}
inline WideInts operator!=(WideInts x, WideInts y)
{
    return {x.a != y.a, x.b != y.b};
}
inline WideInts operator&(WideInts x, WideInts y)
{
    return {x.a & y.a, x.b & y.b};
}
inline WideInts operator|(WideInts x, WideInts y)
{
    return {x.a | y.a, x.b | y.b};
}
inline WideInts operator~(WideInts x)
{
    return {~x.a, ~x.b};
}

inline Wide chosen(WideInts where, Wide yes, Wide no)
{
    return {where.a ? yes.a : no.a, where.b ? yes.b : no.b};
}
inline WideInts chosen(WideInts where, WideInts yes, WideInts no)
{
    return {where.a ? yes.a : no.a, where.b ? yes.b : no.b};
}

#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
/// For the forms with a mask: those without read what g++ 12 takes for an uninitialised register.
constexpr __mmask16 kAll = 0xFFFF;
#endif

/// x < y ? x : y, so y where one is NaN. By intrinsics: g++ 12 makes comparison and blend of it at 64 bytes.
inline Floats least(Floats x, Floats y)
{
#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
    return reinterpret_cast<Floats>(
        _mm512_maskz_min_ps(kAll, reinterpret_cast<__m512>(x), reinterpret_cast<__m512>(y)));
#else
    return x < y ? x : y;
#endif
}
/// x > y ? x : y
inline Floats most(Floats x, Floats y)
{
#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
    return reinterpret_cast<Floats>(
        _mm512_maskz_max_ps(kAll, reinterpret_cast<__m512>(x), reinterpret_cast<__m512>(y)));
#else
    return x > y ? x : y;
#endif
}
inline Wide least(Wide x, Wide y)
{
    return {least(x.a, y.a), least(x.b, y.b)};
}
inline Wide most(Wide x, Wide y)
{
    return {most(x.a, y.a), most(x.b, y.b)};
}

inline Wide magnitude(Wide x)
{
    return {reinterpret_cast<Floats>(reinterpret_cast<Ints>(x.a) & 0x7FFFFFFF),
            reinterpret_cast<Floats>(reinterpret_cast<Ints>(x.b) & 0x7FFFFFFF)};
}

inline Floats squareRoot(Floats x)
{
#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
    return reinterpret_cast<Floats>(_mm512_maskz_sqrt_ps(kAll, reinterpret_cast<__m512>(x)));
#elif defined(__AVX2__) && SIGMASCOPE_VECTOR_BYTES == 32
    return reinterpret_cast<Floats>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
#elif defined(__SSE2__) && SIGMASCOPE_VECTOR_BYTES == 16
    return reinterpret_cast<Floats>(_mm_sqrt_ps(reinterpret_cast<__m128>(x)));
#else
    Floats root = x;
    for (size_t lane = 0; lane < kFloats; ++lane)
        root[lane] = __builtin_sqrtf(x[lane]);
    return root;
#endif
}
inline Wide squareRoot(Wide x)
{
    return {squareRoot(x.a), squareRoot(x.b)};
}

inline bool any(Ints where)
{
#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
    return _mm512_movepi32_mask(reinterpret_cast<__m512i>(where)) != 0;
#elif defined(__AVX2__) && SIGMASCOPE_VECTOR_BYTES == 32
    return _mm256_movemask_ps(reinterpret_cast<__m256>(where)) != 0;
#elif defined(__SSE2__) && SIGMASCOPE_VECTOR_BYTES == 16
    return _mm_movemask_ps(reinterpret_cast<__m128>(where)) != 0;
#else
    int32_t bits = 0;
    for (size_t lane = 0; lane < kFloats; ++lane)
        bits |= where[lane];
    return bits != 0;
#endif
}
inline bool any(WideInts where)
{
    return any(where.a | where.b);
}

/// Adding it leaves the nearest integer, ties to even, in the low bits of a float: 1.5 * 2^23.
constexpr float kRounder = 12582912.0F;

/// Nearest integer of |x| <= 2^22; ggml's result, whatever it is, of all other floats.
inline Ints nearestInt(Floats x)
{
    return (reinterpret_cast<Ints>(x + kRounder) & 0x007FFFFF) - 0x00400000;
}
inline WideInts nearestInt(Wide x)
{
    return {nearestInt(x.a), nearestInt(x.b)};
}

inline WideInts bounded(WideInts x, int32_t low, int32_t high)
{
    return {smaller(larger(x.a, Ints{} + low), Ints{} + high), smaller(larger(x.b, Ints{} + low), Ints{} + high)};
}
inline Wide toFloats(WideInts x)
{
    return {__builtin_convertvector(x.a, Floats), __builtin_convertvector(x.b, Floats)};
}

}  // namespace
}  // namespace sigmascope::kernels
