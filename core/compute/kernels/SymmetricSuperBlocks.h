// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Q3_K and Q6_K: runs of 16 with a signed scale and no minimum.

#include "core/compute/kernels/SuperBlockKernels.h"

namespace sigmascope::kernels {
namespace {

/// The symmetric search for the runs of a team, by the weights in batch.w.
template <int half> void fitTeam(Batch<16>& batch, size_t t)
{
    const Symmetric fit = fitSymmetric<16, half>(batch.team(t), batch.w);
    storeWide(batch.scale + t * kTeam, fit.scale);
    storeWide(batch.inverse + t * kTeam, fit.inverse);
}

struct Q3_K {
    static constexpr size_t kLength = 16;
    static constexpr size_t kBytes = 110;
    using Runs = Batch<kLength>;

    static void search(Runs& batch, const SuperBlocks& blocks)
    {
        if (blocks.importance != nullptr)
            findEnergies(batch, blocks.in);
        for (size_t t = 0; t < Runs::kTeams; ++t) {
            if (blocks.importance != nullptr) {
                weighByImportance(batch, blocks, t, 2.0F / kSuper, byRootOfSquares);
                fitTeam<4>(batch, t);
            } else {
                const Wide scale = fitByDescent<kLength, 4>(batch.team(t), batch.kept + t * kLength * kTeam);
                storeWide(batch.scale + t * kTeam, scale);
                storeWide(batch.inverse + t * kTeam, scale);
            }
        }
    }

    /// Codes 0…63 of the scales and their common scale, by the weights of the runs.
    static void codeScales(Runs& batch, float* d)
    {
        float x[Runs::kRuns * kTeam] = {};
        float w[Runs::kRuns * kTeam] = {};
        for (size_t s = 0; s < kBatch; ++s) {
            for (size_t j = 0; j < Runs::kRuns; ++j) {
                x[j * kTeam + s] = batch.scale[s * Runs::kRuns + j];
                w[j * kTeam + s] = batch.total[s * Runs::kRuns + j];
            }
        }
        const Symmetric fit = fitSymmetric<Runs::kRuns, 32>(x, w);
        store(d, fit.scale.a);
        for (size_t j = 0; j < Runs::kRuns; ++j) {
            const WideInts found = bounded(nearestInt(fit.inverse * loadWide(x + j * kTeam)), -32, 31);
            const Ints codes = fit.empty.a ? Ints{} : found.a + 32;
            for (size_t s = 0; s < kBatch; ++s)
                batch.scaleCode[s * Runs::kRuns + j] = static_cast<uint8_t>(codes[s]);
        }
    }

    /// The same relative to the scale of largest magnitude.
    static float codeByExtreme(const float* scales, uint8_t* codes)
    {
        const float largest = signedLargest(scales, Runs::kRuns);
        if (largest == 0) {
            __builtin_memset(codes, 0, Runs::kRuns);
            return 0;
        }
        const float inverse = -32.0F / largest;
        for (size_t j = 0; j < Runs::kRuns; ++j) {
            const int32_t code = static_cast<int8_t>(nearestInt(inverse * scales[j]));
            codes[j] = static_cast<uint8_t>(smaller(larger(code, -32), 31) + 32);
        }
        return 1 / inverse;
    }

    static void finish(Runs& batch, const SuperBlocks& blocks, uint8_t* out, unsigned& trouble)
    {
        float d[kBatch];
        if (blocks.importance != nullptr)
            codeScales(batch, d);
        for (size_t s = 0; s < blocks.count; ++s) {
            uint8_t* codes = batch.scaleCode + s * Runs::kRuns;
            float* scales = batch.scale + s * Runs::kRuns;
            if (blocks.importance == nullptr)
                d[s] = codeByExtreme(scales, codes);
            uint8_t* to = out + s * kBytes;
            for (size_t j = 0; j < 8; ++j)
                to[96 + j] = static_cast<uint8_t>((codes[j] & 15U) | (codes[j + 8] & 15U) << 4);
            for (size_t j = 0; j < 4; ++j)
                to[104 + j] = static_cast<uint8_t>(codes[j] >> 4 | (codes[j + 4] >> 4) << 2 | (codes[j + 8] >> 4) << 4
                                                   | (codes[j + 12] >> 4) << 6);
            const float stored = storeHalf(d[s], to + 108, trouble);
            for (size_t j = 0; j < Runs::kRuns; ++j)
                scales[j] = stored * static_cast<float>(static_cast<int32_t>(codes[j]) - 32);
        }
        if (blocks.importance != nullptr)
            codeSymmetric<kLength, false>(batch, 4);
        else
            codeSymmetric<kLength, true>(batch, 4);
        for (size_t s = 0; s < blocks.count; ++s) {
            const uint8_t* code = batch.code + s * kSuper;
            uint8_t* to = out + s * kBytes;
            for (size_t l = 0; l < 32; ++l) {
                unsigned bits = 0;
                for (size_t j = 0; j < 8; ++j)
                    bits |= static_cast<unsigned>((code[32 * j + l] >> 2) & 1U) << j;
                to[l] = static_cast<uint8_t>(bits);
            }
            packTwoBits(code, to + 32);
        }
    }
};

struct Q6_K {
    static constexpr size_t kLength = 16;
    static constexpr size_t kBytes = 210;
    using Runs = Batch<kLength>;

    static void search(Runs& batch, const SuperBlocks& blocks)
    {
        for (size_t t = 0; t < Runs::kTeams; ++t) {
            const float* x = batch.team(t);
            if (blocks.importance != nullptr) {
                weighByImportance(batch, blocks, t, 0, [](Wide importance, Wide, Wide) { return importance; });
            } else {
                for (size_t e = 0; e < kLength; ++e)
                    storeWide(batch.w + e * kTeam, loadWide(x + e * kTeam) * loadWide(x + e * kTeam));
            }
            fitTeam<32>(batch, t);
        }
    }

    static void finish(Runs& batch, const SuperBlocks& blocks, uint8_t* out, unsigned& trouble)
    {
        bool isNothing[kBatch] = {};
        for (size_t s = 0; s < blocks.count; ++s) {
            float* scales = batch.scale + s * Runs::kRuns;
            uint8_t* to = out + s * kBytes;
            const float largest = signedLargest(scales, Runs::kRuns);
            isNothing[s] = floatOf(bitsOf(largest) & 0x7FFFFFFFU) < kNothing;
            if (isNothing[s]) {
                __builtin_memset(to, 0, kBytes);
                continue;
            }
            const float inverse = -128.0F / largest;
            const float stored = storeHalf(1 / inverse, to + 208, trouble);
            for (size_t j = 0; j < Runs::kRuns; ++j) {
                const auto code = static_cast<int8_t>(smaller(nearestInt(inverse * scales[j]), 127));
                to[192 + j] = static_cast<uint8_t>(code);
                scales[j] = stored * static_cast<float>(code);
            }
        }
        codeSymmetric<kLength, false>(batch, 32);
        for (size_t s = 0; s < blocks.count; ++s) {
            if (!isNothing[s])
                pack(batch.code + s * kSuper, out + s * kBytes);
        }
    }

    static void pack(const uint8_t* code, uint8_t* to)
    {
        for (size_t half = 0; half < 2; ++half, code += 128) {
            uint8_t* low = to + 64 * half;
            uint8_t* high = to + 128 + 32 * half;
            for (size_t l = 0; l < 32; ++l) {
                low[l] = static_cast<uint8_t>((code[l] & 15U) | (code[l + 64] & 15U) << 4);
                low[l + 32] = static_cast<uint8_t>((code[l + 32] & 15U) | (code[l + 96] & 15U) << 4);
                high[l] = static_cast<uint8_t>(code[l] >> 4 | code[l + 32] >> 4 << 2 | code[l + 64] >> 4 << 4
                                               | code[l + 96] >> 4 << 6);
            }
        }
    }
};

}  // namespace
}  // namespace sigmascope::kernels
