// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/Composition.h"

#ifdef SIGMASCOPE_HAVE_VULKAN
#include "gpu/VulkanBackend.h"
#endif

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace sigmascope
{

namespace
{

#ifdef SIGMASCOPE_HAVE_VULKAN
Result<std::unique_ptr<ComputeBackend>> vulkanBackend(int index)
{
    auto vulkan = makeVulkanBackend(index);
    if (!vulkan)
        return passOn(vulkan);
    return makeFallbackBackend(std::move(*vulkan), makeCpuBackend());
}
#else
std::vector<DeviceInfo> listVulkanDevices()
{
    return {};
}

std::string vulkanObstacle()
{
    return "this build has no Vulkan backend";
}

int bestVulkanDevice()
{
    return -1;
}

Result<std::unique_ptr<ComputeBackend>> vulkanBackend(int)
{
    return fail(ErrorCode::DeviceUnavailable, "this build has no Vulkan backend; --device cpu works everywhere");
}
#endif

std::optional<int> indexOf(std::string_view digits)
{
    int index = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error != std::errc() || end != digits.data() + digits.size() || index < 0)
        return std::nullopt;
    return index;
}

} // namespace

std::vector<DeviceInfo> listDevices()
{
    std::vector<DeviceInfo> devices{makeCpuBackend()->device()};
    std::vector<DeviceInfo> vulkan = listVulkanDevices();
    if (devices.front().reason.empty() && bestVulkanDevice() >= 0)
        devices.front().reason = "auto prefers a GPU";
    else if (devices.front().reason.empty() && vulkan.empty())
        devices.front().reason = "no GPU: " + vulkanObstacle();
    devices.insert(devices.end(), std::make_move_iterator(vulkan.begin()), std::make_move_iterator(vulkan.end()));
    return devices;
}

Result<std::unique_ptr<ComputeBackend>> makeBackend(std::string_view device)
{
    if (device == "cpu")
        return makeCpuBackend();
    if (device == "auto") {
        if (const int best = bestVulkanDevice(); best >= 0) {
            if (auto vulkan = vulkanBackend(best))
                return vulkan;
        }
        return makeCpuBackend();
    }
    if (device == "vulkan")
        return vulkanBackend(0);
    constexpr std::string_view kPrefix = "vulkan:";
    if (device.starts_with(kPrefix)) {
        if (const auto index = indexOf(device.substr(kPrefix.size())))
            return vulkanBackend(*index);
    }
    return fail(ErrorCode::InvalidOption,
                fmt::format("unknown device '{}': expected auto, cpu, vulkan or vulkan:N", escaped(device)));
}

} // namespace sigmascope
