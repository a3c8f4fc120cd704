// SPDX-License-Identifier: GPL-3.0-or-later
#define SIGMASCOPE_VECTOR_BYTES 64
#define SIGMASCOPE_KERNEL_TABLE kKernelsBlocksAvx512
#include "core/compute/kernels/BlockImplementation.h"
