// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/CodeCounts.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sigmascope {

struct Histogram {
    double min = 0, max = 0;              ///< edges of the first and last bin
    std::vector<std::uint64_t> counts;    ///< equal-width bins, the last one closed
    std::uint64_t below = 0, above = 0;   ///< finite values outside [min, max]
    std::uint64_t nonFinite = 0;
    bool exact = true;
};

/// Bins of equal width over [min, max]. O(65,536), whatever the tensor's size. NaN and Inf are counted apart.
/// @pre bins >= 1 and min <= max, both finite. min == max gives one bin that holds that value.
[[nodiscard]] Histogram binned(const CodeCounts& codes, double min, double max, std::size_t bins);

}  // namespace sigmascope
