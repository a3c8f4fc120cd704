// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The one door to Vulkan. The loader is opened at run time by volk (header-only; its implementation is in
// Volk.cpp), so that the program starts and lists its CPU on machines without any Vulkan.

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <volk.h>
