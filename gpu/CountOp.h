// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/OpContext.h"

namespace sigmascope::gpu {

/// Counts of 16-bit codes and of values between edges; BF16, F16 and F32.
[[nodiscard]] Result<CodeCounts> histogram(OpContext& context, const TensorView& view, const JobContext& job);
[[nodiscard]] Result<std::vector<std::uint64_t>> binned(OpContext& context, const TensorView& view,
                                                        std::span<const float> edges, const JobContext& job);

}  // namespace sigmascope::gpu
