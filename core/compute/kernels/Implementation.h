// SPDX-License-Identifier: GPL-3.0-or-later

// The one implementation of the kernel table. Included once by each Kernels<Level>.cpp, which says how wide
// a vector is (SIGMASCOPE_VECTOR_BYTES) and what the table is called; hence no #pragma once.

#include "core/compute/kernels/EncodeKernels.h"
#include "core/compute/kernels/GroupKernels.h"
#include "core/compute/kernels/RowSquares.h"
#include "core/compute/kernels/StatsKernels.h"

namespace sigmascope::kernels {

const KernelTable SIGMASCOPE_KERNEL_TABLE = {
    SIGMASCOPE_KERNEL_LEVEL,
    stats<F32Element>,
    stats<F16Element>,
    stats<Bf16Element>,
    scan<F32Element>,
    scan<F16Element>,
    scan<Bf16Element>,
    outside16,
    outside32,
    encodeQ8_0,
    encodeSymmetric<false>,
    encodeFromMinimum<false>,
    encodeSymmetric<true>,
    encodeFromMinimum<true>,
    groupMagnitudes,
    groupRanges,
    codeGroups,
    restoreGroups,
    codeLevels,
    storedLoss,
    groupLoss,
    levelLoss,
    rowSquares,
};

}  // namespace sigmascope::kernels
