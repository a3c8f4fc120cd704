// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/tensor/TensorView.h"

#include <cstdint>
#include <span>
#include <vector>

namespace sigmascope {

/// The reference of ComputeBackend::binned. UnsupportedType, Cancelled.
[[nodiscard]] Result<std::vector<std::uint64_t>> binnedCounts(const TensorView& view, std::span<const float> edges,
                                                              const JobContext& job);

/// The reference of ComputeBackend::decode: a whole tensor, in parallel. UnsupportedType, Cancelled.
[[nodiscard]] Status decodeWhole(const TensorView& view, std::span<float> out, const JobContext& job);

}  // namespace sigmascope
