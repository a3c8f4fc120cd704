// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <cstdint>
#include <span>

namespace sigmascope {

/// The error of encoders whose rows of @p cols values are not all finite: how many are not, and where the first is.
/// @pre one of them is not.
[[nodiscard]] Status nonFinite(std::span<const float> weights, std::uint64_t cols);

}  // namespace sigmascope
