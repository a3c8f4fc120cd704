// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Encoders of the GGUF types of few or uneven levels, once for every instruction set. As KernelTable.h: plain C types
// only.

#include <stddef.h>
#include <stdint.h>

namespace sigmascope::kernels {

/// Consecutive blocks of floats, of one row or of several.
struct BlockRun {
    const float* in;
    size_t count;
    const float* importance;  ///< one weight >= 0 for each value of a row; null: none
    size_t first;  ///< place of the first block in its row
    size_t perRow;
};

/// Beside EncodeTrouble, a note: importances of some block are all 0, or too large to reckon with. Codes are
/// meaningful.
constexpr unsigned kNoImportance = 4;

/// One instruction set's versions. Byte for byte what ggml's encoders write of finite values: their order of float
/// operations, one rounding each. Each returns EncodeTrouble bits and kNoImportance.
struct BlockTable {
    unsigned (*encodeMxfp4)(const BlockRun& run, uint8_t* out);
    unsigned (*encodeNvfp4)(const BlockRun& run, uint8_t* out);
    unsigned (*encodeTq1_0)(const BlockRun& run, uint8_t* out);
    unsigned (*encodeTq2_0)(const BlockRun& run, uint8_t* out);
    unsigned (*encodeQ1_0)(const BlockRun& run, uint8_t* out);
    unsigned (*encodeQ2_0)(const BlockRun& run, uint8_t* out);
    // These two look at the importances.
    unsigned (*encodeIq4Nl)(const BlockRun& run, uint8_t* out);
    unsigned (*encodeIq4Xs)(const BlockRun& run, uint8_t* out);
};

extern const BlockTable kKernelsBlocksScalar;
#if defined(__x86_64__)
extern const BlockTable kKernelsBlocksAvx2;
extern const BlockTable kKernelsBlocksAvx512;
#endif

}  // namespace sigmascope::kernels
