// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/GgufSource.h"
#include "core/export/architectures/Architecture.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// From the tensors of a checkpoint to those of a GGUF file: names, order, what changes on the way, and whether all is
// there.

namespace sigmascope {

/// One target per tensor, in checkpoint order; derived buffers, tensors without elements (with a note), and those of
/// @p apart left out: of the part for images, and scales of the cache (with notes).
/// @param architecture  of an HF folder; null where it is not known: names are those of a llama.
[[nodiscard]] Result<std::vector<GgufTarget>>
ggufTargetsOf(const Checkpoint& checkpoint, const Architecture* architecture, std::vector<std::string>& notes,
              std::vector<std::size_t>& apart);

/// Embedding first, blocks in order, the rest behind; within a block as in the checkpoint, the parts of a stack
/// together and in order.
void sortByDepth(const Checkpoint& checkpoint, std::vector<GgufTarget>& targets);

/// Rows of q and k of an HF llama change places; every other row stays.
[[nodiscard]] Status markRotated(const Checkpoint& checkpoint, std::vector<GgufTarget>& targets, std::uint32_t heads,
                                 std::uint32_t kvHeads);

/// Tells every part of the experts' stacks how many there are. MissingTensor, naming the first expert that is not
/// there; NotRepresentable for more than @p experts, or two tensors of one place.
[[nodiscard]] Status countParts(const Checkpoint& checkpoint, std::vector<GgufTarget>& targets, std::uint32_t experts);

/// Shapes are those of the configuration, every tensor that llama.cpp insists on is there, none that it does not know.
[[nodiscard]] Status checkTargets(const Checkpoint& checkpoint, const Architecture& architecture,
                                  const ModelConfig& config, const std::vector<GgufTarget>& targets, bool needsOutput);

void dropOutput(std::vector<GgufTarget>& targets);

[[nodiscard]] tl::unexpected<Error> failTensor(ErrorCode code, const Checkpoint& checkpoint, const TensorInfo& tensor,
                                               std::string_view what);

}  // namespace sigmascope
