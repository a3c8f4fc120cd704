// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace sigmascope {

/// A matrix that is read a few rows at a time, beside what its grid makes of those rows. Rows are coded on their own, so
/// nothing of it is ever held as a whole.
struct MatrixRows {
    std::uint64_t rows = 0, cols = 0;
    /// Fills [n x cols], row-major, from row @p first. Called from several threads at once.
    std::function<Status(std::uint64_t first, std::span<float> out)> weights{};
    /// E = W - Q of whole rows, given W. Empty where there is no grid. Called from several threads at once.
    std::function<Status(std::span<const float> weights, std::span<float> residual)> residual{};
    /// Diagonal of S [cols]: what each input weighs. Empty for the plain metric.
    std::vector<float> scale{};
};

/// Rows that are read at once: about this many elements, one row at least.
inline constexpr std::uint64_t kRowsAtOnce = 131072;

}  // namespace sigmascope
