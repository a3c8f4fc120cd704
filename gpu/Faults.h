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

    [[nodiscard]] bool failsThisAllocation() { return isDue(++m_allocations, m_limits.failsAllocationAt); }
    [[nodiscard]] bool losesDeviceNow()
    {
        ++m_submissions;
        return m_limits.losesDeviceAt != 0
            && (m_submissions == m_limits.losesDeviceAt
                || (m_limits.staysLost && m_submissions > m_limits.losesDeviceAt));
    }
    [[nodiscard]] bool skipsThisDispatch() { return isDue(++m_dispatches, m_limits.skipsDispatchAt); }
    [[nodiscard]] bool spoilsThisResult() { return isDue(++m_results, m_limits.spoilsResultAt); }
    [[nodiscard]] const VulkanLimits& limits() const { return m_limits; }

private:
    [[nodiscard]] bool isDue(std::uint64_t count, std::uint64_t at) const
    {
        return at != 0 && (count == at || (m_limits.keepsFailing && count > at));
    }

    VulkanLimits m_limits;
    std::uint64_t m_allocations = 0, m_submissions = 0, m_dispatches = 0, m_results = 0;
};

}  // namespace sigmascope::gpu
