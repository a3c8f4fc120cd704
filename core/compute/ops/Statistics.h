// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/Kernels.h"
#include "core/compute/TensorStats.h"
#include "core/tensor/TensorView.h"

namespace sigmascope {

/// Counts, extremes and moments in one reading: every field of TensorStats but `outliers`, which stays 0.
/// F32, F16 and BF16 run native kernels; F64 and integers of 32 bits and more are reduced as doubles; everything
/// else is decoded to float first. m4 of F64 values beyond 1e77 overflows to infinity.
/// UnsupportedType if the type cannot be decoded; Cancelled.
[[nodiscard]] Result<TensorStats> moments(const TensorView& view, const JobContext& job,
                                          const kernels::KernelTable& table = kernelTable());

/// Every field, the reference for all devices: the same, and a second reading of those chunks that hold a value
/// beyond 6 standard deviations.
[[nodiscard]] Result<TensorStats> statistics(const TensorView& view, const JobContext& job,
                                             const kernels::KernelTable& table = kernelTable());

}  // namespace sigmascope
