// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/OpContext.h"

namespace sigmascope::gpu {

/// Encodes rows and sums what the codes leave, in one visit. Groups whose values lie below 2^-100, or so far apart
/// that the device's integers cannot tell the scale exactly, are done by the reference, as are sums beyond the range
/// of float squares.
[[nodiscard]] Result<ErrorSums> encodeMeasured(OpContext& context, const CodeFormat& format,
                                               std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                               std::span<const float> scale, std::span<std::byte> out,
                                               const JobContext& job);

/// The sums of codes that are there.
[[nodiscard]] Result<ErrorSums> errorSums(OpContext& context, const ResidualSource& source,
                                          std::span<const float> scale, const JobContext& job);

}  // namespace sigmascope::gpu
