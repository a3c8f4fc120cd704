// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Faults.h"
#include "gpu/Instance.h"

#include <cstdint>
#include <memory>

namespace sigmascope::gpu {

/// One opened device with one compute queue. One thread at a time; every object made on it must go first.
class Device {
public:
    /// DeviceUnavailable when there is no such index or the device cannot be used. @param faults outlives it.
    [[nodiscard]] static Result<std::unique_ptr<Device>> create(int index, bool validation, Faults& faults);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    [[nodiscard]] VkDevice handle() const { return m_device; }
    [[nodiscard]] const VolkDeviceTable& api() const { return m_api; }
    [[nodiscard]] std::uint32_t queueFamily() const { return m_physical.queueFamily; }
    [[nodiscard]] const DeviceInfo& info() const { return m_physical.info; }
    [[nodiscard]] const VkPhysicalDeviceProperties& properties() const { return m_physical.properties; }
    [[nodiscard]] const VkPhysicalDeviceMemoryProperties& memory() const { return m_physical.memory; }
    /// Largest buffer that fits one storage binding and one allocation.
    [[nodiscard]] Bytes maxBinding() const { return m_maxBinding; }
    /// What may still be allocated from a heap by one that has @p allocated bytes of it: as VK_EXT_memory_budget
    /// says now (other programs' use included), else four fifths of the heap.
    [[nodiscard]] Bytes memoryLeft(std::uint32_t heap, Bytes allocated) const;
    [[nodiscard]] std::uint32_t maxWorkgroups() const;
    [[nodiscard]] std::uint32_t maxWorkgroupsY() const;
    [[nodiscard]] bool isValidating() const { return m_instance->isValidating(); }
    [[nodiscard]] std::vector<std::string> messages() const { return m_instance->messages(); }
    [[nodiscard]] Faults& faults() { return m_faults; }

    /// Queues a recorded command buffer. A lost device is latched: nothing is submitted to it again.
    [[nodiscard]] Status submit(VkCommandBuffer commands, VkFence fence);
    /// Waits for a fence; a device that does not answer within a minute counts as lost.
    [[nodiscard]] Status wait(VkFence fence);
    [[nodiscard]] bool isLost() const { return m_lost; }

private:
    explicit Device(Faults& faults)
        : m_faults(faults)
    {
    }
    [[nodiscard]] Status open(int index, bool validation);
    [[nodiscard]] tl::unexpected<Error> lost(VkResult result, std::string_view call);

    Faults& m_faults;
    std::unique_ptr<Instance> m_instance;
    PhysicalDevice m_physical;
    VkDevice m_device = VK_NULL_HANDLE;
    VkQueue m_queue = VK_NULL_HANDLE;
    VolkDeviceTable m_api{};
    Bytes m_maxBinding = 0;
    bool m_lost = false;
};

}  // namespace sigmascope::gpu
