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

    /// A NaN or an infinity lies beyond the largest finite key on its side.
    [[nodiscard]] bool allFinite() const
    {
        constexpr auto kSign = static_cast<typename E::Code>(~E::kMagnitude);
        return high < keyOf<E>(E::kInfinity) && low > keyOf<E>(static_cast<typename E::Code>(E::kInfinity | kSign));
    }
};

/// Extremes of the codes, taken as signed and as unsigned integers: the largest signed one is the largest
/// positive float, the largest unsigned one the most negative. Two instructions a vector.
template <class E>
struct CodeExtremes {
    using V = KeyVectors<E>;
    using Code = typename E::Code;
    using Key = typename E::Key;
    typename V::Keys mostPositive;
    typename V::Codes mostNegative;
    typename V::Codes leastMagnitude;

    explicit CodeExtremes(Code any)
        : mostPositive(typename V::Keys{} + static_cast<Key>(any)), mostNegative(typename V::Codes{} + any),
          leastMagnitude(typename V::Codes{} + static_cast<Code>(any & E::kMagnitude))
    {
    }

    template <bool withMagnitude>
    void add(const uint8_t* in, size_t n)
    {
        typename V::Keys positive = mostPositive;
        typename V::Codes negative = mostNegative;
        typename V::Codes least = leastMagnitude;
        const size_t whole = n / V::kCount * V::kCount;
        for (size_t i = 0; i < whole; i += V::kCount) {
            if constexpr (!withMagnitude)
                __builtin_prefetch(in + i * sizeof(Code) + 2 * kTile * sizeof(Code));
            const auto codes = load<typename V::Codes>(in + i * sizeof(Code));
            positive = larger(positive, reinterpret_cast<typename V::Keys>(codes));
            negative = larger(negative, codes);
            if constexpr (withMagnitude)
                least = smaller(least, codes & E::kMagnitude);
        }
        for (size_t i = whole; i < n; ++i) {
            const auto code = load<Code>(in + i * sizeof(Code));
            positive = larger(positive, typename V::Keys{} + static_cast<Key>(code));
            negative = larger(negative, typename V::Codes{} + code);
            if constexpr (withMagnitude)
                least = smaller(least, typename V::Codes{} + static_cast<Code>(code & E::kMagnitude));
        }
        mostPositive = positive;
        mostNegative = negative;
        leastMagnitude = least;
    }

    [[nodiscard]] Code least() const
    {
        Code all = leastMagnitude[0];
        for (size_t lane = 1; lane < V::kCount; ++lane)
            all = smaller(all, static_cast<Code>(leastMagnitude[lane]));
        return all;
    }
    /// False if all signs are equal: then one end of the range is the least magnitude.
    [[nodiscard]] bool hasBothSigns(Key positive, Code negative) const { return positive >= 0 && negative > E::kMagnitude; }
    [[nodiscard]] Key positive() const
    {
        Key all = mostPositive[0];
        for (size_t lane = 1; lane < V::kCount; ++lane)
            all = larger(all, static_cast<Key>(mostPositive[lane]));
        return all;
    }
    [[nodiscard]] Code negative() const
    {
        Code all = mostNegative[0];
        for (size_t lane = 1; lane < V::kCount; ++lane)
            all = larger(all, static_cast<Code>(mostNegative[lane]));
        return all;
    }
    /// @pre add<true>, or both signs.
    [[nodiscard]] KeyRange<E> range() const
    {
        const Key up = positive();
        const Code down = negative();
        if (hasBothSigns(up, down))
            return {keyOf<E>(down), up};
        const Code nearest = least();
        if (up >= 0)
            return {static_cast<Key>(nearest), up};
        return {keyOf<E>(down), keyOf<E>(static_cast<Code>(nearest | static_cast<Code>(~E::kMagnitude)))};
    }
};

struct SmallCounts {
    uint64_t zeros, subnormals;
};

template <class E>
SmallCounts smallCounts(const uint8_t* in, size_t n)
{
    using V = KeyVectors<E>;
    using Code = typename E::Code;
    using Key = typename E::Key;
    typename V::Keys zeros{};
    typename V::Keys tiny{};
    const size_t whole = n / V::kCount * V::kCount;
    for (size_t i = 0; i < whole; i += V::kCount) {
        const auto magnitudes = load<typename V::Keys>(in + i * sizeof(Code)) & static_cast<Key>(E::kMagnitude);
        zeros -= magnitudes == 0;  // a true lane is -1
        tiny -= magnitudes < static_cast<Key>(E::kSmallestNormal);
    }
    SmallCounts counts{0, 0};
    for (size_t lane = 0; lane < V::kCount; ++lane) {
        counts.zeros += static_cast<uint64_t>(zeros[lane]);
        counts.subnormals += static_cast<uint64_t>(tiny[lane] - zeros[lane]);
    }
    for (size_t i = whole; i < n; ++i) {
        const Code magnitude = load<Code>(in + i * sizeof(Code)) & E::kMagnitude;
        counts.zeros += magnitude == 0 ? 1U : 0U;
        counts.subnormals += magnitude != 0 && magnitude < E::kSmallestNormal ? 1U : 0U;
    }
    return counts;
}

struct PowerSums {
    double s1, s2, s3, s4;
};

/// 16 lanes of each power of d = x - pivot.
struct PowerLanes {
    Doubles s1[kGroups] = {};
    Doubles s2[kGroups] = {};
    Doubles s3[kGroups] = {};
    Doubles s4[kGroups] = {};
    double pivot;

    explicit PowerLanes(double about) : pivot(about) {}

    /// n is a multiple of 16. Two groups of lanes at a time: their eight sums fit the registers of every level.
    /// Meanwhile the bytes from `ahead` on are fetched, `step` for every 16 elements. A pivot of 0 need not be
    /// subtracted, with the same bits; then powers of few significant bits are exact, and cost one instruction.
    template <class E, bool subtract>
    void add(const uint8_t* floats, size_t n, const uint8_t* ahead, size_t step)
    {
        const Doubles pivots = Doubles{} + pivot;
        for (size_t g = 0; g < kGroups; g += 2) {
            Doubles a[2] = {s1[g], s1[g + 1]};
            Doubles b[2] = {s2[g], s2[g + 1]};
            Doubles c[2] = {s3[g], s3[g + 1]};
            Doubles e[2] = {s4[g], s4[g + 1]};
            const uint8_t* from = floats + g * kDoubles * sizeof(float);
            for (size_t i = 0; i < n; i += kLanes, from += kLanes * sizeof(float)) {
                __builtin_prefetch(ahead + i / kLanes * step);
#pragma GCC unroll 2
                for (size_t k = 0; k < 2; ++k) {
                    const Doubles x = widened(from + k * kDoubles * sizeof(float));
                    const Doubles d = subtract ? x - pivots : x;
                    const Doubles d2 = d * d;
                    a[k] += d;
                    b[k] += d2;
                    if constexpr (!subtract && 4 * E::kSignificand <= 53) {
                        c[k] = withExactProduct(c[k], d2, d);
                        e[k] = withExactProduct(e[k], d2, d2);
                    } else {
                        c[k] += d2 * d;
                        e[k] += d2 * d2;
                    }
                }
            }
            for (size_t k = 0; k < 2; ++k) {
                s1[g + k] = a[k];
                s2[g + k] = b[k];
                s3[g + k] = c[k];
                s4[g + k] = e[k];
            }
        }
    }

    /// All lanes, and the last n < 16 floats.
    PowerSums joinedWith(const uint8_t* floats, size_t n) const
    {
        double lanes[4][kLanes];
        __builtin_memcpy(lanes[0], s1, sizeof(s1));
        __builtin_memcpy(lanes[1], s2, sizeof(s2));
        __builtin_memcpy(lanes[2], s3, sizeof(s3));
        __builtin_memcpy(lanes[3], s4, sizeof(s4));
        for (size_t i = 0; i < n; ++i) {
            const double d = static_cast<double>(load<float>(floats + i * sizeof(float))) - pivot;
            lanes[0][i] += d;
            lanes[1][i] += d * d;
            lanes[2][i] += d * d * d;
            lanes[3][i] += d * d * (d * d);
        }
        return {joined(lanes[0]), joined(lanes[1]), joined(lanes[2]), joined(lanes[3])};
    }
};

template <class E, bool subtract>
PowerSums powerSumsAbout(const uint8_t* in, size_t n, double pivot)
{
    constexpr size_t kSize = sizeof(typename E::Code);
    alignas(64) float tile[kTile];
    PowerLanes lanes(pivot);
    size_t at = 0;
    for (; at + kTile <= n; at += kTile) {
        // The block after this one: its bytes arrive while these are computed on. Harmless past the end.
        const uint8_t* ahead = in + (n + at) * kSize;
        lanes.template add<E, subtract>(E::floats(in + at * kSize, kTile, tile), kTile, ahead, kLanes * kSize);
    }
    const size_t rest = n - at;
    const size_t whole = rest / kLanes * kLanes;
    const uint8_t* floats = E::floats(in + at * kSize, rest, tile);
    lanes.template add<E, subtract>(floats, whole, floats, 0);
    return lanes.joinedWith(floats + whole * sizeof(float), rest - whole);
}

template <class E>
PowerSums powerSums(const uint8_t* in, size_t n, double pivot)
{
    return pivot == 0.0 ? powerSumsAbout<E, false>(in, n, pivot) : powerSumsAbout<E, true>(in, n, pivot);
}

/// 16 lanes of the sum and the sum of squares.
struct ScanLanes {
    Doubles sum[kGroups] = {};
    Doubles squares[kGroups] = {};

    /// n is a multiple of 16.
    void add(const uint8_t* floats, size_t n)
    {
        for (size_t g = 0; g < kGroups; g += 2) {
            Doubles a[2] = {sum[g], sum[g + 1]};
            Doubles b[2] = {squares[g], squares[g + 1]};
            const uint8_t* from = floats + g * kDoubles * sizeof(float);
            for (size_t i = 0; i < n; i += kLanes, from += kLanes * sizeof(float)) {
#pragma GCC unroll 2
                for (size_t k = 0; k < 2; ++k) {
                    const Doubles x = widened(from + k * kDoubles * sizeof(float));
                    a[k] += x;
                    b[k] = withExactProduct(b[k], x, x);
                }
            }
            for (size_t k = 0; k < 2; ++k) {
                sum[g + k] = a[k];
                squares[g + k] = b[k];
            }
        }
    }

    /// All lanes, and the last n < 16 floats.
    void joinWith(const uint8_t* floats, size_t n, BlockScan* out) const
    {
        double lanes[2][kLanes];
        __builtin_memcpy(lanes[0], sum, sizeof(sum));
        __builtin_memcpy(lanes[1], squares, sizeof(squares));
        for (size_t i = 0; i < n; ++i) {
            const double x = static_cast<double>(load<float>(floats + i * sizeof(float)));
            lanes[0][i] += x;
            lanes[1][i] += x * x;
        }
        out->sum = joined(lanes[0]);
        out->sumOfSquares = joined(lanes[1]);
    }
};

/// A value near the mean, from 32 elements out of every 512: 0 if that is near enough, as it is for weights.
/// (Also for fewer than 32: moments() finds out.)
template <class E>
double roughMean(const uint8_t* in, size_t n)
{
    constexpr size_t kStride = 512;
    constexpr size_t kTaken = 32;
    alignas(64) float tile[kTaken];
    ScanLanes lanes;
    double taken = 0;
    for (size_t i = 0; i + kTaken <= n; i += kStride, taken += kTaken)
        lanes.add(E::floats(in + i * sizeof(typename E::Code), kTaken, tile), kTaken);
    BlockScan sums;
    lanes.joinWith(nullptr, 0, &sums);
    return sums.sum * sums.sum <= 0.125 * sums.sumOfSquares * taken ? 0.0 : sums.sum / taken;
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
void finiteStats(const uint8_t* in, size_t n, const CodeExtremes<E>& codes, BlockStats* out)
{
    const SmallCounts few = codes.least() < E::kSmallestNormal ? smallCounts<E>(in, n) : SmallCounts{0, 0};
    const KeyRange<E> range = codes.range();
    *out = BlockStats{n, few.zeros, 0, 0, few.subnormals, -1, 0, 0, 0, 0, 0, 0};
    extremes<E>(range, &out->min, &out->max);
    if (range.low == range.high)
        out->mean = out->min;  // exactly constant: no rounding may make up a variance
    else
        moments<E>(in, n, out);
}

template <class E>
CodeExtremes<E> codeExtremes(const uint8_t* in, size_t n)
{
    CodeExtremes<E> codes(load<typename E::Code>(in));
    codes.template add<true>(in, n);
    return codes;
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
    const CodeExtremes<E> codes = codeExtremes<E>(bytes, n);
    if (codes.range().allFinite())
        return finiteStats<E>(bytes, n, codes, out);
    float finite[kBlockElements];
    const size_t kept = finitePart<E>(bytes, n, finite, out);
    if (kept == 0)
        return;
    BlockStats part;
    const auto* keptBytes = reinterpret_cast<const uint8_t*>(finite);
    finiteStats<F32Element>(keptBytes, kept, codeExtremes<F32Element>(keptBytes, kept), &part);
    out->min = part.min;
    out->max = part.max;
    out->mean = part.mean;
    out->m2 = part.m2;
    out->m3 = part.m3;
    out->m4 = part.m4;
}

/// Of n >= 1 elements. Sums are meaningless unless out->finite == n.
template <class E>
void finiteScan(const uint8_t* in, size_t n, BlockScan* out)
{
    constexpr size_t kSize = sizeof(typename E::Code);
    alignas(64) float tile[kTile];
    CodeExtremes<E> codes(load<typename E::Code>(in));
    ScanLanes lanes;
    for (size_t at = 0; at < n; at += kTile) {
        const size_t count = smaller(n - at, kTile);
        const size_t whole = count / kLanes * kLanes;
        codes.template add<false>(in + at * kSize, count);
        const uint8_t* floats = E::floats(in + at * kSize, count, tile);
        lanes.add(floats, whole);
        if (at + count == n)
            lanes.joinWith(floats + whole * sizeof(float), count - whole, out);
    }
    const bool bothSigns = codes.hasBothSigns(codes.positive(), codes.negative());
    const KeyRange<E> range = bothSigns ? codes.range() : codeExtremes<E>(in, n).range();
    out->finite = range.allFinite() ? n : 0;
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
