// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The hot loops that exist once for every instruction set. Included by the objects built for AVX2 and
// AVX-512, so: plain C types only, no library header with inline functions (a weak copy of one, compiled
// for AVX-512, could be the one the linker keeps for the whole program).

#include <stddef.h>
#include <stdint.h>

namespace sigmascope::kernels {

/// Elements one call of a statistics kernel sees at most: 16-bit codes of a block stay in the first-level
/// cache for its three readings. Fixed, since sums are combined block by block.
constexpr size_t kBlockElements = 8192;

/// Counts, extremes and central moments of one block; see TensorStats for the meaning of each.
struct BlockStats {
    uint64_t finite, zeros, nan, inf, subnormal;
    int64_t firstNonFinite;  ///< index in the block; -1 if all are finite
    double min, max;         ///< 0 when finite == 0
    double mean, m2, m3, m4;
};

/// What one reading gives: extremes and power sums about 0 of the finite values.
struct BlockScan {
    uint64_t finite;
    double min, max, sum, sumOfSquares;
};

/// Squares of a row in double; see ReconstructionSums.
struct RowSquares {
    double weight, residual, scaledWeight, scaledResidual;
};

/// What an encoder met. Codes are meaningless unless it is 0.
enum EncodeTrouble : unsigned { kNonFiniteInput = 1, kScaleOverflow = 2 };

/// One instruction set's versions. All give the same bits: every sum runs over 16 fixed lanes that are
/// joined in a fixed order, one rounding per operation, never a fused multiply-add.
/// Input may be unaligned; n <= kBlockElements.
struct KernelTable {
    const char* level;  ///< "scalar", "avx2", "avx512"

    void (*statsF32)(const void* in, size_t n, BlockStats* out);
    void (*statsF16)(const void* in, size_t n, BlockStats* out);
    void (*statsBf16)(const void* in, size_t n, BlockStats* out);

    void (*scanF32)(const void* in, size_t n, BlockScan* out);
    void (*scanF16)(const void* in, size_t n, BlockScan* out);
    void (*scanBf16)(const void* in, size_t n, BlockScan* out);

    /// How many elements have an ordered key below `low` or above `high` (see OrderedKey.h).
    uint64_t (*outside16)(const void* in, size_t n, int16_t low, int16_t high);
    uint64_t (*outside32)(const void* in, size_t n, int32_t low, int32_t high);

    /// `blocks` blocks of 32 floats into GGUF blocks, byte for byte as ggml's reference; returns EncodeTrouble bits.
    unsigned (*encodeQ8_0)(const float* in, size_t blocks, uint8_t* out);
    unsigned (*encodeQ4_0)(const float* in, size_t blocks, uint8_t* out);
    unsigned (*encodeQ4_1)(const float* in, size_t blocks, uint8_t* out);
    unsigned (*encodeQ5_0)(const float* in, size_t blocks, uint8_t* out);
    unsigned (*encodeQ5_1)(const float* in, size_t blocks, uint8_t* out);

    // Rows of n weights in groups of `group`, the last one short where it does not divide n. One parameter a group.
    /// Largest magnitude; infinite where a weight is not finite.
    void (*groupMagnitudes)(const float* in, size_t n, size_t group, float* out);
    /// Extremes, 0 included; infinite where a weight is not finite.
    void (*groupRanges)(const float* in, size_t n, size_t group, float* low, float* high);
    /// Code of w: w / scale to the nearest integer, ties to even, plus zero, within 0 and top. Pre: weights finite,
    /// scale a float, inverse = 1 / scale in double (0 where the group is all zeros), 0 <= zero <= top < 256.
    void (*codeGroups)(const float* in, size_t n, size_t group, const double* inverse, const int32_t* zero, int32_t top,
                       uint8_t* codes);
    /// scale * (code - zero), one rounding.
    void (*restoreGroups)(const uint8_t* codes, size_t n, size_t group, const float* scale, const int32_t* zero,
                          float* out);
    /// Code of w: how many of its group's `count` ascending middles are below it.
    void (*codeLevels)(const float* in, size_t n, size_t group, const float* middles, size_t count, uint8_t* codes);

    // Of one group: sum of importance * (weight - stored)^2 in double; importance null: all 1.
    double (*storedLoss)(const float* in, const float* stored, const double* importance, size_t n);
    /// Stored as codeGroups and restoreGroups would.
    double (*groupLoss)(const float* in, const double* importance, size_t n, float scale, double inverse, int32_t zero,
                        int32_t top);
    /// Stored as values[code] of codeLevels; count + 1 values.
    double (*levelLoss)(const float* in, const double* importance, size_t n, const float* middles, const float* values,
                        size_t count);

    /// Sums of squares of one row of weights and of what its codes leave of it, plain and by `scale` (null: those are 0).
    void (*rowSquares)(const float* weights, const float* residual, const float* scale, size_t n, RowSquares* out);
};

extern const KernelTable kKernelsScalar;
#if defined(__x86_64__)
extern const KernelTable kKernelsAvx2;
extern const KernelTable kKernelsAvx512;
#endif

}  // namespace sigmascope::kernels
