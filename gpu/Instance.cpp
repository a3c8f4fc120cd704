// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/Instance.h"

#include "gpu/VulkanError.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

namespace sigmascope::gpu {

namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";
constexpr std::size_t kMessagesKept = 100;

VKAPI_ATTR VkBool32 VKAPI_CALL onMessage(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                         VkDebugUtilsMessageTypeFlagsEXT,
                                         const VkDebugUtilsMessengerCallbackDataEXT* data, void* log)
{
    static_cast<MessageLog*>(log)->add(
        fmt::format("{}: {}", (severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) != 0 ? "error" : "warning",
                    data != nullptr && data->pMessage != nullptr ? data->pMessage : "(no text)"));
    return VK_FALSE;
}

/// Once per process. The entry points fetched from the first instance are the loader's own, which serve
/// every instance; only extensions need a look-up for each.
void loadEntryPoints(VkInstance instance)
{
    static std::once_flag loaded;
    std::call_once(loaded, [instance] { volkLoadInstanceOnly(instance); });
}

bool hasValidationLayer()
{
    std::uint32_t count = 0;
    vkEnumerateInstanceLayerProperties(&count, nullptr);
    std::vector<VkLayerProperties> layers(count);
    if (count == 0 || vkEnumerateInstanceLayerProperties(&count, layers.data()) < VK_SUCCESS)
        return false;
    return std::any_of(layers.begin(), layers.end(), [](const VkLayerProperties& layer) {
        return std::strcmp(static_cast<const char*>(layer.layerName), kValidationLayer) == 0;
    });
}

bool hasExtension(const char* layer, std::string_view name)
{
    std::uint32_t count = 0;
    vkEnumerateInstanceExtensionProperties(layer, &count, nullptr);
    std::vector<VkExtensionProperties> extensions(count);
    if (count == 0 || vkEnumerateInstanceExtensionProperties(layer, &count, extensions.data()) < VK_SUCCESS)
        return false;
    return std::any_of(extensions.begin(), extensions.end(), [name](const VkExtensionProperties& extension) {
        return name == static_cast<const char*>(extension.extensionName);
    });
}

struct Kind {
    std::string_view name;
    int rank;
};

Kind kindOf(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return {"discrete", 0};
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return {"integrated", 1};
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return {"virtual", 2};
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
    default:
        return {"software", 3};
    }
}

/// A family with compute, preferably without graphics: such a queue does not wait behind the desktop.
std::optional<std::uint32_t> computeFamily(VkPhysicalDevice device)
{
    std::uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
    std::optional<std::uint32_t> found;
    for (std::uint32_t i = 0; i < count; ++i) {
        const VkQueueFlags flags = families[i].queueFlags;
        if ((flags & VK_QUEUE_COMPUTE_BIT) == 0)
            continue;
        if ((flags & VK_QUEUE_GRAPHICS_BIT) == 0)
            return i;
        if (!found)
            found = i;
    }
    return found;
}

bool hasDeviceExtension(VkPhysicalDevice device, std::string_view name)
{
    std::uint32_t count = 0;
    vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
    std::vector<VkExtensionProperties> extensions(count);
    if (count == 0 || vkEnumerateDeviceExtensionProperties(device, nullptr, &count, extensions.data()) < VK_SUCCESS)
        return false;
    return std::any_of(extensions.begin(), extensions.end(), [name](const VkExtensionProperties& extension) {
        return name == static_cast<const char*>(extension.extensionName);
    });
}

PhysicalDevice described(VkPhysicalDevice handle)
{
    PhysicalDevice device;
    device.handle = handle;
    vkGetPhysicalDeviceProperties(handle, &device.properties);
    vkGetPhysicalDeviceMemoryProperties(handle, &device.memory);
    const VkPhysicalDeviceProperties& properties = device.properties;
    DeviceInfo& info = device.info;
    info.name = escaped(static_cast<const char*>(properties.deviceName));
    info.kind = kindOf(properties.deviceType).name;
    for (std::uint32_t i = 0; i < device.memory.memoryHeapCount; ++i)
        if ((device.memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
            info.memoryBytes = std::max<Bytes>(info.memoryBytes, device.memory.memoryHeaps[i].size);
    info.driver = fmt::format("Vulkan {}.{}.{}", VK_API_VERSION_MAJOR(properties.apiVersion),
                              VK_API_VERSION_MINOR(properties.apiVersion), VK_API_VERSION_PATCH(properties.apiVersion));
    const auto family = computeFamily(handle);
    device.queueFamily = family.value_or(0);
    device.maxBufferSize = VkDeviceSize{1} << 30;  // before maintenance3: what every driver seen takes
    if (std::string missing = missingFeature(properties.apiVersion, family.has_value()); !missing.empty()) {
        info.usable = false;
        info.reason = std::move(missing);
        return device;
    }
    VkPhysicalDeviceMaintenance3Properties limits{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, nullptr,
                                                  0, 0};
    VkPhysicalDeviceDriverProperties driver{};
    driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
    const bool namesDriver = properties.apiVersion >= VK_API_VERSION_1_2;
    if (namesDriver)
        limits.pNext = &driver;
    VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &limits, {}};
    vkGetPhysicalDeviceProperties2(handle, &all);
    device.maxBufferSize = limits.maxMemoryAllocationSize;
    device.tellsBudget = hasDeviceExtension(handle, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    const std::string denied = denialReason(
        {driver.driverID, static_cast<const char*>(driver.driverName), driver.conformanceVersion, namesDriver},
        info.name);
    if (namesDriver)
        info.driver += fmt::format(", {} {}", escaped(static_cast<const char*>(driver.driverName)),
                                   escaped(static_cast<const char*>(driver.driverInfo)));
    if (!denied.empty()) {
        info.usable = false;
        info.reason = denied;
    } else if (info.kind == "software") {
        info.reason = "software device: slower than the native CPU code, used only when asked for";
    }
    return device;
}

}  // namespace

std::string missingFeature(std::uint32_t apiVersion, bool hasComputeQueue)
{
    if (apiVersion < VK_API_VERSION_1_1)
        return "needs Vulkan 1.1";
    return hasComputeQueue ? std::string() : "has no compute queue";
}

std::string denialReason(const DriverIdentity& driver, std::string_view deviceName)
{
    const char* const listed = std::getenv("SIGMASCOPE_VK_DENY");
    const std::string_view word = listed == nullptr ? std::string_view() : std::string_view(listed);
    if (!word.empty()
        && (deviceName.find(word) != std::string_view::npos || driver.name.find(word) != std::string::npos))
        return fmt::format("denied by SIGMASCOPE_VK_DENY={}", escaped(word));
    if (!driver.isKnown)
        return {};
    // Vulkan on top of Direct3D 12; its own authors call it incomplete, and it is a second copy of a device that
    // has a driver of its own.
    if (driver.id == VK_DRIVER_ID_MESA_DOZEN)
        return "driver on the deny-list: Vulkan over Direct3D 12 (Dozen) is not complete";
    const VkConformanceVersion& tested = driver.conformance;
    if (tested.major == 0 && tested.minor == 0 && tested.subminor == 0 && tested.patch == 0)
        return "driver on the deny-list: it reports that it passed no conformance test";
    return {};
}

void MessageLog::add(std::string message)
{
    const std::lock_guard lock(m_mutex);
    if (m_messages.size() < kMessagesKept)
        m_messages.push_back(std::move(message));
}

std::vector<std::string> MessageLog::messages() const
{
    const std::lock_guard lock(m_mutex);
    return m_messages;
}

bool validationWanted()
{
    const char* value = std::getenv("SIGMASCOPE_VK_VALIDATION");
    return value != nullptr && std::string_view(value) == "1";
}

Result<std::unique_ptr<Instance>> Instance::create(bool validation)
{
    static const VkResult loader = volkInitialize();
    if (loader != VK_SUCCESS)
        return fail(ErrorCode::DeviceUnavailable, "no Vulkan loader (libvulkan.so.1) on this machine");
    std::unique_ptr<Instance> instance(new Instance);
    if (const Status opened = instance->open(validation); !opened)
        return passOn(opened);
    return instance;
}

Status Instance::open(bool validation)
{
    if (volkGetInstanceVersion() < VK_API_VERSION_1_1)
        return fail(ErrorCode::DeviceUnavailable, "the Vulkan loader is older than 1.1");
    if (validation && !hasValidationLayer()) {
        m_log.add(fmt::format("error: validation was asked for, but {} is not installed", kValidationLayer));
        validation = false;
    }
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pApplicationName = "sigmascope";
    application.apiVersion = VK_API_VERSION_1_1;

    VkDebugUtilsMessengerCreateInfoEXT messenger{};
    messenger.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    messenger.messageSeverity
        = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    // Not "general": those are the loader's remarks about other drivers.
    messenger.messageType
        = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
    messenger.pfnUserCallback = onMessage;
    messenger.pUserData = &m_log;

    const VkValidationFeatureEnableEXT synchronization = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    VkValidationFeaturesEXT features{
        VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT, &messenger, 1, &synchronization, 0, nullptr};

    const std::array<const char*, 1> layers{kValidationLayer};
    std::vector<const char*> extensions;
    VkInstanceCreateInfo create{};
    create.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    create.pApplicationInfo = &application;
    if (validation) {
        extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
        create.pNext = &messenger;
        if (hasExtension(kValidationLayer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME)) {
            extensions.push_back(VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
            create.pNext = &features;
        }
        create.enabledLayerCount = static_cast<std::uint32_t>(layers.size());
        create.ppEnabledLayerNames = layers.data();
    }
    create.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    create.ppEnabledExtensionNames = extensions.data();
    if (const VkResult result = vkCreateInstance(&create, nullptr, &m_instance); result != VK_SUCCESS) {
        m_instance = VK_NULL_HANDLE;
        return fail(ErrorCode::DeviceUnavailable,
                    fmt::format("no Vulkan driver: vkCreateInstance answered {}", resultName(result)));
    }
    loadEntryPoints(m_instance);
    return validation ? openMessenger(messenger) : Status{};
}

Status Instance::openMessenger(const VkDebugUtilsMessengerCreateInfoEXT& description)
{
    const auto createMessenger = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
        vkGetInstanceProcAddr(m_instance, "vkCreateDebugUtilsMessengerEXT"));
    if (createMessenger == nullptr || createMessenger(m_instance, &description, nullptr, &m_messenger) != VK_SUCCESS)
        return fail(ErrorCode::DeviceUnavailable, "the validation layer's messages cannot be received");
    return {};
}

Instance::~Instance()
{
    if (m_messenger != VK_NULL_HANDLE) {
        const auto destroyMessenger = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
            vkGetInstanceProcAddr(m_instance, "vkDestroyDebugUtilsMessengerEXT"));
        if (destroyMessenger != nullptr)
            destroyMessenger(m_instance, m_messenger, nullptr);
    }
    if (m_instance != VK_NULL_HANDLE)
        vkDestroyInstance(m_instance, nullptr);
}

std::vector<PhysicalDevice> Instance::devices() const
{
    std::uint32_t count = 0;
    vkEnumeratePhysicalDevices(m_instance, &count, nullptr);
    std::vector<VkPhysicalDevice> handles(count);
    if (count == 0 || vkEnumeratePhysicalDevices(m_instance, &count, handles.data()) < VK_SUCCESS)
        return {};
    handles.resize(count);
    std::vector<PhysicalDevice> devices;
    for (VkPhysicalDevice handle : handles)
        devices.push_back(described(handle));
    std::stable_sort(devices.begin(), devices.end(), [](const PhysicalDevice& a, const PhysicalDevice& b) {
        const int rankA = kindOf(a.properties.deviceType).rank;
        const int rankB = kindOf(b.properties.deviceType).rank;
        return rankA != rankB ? rankA < rankB : a.info.memoryBytes > b.info.memoryBytes;
    });
    for (std::size_t i = 0; i < devices.size(); ++i)
        devices[i].info.id = fmt::format("vulkan:{}", i);
    return devices;
}

}  // namespace sigmascope::gpu
