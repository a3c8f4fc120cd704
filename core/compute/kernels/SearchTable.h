// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Encoders that search for their scales, once for every instruction set. As KernelTable.h: plain C types only.

#include <stddef.h>
#include <stdint.h>

namespace sigmascope::kernels {

/// Consecutive super-blocks of 256 floats, of one row or of several.
struct SuperBlocks {
    const float* in;
    size_t count;
    const float* importance;  ///< one weight >= 0 for each value of a row; null: none
    size_t first;  ///< place of the first super-block in its row
    size_t perRow;
};

/// One instruction set's versions. Byte for byte what ggml's encoders write of finite values, with and without
/// importances: their order of float operations, one rounding each. Each returns EncodeTrouble bits.
struct SearchTable {
    const char* level;  ///< "scalar", "avx2", "avx512"

    unsigned (*encodeQ2_K)(const SuperBlocks& blocks, uint8_t* out);
    unsigned (*encodeQ3_K)(const SuperBlocks& blocks, uint8_t* out);
    unsigned (*encodeQ4_K)(const SuperBlocks& blocks, uint8_t* out);
    unsigned (*encodeQ5_K)(const SuperBlocks& blocks, uint8_t* out);
    unsigned (*encodeQ6_K)(const SuperBlocks& blocks, uint8_t* out);

    /// One row of `blocks` blocks of 32, with an importance for each value.
    unsigned (*encodeQ4_0)(const float* in, size_t blocks, const float* importance, uint8_t* out);
    unsigned (*encodeQ4_1)(const float* in, size_t blocks, const float* importance, uint8_t* out);
    unsigned (*encodeQ5_0)(const float* in, size_t blocks, const float* importance, uint8_t* out);
    unsigned (*encodeQ5_1)(const float* in, size_t blocks, const float* importance, uint8_t* out);
};

extern const SearchTable kKernelsSearchScalar;
#if defined(__x86_64__)
extern const SearchTable kKernelsSearchAvx2;
extern const SearchTable kKernelsSearchAvx512;
#endif

}  // namespace sigmascope::kernels
