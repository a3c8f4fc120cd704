// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Vulkan.h"

#include "core/base/Result.h"

#include <string>
#include <string_view>

namespace sigmascope::gpu {

/// "VK_ERROR_DEVICE_LOST", or the number of a code not known here.
[[nodiscard]] std::string resultName(VkResult result);

/// OutOfMemory for the two out-of-memory codes, DeviceFailed for every other; names the call.
[[nodiscard]] tl::unexpected<Error> vulkanError(VkResult result, std::string_view call);

}  // namespace sigmascope::gpu
