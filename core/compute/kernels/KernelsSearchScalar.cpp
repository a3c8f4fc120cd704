// SPDX-License-Identifier: GPL-3.0-or-later
#define SIGMASCOPE_VECTOR_BYTES 16
#define SIGMASCOPE_KERNEL_LEVEL "scalar"
#define SIGMASCOPE_KERNEL_TABLE kKernelsSearchScalar
#include "core/compute/kernels/SearchImplementation.h"
