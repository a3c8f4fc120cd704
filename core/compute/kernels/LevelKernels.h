// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// IQ4_NL and IQ4_XS, byte for byte what ggml writes: sixteen uneven levels, a scale searched among sixteen. One block a
// lane, so that every sum runs in ggml's order and needs no joining; all levels of vectors give the same bits.

#include "core/compute/kernels/FewLevelKernels.h"

namespace sigmascope::kernels {
namespace {

struct LevelTable {
    alignas(64) float at[16];
};
constexpr LevelTable kLevels{{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}};
/// Middles between levels in the order of a search by halves: entry i of a step is asked when i levels are passed.
constexpr float kStep8 = -4.5F;
constexpr LevelTable kStep4{{-57, 0, 0, 0, 0, 0, 0, 0, 45.5F}};
constexpr LevelTable kStep2{{-93.5F, 0, 0, 0, -28.5F, 0, 0, 0, 19, 0, 0, 0, 79}};
constexpr LevelTable kStep1{{-115.5F, 0, -74, 0, -42, 0, -16, 0, 7, 0, 31.5F, 0, 61, 0, 101}};

/// table[index] in every lane. @pre 0 <= index < 16.
inline Floats lookedUp(const LevelTable& table, Ints index)
{
#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
    // Masked by all ones: g++ 12 warns of the undefined operand that the plain form of the intrinsic has.
    return reinterpret_cast<Floats>(
        _mm512_maskz_permutexvar_ps(0xFFFF, reinterpret_cast<__m512i>(index), _mm512_load_ps(table.at)));
#elif defined(__AVX2__) && SIGMASCOPE_VECTOR_BYTES == 32
    const auto lanes = reinterpret_cast<__m256i>(index);
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_load_ps(table.at), lanes);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_load_ps(table.at + 8), lanes);
    return reinterpret_cast<Floats>(_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(lanes, 28))));
#else
    Floats values{};
    for (size_t lane = 0; lane < kFloats; ++lane)
        values[lane] = table.at[index[lane]];
    return values;
#endif
}

/// index + step where x reaches the middle.
inline Ints passed(Floats x, Floats middle, Ints index, int32_t step)
{
#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
    const __mmask16 reached
        = _mm512_cmp_ps_mask(reinterpret_cast<__m512>(x), reinterpret_cast<__m512>(middle), _CMP_GE_OQ);
    const auto lanes = reinterpret_cast<__m512i>(index);
    return reinterpret_cast<Ints>(_mm512_mask_add_epi32(lanes, reached, lanes, _mm512_set1_epi32(step)));
#else
    return index + ((x >= middle) & step);
#endif
}

/// Index of the level nearest to x; of two equally near the upper one.
inline Ints nearestLevel(Floats x)
{
    Ints index = passed(x, Floats{} + kStep8, Ints{}, 8);
    index = passed(x, lookedUp(kStep4, index), index, 4);
    index = passed(x, lookedUp(kStep2, index), index, 2);
    return passed(x, lookedUp(kStep1, index), index, 1);
}

inline Floats rooted(Floats x)
{
#if defined(__AVX512F__) && SIGMASCOPE_VECTOR_BYTES == 64
    return reinterpret_cast<Floats>(_mm512_maskz_sqrt_ps(0xFFFF, reinterpret_cast<__m512>(x)));
#elif defined(__AVX2__) && SIGMASCOPE_VECTOR_BYTES == 32
    return reinterpret_cast<Floats>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
#else
    for (size_t lane = 0; lane < kFloats; ++lane)
        x[lane] = __builtin_sqrtf(x[lane]);
    return x;
#endif
}

inline Floats magnitudeOf(Floats x)
{
    return reinterpret_cast<Floats>(reinterpret_cast<Ints>(x) & 0x7FFFFFFF);
}

/// 1 / x, and 0 for 0.
inline Floats inverseOrZero(Floats x)
{
    const Floats inverted = 1.0F / x;
    return x == 0.0F ? Floats{} : inverted;
}

/// Blocks of 32 side by side, one a lane.
struct LaneBlocks {
    Floats x[kRun];
    Floats weight[kRun];
};

/// What a scale does to a block: sums of weight * level * x and of weight * level^2, in the order of the elements.
struct ScaleSums {
    Floats cross{}, square{};

    ScaleSums(const LaneBlocks& blocks, Floats inverseScale)
    {
        for (size_t e = 0; e < kRun; ++e) {
            const Floats level = lookedUp(kLevels, nearestLevel(inverseScale * blocks.x[e]));
            const Floats weighted = blocks.weight[e] * level;
            cross += weighted * blocks.x[e];
            square += weighted * level;
        }
    }
};

/// Of each block the value of largest magnitude, the first of equal ones.
Floats signedExtremes(const LaneBlocks& blocks)
{
    Floats most{};
    Floats extreme{};
    for (const Floats& x : blocks.x) {
        const Floats magnitude = magnitudeOf(x);
        extreme = magnitude > most ? x : extreme;
        most = larger(magnitude, most);
    }
    return extreme;
}

struct Searched {
    Floats scale;
    Ints isWeightless;  ///< no weight of the block is above 0: its scale is 0, as ggml has it
};

/// Scale of each block: that which leaves least among the one that spans the range and fifteen that put the extreme at
/// -134 to -120, each refitted to the codes it gives. 0 for blocks below 1e-15.
Searched searchedScale(const LaneBlocks& blocks)
{
    constexpr int32_t kTries = 7;
    const Floats extreme = signedExtremes(blocks);
    const Ints isTiny = magnitudeOf(extreme) < 1e-15F;
    const ScaleSums first(blocks, 1.0F / (extreme / 127.0F));
    const Ints isWeightless = ~isTiny & (first.square == 0.0F);
    Floats scale = first.cross / first.square;
    Floats best = scale * first.cross;
    for (int32_t offset = -kTries; offset <= kTries; ++offset) {
        const ScaleSums sums(blocks, static_cast<float>(offset - 127) / extreme);
        const Ints isBetter = (sums.square > 0.0F) & (sums.cross * sums.cross > best * sums.square);
        const Floats refitted = sums.cross / sums.square;
        scale = isBetter ? refitted : scale;
        best = isBetter ? refitted * sums.cross : best;
    }
    return {(isTiny | isWeightless) != 0 ? Floats{} : scale, isWeightless};
}

inline bool anyOf(Ints where)
{
    int32_t bits = 0;
    for (size_t lane = 0; lane < kFloats; ++lane)
        bits |= where[lane];
    return bits != 0;
}

/// Where weights overflow the search they are left out of account; that, and blocks without weight, are told. Squares
/// that overflow by themselves belong to scales beyond f16. @param weighted  the weights are not the squares.
unsigned settledScale(LaneBlocks& blocks, bool weighted, Floats& scale)
{
    const Searched searched = searchedScale(blocks);
    scale = searched.scale;
    const Ints isLost = ~(magnitudeOf(scale) < __builtin_inff());
    if (!anyOf(isLost))
        return weighted && anyOf(searched.isWeightless) ? kNoImportance : 0U;
    if (!weighted)
        return kScaleOverflow;
    for (size_t e = 0; e < kRun; ++e)
        blocks.weight[e] = blocks.x[e] * blocks.x[e];
    const Floats plain = searchedScale(blocks).scale;
    scale = isLost ? plain : scale;
    const bool stillLost = anyOf(~(magnitudeOf(scale) < __builtin_inff()));
    return stillLost ? kNoImportance | kScaleOverflow : kNoImportance;
}

/// Up to kFloats super-blocks of `runs` blocks, one a lane; lanes past `count` hold zeros.
template <size_t runs> struct LaneSupers {
    alignas(64) float x[runs * kRun][kFloats];
    alignas(64) float importance[runs * kRun][kFloats];

    static size_t taken(const BlockRun& from, size_t at)
    {
        return from.count - at < kFloats ? from.count - at : kFloats;
    }
    static void gather(const float* in, size_t lane, float (*to)[kFloats])
    {
        for (size_t e = 0; e < runs * kRun; ++e)
            to[e][lane] = in[e];
    }
    /// Super-blocks `at` and on, as many as fit or are left.
    void load(const BlockRun& from, size_t at)
    {
        const size_t count = taken(from, at);
        if (count < kFloats) {
            __builtin_memset(x, 0, sizeof(x));
            __builtin_memset(importance, 0, sizeof(importance));
        }
        for (size_t lane = 0; lane < count; ++lane) {
            gather(from.in + (at + lane) * runs * kRun, lane, x);
            if (from.importance != nullptr)
                gather(from.importance + (from.first + at + lane) % from.perRow * runs * kRun, lane, importance);
        }
    }
    /// 2 / n times the sum of squares.
    [[nodiscard]] Floats variance() const
    {
        Floats sum{};
        for (const auto& values : x) {
            const auto value = kernels::load<Floats>(values);
            sum += value * value;
        }
        return sum * (2.0F / (runs * kRun));
    }
    [[nodiscard]] LaneBlocks blocks(size_t run, bool weighted, Floats sigma2) const
    {
        LaneBlocks out;
        for (size_t e = 0; e < kRun; ++e) {
            const auto value = kernels::load<Floats>(x[run * kRun + e]);
            const auto weight = kernels::load<Floats>(importance[run * kRun + e]);
            out.x[e] = value;
            out.weight[e] = weighted ? weight * rooted(sigma2 + value * value) : value * value;
        }
        return out;
    }
    [[nodiscard]] unsigned trouble() const
    {
        Ints nonFinite{};
        for (const auto& values : x)
            nonFinite |= (kernels::load<Ints>(values) & 0x7F800000) == 0x7F800000;
        return anyOf(nonFinite) ? kNonFiniteInput : 0U;
    }
};

/// Codes of blocks by the inverse of their scales, as nibbles, to `out + lane * stride` of the first `count` lanes.
void packLevels(const float (*x)[kFloats], Floats inverseScale, size_t count, uint8_t* out, size_t stride)
{
    uint8_t pairs[kRun / 2][kFloats];
    for (size_t e = 0; e < kRun / 2; ++e) {
        const Ints low = nearestLevel(inverseScale * kernels::load<Floats>(x[e]));
        const Ints high = nearestLevel(inverseScale * kernels::load<Floats>(x[e + kRun / 2]));
        store(pairs[e], __builtin_convertvector(low | (high << 4), Int8s));
    }
    for (size_t lane = 0; lane < count; ++lane) {
        for (size_t e = 0; e < kRun / 2; ++e)
            out[lane * stride + e] = pairs[e][lane];
    }
}

unsigned encodeIq4Nl(const BlockRun& blocks, uint8_t* out)
{
    constexpr size_t kSize = 18;
    const bool weighted = blocks.importance != nullptr;
    unsigned trouble = 0;
    LaneSupers<1> lanes;
    for (size_t b = 0; b < blocks.count; b += kFloats, out += kFloats * kSize) {
        const size_t count = LaneSupers<1>::taken(blocks, b);
        lanes.load(blocks, b);
        trouble |= lanes.trouble();
        LaneBlocks block = lanes.blocks(0, weighted, lanes.variance());
        Floats scale;
        trouble |= settledScale(block, weighted, scale);
        for (size_t lane = 0; lane < count; ++lane)
            trouble |= storeScale(out + lane * kSize, scale[lane]);
        packLevels(lanes.x, inverseOrZero(scale), count, out + 2, kSize);
    }
    return trouble;
}

/// Nearest integer, ties to even, of |x| < 2^22.
inline Ints roundedEven(Floats x)
{
    return (reinterpret_cast<Ints>(x + 12582912.0F) & 0x007FFFFF) - 0x00400000;
}

/// Scales of eight blocks in six bits each, in steps of `step`; the codes by the scales so stored.
template <class Supers>
void packCodedScales(const Supers& lanes, const Floats* scales, Floats step, size_t count, uint8_t* out)
{
    constexpr size_t kSize = 136;
    const Floats inverseStep = inverseOrZero(step);
    Ints low[4]{};
    Ints high{};
    for (size_t run = 0; run < 8; ++run) {
        Ints coded = roundedEven(inverseStep * scales[run]);
        coded = larger(Ints{} - 32, smaller(coded, Ints{} + 31));
        const Floats stored = step * __builtin_convertvector(coded, Floats);
        packLevels(lanes.x + run * kRun, inverseOrZero(stored), count, out + 8 + 16 * run, kSize);
        const Ints six = coded + 32;
        low[run / 2] |= (six & 15) << static_cast<int32_t>(4 * (run % 2));
        high |= (six >> 4) << static_cast<int32_t>(2 * run);
    }
    for (size_t lane = 0; lane < count; ++lane) {
        uint8_t* to = out + lane * kSize;
        to[2] = static_cast<uint8_t>(high[lane] & 0xFF);
        to[3] = static_cast<uint8_t>(high[lane] >> 8);
        for (size_t i = 0; i < 4; ++i)
            to[4 + i] = static_cast<uint8_t>(low[i][lane]);
    }
}

/// As encodeIq4Nl, by super-blocks of 256.
unsigned encodeIq4Xs(const BlockRun& blocks, uint8_t* out)
{
    constexpr size_t kSize = 136;
    constexpr size_t kRuns = 8;
    const bool weighted = blocks.importance != nullptr;
    unsigned trouble = 0;
    LaneSupers<kRuns> lanes;
    for (size_t b = 0; b < blocks.count; b += kFloats, out += kFloats * kSize) {
        const size_t count = LaneSupers<kRuns>::taken(blocks, b);
        lanes.load(blocks, b);
        trouble |= lanes.trouble();
        const Floats sigma2 = lanes.variance();
        Floats scales[kRuns];
        Floats most{};
        Floats extreme{};
        for (size_t run = 0; run < kRuns; ++run) {
            LaneBlocks block = lanes.blocks(run, weighted, sigma2);
            trouble |= settledScale(block, weighted, scales[run]);
            const Floats magnitude = magnitudeOf(scales[run]);
            extreme = magnitude > most ? scales[run] : extreme;
            most = larger(magnitude, most);
        }
        const Floats step = -extreme / 32.0F;
        for (size_t lane = 0; lane < count; ++lane)
            trouble |= storeScale(out + lane * kSize, step[lane]);
        packCodedScales(lanes, scales, step, count, out);
    }
    return trouble;
}

}  // namespace
}  // namespace sigmascope::kernels
