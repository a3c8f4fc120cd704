// SPDX-License-Identifier: GPL-3.0-or-later
#define SIGMASCOPE_VECTOR_BYTES 64
#define SIGMASCOPE_KERNEL_LEVEL "avx512"
#define SIGMASCOPE_KERNEL_TABLE kKernelsSearchAvx512
#include "core/compute/kernels/SearchImplementation.h"
