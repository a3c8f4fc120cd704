// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Q4_0, Q4_1, Q5_0, Q5_1 with importances: a lane searches for one block of 32. (Without, see EncodeKernels.h.)

#include "core/compute/kernels/SuperBlockKernels.h"

namespace sigmascope::kernels {
namespace {

constexpr size_t kRowBlock = 32;

/// Codes of a block, low nibbles first, fifth bits before them where there are any.
template <bool fifthBit> void packRowBlock(const uint8_t* code, uint8_t* to)
{
    uint32_t fifth = 0;
    for (size_t e = 0; e < kRowBlock; ++e)
        fifth |= static_cast<uint32_t>((code[e] >> 4) & 1U) << e;
    if (fifthBit)
        __builtin_memcpy(to, &fifth, sizeof fifth);
    for (size_t e = 0; e < kRowBlock / 2; ++e)
        to[(fifthBit ? 4 : 0) + e] = static_cast<uint8_t>((code[e] & 15U) | (code[e + kRowBlock / 2] & 15U) << 4);
}

/// A team's blocks, transposed, and their weights; what is missing of the team are zeros.
struct RowTeam {
    float x[kRowBlock * kTeam];
    float w[kRowBlock * kTeam];
    uint8_t transposed[kRowBlock * kTeam];
    uint8_t code[kRowBlock * kTeam];  ///< [lane][element]

    void load(const float* in, const float* importance, size_t count, float variance)
    {
        static constexpr float kZeros[kRowBlock] = {};
        const float* rows[kTeam];
        const float* weights[kTeam];
        for (size_t lane = 0; lane < kTeam; ++lane) {
            rows[lane] = lane < count ? in + lane * kRowBlock : kZeros;
            weights[lane] = lane < count ? importance + lane * kRowBlock : kZeros;
        }
        transpose<kRowBlock>(rows, x);
        transpose<kRowBlock>(weights, w);
        for (size_t e = 0; e < kRowBlock; ++e)
            storeWide(w + e * kTeam, byRootOfSquares(loadWide(w + e * kTeam), loadWide(x + e * kTeam), wide(variance)));
    }
    void turnCodes()
    {
        for (size_t lane = 0; lane < kTeam; ++lane) {
            for (size_t e = 0; e < kRowBlock; ++e)
                code[lane * kRowBlock + e] = transposed[e * kTeam + lane];
        }
    }
};

/// One row. The weights of all its blocks share the variance of the row.
template <bool hasMinimum, bool fifthBit>
unsigned encodeRowByImportance(const float* in, size_t blocks, const float* importance, uint8_t* out)
{
    constexpr int kHalf = fifthBit ? 16 : 8;
    constexpr int32_t kTop = 2 * kHalf - 1;
    constexpr size_t kScales = hasMinimum ? 4 : 2;
    constexpr size_t kSize = kScales + (fifthBit ? 4 : 0) + kRowBlock / 2;
    unsigned trouble = troubleOf(in, blocks * kRowBlock);
    if (trouble != 0)
        return trouble;
    float energy = 0;
    for (size_t i = 0; i < blocks * kRowBlock; ++i)
        energy += in[i] * in[i];
    const float variance = energy / static_cast<float>(blocks * kRowBlock);
    RowTeam team;
    for (size_t done = 0; done < blocks; done += kTeam) {
        const size_t count = blocks - done < kTeam ? blocks - done : kTeam;
        team.load(in + done * kRowBlock, importance + done * kRowBlock, count, variance);
        float scale[kTeam];
        float minimum[kTeam];
        if constexpr (hasMinimum) {
            const Affine fit
                = fitAffine<kRowBlock, false, true>(team.x, team.w, {static_cast<float>(kTop), -0.9F, 0.05F, 36});
            Wide codes[kRowBlock];
            affineCodesOf<kRowBlock, true>(team.x, fit, static_cast<float>(kTop), codes);
            for (size_t e = 0; e < kRowBlock; ++e)
                storeCodes(team.transposed + e * kTeam,
                           {__builtin_convertvector(codes[e].a, Ints), __builtin_convertvector(codes[e].b, Ints)});
            storeWide(scale, fit.scale);
            storeWide(minimum, -fit.minimum);
        } else {
            const Symmetric fit = fitSymmetric<kRowBlock, kHalf>(team.x, team.w);
            for (size_t e = 0; e < kRowBlock; ++e) {
                const WideInts found
                    = bounded(nearestInt(fit.inverse * loadWide(team.x + e * kTeam)), -kHalf, kHalf - 1);
                storeCodes(team.transposed + e * kTeam,
                           chosen(fit.empty, WideInts{}, WideInts{found.a + kHalf, found.b + kHalf}));
            }
            storeWide(scale, fit.scale);
        }
        team.turnCodes();
        for (size_t lane = 0; lane < count; ++lane) {
            uint8_t* to = out + (done + lane) * kSize;
            storeHalf(scale[lane], to, trouble);
            if constexpr (hasMinimum)
                storeHalf(minimum[lane], to + 2, trouble);
            packRowBlock<fifthBit>(team.code + lane * kRowBlock, to + kScales);
        }
    }
    return trouble;
}

}  // namespace
}  // namespace sigmascope::kernels
