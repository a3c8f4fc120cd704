// SPDX-License-Identifier: GPL-3.0-or-later

// The one implementation of the search table, included once by each KernelsSearch<Level>.cpp; as Implementation.h.

#include "core/compute/kernels/RowBlockKernels.h"
#include "core/compute/kernels/SymmetricSuperBlocks.h"

namespace sigmascope::kernels {

const SearchTable SIGMASCOPE_KERNEL_TABLE = {
    SIGMASCOPE_KERNEL_LEVEL,
    encodeSuperBlocks<Q2_K>,
    encodeSuperBlocks<Q3_K>,
    encodeSuperBlocks<Q4_K>,
    encodeSuperBlocks<Q5_K>,
    encodeSuperBlocks<Q6_K>,
    encodeRowByImportance<false, false>,
    encodeRowByImportance<true, false>,
    encodeRowByImportance<false, true>,
    encodeRowByImportance<true, true>,
};

}  // namespace sigmascope::kernels
