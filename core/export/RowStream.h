// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/GgufWriter.h"
#include "core/lowrank/LowRank.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>

namespace sigmascope {

/// Rows of one stored matrix, to be written in GGUF's row order. Borrowed.
struct StoredRows {
    std::span<const std::byte> bytes{};
    std::uint64_t rows = 0, cols = 0;
    std::uint32_t heads = 0;  ///< interleaved for rotary pairs, see sourceRow(); 0: in place
    /// Turns `count` rows into floats.
    std::function<void(std::span<const std::byte> bytes, std::uint64_t count, std::span<float> out)> decode{};
    std::stop_token stop{};   ///< asked once a megabyte
};

/// Appends the rows as they are stored, a megabyte at a time.
[[nodiscard]] Status writeRows(GgufWriter& writer, const StoredRows& rows);

/// Appends the decoded rows as F32, with @p factors' product added when given.
[[nodiscard]] Status writeRowsAsFloat(GgufWriter& writer, const StoredRows& rows, const StoredFactors* factors = nullptr);

}  // namespace sigmascope
