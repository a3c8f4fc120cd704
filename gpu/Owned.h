// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Vulkan.h"

#include <utility>

namespace sigmascope::gpu {

/// Owns one Vulkan object of a device and destroys it there. The device must outlive it.
template <class T> class Owned {
public:
    using Destroy = void(VKAPI_PTR*)(VkDevice, T, const VkAllocationCallbacks*);

    Owned() = default;
    Owned(VkDevice device, T handle, Destroy destroy)
        : m_device(device)
        , m_handle(handle)
        , m_destroy(destroy)
    {
    }
    Owned(Owned&& other) noexcept
        : m_device(other.m_device)
        , m_handle(std::exchange(other.m_handle, T{}))
        , m_destroy(other.m_destroy)
    {
    }
    Owned& operator=(Owned&& other) noexcept
    {
        std::swap(m_device, other.m_device);
        std::swap(m_handle, other.m_handle);
        std::swap(m_destroy, other.m_destroy);
        return *this;
    }
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned()
    {
        if (m_handle != T{})
            m_destroy(m_device, m_handle, nullptr);
    }

    [[nodiscard]] T get() const { return m_handle; }
    [[nodiscard]] explicit operator bool() const { return m_handle != T{}; }

private:
    VkDevice m_device = VK_NULL_HANDLE;
    T m_handle{};
    Destroy m_destroy = nullptr;
};

}  // namespace sigmascope::gpu
