// SPDX-License-Identifier: GPL-3.0-or-later
#define SIGMASCOPE_VECTOR_BYTES 32
#define SIGMASCOPE_KERNEL_LEVEL "avx2"
#define SIGMASCOPE_KERNEL_TABLE kKernelsSearchAvx2
#include "core/compute/kernels/SearchImplementation.h"
