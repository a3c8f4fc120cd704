// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/OpContext.h"

#include "core/compute/TensorStats.h"
#include "core/tensor/TensorView.h"

namespace sigmascope::gpu {

/// Statistics of a BF16, F16 or F32 tensor on the device. Counts and extremes are exact; outliers too: a
/// tensor with a value so near 6 stddev that float sums cannot decide is done by the reference instead.
/// UnsupportedType for other types; DeviceFailed when a record shows that the kernel did not run.
[[nodiscard]] Result<TensorStats> statistics(OpContext& context, const TensorView& view, const JobContext& job);

}  // namespace sigmascope::gpu
