// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/base/Result.h"

#include <cstdint>
#include <span>

namespace sigmascope {

/// NonFinite with "non-finite values: N, first at row R, column C" unless every weight is finite: what every
/// encoder asks before it looks at a scale, because one NaN would silently become a code.
/// Cancelled once @p stop is requested. @pre weights.size() is a multiple of cols.
[[nodiscard]] Status checkFinite(std::span<const float> weights, std::uint64_t cols, const std::stop_token& stop = {});

}  // namespace sigmascope
