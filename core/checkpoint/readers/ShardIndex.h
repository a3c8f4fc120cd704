// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/readers/Findings.h"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// A model.safetensors.index.json: which tensor lies in which file of the same folder. Every file name
/// is a bare one; no path in it can leave the folder.
struct ShardIndex {
    struct Entry {
        std::string_view tensor;  ///< borrows the index file's mapping or `unescaped`
        std::uint32_t shard;      ///< index into files
        std::uint64_t offset;     ///< of the name, in the index file
    };
    std::vector<std::string> files;  ///< each once, in order of name
    std::vector<Entry> entries;
    std::deque<std::string> unescaped;
    std::optional<std::uint64_t> totalSize;
};

/// UnsafePath naming the first entry whose file name is not a bare one.
[[nodiscard]] Result<ShardIndex> readShardIndex(const MappedFile& file, Findings& findings);

/// UnsafePath if @p name in @p folder is a link to a place outside of it. A model hub's cache, where
/// snapshots/REVISION/NAME links to ../../blobs/HASH, is such a place that is allowed.
[[nodiscard]] Status refuseLinkOutOf(const std::filesystem::path& folder, const std::string& name);

}  // namespace sigmascope
