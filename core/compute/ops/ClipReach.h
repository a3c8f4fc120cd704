// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/Coded.h"

#include <vector>

namespace sigmascope {

/// Reaches are counted in these parts of a group's range.
inline constexpr int kReachParts = 160;

/// What a group loses when it is coded with reach / kReachParts of its range: sum s_j^2 (w_j - q_j)^2 in double.
/// Infinite if the scale does not fit f16. @param scale of the group's columns, or empty.
[[nodiscard]] double clippedLoss(const GroupFormat& format, std::span<const float> group,
                                 std::span<const float> scale, int reach);

/// The ladder of solver 'clip-search' (core/solve/solvers/ClipSearch.cpp) over one group: steps of 8 down to 48 while
/// the loss stays under eight times the least, then around the best in steps of 4, 2 and 1.
[[nodiscard]] int bestReach(const GroupFormat& format, std::span<const float> group, std::span<const float> scale);

/// The reference of ComputeBackend::clipReaches. Cancelled.
[[nodiscard]] Result<std::vector<std::uint8_t>> clipReaches(const GroupFormat& format, std::span<const float> weights,
                                                            std::uint64_t rows, std::uint64_t cols,
                                                            std::span<const float> scale, const JobContext& job);

}  // namespace sigmascope
