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

/// Q4_0, Q4_1, Q5_0, Q5_1: the types of blocks of 32 whose encoder takes importances.
[[nodiscard]] bool hasRowBlockSearch(DType type);

/// Rows of f32 as blocks of 32 with an importance matrix, byte for byte what ggml writes; importances and failures as
/// encodeSuperBlocks() has them, runs being blocks of 32. A row whose weighted scales leave f16 is coded without.
/// @pre weights.size() == rows * cols, importance.size() == cols > 0, out.size() == rows * cols / 32 blocks.
[[nodiscard]] Result<std::string> encodeRowBlocks(DType type, std::span<const float> weights, std::uint64_t rows,
                                                  std::uint64_t cols, std::span<const float> importance,
                                                  std::span<std::byte> out, const JobContext& job,
                                                  const kernels::KernelTable& table = kernelTable());

}  // namespace sigmascope
