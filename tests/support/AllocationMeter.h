// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>

namespace sigmascope::test {

/// Bytes that operator new has handed out and not got back: the most at any time since the last reset,
/// beyond what was out then. A program that includes AllocationMeter.cpp in its sources counts.
void resetAllocationPeak();
[[nodiscard]] std::size_t allocationPeak();

}  // namespace sigmascope::test
