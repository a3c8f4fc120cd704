// SPDX-License-Identifier: GPL-3.0-or-later

// The one implementation of the table of blocks, included once by each KernelsBlocks<Level>.cpp; as Implementation.h.

#include "core/compute/kernels/BlockTable.h"
#include "core/compute/kernels/FewLevelKernels.h"
#include "core/compute/kernels/LevelKernels.h"

namespace sigmascope::kernels {

const BlockTable SIGMASCOPE_KERNEL_TABLE = {
    encodeMxfp4, encodeNvfp4, encodeTq1_0, encodeTq2_0, encodeQ1_0, encodeQ2_0, encodeIq4Nl, encodeIq4Xs,
};

}  // namespace sigmascope::kernels
