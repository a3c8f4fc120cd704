// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/readers/ShardContent.h"

#include <optional>
#include <string>
#include <vector>

namespace sigmascope {

// A GGUF model in several files, PREFIX-00001-of-0000N.gguf, each with the keys split.no, split.count and
// split.tensors.count (formats.md §2.6). The first has the model's keys. Keys that disagree with each other
// or with the file names are InconsistentShards: such a set cannot be put together.

/// True if the file says that it is one of several.
[[nodiscard]] bool isGgufSplit(const ShardContent& content);
/// Bare names of all files of the set that @p path belongs to.
[[nodiscard]] Result<std::vector<std::string>> ggufSplitNames(const std::filesystem::path& path, const ShardContent& content);
/// @param number  of the file, from 0.
[[nodiscard]] Status checkGgufSplitKeys(const std::filesystem::path& path, const ShardContent& content, std::size_t number,
                                        std::size_t count);
/// The tensors of all files against split.tensors.count, if no file is absent.
[[nodiscard]] Status checkGgufSplitTotal(const std::filesystem::path& path,
                                         const std::vector<std::optional<Result<ShardContent>>>& contents);
/// True if the names, sorted, are files of one set.
[[nodiscard]] bool areOneGgufSplit(const std::vector<std::filesystem::path>& files);

}  // namespace sigmascope
