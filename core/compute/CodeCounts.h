// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/TensorStats.h"
#include "core/tensor/TensorView.h"

#include <cstdint>
#include <vector>

namespace sigmascope {

/// How often each stored code of a 16-bit type occurs (65,536 counts): the whole distribution, exactly.
/// Any displayed histogram is derived from it without touching the tensor again. 8-bit types use the
/// first 256 entries. Other types (F32, F64, integers, block formats) are counted by the upper 16 bits of
/// their float value (as BF16, truncated toward zero), and `exactCodes` is false: bin edges are then
/// resolved to one part in 128, and the histogram says so.
struct CodeCounts {
    DType codeType = DType::BF16;         ///< type whose codes index `counts`
    bool exactCodes = true;
    std::vector<std::uint64_t> counts;    ///< 65,536, or 256 for F8
};

/// Counts of a whole tensor, on the CPU (memory-bound there).
[[nodiscard]] Result<CodeCounts> codeCounts(const TensorView& view, const JobContext& job);

/// Float value of one code of a CodeCounts' type.
[[nodiscard]] float codeValue(DType codeType, std::uint32_t code);

/// Elements further than 6 stddev from the mean; exact for exactCodes.
[[nodiscard]] std::uint64_t outliersFrom(const CodeCounts& codes, const TensorStats& stats);

}  // namespace sigmascope
