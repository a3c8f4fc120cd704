// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Rows whose groups share a scale: their ranges, nearest codes, values, and what is lost by coding them. All give the
// bits of the formulas in double that core/grid states; a group's last elements, fewer than a vector, take the same
// operations one by one.

#include "core/compute/kernels/EncodeKernels.h"
#include "core/compute/kernels/KernelTable.h"
#include "core/compute/kernels/Vectors.h"

namespace sigmascope::kernels {
namespace {

using Bytes8 = VectorOf<uint8_t, kFloats>::type;  ///< as many as Ints has
constexpr float kInfinity = __builtin_inff();

inline Floats splat(float value)
{
    return Floats{} + value;
}

inline size_t groupEnd(size_t begin, size_t group, size_t n)
{
    return n - begin < group ? n : begin + group;
}

/// Largest bits of |in|, as an integer: those of an infinity or a NaN are above all others.
int32_t largestMagnitude(const float* in, size_t n)
{
    Ints most{};
    size_t i = 0;
    for (; i + kFloats <= n; i += kFloats)
        most = larger(most, load<Ints>(in + i) & 0x7FFFFFFF);
    // Bits of what is not negative are ordered as floats are, infinity included; a NaN is one here as well.
    int32_t largest = 0;
    const Ints isOdd = most >= 0x7F800000;
    Floats values = reinterpret_cast<Floats>(isOdd ? Ints{} + 0x7F800000 : most);
    if (i != 0)
        largest = static_cast<int32_t>(bitsOf(largestOf(values)));
    for (; i < n; ++i)
        largest = larger(largest, static_cast<int32_t>(bitsOf(in[i]) & 0x7FFFFFFFU));
    return largest;
}

void groupMagnitudes(const float* in, size_t n, size_t group, float* out)
{
    for (size_t begin = 0; begin < n; begin += group) {
        const int32_t largest = largestMagnitude(in + begin, groupEnd(begin, group, n) - begin);
        *out++ = largest >= 0x7F800000 ? kInfinity : floatOf(static_cast<uint32_t>(largest));
    }
}

void groupRanges(const float* in, size_t n, size_t group, float* low, float* high)
{
    for (size_t begin = 0; begin < n; begin += group) {
        const size_t end = groupEnd(begin, group, n);
        Floats lows{};
        Floats highs{};
        size_t i = begin;
        for (; i + kFloats <= end; i += kFloats) {
            const auto x = load<Floats>(in + i);
            // Of a tie the first stands: a zero stays +0.
            lows = smaller(x, lows);
            highs = larger(x, highs);
        }
        float least = smallestOf(lows);
        float most = largestOf(highs);
        for (; i < end; ++i) {
            least = smaller(in[i], least);
            most = larger(in[i], most);
        }
        // A NaN passes every comparison by.
        const bool isOdd = largestMagnitude(in + begin, end - begin) >= 0x7F800000;
        *low++ = isOdd ? -kInfinity : least;
        *high++ = isOdd ? kInfinity : most;
    }
}

// Nearest integer of w * (1 / scale) as if it were w / scale, ties to even. A quotient of two floats under 2^9 that is
// not half way between two integers is at least 2^-26 away from it (both numerators are multiples of a quarter unit in
// the last place of the scale), and w * (1 / scale) is off by less than 2^-43: brought to a multiple of 2^-40 it is
// half way exactly where the quotient is, and on its side where it is not.
constexpr double kSnap = 0x1.8p12;
constexpr double kRound = 0x1.8p52 - kSnap;

/// One group's codes: level 0 is -zero steps from 0, the last one top - zero.
struct GroupCoder {
    double inverse, lowest, highest;
    int32_t zero;

    GroupCoder(double inverseScale, int32_t zeroPoint, int32_t top)
        : inverse(inverseScale), lowest(-static_cast<double>(zeroPoint)), highest(static_cast<double>(top - zeroPoint)),
          zero(zeroPoint)
    {
    }
    /// Of kDoubles weights, in the lower half of every 64 bits.
    [[nodiscard]] Ints steps(const float* in) const
    {
        Doubles q = widened(reinterpret_cast<const uint8_t*>(in)) * inverse;
        q = larger(q, Doubles{} + lowest);
        q = smaller(q, Doubles{} + highest);
        return reinterpret_cast<Ints>((q + kSnap) + kRound);
    }
    /// Steps from 0 of kFloats weights.
    [[nodiscard]] Ints nearest(const float* in) const
    {
        const Ints a = steps(in);
        const Ints b = steps(in + kDoubles);
#if SIGMASCOPE_VECTOR_BYTES == 64
        return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif SIGMASCOPE_VECTOR_BYTES == 32
        return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#else
        return __builtin_shufflevector(a, b, 0, 2, 4, 6);
#endif
    }
    [[nodiscard]] int32_t nearestOf(float weight) const
    {
        double q = static_cast<double>(weight) * inverse;
        q = larger(q, lowest);
        q = smaller(q, highest);
        const double shifted = (q + kSnap) + kRound;
        uint64_t bits;
        __builtin_memcpy(&bits, &shifted, sizeof bits);
        return static_cast<int32_t>(static_cast<uint32_t>(bits));
    }
};

void codeGroups(const float* in, size_t n, size_t group, const double* inverse, const int32_t* zero, int32_t top,
                uint8_t* codes)
{
    for (size_t begin = 0; begin < n; begin += group) {
        const GroupCoder coder(*inverse++, *zero++, top);
        const size_t end = groupEnd(begin, group, n);
        size_t i = begin;
        for (; i + kFloats <= end; i += kFloats)
            store(codes + i, __builtin_convertvector(coder.nearest(in + i) + coder.zero, Bytes8));
        for (; i < end; ++i)
            codes[i] = static_cast<uint8_t>(coder.nearestOf(in[i]) + coder.zero);
    }
}

void restoreGroups(const uint8_t* codes, size_t n, size_t group, const float* scale, const int32_t* zero, float* out)
{
    for (size_t begin = 0; begin < n; begin += group, ++scale, ++zero) {
        const size_t end = groupEnd(begin, group, n);
        size_t i = begin;
        for (; i + kFloats <= end; i += kFloats) {
            const Ints steps = __builtin_convertvector(load<Bytes8>(codes + i), Ints) - *zero;
            store(out + i, __builtin_convertvector(steps, Floats) * *scale);
        }
        for (; i < end; ++i)
            out[i] = static_cast<float>(static_cast<int32_t>(codes[i]) - *zero) * *scale;
    }
}

/// How many of a group's middles lie below each weight.
void codeLevels(const float* in, size_t n, size_t group, const float* middles, size_t count, uint8_t* codes)
{
    constexpr size_t kAtOnce = 4;  // vectors: more than one compare is then under way
    for (size_t begin = 0; begin < n; begin += group, middles += count) {
        const size_t end = groupEnd(begin, group, n);
        size_t i = begin;
        for (; i + kAtOnce * kFloats <= end; i += kAtOnce * kFloats) {
            Floats x[kAtOnce];
            Ints code[kAtOnce]{};
            for (size_t v = 0; v < kAtOnce; ++v)
                x[v] = load<Floats>(in + i + v * kFloats);
            for (size_t m = 0; m < count; ++m) {
                const Floats middle = splat(middles[m]);
                for (size_t v = 0; v < kAtOnce; ++v)
                    code[v] -= x[v] > middle;
            }
            for (size_t v = 0; v < kAtOnce; ++v)
                store(codes + i + v * kFloats, __builtin_convertvector(code[v], Bytes8));
        }
        for (; i < end; ++i) {
            unsigned code = 0;
            for (size_t m = 0; m < count; ++m)
                code += in[i] > middles[m] ? 1U : 0U;
            codes[i] = static_cast<uint8_t>(code);
        }
    }
}

/// Sums importance * (weight - stored)^2 over 16 lanes, element i in lane i mod 16: one order at every level.
struct LossLanes {
    Doubles sums[kGroups]{};

    /// The @p part-th kFloats elements of 16. @param importance  null: all 1.
    void add(size_t part, const float* weights, Floats stored, const double* importance)
    {
        alignas(64) float tile[kFloats];
        store(tile, stored);
        for (size_t half = 0; half < 2; ++half) {
            const auto* at = reinterpret_cast<const uint8_t*>(tile + half * kDoubles);
            const Doubles lost = widened(reinterpret_cast<const uint8_t*>(weights + half * kDoubles)) - widened(at);
            Doubles square = lost * lost;
            if (importance != nullptr)
                square = load<Doubles>(importance + half * kDoubles) * square;
            sums[2 * part + half] += square;
        }
    }
};

/// @p storedAt  what kFloats elements from a place on are stored as; @p storedOf  the same of one.
template <class StoredAt, class StoredOf>
double lossOf(const float* in, const double* importance, size_t n, const StoredAt& storedAt, const StoredOf& storedOf)
{
    LossLanes lanes;
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
        for (size_t part = 0; part < kLanes / kFloats; ++part) {
            const size_t at = i + part * kFloats;
            lanes.add(part, in + at, storedAt(at), importance == nullptr ? nullptr : importance + at);
        }
    double sums[kLanes];
    __builtin_memcpy(sums, lanes.sums, sizeof sums);
    for (size_t lane = 0; i < n; ++i, ++lane) {
        const double lost = static_cast<double>(in[i]) - static_cast<double>(storedOf(i));
        sums[lane] += importance == nullptr ? lost * lost : importance[i] * (lost * lost);
    }
    return joined(sums);
}

double storedLoss(const float* in, const float* stored, const double* importance, size_t n)
{
    return lossOf(
        in, importance, n, [stored](size_t i) { return load<Floats>(stored + i); }, [stored](size_t i) { return stored[i]; });
}

double groupLoss(const float* in, const double* importance, size_t n, float scale, double inverse, int32_t zero,
                 int32_t top)
{
    const GroupCoder coder(inverse, zero, top);
    return lossOf(
        in, importance, n,
        [&](size_t i) { return __builtin_convertvector(coder.nearest(in + i), Floats) * scale; },
        [&](size_t i) { return static_cast<float>(coder.nearestOf(in[i])) * scale; });
}

double levelLoss(const float* in, const double* importance, size_t n, const float* middles, const float* values,
                 size_t count)
{
    const auto stored = [&](auto x, auto value) {
        for (size_t m = 0; m < count; ++m)
            value = x > middles[m] ? decltype(value){} + values[m + 1] : value;
        return value;
    };
    return lossOf(
        in, importance, n, [&](size_t i) { return stored(load<Floats>(in + i), splat(values[0])); },
        [&](size_t i) { return stored(in[i], values[0]); });
}

}  // namespace
}  // namespace sigmascope::kernels
