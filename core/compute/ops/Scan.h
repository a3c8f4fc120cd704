// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/Kernels.h"
#include "core/tensor/TensorView.h"

#include <cstdint>

namespace sigmascope {

/// Extremes and power sums about 0 of the finite values: for scales and energies where no higher moment is
/// asked for. Fixed chunks in index order, same bits on any thread count.
struct ScanSums {
    std::uint64_t count = 0;   ///< all elements
    std::uint64_t finite = 0;
    double min = 0, max = 0;   ///< 0 when finite == 0
    double sum = 0, sumOfSquares = 0;
};

/// Of two parts of one tensor, `b` after `a`; the order of calls fixes the bits of the sums.
[[nodiscard]] ScanSums joined(const ScanSums& a, const ScanSums& b);

/// One reading at close to memory speed for F32, F16 and BF16; other decodable types go through float.
/// UnsupportedType if the type cannot be decoded; Cancelled.
[[nodiscard]] Result<ScanSums> scan(const TensorView& view, const JobContext& job,
                                    const kernels::KernelTable& table = kernelTable());

}  // namespace sigmascope
