// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sigmascope {

/// Importances of columns that a search can use: where ggml would make NaN or zeros of sound weights, they are changed.
struct Importances {
    std::vector<float> values;
    std::uint64_t run = 0;  ///< columns of a block
    std::uint64_t repaired = 0;  ///< runs that were changed

    /// What was changed, and how many blocks had to be coded without; empty for nothing.
    [[nodiscard]] std::string inWords(std::uint64_t unweighed, std::uint64_t blocks) const;
};

/// In each run, what is negative or not finite becomes the mean of the others; a run that is all zero becomes all 1.
[[nodiscard]] Importances usableImportances(std::span<const float> given, std::uint64_t run);

/// NonFinite: "non-finite values: N, first at row R, column C". @pre one of the weights is not finite.
[[nodiscard]] Status nonFiniteWeights(std::span<const float> weights, std::uint64_t cols);

}  // namespace sigmascope
