// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/Kernels.h"
#include "core/tensor/DType.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sigmascope {

/// The types that have an encoder: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, those of SuperBlockEncode.h and of LevelEncode.h.
[[nodiscard]] bool hasBlockEncoder(DType type);

/// Nearest codes of f32 rows as GGUF blocks, byte for byte what ggml's reference writes without an
/// importance matrix. Rows run in parallel and the bytes do not depend on how many threads there are.
///
/// UnsupportedType; ShapeMismatch if cols is no multiple of the block; NonFinite ("non-finite values: N, first at
/// row R, column C"); ScaleOutOfRange if a block's scale or minimum does not fit f16; Cancelled.
/// @pre weights.size() == rows * cols, out.size() == the bytes of rows * cols elements. `out` is unspecified on failure.
[[nodiscard]] Status encodeBlocks(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                  std::span<std::byte> out, const JobContext& job,
                                  const kernels::KernelTable& table = kernelTable());

}  // namespace sigmascope
