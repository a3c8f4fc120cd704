// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/Kernels.h"
#include "core/tensor/DType.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sigmascope {

/// Q2_K, Q3_K, Q4_K, Q5_K, Q6_K.
[[nodiscard]] bool hasSuperBlockEncoder(DType type);

/// Rows of f32 as super-blocks of 256, byte for byte what ggml writes: without importances (empty), or with an
/// importance matrix, one weight per column for what its errors cost (mean squares of the inputs). Rows run in parallel
/// and the bytes do not depend on how many threads there are.
///
/// Where ggml makes NaN or zeros of sound weights, this does not: in each run of 256 columns, an importance that is
/// negative or not finite becomes the mean of the others, and runs that are all zero are coded as equally important; a
/// super-block whose weighted scale leaves f16 is coded without importances. What was changed is returned in words,
/// empty if nothing was.
///
/// UnsupportedType; ShapeMismatch if cols is no multiple of 256; NonFinite ("non-finite values: N, first at row R,
/// column C"); ScaleOutOfRange if a scale or minimum does not fit f16; Cancelled. `out` is unspecified on failure.
/// @pre weights.size() == rows * cols, importance.size() is cols or 0, out.size() == rows * cols / 256 super-blocks.
[[nodiscard]] Result<std::string> encodeSuperBlocks(DType type, std::span<const float> weights, std::uint64_t rows,
                                                    std::uint64_t cols, std::span<const float> importance,
                                                    std::span<std::byte> out, const JobContext& job,
                                                    const kernels::SearchTable& table = searchTable());

}  // namespace sigmascope
