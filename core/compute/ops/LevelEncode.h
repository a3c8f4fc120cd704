// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/Kernels.h"
#include "core/compute/kernels/BlockTable.h"
#include "core/tensor/DType.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sigmascope {

/// The encoders of blocks that are of the same level as a kernel table.
[[nodiscard]] const kernels::BlockTable& blockTableOf(const kernels::KernelTable& table);

/// MXFP4, NVFP4, TQ1_0, TQ2_0, Q1_0, Q2_0, IQ4_NL, IQ4_XS.
[[nodiscard]] bool hasLevelEncoder(DType type);
/// IQ4_NL and IQ4_XS: the others' bytes do not depend on importances.
[[nodiscard]] bool weighsImportance(DType type);

/// Rows of f32 as GGUF blocks, byte for byte what ggml writes: without importances (empty), or with an importance
/// matrix, one weight per column for what its errors cost (mean squares of the inputs). Rows run in parallel and the
/// bytes do not depend on how many threads there are.
///
/// Some cases apart. Where ggml makes zeros or garbage of sound weights, this does not: in each run of 32 columns an
/// importance that is negative or not finite becomes the mean of the others, runs that are all zero count as equally
/// important, and blocks whose weighted sums overflow are coded without importances. MXFP4 blocks below 2^-125, for
/// which ggml's exponent wraps round, take the smallest one; NVFP4 values so far beyond its 2688 that ggml's float
/// differences no longer tell levels apart take the outermost. What was changed of the importances is returned in
/// words, empty if nothing was.
///
/// UnsupportedType; ShapeMismatch if cols is no multiple of the block; NonFinite ("non-finite values: N, first at row
/// R, column C"); ScaleOutOfRange if a scale does not fit f16; Cancelled. `out` is unspecified on failure.
/// @pre weights.size() == rows * cols, importance.size() is cols or 0, out.size() == the bytes of rows * cols elements.
[[nodiscard]] Result<std::string> encodeLevels(DType type, std::span<const float> weights, std::uint64_t rows,
                                               std::uint64_t cols, std::span<const float> importance,
                                               std::span<std::byte> out, const JobContext& job,
                                               const kernels::BlockTable& table = blockTableOf(kernelTable()));

}  // namespace sigmascope
