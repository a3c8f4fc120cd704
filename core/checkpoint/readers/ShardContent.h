// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"
#include "core/checkpoint/readers/ResearchContainer.h"

#include <vector>

namespace sigmascope {

/// What one file's header says, validated against that file. The tensors' shard numbers are still 0.
struct ShardContent {
    std::vector<TensorInfo> tensors;
    std::vector<CheckpointWarning> warnings;
    std::vector<HeaderNote> notes;
    std::vector<GgufKey> keys;
    ContainerNotes container{};  ///< of a research container
};

/// How a file is to be read.
struct ReadMode {
    bool strict = false;
    bool partOfSet = false;  ///< a shard: one cut short is listed as such instead of refused
};

[[nodiscard]] Result<ShardContent> readSafetensors(const MappedFile& file, ReadMode mode);
[[nodiscard]] Result<ShardContent> readGguf(const MappedFile& file, ReadMode mode);

}  // namespace sigmascope
