// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/Coded.h"

namespace sigmascope {

/// Scale (as its f16 gives it back) and zero point of a group whose values run from @p low to @p high, 0 included.
/// The scale is infinite where f16 cannot hold it. A group of zeros has scale 0.
struct GroupParameters {
    float scale = 0;
    int zero = 0;  ///< code of the value 0: the zero point, or qmax
};
[[nodiscard]] GroupParameters groupParameters(const GroupFormat& format, double low, double high);

/// Nearest codes of INT groups: the bytes of the grids in core/grid/grids/IntGroup.cpp with f16 scales.
/// NonFinite ("non-finite values: N, first at row R, column C"), ScaleOutOfRange, Cancelled.
/// @pre weights.size() == rows * cols, out.size() == rows * format.rowBytes(cols). Rows run in parallel.
[[nodiscard]] Status encodeGroups(const GroupFormat& format, std::span<const float> weights, std::uint64_t rows,
                                  std::uint64_t cols, std::span<std::byte> out, const JobContext& job);

/// Values of coded rows. @pre codes.size() == rows * format.rowBytes(cols), out.size() == rows * cols.
void decodeGroups(const GroupFormat& format, std::span<const std::byte> codes, std::uint64_t rows, std::uint64_t cols,
                  std::span<float> out);

/// Value of one element of a coded row.
[[nodiscard]] float decodedElement(const GroupFormat& format, std::span<const std::byte> row, std::uint64_t cols,
                                   std::uint64_t col);

}  // namespace sigmascope
