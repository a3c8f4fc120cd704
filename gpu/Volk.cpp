// SPDX-License-Identifier: GPL-3.0-or-later
// The implementation of volk, alone in its file: it is third-party C code.

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#define VOLK_IMPLEMENTATION
#include "gpu/Vulkan.h"
#pragma GCC diagnostic pop
