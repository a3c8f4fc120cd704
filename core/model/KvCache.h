// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/base/Units.h"
#include "core/checkpoint/Checkpoint.h"

#include <cstdint>

namespace sigmascope {

/// What llama.cpp's cache of keys and values of a llama-like model depends on. Lengths in values per head.
struct KvShape {
    std::uint32_t blocks = 0;
    std::uint32_t kvHeads = 0;
    std::uint32_t keyLength = 0;
    std::uint32_t valueLength = 0;
    std::uint32_t trainedContext = 0;  ///< tokens; 0 if the model does not say
    std::uint32_t slidingBlocks = 0;   ///< of the blocks, those that keep a window only (gemma2, gemma3)
    std::uint32_t slidingWindow = 0;   ///< tokens
};

/// From the keys of a GGUF or the config.json beside safetensors. NotRepresentable if there is neither or the heads
/// differ from block to block, InvalidMetadata for values that make no model.
[[nodiscard]] Result<KvShape> kvShapeOf(const Checkpoint& checkpoint);

/// Bytes of the keys and values of @p context tokens, each @p bytesPerValue wide (2: F16, llama.cpp's default). Sliding
/// blocks keep their window and the 512 tokens of one batch beside it. SizeOverflow if they do not fit 64 bits.
[[nodiscard]] Result<Bytes> kvCacheBytes(const KvShape& shape, std::uint64_t context, std::uint64_t bytesPerValue = 2);

}  // namespace sigmascope
