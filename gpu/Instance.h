// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Vulkan.h"

#include "core/compute/ComputeBackend.h"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope::gpu {

/// Messages of the validation layer; written by any thread that calls Vulkan.
class MessageLog {
public:
    void add(std::string message);
    [[nodiscard]] std::vector<std::string> messages() const;

private:
    mutable std::mutex m_mutex;
    std::vector<std::string> m_messages;
};

/// A physical device with what decides whether and when it is chosen.
struct PhysicalDevice {
    VkPhysicalDevice handle = VK_NULL_HANDLE;
    VkPhysicalDeviceProperties properties{};
    VkPhysicalDeviceMemoryProperties memory{};
    VkDeviceSize maxBufferSize = 0;
    std::uint32_t queueFamily = 0;
    bool tellsBudget = false;  ///< has VK_EXT_memory_budget
    DeviceInfo info;
};

/// What a driver says of itself, for the deny-list.
struct DriverIdentity {
    VkDriverId id{};
    std::string name;
    VkConformanceVersion conformance{};
    bool isKnown = false;  ///< before Vulkan 1.2 drivers do not say
};

/// Why a driver is not used: one known to give wrong results or to be unfinished, or one whose device or driver name
/// contains what SIGMASCOPE_VK_DENY in the environment names. Empty if nothing speaks against it.
[[nodiscard]] std::string denialReason(const DriverIdentity& driver, std::string_view deviceName);

/// What a device lacks that every kernel needs; empty if nothing.
[[nodiscard]] std::string missingFeature(std::uint32_t apiVersion, bool hasComputeQueue);

/// The loader and one Vulkan instance, with the validation layer if asked for.
class Instance {
public:
    /// DeviceUnavailable, with the reason, when there is no loader or no driver.
    [[nodiscard]] static Result<std::unique_ptr<Instance>> create(bool validation);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    /// Discrete, integrated, virtual, software; the larger memory within a kind. The index is the N of "vulkan:N".
    [[nodiscard]] std::vector<PhysicalDevice> devices() const;
    /// True when the layer is loaded and its messages arrive in messages().
    [[nodiscard]] bool isValidating() const { return m_messenger != VK_NULL_HANDLE; }
    [[nodiscard]] std::vector<std::string> messages() const { return m_log.messages(); }

private:
    Instance() = default;
    [[nodiscard]] Status open(bool validation);
    [[nodiscard]] Status openMessenger(const VkDebugUtilsMessengerCreateInfoEXT& description);

    VkInstance m_instance = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT m_messenger = VK_NULL_HANDLE;
    MessageLog m_log;
};

/// SIGMASCOPE_VK_VALIDATION=1 in the environment.
[[nodiscard]] bool validationWanted();

}  // namespace sigmascope::gpu
