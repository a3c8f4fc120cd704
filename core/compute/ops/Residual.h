// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/Coded.h"
#include "core/compute/MatrixProducts.h"

#include <memory>

namespace sigmascope {

/// Rows [first, first + count) of E = W - Q; W as it is when the source has no codes.
/// @pre out.size() == count * cols.
void residualRows(const ResidualSource& source, std::uint64_t first, std::uint64_t count, std::span<float> out);

/// One element of E, without the rest of its row.
[[nodiscard]] double residualElement(const ResidualSource& source, std::uint64_t row, std::uint64_t col);

/// The reference of ComputeBackend::errorSums. UnsupportedType, Cancelled.
[[nodiscard]] Result<ErrorSums> residualSums(const ResidualSource& source, std::span<const float> scale,
                                             const JobContext& job);

/// The reference of ComputeBackend::products: tiles of rows of E, by BLAS; E is never whole in memory.
[[nodiscard]] Result<std::unique_ptr<MatrixProducts>> residualProducts(const ResidualSource& source);

/// The reference of ComputeBackend::gram, in double.
void panelGram(const PanelPair& panels, std::span<double> out);

}  // namespace sigmascope
