// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/NonFinite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sigmascope {

Status nonFinite(std::span<const float> weights, std::uint64_t cols)
{
    const auto isBad = [](float w) { return !std::isfinite(w); };
    const auto first = static_cast<std::uint64_t>(std::ranges::find_if(weights, isBad) - weights.begin());
    return fail(ErrorCode::NonFinite, fmt::format("non-finite values: {}, first at row {}, column {}",
                                                  std::ranges::count_if(weights, isBad), first / cols, first % cols));
}

}  // namespace sigmascope
