// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Q2_K to Q6_K: super-blocks of 256 weights whose 8 or 16 runs have scales (and minima) coded in 4 to 8 bits. As many
// super-blocks as a vector has lanes are coded at once: first every run's own search, a lane a run; then the codes of
// the scales, a lane a super-block; then the codes of the weights, with the scales as they are stored.

#include "core/compute/kernels/HalfBits.h"
#include "core/compute/kernels/KernelTable.h"
#include "core/compute/kernels/ScaleSearch.h"
#include "core/compute/kernels/SearchTable.h"

namespace sigmascope::kernels {
namespace {

constexpr size_t kSuper = 256;
constexpr size_t kBatch = kFloats;  ///< super-blocks coded at once

/// What the stages hand on. Runs are numbered through the batch, 256 / length of them a super-block.
template <size_t length> struct Batch {
    static constexpr size_t kRuns = kSuper / length;
    static constexpr size_t kTeams = kBatch * kRuns / kTeam;

    float x[kBatch * kSuper];  ///< [team][element][lane]
    float w[length * kTeam];  ///< [element][lane] of the team at work
    float energy[kBatch];  ///< sum of squares of a super-block
    float scale[kBatch * kRuns];  ///< [run]; after coding, as stored
    float minimum[kBatch * kRuns];
    float total[kBatch * kRuns];  ///< sum of the weights of a run
    float inverse[kBatch * kRuns];  ///< how the search's codes were found
    float from[kBatch * kRuns];
    uint8_t kept[kBatch * kSuper];  ///< [team][element][lane]: those codes themselves, where they cannot be found again
    uint8_t code[kBatch * kSuper];  ///< [super-block][element]
    uint8_t scaleCode[kBatch * kRuns];
    uint8_t minimumCode[kBatch * kRuns];

    float* team(size_t t) { return x + t * length * kTeam; }
};

/// Rows of `length` values become columns.
template <size_t length> void transpose(const float* const* rows, float* out)
{
    for (size_t lane = 0; lane < kTeam; ++lane) {
        const float* row = rows[lane];
        for (size_t e = 0; e < length; ++e)
            out[e * kTeam + lane] = row[e];
    }
}

template <size_t length> void loadRuns(Batch<length>& batch, const float* in)
{
    const float* rows[kTeam];
    for (size_t t = 0; t < Batch<length>::kTeams; ++t) {
        for (size_t lane = 0; lane < kTeam; ++lane)
            rows[lane] = in + (t * kTeam + lane) * length;
        transpose<length>(rows, batch.team(t));
    }
}

/// Sums of squares in the order of the elements; the chains of four super-blocks run side by side.
template <size_t length> void findEnergies(Batch<length>& batch, const float* in)
{
    for (size_t s = 0; s < kBatch; s += 4) {
        const float* x = in + s * kSuper;
        float sum[4] = {0, 0, 0, 0};
        for (size_t e = 0; e < kSuper; ++e) {
            for (size_t i = 0; i < 4; ++i)
                sum[i] += x[i * kSuper + e] * x[i * kSuper + e];
        }
        for (size_t i = 0; i < 4; ++i)
            batch.energy[s + i] = sum[i];
    }
}

/// Importances of the runs of a team, times what `weigh` makes of a weight and its super-block's variance.
template <size_t length, class Weigh>
void weighByImportance(Batch<length>& batch, const SuperBlocks& blocks, size_t t, float variancePerEnergy,
                       const Weigh& weigh)
{
    constexpr size_t kRuns = Batch<length>::kRuns;
    const float* rows[kTeam];
    float variance[kTeam];
    for (size_t lane = 0; lane < kTeam; ++lane) {
        const size_t run = t * kTeam + lane;
        const size_t place = (blocks.first + run / kRuns) % blocks.perRow;
        rows[lane] = blocks.importance + place * kSuper + run % kRuns * length;
        // 2 * energy / 256, as ggml orders it: both factors are powers of two.
        variance[lane] = batch.energy[run / kRuns] * variancePerEnergy;
    }
    transpose<length>(rows, batch.w);
    const Wide spread = loadWide(variance);
    const float* x = batch.team(t);
    Wide total = wide(0);
    for (size_t e = 0; e < length; ++e) {
        const Wide value = loadWide(x + e * kTeam);
        const Wide weight = weigh(loadWide(batch.w + e * kTeam), value, spread);
        storeWide(batch.w + e * kTeam, weight);
        total = total + weight;
    }
    storeWide(batch.total + t * kTeam, total);
}

inline Wide byRootOfSquares(Wide importance, Wide value, Wide variance)
{
    return importance * squareRoot(variance + value * value);
}

/// Bytes [element][lane] of every team become [run][element].
template <size_t length> void untranspose(const uint8_t* in, uint8_t* out)
{
    for (size_t t = 0; t < Batch<length>::kTeams; ++t) {
        for (size_t lane = 0; lane < kTeam; ++lane) {
            for (size_t e = 0; e < length; ++e)
                out[(t * kTeam + lane) * length + e] = in[(t * length + e) * kTeam + lane];
        }
    }
}

inline void storeCodes(uint8_t* to, WideInts codes)
{
    store(to, __builtin_convertvector(codes.a, Int8s));
    store(to + kFloats, __builtin_convertvector(codes.b, Int8s));
}

/// Codes 0…top of (x + minimum) / scale; runs whose stored scale is 0 keep those of the search.
template <size_t length, bool guarded> void codeAffine(Batch<length>& batch, int32_t top)
{
    uint8_t transposed[kBatch * kSuper];
    for (size_t t = 0; t < Batch<length>::kTeams; ++t) {
        const float* x = batch.team(t);
        uint8_t* to = transposed + t * length * kTeam;
        const Wide scale = loadWide(batch.scale + t * kTeam);
        const Wide minimum = loadWide(batch.minimum + t * kTeam);
        const WideInts isLost = scale == wide(0);
        Wide searched[length];
        const bool someLost = any(isLost);
        if (someLost) {
            const Affine fit{scale, minimum, loadWide(batch.inverse + t * kTeam), loadWide(batch.from + t * kTeam)};
            affineCodesOf<length, guarded>(x, fit, static_cast<float>(top), searched);
        }
        for (size_t e = 0; e < length; ++e) {
            WideInts codes = bounded(nearestInt((loadWide(x + e * kTeam) + minimum) / scale), 0, top);
            if (someLost)
                codes = chosen(isLost,
                               WideInts{__builtin_convertvector(searched[e].a, Ints),
                                        __builtin_convertvector(searched[e].b, Ints)},
                               codes);
            storeCodes(to + e * kTeam, codes);
        }
    }
    untranspose<length>(transposed, batch.code);
}

/// Codes of x / scale plus `half`; runs whose stored scale is 0 keep those of the search: from `kept`, or found again,
/// where an inverse of 0 says that the run is empty and has the codes 0.
template <size_t length, bool fromKept> void codeSymmetric(Batch<length>& batch, int32_t half)
{
    uint8_t transposed[kBatch * kSuper];
    for (size_t t = 0; t < Batch<length>::kTeams; ++t) {
        const float* x = batch.team(t);
        uint8_t* to = transposed + t * length * kTeam;
        const Wide scale = loadWide(batch.scale + t * kTeam);
        const WideInts isLost = scale == wide(0);
        const bool someLost = any(isLost);
        const Wide inverse = loadWide(batch.inverse + t * kTeam);
        const WideInts isEmpty = inverse == wide(0);
        for (size_t e = 0; e < length; ++e) {
            const Wide value = loadWide(x + e * kTeam);
            WideInts codes = bounded(nearestInt(value / scale), -half, half - 1);
            codes = {codes.a + half, codes.b + half};
            if (someLost && !fromKept) {
                const WideInts found = bounded(nearestInt(inverse * value), -half, half - 1);
                const WideInts shifted{found.a + half, found.b + half};
                codes = chosen(isLost, chosen(isEmpty, WideInts{}, shifted), codes);
            } else if (someLost) {
                const uint8_t* kept = batch.kept + (t * length + e) * kTeam;
                codes = chosen(isLost,
                               WideInts{__builtin_convertvector(load<Int8s>(kept), Ints),
                                        __builtin_convertvector(load<Int8s>(kept + kFloats), Ints)},
                               codes);
            }
            storeCodes(to + e * kTeam, codes);
        }
    }
    untranspose<length>(transposed, batch.code);
}

/// The runs of a super-block become lanes' values: value j of super-block s from [s][j] to [j][s].
template <size_t runs> void gather(const float* in, Floats* out)
{
    float column[kBatch];
    for (size_t j = 0; j < runs; ++j) {
        for (size_t s = 0; s < kBatch; ++s)
            column[s] = in[s * runs + j];
        out[j] = load<Floats>(column);
    }
}

/// Codes of scales and minima under the weights of their runs; their common scales into d and m.
template <size_t length> void codeScalesByWeight(Batch<length>& batch, int32_t top, float* d, float* m)
{
    constexpr size_t kRuns = Batch<length>::kRuns;
    Floats scales[kRuns];
    Floats minima[kRuns];
    Floats totals[kRuns];
    gather<kRuns>(batch.scale, scales);
    gather<kRuns>(batch.minimum, minima);
    gather<kRuns>(batch.total, totals);
    Wide x[kRuns];
    Wide w[kRuns];
    WideInts codes[kRuns];
    for (size_t j = 0; j < kRuns; ++j) {
        x[j] = {scales[j], minima[j]};
        w[j] = {totals[j], totals[j]};
    }
    const Wide common = fitNonNegative<kRuns>(x, w, top, codes);
    store(d, common.a);
    store(m, common.b);
    for (size_t j = 0; j < kRuns; ++j) {
        for (size_t s = 0; s < kBatch; ++s) {
            batch.scaleCode[s * kRuns + j] = static_cast<uint8_t>(codes[j].a[s]);
            batch.minimumCode[s * kRuns + j] = static_cast<uint8_t>(codes[j].b[s]);
        }
    }
}

inline int32_t nearestInt(float x)
{
    return static_cast<int32_t>(bitsOf(x + kRounder) & 0x007FFFFFU) - 0x00400000;
}

/// Codes of values relative to the largest of them, eight bits kept; the common scale is returned.
inline float codeByLargest(const float* values, size_t n, float top, uint8_t* codes)
{
    float largest = 0;
    for (size_t j = 0; j < n; ++j)
        largest = values[j] > largest ? values[j] : largest;
    const float inverse = largest > 0 ? top / largest : 0.0F;
    for (size_t j = 0; j < n; ++j)
        codes[j] = static_cast<uint8_t>(nearestInt(inverse * values[j]));
    return largest / top;
}

/// The first of largest magnitude, with its sign; 0 if none is above 0.
inline float signedLargest(const float* values, size_t n)
{
    float largest = 0;
    float size = 0;
    for (size_t j = 0; j < n; ++j) {
        const float its = floatOf(bitsOf(values[j]) & 0x7FFFFFFFU);
        if (its > size) {
            size = its;
            largest = values[j];
        }
    }
    return largest;
}

/// Writes a super-block's scale; its value as stored.
inline float storeHalf(float value, uint8_t* to, unsigned& trouble)
{
    const uint16_t half = halfOf(value);
    if ((half & 0x7C00U) == 0x7C00U)
        trouble |= kScaleOverflow;
    __builtin_memcpy(to, &half, sizeof half);
    return floatOfHalf(half);
}

/// EncodeTrouble of values that no type can hold: past 1e10 every type's scale has left f16, and beyond 1e11 the searches'
/// sums would overflow, of which ggml makes zeros.
inline unsigned troubleOf(const float* in, size_t n)
{
    const uint32_t most = bitsOf(1e10F);
    uint32_t nonFinite = 0;
    uint32_t tooLarge = 0;
    for (size_t i = 0; i < n; ++i) {
        const uint32_t magnitude = bitsOf(in[i]) & 0x7FFFFFFFU;
        nonFinite |= magnitude >= 0x7F800000U ? 1U : 0U;
        tooLarge |= magnitude > most ? 1U : 0U;
    }
    return nonFinite != 0 ? kNonFiniteInput : tooLarge != 0 ? kScaleOverflow : 0U;
}

/// Runs a type's stages over all super-blocks, the last batch filled up with zeros.
template <class Type> unsigned encodeSuperBlocks(const SuperBlocks& blocks, uint8_t* out)
{
    unsigned trouble = 0;
    Batch<Type::kLength> batch;
    float padded[kBatch * kSuper];
    for (size_t done = 0; done < blocks.count; done += kBatch) {
        const size_t count = blocks.count - done < kBatch ? blocks.count - done : kBatch;
        const float* in = blocks.in + done * kSuper;
        if (const unsigned found = troubleOf(in, count * kSuper); found != 0)
            return trouble | found;
        if (count < kBatch) {
            __builtin_memset(padded, 0, sizeof padded);
            __builtin_memcpy(padded, in, count * kSuper * sizeof(float));
            in = padded;
        }
        const SuperBlocks part{in, count, blocks.importance, blocks.first + done, blocks.perRow};
        loadRuns(batch, in);
        Type::search(batch, part);
        Type::finish(batch, part, out + done * Type::kBytes, trouble);
    }
    return trouble;
}

/// d and dmin as stored, into what every run is decoded with.
template <size_t length> void restoreScales(Batch<length>& batch, size_t s, float d, float m, unsigned scaleMask)
{
    constexpr size_t kRuns = Batch<length>::kRuns;
    for (size_t j = s * kRuns; j < (s + 1) * kRuns; ++j) {
        batch.scale[j] = d * static_cast<float>(batch.scaleCode[j] & scaleMask);
        batch.minimum[j] = m * static_cast<float>(batch.minimumCode[j] & scaleMask);
    }
}

/// Four codes of two bits a byte: elements 32 apart within each half.
inline void packTwoBits(const uint8_t* code, uint8_t* to)
{
    for (size_t half = 0; half < 2; ++half) {
        const uint8_t* from = code + 128 * half;
        for (size_t l = 0; l < 32; ++l)
            to[32 * half + l] = static_cast<uint8_t>((from[l] & 3U) | (from[l + 32] & 3U) << 2
                                                     | (from[l + 64] & 3U) << 4 | (from[l + 96] & 3U) << 6);
    }
}

/// The search of an affine type for every run of the batch.
template <size_t length, bool absolute, bool guarded>
void fitRuns(Batch<length>& batch, size_t t, const AffineSearch& how)
{
    const Affine fit = fitAffine<length, absolute, guarded>(batch.team(t), batch.w, how);
    storeWide(batch.scale + t * kTeam, fit.scale);
    storeWide(batch.minimum + t * kTeam, fit.minimum);
    storeWide(batch.inverse + t * kTeam, fit.inverse);
    storeWide(batch.from + t * kTeam, fit.from);
}

struct Q2_K {
    static constexpr size_t kLength = 16;
    static constexpr size_t kBytes = 84;
    using Runs = Batch<kLength>;

    static void search(Runs& batch, const SuperBlocks& blocks)
    {
        if (blocks.importance != nullptr)
            findEnergies(batch, blocks.in);
        for (size_t t = 0; t < Runs::kTeams; ++t) {
            if (blocks.importance != nullptr) {
                weighByImportance(batch, blocks, t, 1.0F / kSuper, byRootOfSquares);
                fitRuns<kLength, false, true>(batch, t, {3, -0.9F, 0.05F, 36});
                continue;
            }
            for (size_t e = 0; e < kLength; ++e)
                storeWide(batch.w + e * kTeam, magnitude(loadWide(batch.team(t) + e * kTeam)));
            fitRuns<kLength, true, false>(batch, t, {3, -0.5F, 0.1F, 15});
        }
    }

    static void finish(Runs& batch, const SuperBlocks& blocks, uint8_t* out, unsigned& trouble)
    {
        float d[kBatch];
        float m[kBatch];
        if (blocks.importance != nullptr)
            codeScalesByWeight(batch, 15, d, m);
        for (size_t s = 0; s < blocks.count; ++s) {
            uint8_t* to = out + s * kBytes;
            uint8_t* scales = batch.scaleCode + s * Runs::kRuns;
            uint8_t* minima = batch.minimumCode + s * Runs::kRuns;
            if (blocks.importance == nullptr) {
                d[s] = codeByLargest(batch.scale + s * Runs::kRuns, Runs::kRuns, 15, scales);
                m[s] = codeByLargest(batch.minimum + s * Runs::kRuns, Runs::kRuns, 15, minima);
            }
            for (size_t j = 0; j < Runs::kRuns; ++j) {
                to[j] = static_cast<uint8_t>(scales[j] | minima[j] << 4);
                scales[j] = to[j] & 15U;
                minima[j] = to[j] >> 4;
            }
            const float stored = storeHalf(d[s], to + 80, trouble);
            restoreScales(batch, s, stored, storeHalf(m[s], to + 82, trouble), 15);
        }
        if (blocks.importance != nullptr)
            codeAffine<kLength, true>(batch, 3);
        else
            codeAffine<kLength, false>(batch, 3);
        for (size_t s = 0; s < blocks.count; ++s)
            packTwoBits(batch.code + s * kSuper, out + s * kBytes + 16);
    }
};

/// Twelve bytes of eight scales and eight minima of six bits (Q4_K, Q5_K).
inline void packSixBits(const uint8_t* scales, const uint8_t* minima, uint8_t* to)
{
    for (size_t j = 0; j < 4; ++j) {
        to[j] = static_cast<uint8_t>(scales[j] | (scales[j + 4] >> 4) << 6);
        to[j + 4] = static_cast<uint8_t>(minima[j] | (minima[j + 4] >> 4) << 6);
        to[j + 8] = static_cast<uint8_t>((scales[j + 4] & 15U) | (minima[j + 4] & 15U) << 4);
    }
}

inline void packNibbles(const uint8_t* code, uint8_t* to)
{
    for (size_t pair = 0; pair < 4; ++pair) {
        for (size_t l = 0; l < 32; ++l)
            to[32 * pair + l]
                = static_cast<uint8_t>((code[64 * pair + l] & 15U) | (code[64 * pair + l + 32] & 15U) << 4);
    }
}

/// Bit 4 of every code, one byte for elements 32 apart.
inline void packFifthBits(const uint8_t* code, uint8_t* to)
{
    for (size_t l = 0; l < 32; ++l) {
        unsigned bits = 0;
        for (size_t j = 0; j < 8; ++j)
            bits |= static_cast<unsigned>((code[32 * j + l] >> 4) & 1U) << j;
        to[l] = static_cast<uint8_t>(bits);
    }
}

/// Q4_K and Q5_K.
template <bool fifthBit> struct SixBitScales {
    static constexpr size_t kLength = 32;
    static constexpr size_t kBytes = fifthBit ? 176 : 144;
    static constexpr int32_t kTop = fifthBit ? 31 : 15;
    using Runs = Batch<kLength>;

    static void search(Runs& batch, const SuperBlocks& blocks)
    {
        if (blocks.importance != nullptr)
            findEnergies(batch, blocks.in);
        for (size_t t = 0; t < Runs::kTeams; ++t) {
            if (blocks.importance != nullptr) {
                weighByImportance(batch, blocks, t, 2.0F / kSuper, byRootOfSquares);
                fitRuns<kLength, false, true>(batch, t, {kTop, -0.9F, 0.05F, 36});
                continue;
            }
            const float* x = batch.team(t);
            Wide energy = wide(0);
            for (size_t e = 0; e < kLength; ++e)
                energy = energy + loadWide(x + e * kTeam) * loadWide(x + e * kTeam);
            const Wide average = squareRoot(energy / wide(kLength));
            for (size_t e = 0; e < kLength; ++e)
                storeWide(batch.w + e * kTeam, average + magnitude(loadWide(x + e * kTeam)));
            if constexpr (fifthBit)
                fitRuns<kLength, false, false>(batch, t, {kTop, -0.5F, 0.1F, 15});
            else
                fitRuns<kLength, false, false>(batch, t, {kTop, -1.0F, 0.1F, 20});
        }
    }

    static void finish(Runs& batch, const SuperBlocks& blocks, uint8_t* out, unsigned& trouble)
    {
        float d[kBatch];
        float m[kBatch];
        if (blocks.importance != nullptr)
            codeScalesByWeight(batch, 63, d, m);
        for (size_t s = 0; s < blocks.count; ++s) {
            uint8_t* to = out + s * kBytes;
            uint8_t* scales = batch.scaleCode + s * Runs::kRuns;
            uint8_t* minima = batch.minimumCode + s * Runs::kRuns;
            if (blocks.importance == nullptr) {
                d[s] = codeByLargest(batch.scale + s * Runs::kRuns, Runs::kRuns, 63, scales);
                m[s] = codeByLargest(batch.minimum + s * Runs::kRuns, Runs::kRuns, 63, minima);
            }
            for (size_t j = 0; j < Runs::kRuns; ++j) {
                scales[j] = scales[j] < 63 ? scales[j] : 63;
                minima[j] = minima[j] < 63 ? minima[j] : 63;
            }
            packSixBits(scales, minima, to + 4);
            const float stored = storeHalf(d[s], to, trouble);
            restoreScales(batch, s, stored, storeHalf(m[s], to + 2, trouble), 63);
        }
        if (blocks.importance != nullptr)
            codeAffine<kLength, true>(batch, kTop);
        else
            codeAffine<kLength, false>(batch, kTop);
        for (size_t s = 0; s < blocks.count; ++s) {
            const uint8_t* code = batch.code + s * kSuper;
            if constexpr (fifthBit)
                packFifthBits(code, out + s * kBytes + 16);
            packNibbles(code, out + s * kBytes + (fifthBit ? 48 : 16));
        }
    }
};
using Q4_K = SixBitScales<false>;
using Q5_K = SixBitScales<true>;

}  // namespace
}  // namespace sigmascope::kernels
