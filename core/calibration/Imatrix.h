// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sigmascope {

/// Activation statistics of one weight matrix: mean of x_j^2 over tokens per input column.
struct ImatrixEntry {
    std::vector<float> meanSquares;  ///< [matrices x cols]; one matrix unless experts are stacked
    std::uint64_t matrices = 1;
    double tokens = 0;               ///< fewest of the matrices; 0 when the format does not tell (legacy)
};

/// An importance matrix of llama.cpp, GGUF or legacy .dat, told apart by content (formats.md §6).
/// Entries with a non-finite, negative or all-zero column set are kept out of `entries` and listed in
/// `unusable`: those tensors fall back to the plain metric, and the results say so.
struct Imatrix {
    std::filesystem::path path;
    std::vector<std::string> datasets;
    std::uint32_t chunks = 0;
    std::uint32_t chunkSize = 0;  ///< 0 = not told (legacy)
    bool legacy = false;
    std::unordered_map<std::string, ImatrixEntry> entries;  ///< by GGUF tensor name with ".weight"
    std::vector<std::string> unusable;                      ///< "NAME: reason"

    /// By HF or GGUF tensor name; null if absent or its column count differs from @p cols.
    [[nodiscard]] const ImatrixEntry* find(std::string_view tensorName, std::uint64_t cols) const;
};

/// Every size is checked against the file before it is allocated; BadCalibration, Truncated, … name file and offset.
[[nodiscard]] Result<Imatrix> readImatrix(const std::filesystem::path& path);

}  // namespace sigmascope
