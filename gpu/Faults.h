// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/VulkanBackend.h"

#include <cstdint>

namespace sigmascope::gpu {

/// Counts what a backend does on its device and says when VulkanLimits wants it to go wrong. One a backend: it
/// outlives a device that was lost and opened again. Guarded by the backend's mutex.
class Faults {
public:
    explicit Faults(const VulkanLimits& limits) : m_limits(limits) {}

    [[nodiscard]] bool failsThisAllocation() { return isDue(++counts().allocations, m_limits.failsAllocationAt); }
    [[nodiscard]] bool losesDeviceNow()
    {
        const std::uint64_t submission = ++counts().submissions;
        return m_limits.losesDeviceAt != 0
            && (submission == m_limits.losesDeviceAt || (m_limits.staysLost && submission > m_limits.losesDeviceAt));
    }
    [[nodiscard]] bool skipsThisDispatch() { return isDue(++counts().dispatches, m_limits.skipsDispatchAt); }
    [[nodiscard]] bool spoilsThisResult() { return isDue(++counts().results, m_limits.spoilsResultAt); }
    [[nodiscard]] const VulkanLimits& limits() const { return m_limits; }

private:
    [[nodiscard]] bool isDue(std::uint64_t count, std::uint64_t at) const
    {
        return at != 0 && (count == at || (m_limits.keepsFailing && count > at));
    }

    [[nodiscard]] VulkanCounts& counts() { return m_limits.counts == nullptr ? m_counts : *m_limits.counts; }

    VulkanLimits m_limits;
    VulkanCounts m_counts;
};

}  // namespace sigmascope::gpu
