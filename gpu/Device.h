// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Instance.h"
#include "gpu/VulkanBackend.h"

#include <cstdint>
#include <memory>

namespace sigmascope::gpu {

/// One opened device with one compute queue. One thread at a time; every object made on it must go first.
class Device {
public:
    /// DeviceUnavailable when there is no such index or the device cannot be used.
    [[nodiscard]] static Result<std::unique_ptr<Device>> create(int index, bool validation, const VulkanLimits& limits);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    [[nodiscard]] VkDevice handle() const { return m_device; }
    [[nodiscard]] const VolkDeviceTable& api() const { return m_api; }
    [[nodiscard]] std::uint32_t queueFamily() const { return m_physical.queueFamily; }
    [[nodiscard]] const DeviceInfo& info() const { return m_physical.info; }
    [[nodiscard]] const VkPhysicalDeviceMemoryProperties& memory() const { return m_physical.memory; }
    /// Largest buffer that fits one storage binding and one allocation.
    [[nodiscard]] Bytes maxBinding() const { return m_maxBinding; }
    /// Memory that may be allocated in all.
    [[nodiscard]] Bytes memoryBudget() const { return m_memoryBudget; }
    [[nodiscard]] std::uint32_t maxWorkgroups() const;
    [[nodiscard]] bool isValidating() const { return m_instance->isValidating(); }
    [[nodiscard]] std::vector<std::string> messages() const { return m_instance->messages(); }

    /// Queues a recorded command buffer. A lost device is latched: nothing is submitted to it again.
    [[nodiscard]] Status submit(VkCommandBuffer commands, VkFence fence);
    /// Waits for a fence; a device that does not answer within a minute counts as lost.
    [[nodiscard]] Status wait(VkFence fence);
    [[nodiscard]] bool isLost() const { return m_lost; }

private:
    Device() = default;
    [[nodiscard]] Status open(int index, bool validation, const VulkanLimits& limits);
    [[nodiscard]] tl::unexpected<Error> lost(VkResult result, std::string_view call);

    std::unique_ptr<Instance> m_instance;
    PhysicalDevice m_physical;
    VkDevice m_device = VK_NULL_HANDLE;
    VkQueue m_queue = VK_NULL_HANDLE;
    VolkDeviceTable m_api{};
    Bytes m_maxBinding = 0;
    Bytes m_memoryBudget = 0;
    std::uint64_t m_submissions = 0;
    std::uint64_t m_losesDeviceAt = 0;
    bool m_lost = false;
};

}  // namespace sigmascope::gpu
