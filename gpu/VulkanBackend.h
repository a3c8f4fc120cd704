// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What the rest of the program sees of the GPU: no Vulkan type appears here.

#include "core/compute/ComputeBackend.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope {

/// For tests: what a backend has done on its device, so that each of it can be made to go wrong.
struct VulkanCounts {
    std::uint64_t allocations = 0, submissions = 0, dispatches = 0, results = 0;
};

/// For tests: makes a device look smaller or less reliable than it is. Zero means "as it is"; counts begin at 1 and
/// run on when the device is opened again.
struct VulkanLimits {
    Bytes bindingBytes = 0;  ///< largest storage buffer binding
    Bytes memoryBytes = 0;  ///< device memory this backend may allocate; beyond it: out of memory
    std::uint64_t failsAllocationAt = 0;  ///< this allocation of device memory finds none
    std::uint64_t losesDeviceAt = 0;  ///< this submission reports a lost device
    std::uint64_t skipsDispatchAt = 0;  ///< this dispatch does not happen, and nothing says so
    std::uint64_t spoilsResultAt = 0;  ///< this slice's result arrives with wrong values
    bool keepsFailing = false;  ///< the three other than losesDeviceAt go on failing from then on
    bool staysLost = false;  ///< every submission after losesDeviceAt reports the loss again
    /// Where compiled pipelines are kept; nothing means $XDG_CACHE_HOME/sigmascope. An empty path keeps none.
    std::optional<std::filesystem::path> cacheFolder{};
    VulkanCounts* counts = nullptr;  ///< kept up to date; outlives the backend
};

/// Every Vulkan device of this machine, best first (discrete, integrated, virtual, software; the larger memory within
/// a kind), as "vulkan:0", "vulkan:1", … Empty when there is no Vulkan loader or driver. Software devices and drivers
/// on the deny-list carry a reason why they are not chosen or not usable.
[[nodiscard]] std::vector<DeviceInfo> listVulkanDevices();

/// Why that list is empty: no loader, no driver, no device. Empty if it is not.
[[nodiscard]] std::string vulkanObstacle();

/// Index of the device that "auto" takes: usable and not software, of the first kind, and of several of that kind the
/// fastest, which is measured once and remembered (gpu/DeviceChoice.h); -1 if there is none.
[[nodiscard]] int bestVulkanDevice();

/// What gpu/KernelTable.cpp has kernels for, on one device; other types are UnsupportedType. DeviceUnavailable, with
/// the reason, when there is no loader, no driver or no such index.
///
/// Thread-safe: one mutex around each op, so that one thread submits at a time. Memory that runs out makes slices
/// smaller, then OutOfMemory. A lost device is opened once more and the op begun again; lost twice, it answers
/// DeviceFailed from then on. A slice that was not written, or a result that differs from the CPU's where it is
/// looked at, is done once more, and the second time the device counts as failed.
///
/// SIGMASCOPE_VK_VALIDATION=1 in the environment switches the validation layer on, with synchronization
/// validation; its messages are diagnostics(). If the layer is not installed, diagnostics() says so.
[[nodiscard]] Result<std::unique_ptr<ComputeBackend>> makeVulkanBackend(int index, const VulkanLimits& limits = {});

}  // namespace sigmascope
