// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/OpContext.h"

#include "core/tensor/DType.h"

#include <cstddef>
#include <span>

namespace sigmascope::gpu {

/// Q4_0 and Q8_0, and the types of super-blocks (SuperEncodeOp.h), byte-equal to the reference wherever products and sums of floats round to nearest even.
/// Blocks whose scale is below 2^-103 are done by the reference. Its errors (NonFinite, ScaleOutOfRange) are ours.
[[nodiscard]] Status encode(OpContext& context, DType type, std::span<const float> weights, std::uint64_t rows,
                            std::uint64_t cols, std::span<std::byte> out, const JobContext& job);

/// How the reference's codes of a few rows must compare with @p out, the device's: equal but for at most one byte in
/// a thousand (a device need not divide exactly), or one super-block.
[[nodiscard]] Status spotCheckCodes(OpContext& context, const CodeFormat& format, std::span<const float> weights,
                                    std::uint64_t rows, std::uint64_t cols, std::span<const std::byte> out);

}  // namespace sigmascope::gpu
