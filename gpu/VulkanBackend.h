// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What the rest of the program sees of the GPU: no Vulkan type appears here.

#include "core/compute/ComputeBackend.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace sigmascope {

/// For tests: makes a device look smaller or less reliable than it is. Zero means "as it is".
struct VulkanLimits {
    Bytes bindingBytes = 0;  ///< largest storage buffer binding
    Bytes memoryBytes = 0;  ///< device memory this backend may allocate; beyond it: out of memory
    std::uint64_t losesDeviceAt = 0;  ///< this submission, counted from 1, reports a lost device
};

/// Every Vulkan device of this machine, best first (discrete, integrated, virtual, software), as
/// "vulkan:0", "vulkan:1", … Empty when there is no Vulkan loader or driver. Software devices carry a
/// reason why "auto" does not choose them.
[[nodiscard]] std::vector<DeviceInfo> listVulkanDevices();

/// Index of the device that "auto" takes: the first usable one that is not software; -1 if there is none.
[[nodiscard]] int bestVulkanDevice();

/// Statistics of BF16, F16 and F32 tensors and encoding to Q4_0 and Q8_0 on one device; other types are
/// UnsupportedType. DeviceUnavailable, with the reason, when there is no loader, no driver or no such index.
///
/// Thread-safe: one mutex around each op, so that one thread submits at a time. A lost device stays lost:
/// every later call answers DeviceFailed.
///
/// SIGMASCOPE_VK_VALIDATION=1 in the environment switches the validation layer on, with synchronization
/// validation; its messages are diagnostics(). If the layer is not installed, diagnostics() says so.
[[nodiscard]] Result<std::unique_ptr<ComputeBackend>> makeVulkanBackend(int index, const VulkanLimits& limits = {});

}  // namespace sigmascope
