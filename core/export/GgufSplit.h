// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/GgufWriter.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

// A model in several GGUF files, as llama.cpp names and reads them (formats.md §2.6): NAME-00001-of-00003.gguf, each with
// split.no, split.count and split.tensors.count, the model's own keys in the first.

namespace sigmascope {

struct ExportRequest;

/// What one file may hold; 0: no limit.
struct GgufSplitLimits {
    Bytes bytes = 0;            ///< header and padding included; a tensor that is larger by itself gets a file of its own
    std::uint32_t tensors = 0;
};
[[nodiscard]] GgufSplitLimits splitLimitsOf(const ExportRequest& request);

/// Tensors that stand in one file.
struct GgufRun {
    std::size_t begin = 0, end = 0;
};

/// Cuts in the tensors' order: a file is closed before the tensor that it has no room for. Parts of one tensor stay
/// together. One run where everything fits into one file.
[[nodiscard]] std::vector<GgufRun> splitGguf(const GgufSplitLimits& limits, Bytes keyBytes, std::span<const GgufTensorSpec> tensors);

/// split.no, split.count, split.tensors.count. @param number  from 0.
[[nodiscard]] GgufKeys splitKeys(std::size_t number, std::size_t count, std::span<const GgufTensorSpec> tensors);

/// NAME.gguf -> NAME-00002-of-00003.gguf. @param number  from 0. The path itself for a count of 1.
[[nodiscard]] std::filesystem::path splitPathFor(const std::filesystem::path& output, std::size_t number, std::size_t count);

/// Models that an earlier export of this program left under @p output in another number of files, and that would stand
/// beside this one's as if they were as good. @param withBackups  also those that a run cut short had set aside.
[[nodiscard]] std::vector<std::filesystem::path> staleModels(const std::filesystem::path& output,
                                                             std::span<const std::filesystem::path> written, bool withBackups);

}  // namespace sigmascope
