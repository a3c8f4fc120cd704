// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/Device.h"

#include "gpu/VulkanError.h"

#include <fmt/format.h>

#include <algorithm>

namespace sigmascope::gpu {

namespace {

constexpr std::uint64_t kPatienceNanoseconds = 60'000'000'000ULL;

}  // namespace

Result<std::unique_ptr<Device>> Device::create(int index, bool validation, Faults& faults)
{
    std::unique_ptr<Device> device(new Device(faults));
    if (const Status opened = device->open(index, validation); !opened)
        return passOn(opened);
    return device;
}

Status Device::open(int index, bool validation)
{
    auto instance = Instance::create(validation);
    if (!instance)
        return passOn(instance);
    m_instance = std::move(*instance);
    auto devices = m_instance->devices();
    if (devices.empty())
        return fail(ErrorCode::DeviceUnavailable, "no Vulkan device on this machine");
    if (index < 0 || static_cast<std::size_t>(index) >= devices.size())
        return fail(ErrorCode::DeviceUnavailable,
                    fmt::format("vulkan:{}: no such device; this machine has vulkan:0 to vulkan:{}", index,
                                devices.size() - 1));
    m_physical = std::move(devices[static_cast<std::size_t>(index)]);
    if (!m_physical.info.usable)
        return fail(ErrorCode::DeviceUnavailable,
                    fmt::format("{} ({}): {}", m_physical.info.id, m_physical.info.name, m_physical.info.reason));

    const float priority = 1.0F;
    VkDeviceQueueCreateInfo queue{};
    queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue.queueFamilyIndex = m_physical.queueFamily;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo create{};
    create.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    create.queueCreateInfoCount = 1;
    create.pQueueCreateInfos = &queue;
    const char* const budget = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    create.enabledExtensionCount = m_physical.tellsBudget ? 1 : 0;
    create.ppEnabledExtensionNames = &budget;
    if (const VkResult result = vkCreateDevice(m_physical.handle, &create, nullptr, &m_device); result != VK_SUCCESS) {
        m_device = VK_NULL_HANDLE;
        return fail(ErrorCode::DeviceUnavailable,
                    fmt::format("{} ({}): vkCreateDevice answered {}", m_physical.info.id, m_physical.info.name,
                                resultName(result)));
    }
    volkLoadDeviceTable(&m_api, m_device);
    m_api.vkGetDeviceQueue(m_device, m_physical.queueFamily, 0, &m_queue);

    const VkPhysicalDeviceLimits& own = m_physical.properties.limits;
    m_maxBinding = std::min<Bytes>(own.maxStorageBufferRange, m_physical.maxBufferSize);
    if (const Bytes limit = m_faults.limits().bindingBytes; limit != 0)
        m_maxBinding = std::min(m_maxBinding, limit);
    return {};
}

Device::~Device()
{
    if (m_device != VK_NULL_HANDLE)
        m_api.vkDestroyDevice(m_device, nullptr);
}

std::uint32_t Device::maxWorkgroups() const
{
    return m_physical.properties.limits.maxComputeWorkGroupCount[0];
}

std::uint32_t Device::maxWorkgroupsY() const
{
    return m_physical.properties.limits.maxComputeWorkGroupCount[1];
}

Bytes Device::memoryLeft(std::uint32_t heap, Bytes allocated) const
{
    const auto rest = [](Bytes all, Bytes used) { return all - std::min(all, used); };
    if (const Bytes limit = m_faults.limits().memoryBytes; limit != 0)
        return rest(limit, allocated);
    if (!m_physical.tellsBudget)
        return rest(m_physical.memory.memoryHeaps[heap].size / 5 * 4, allocated);
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, &budget, {}};
    vkGetPhysicalDeviceMemoryProperties2(m_physical.handle, &memory);
    return rest(budget.heapBudget[heap], budget.heapUsage[heap]);
}

Status Device::submit(VkCommandBuffer commands, VkFence fence)
{
    if (m_lost || m_faults.losesDeviceNow())
        return lost(VK_ERROR_DEVICE_LOST, "vkQueueSubmit");
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &commands;
    const VkResult result = m_api.vkQueueSubmit(m_queue, 1, &info, fence);
    if (result == VK_ERROR_DEVICE_LOST)
        return lost(result, "vkQueueSubmit");
    if (result != VK_SUCCESS)
        return vulkanError(result, "vkQueueSubmit");
    return {};
}

Status Device::wait(VkFence fence)
{
    const VkResult result = m_api.vkWaitForFences(m_device, 1, &fence, VK_TRUE, kPatienceNanoseconds);
    if (result == VK_TIMEOUT || result == VK_ERROR_DEVICE_LOST)
        return lost(result, "vkWaitForFences");
    if (result != VK_SUCCESS)
        return vulkanError(result, "vkWaitForFences");
    return {};
}

tl::unexpected<Error> Device::lost(VkResult result, std::string_view call)
{
    m_lost = true;
    return fail(ErrorCode::DeviceFailed,
                fmt::format("{} ({}): lost; {} answered {}", m_physical.info.id, m_physical.info.name, call,
                            resultName(result)));
}

}  // namespace sigmascope::gpu
