// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Statistics of one block. Counts and extremes come from the codes as integers; moments from power sums in
// double about a pivot near the mean, so that nothing cancels.

#include "core/compute/kernels/ElementTypes.h"
#include "core/compute/kernels/KernelTable.h"

namespace sigmascope::kernels {
namespace {

template <class E>
struct KeyVectors {
    using Codes = typename VectorOf<typename E::Code, kVectorBytes>::type;
    using Keys = typename VectorOf<typename E::Key, kVectorBytes>::type;
    static constexpr size_t kCount = kVectorBytes / sizeof(typename E::Code);

    static Keys keysOf(Keys codes)
    {
        constexpr int kSignShift = static_cast<int>(sizeof(typename E::Code)) * 8 - 1;
        return codes ^ ((codes >> kSignShift) & static_cast<typename E::Key>(E::kMagnitude));
    }
};

template <class E>
struct KeyRange {
    typename E::Key low, high;
    uint64_t zeros, tiny;  ///< tiny: zeros and subnormals

    /// A NaN or an infinity lies beyond the largest finite key on its side.
    [[nodiscard]] bool allFinite() const
    {
        return high < keyOf<E>(E::kInfinity)
            && low > keyOf<E>(static_cast<typename E::Code>(E::kInfinity | static_cast<typename E::Code>(~E::kMagnitude)));
    }
};

template <class E>
KeyRange<E> keyRange(const uint8_t* in, size_t n)
{
    using V = KeyVectors<E>;
    using Code = typename E::Code;
    using Key = typename E::Key;
    typename V::Keys low = typename V::Keys{} + keyOf<E>(load<Code>(in));
    typename V::Keys high = low;
    typename V::Keys zeros{};
    typename V::Keys tiny{};
    size_t i = 0;
    for (; i + V::kCount <= n; i += V::kCount) {
        const auto codes = load<typename V::Keys>(in + i * sizeof(Code));
        const auto keys = V::keysOf(codes);
        const auto magnitudes = codes & static_cast<Key>(E::kMagnitude);
        low = smaller(low, keys);
        high = larger(high, keys);
        zeros -= magnitudes == 0;  // a true lane is -1
        tiny -= magnitudes < static_cast<Key>(E::kSmallestNormal);
    }
    KeyRange<E> range{keyOf<E>(load<Code>(in)), keyOf<E>(load<Code>(in)), 0, 0};
    for (size_t lane = 0; lane < V::kCount; ++lane) {
        range.low = smaller(range.low, static_cast<Key>(low[lane]));
        range.high = larger(range.high, static_cast<Key>(high[lane]));
        range.zeros += static_cast<uint64_t>(zeros[lane]);
        range.tiny += static_cast<uint64_t>(tiny[lane]);
    }
    for (; i < n; ++i) {
        const auto code = load<Code>(in + i * sizeof(Code));
        const Code magnitude = code & E::kMagnitude;
        range.low = smaller(range.low, keyOf<E>(code));
        range.high = larger(range.high, keyOf<E>(code));
        range.zeros += magnitude == 0 ? 1U : 0U;
        range.tiny += magnitude < E::kSmallestNormal ? 1U : 0U;
    }
    return range;
}

struct PowerSums {
    double s1, s2, s3, s4;
};

template <class E>
PowerSums powerSums(const uint8_t* in, size_t n, double pivot)
{
    using Code = typename E::Code;
    const Doubles pivots = Doubles{} + pivot;
    Doubles s1[kGroups] = {};
    Doubles s2[kGroups] = {};
    Doubles s3[kGroups] = {};
    Doubles s4[kGroups] = {};
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        HalfFloats x[kGroups];
        E::load16(in + i * sizeof(Code), x);
#pragma GCC unroll 8
        for (size_t g = 0; g < kGroups; ++g) {
            const Doubles d = __builtin_convertvector(x[g], Doubles) - pivots;
            const Doubles d2 = d * d;
            s1[g] += d;
            s2[g] += d2;
            s3[g] += d2 * d;
            s4[g] += d2 * d2;
        }
    }
    double lanes[4][kLanes];
    for (size_t g = 0; g < kGroups; ++g) {
        store(lanes[0] + g * kDoubles, s1[g]);
        store(lanes[1] + g * kDoubles, s2[g]);
        store(lanes[2] + g * kDoubles, s3[g]);
        store(lanes[3] + g * kDoubles, s4[g]);
    }
    for (size_t tail = 0; i < n; ++i, ++tail) {
        const double d = static_cast<double>(E::value(load<Code>(in + i * sizeof(Code)))) - pivot;
        const size_t lane = E::laneOf(tail);
        lanes[0][lane] += d;
        lanes[1][lane] += d * d;
        lanes[2][lane] += d * d * d;
        lanes[3][lane] += d * d * (d * d);
    }
    return {joined(lanes[0]), joined(lanes[1]), joined(lanes[2]), joined(lanes[3])};
}

/// A value near the mean: the mean of float sums. May overflow to infinity.
template <class E>
double roughMean(const uint8_t* in, size_t n)
{
    using Code = typename E::Code;
    HalfFloats sums[kGroups] = {};
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        HalfFloats x[kGroups];
        E::load16(in + i * sizeof(Code), x);
#pragma GCC unroll 8
        for (size_t g = 0; g < kGroups; ++g)
            sums[g] += x[g];
    }
    double lanes[kLanes];
    for (size_t g = 0; g < kGroups; ++g)
        store(lanes + g * kDoubles, __builtin_convertvector(sums[g], Doubles));
    for (size_t tail = 0; i < n; ++i, ++tail)
        lanes[E::laneOf(tail)] += static_cast<double>(E::value(load<Code>(in + i * sizeof(Code))));
    return joined(lanes) / static_cast<double>(n);
}

/// Central moments from power sums about a pivot (expansion of sum (d - e)^k, e = s1 / n).
void centralMoments(const PowerSums& s, double n, double pivot, BlockStats* out)
{
    const double e = s.s1 / n;
    const double e2 = e * e;
    out->mean = pivot + e;
    out->m2 = larger(0.0, s.s2 - n * e2);
    out->m3 = s.s3 - 3 * e * s.s2 + 2 * n * e2 * e;
    out->m4 = larger(0.0, s.s4 - 4 * e * s.s3 + 6 * e2 * s.s2 - 3 * n * e2 * e2);
}

/// Moments of n >= 1 finite elements that are not all equal.
template <class E>
void moments(const uint8_t* in, size_t n, BlockStats* out)
{
    const double count = static_cast<double>(n);
    double pivot = roughMean<E>(in, n);
    // Sums of values near the type's limit overflow a float; not the mean of the extremes.
    if (!(pivot >= out->min && pivot <= out->max))
        pivot = 0.5 * out->min + 0.5 * out->max;
    centralMoments(powerSums<E>(in, n, pivot), count, pivot, out);
    // A pivot half a standard deviation off still costs at most two bits of m4; a farther one is replaced.
    const double off = out->mean - pivot;
    if (off * off * count > 0.25 * out->m2) {
        pivot = out->mean;
        centralMoments(powerSums<E>(in, n, pivot), count, pivot, out);
    }
}

template <class E>
void extremes(const KeyRange<E>& range, double* min, double* max)
{
    // + 0.0 turns -0 into +0.
    *min = static_cast<double>(E::value(codeOf<E>(range.low))) + 0.0;
    *max = static_cast<double>(E::value(codeOf<E>(range.high))) + 0.0;
}

/// Statistics of n >= 1 finite elements.
template <class E>
void finiteStats(const uint8_t* in, size_t n, const KeyRange<E>& range, BlockStats* out)
{
    *out = BlockStats{n, range.zeros, 0, 0, range.tiny - range.zeros, -1, 0, 0, 0, 0, 0, 0};
    extremes<E>(range, &out->min, &out->max);
    if (range.low == range.high)
        out->mean = out->min;  // exactly constant: no rounding may make up a variance
    else
        moments<E>(in, n, out);
}

/// The finite elements of a block that has others, as floats; counts the others.
template <class E>
size_t finitePart(const uint8_t* in, size_t n, float* finite, BlockStats* out)
{
    using Code = typename E::Code;
    size_t kept = 0;
    *out = BlockStats{0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0};
    for (size_t i = 0; i < n; ++i) {
        const auto code = load<Code>(in + i * sizeof(Code));
        const Code magnitude = code & E::kMagnitude;
        if (magnitude >= E::kInfinity) {
            out->inf += magnitude == E::kInfinity ? 1U : 0U;
            out->nan += magnitude != E::kInfinity ? 1U : 0U;
            if (out->firstNonFinite < 0)
                out->firstNonFinite = static_cast<int64_t>(i);
            continue;
        }
        out->zeros += magnitude == 0 ? 1U : 0U;
        out->subnormal += magnitude != 0 && magnitude < E::kSmallestNormal ? 1U : 0U;
        finite[kept++] = E::value(code);
    }
    out->finite = kept;
    return kept;
}

template <class E>
void stats(const void* in, size_t n, BlockStats* out)
{
    const auto* bytes = static_cast<const uint8_t*>(in);
    *out = BlockStats{0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0};
    if (n == 0)
        return;
    const KeyRange<E> range = keyRange<E>(bytes, n);
    if (range.allFinite())
        return finiteStats<E>(bytes, n, range, out);
    float finite[kBlockElements];
    const size_t kept = finitePart<E>(bytes, n, finite, out);
    if (kept == 0)
        return;
    BlockStats part;
    const auto* keptBytes = reinterpret_cast<const uint8_t*>(finite);
    finiteStats<F32Element>(keptBytes, kept, keyRange<F32Element>(keptBytes, kept), &part);
    out->min = part.min;
    out->max = part.max;
    out->mean = part.mean;
    out->m2 = part.m2;
    out->m3 = part.m3;
    out->m4 = part.m4;
}

/// Sum and sum of squares about 0, and the extremes, in one reading.
template <class E>
void finiteScan(const uint8_t* in, size_t n, BlockScan* out)
{
    using Code = typename E::Code;
    using Key = typename E::Key;
    using V = KeyVectors<E>;
    constexpr size_t kSteps = V::kCount > kLanes ? V::kCount / kLanes : 1;  // groups of 16 a round
    constexpr size_t kLoads = kSteps * kLanes / V::kCount;                  // key vectors a round
    typename V::Keys low = typename V::Keys{} + keyOf<E>(load<Code>(in));
    typename V::Keys high = low;
    Doubles sum[kGroups] = {};
    Doubles squares[kGroups] = {};
    size_t i = 0;
    for (; i + kSteps * kLanes <= n; i += kSteps * kLanes) {
#pragma GCC unroll 8
        for (size_t v = 0; v < kLoads; ++v) {
            const auto keys = V::keysOf(load<typename V::Keys>(in + (i + v * V::kCount) * sizeof(Code)));
            low = smaller(low, keys);
            high = larger(high, keys);
        }
#pragma GCC unroll 2
        for (size_t step = 0; step < kSteps; ++step) {
            HalfFloats x[kGroups];
            E::load16(in + (i + step * kLanes) * sizeof(Code), x);
#pragma GCC unroll 8
            for (size_t g = 0; g < kGroups; ++g) {
                const Doubles d = __builtin_convertvector(x[g], Doubles);
                sum[g] += d;
                squares[g] += d * d;
            }
        }
    }
    double lanes[2][kLanes];
    for (size_t g = 0; g < kGroups; ++g) {
        store(lanes[0] + g * kDoubles, sum[g]);
        store(lanes[1] + g * kDoubles, squares[g]);
    }
    KeyRange<E> range{static_cast<Key>(low[0]), static_cast<Key>(high[0]), 0, 0};
    for (size_t lane = 1; lane < V::kCount; ++lane) {
        range.low = smaller(range.low, static_cast<Key>(low[lane]));
        range.high = larger(range.high, static_cast<Key>(high[lane]));
    }
    for (size_t tail = 0; i < n; ++i, ++tail) {
        const auto code = load<Code>(in + i * sizeof(Code));
        range.low = smaller(range.low, keyOf<E>(code));
        range.high = larger(range.high, keyOf<E>(code));
        const double d = (code & E::kMagnitude) < E::kInfinity ? static_cast<double>(E::value(code)) : 0.0;
        lanes[0][E::laneOf(tail % kLanes)] += d;
        lanes[1][E::laneOf(tail % kLanes)] += d * d;
    }
    *out = BlockScan{range.allFinite() ? n : 0, 0, 0, joined(lanes[0]), joined(lanes[1])};
    if (range.allFinite())
        extremes<E>(range, &out->min, &out->max);
}

template <class E>
void scan(const void* in, size_t n, BlockScan* out)
{
    const auto* bytes = static_cast<const uint8_t*>(in);
    *out = BlockScan{0, 0, 0, 0, 0};
    if (n == 0)
        return;
    finiteScan<E>(bytes, n, out);
    if (out->finite == n)
        return;
    float finite[kBlockElements];
    BlockStats counts;
    const size_t kept = finitePart<E>(bytes, n, finite, &counts);
    *out = BlockScan{0, 0, 0, 0, 0};
    if (kept != 0)
        finiteScan<F32Element>(reinterpret_cast<const uint8_t*>(finite), kept, out);
}

template <class E>
uint64_t outside(const void* in, size_t n, typename E::Key low, typename E::Key high)
{
    using V = KeyVectors<E>;
    using Code = typename E::Code;
    const auto* bytes = static_cast<const uint8_t*>(in);
    typename V::Keys count{};
    size_t i = 0;
    for (; i + V::kCount <= n; i += V::kCount) {
        const auto keys = V::keysOf(load<typename V::Keys>(bytes + i * sizeof(Code)));
        count -= (keys < low) | (keys > high);
    }
    uint64_t total = 0;
    for (size_t lane = 0; lane < V::kCount; ++lane)
        total += static_cast<uint64_t>(count[lane]);
    for (; i < n; ++i) {
        const auto key = keyOf<E>(load<Code>(bytes + i * sizeof(Code)));
        total += key < low || key > high ? 1U : 0U;
    }
    return total;
}

uint64_t outside16(const void* in, size_t n, int16_t low, int16_t high)
{
    return outside<Bf16Element>(in, n, low, high);
}

uint64_t outside32(const void* in, size_t n, int32_t low, int32_t high)
{
    return outside<F32Element>(in, n, low, high);
}

}  // namespace
}  // namespace sigmascope::kernels
