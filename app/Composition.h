// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/ComputeBackend.h"

#include <memory>
#include <string_view>
#include <vector>

namespace sigmascope
{

/// The CPU, then the Vulkan devices, best first. `reason` says why "auto" does not choose a device,
/// and of the CPU why there is no other.
[[nodiscard]] std::vector<DeviceInfo> listDevices();

/// @param device  "auto", "cpu", "vulkan" (the best Vulkan device, a software one if there is no other) or "vulkan:N".
/// "auto" takes a discrete, then an integrated, then a virtual GPU, then the CPU; never a software device, which is
/// slower than the CPU's own kernels. What a Vulkan device has no kernel for runs on the CPU.
/// InvalidOption for another word, DeviceUnavailable when a device was asked for by name and is not there.
[[nodiscard]] Result<std::unique_ptr<ComputeBackend>> makeBackend(std::string_view device);

} // namespace sigmascope
