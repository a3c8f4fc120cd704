// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

namespace sigmascope::test {

/// Bytes that operator new has handed out and not got back: the most at any time since the last reset,
/// beyond what was out then. A program that includes AllocationMeter.cpp in its sources counts.
void resetAllocationPeak();
[[nodiscard]] std::size_t allocationPeak();

/// From here on allocations of @p atLeast bytes count from 1, and the @p nth throws std::bad_alloc (0: none does), or
/// all of them from it on.
void failAllocation(std::uint64_t nth, bool andAllAfter = false, std::size_t atLeast = 0);
/// Since failAllocation() was called last.
[[nodiscard]] std::uint64_t allocations();

}  // namespace sigmascope::test
