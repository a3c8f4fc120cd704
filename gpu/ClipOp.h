// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/OpContext.h"

#include <vector>

namespace sigmascope::gpu {

/// Groups whose values lie below 2^-100 are searched by the reference.
[[nodiscard]] Result<std::vector<std::uint8_t>> clipReaches(OpContext& context, const GroupFormat& format,
                                                            std::span<const float> weights, std::uint64_t rows,
                                                            std::uint64_t cols, std::span<const float> scale,
                                                            const JobContext& job);

}  // namespace sigmascope::gpu
