// SPDX-License-Identifier: GPL-3.0-or-later
#define SIGMASCOPE_VECTOR_BYTES 32
#define SIGMASCOPE_KERNEL_TABLE kKernelsBlocksAvx2
#include "core/compute/kernels/BlockImplementation.h"
