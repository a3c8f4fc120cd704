// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/ModelTopology.h"
#include "core/export/GgufWriter.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace sigmascope {

/// One tensor of a checkpoint on its way into a GGUF file.
struct GgufTarget {
    std::size_t tensor = 0;           ///< index in the checkpoint
    std::string name;                 ///< in GGUF
    DType keptType = DType::F32;      ///< how it is stored when the plan keeps it
    /// Heads whose rows are interleaved for GGUF's rotary pairs (llama's q and k from HF); 0: rows stay in place.
    std::uint32_t heads = 0;
    Role role = Role::Other;
    bool vector = false;              ///< one dimension, a norm or a router: always F32, never quantized
    float offset = 0;                 ///< added to every value in F32 (norms that the folder holds as w - 1)
    /// > 1: one of that many matrices of experts that make one tensor of three dimensions.
    std::uint32_t parts = 1, part = 0;
};

/// A tensor that the checkpoint does not hold but the file needs: rotary frequency factors.
struct GgufExtra {
    GgufTensorSpec spec;
    std::vector<std::byte> bytes;
};

/// What of a model does not depend on the plan: which tensors go into a GGUF file in which order, under which names,
/// and every key but those that describe the plan. From an HF folder, a GGUF, or either with a template GGUF
/// whose keys and tokenizer are used.
struct GgufSource {
    std::string architecture;
    GgufKeys keys;
    std::vector<GgufTarget> targets;   ///< in file order
    std::vector<GgufExtra> extras;     ///< behind them
    bool tiedEmbeddings = false;       ///< the output is the embedding: neither may be corrected on its own
    std::vector<std::filesystem::path> inputs;  ///< files an export must not touch
    std::vector<std::size_t> apart;    ///< tensors of the part for images and scales of the cache: not written
    std::vector<std::string> notes;    ///< tensors left out because they hold nothing, one line each
};

/// NotRepresentable for what GGUF or llama.cpp cannot carry, MissingTensor, Truncated, ShapeMismatch for checkpoints
/// that are not whole. Reads headers and the tokenizer, no weights.
[[nodiscard]] Result<GgufSource> ggufSourceOf(const Checkpoint& checkpoint, const Checkpoint* templateGguf);

/// Row of the HF order that stands at @p row in GGUF's order: per head of h rows, 2i + p comes from p * h / 2 + i.
[[nodiscard]] constexpr std::uint64_t sourceRow(std::uint64_t row, std::uint64_t rows, std::uint32_t heads)
{
    if (heads == 0)
        return row;
    const std::uint64_t length = rows / heads;
    const std::uint64_t inHead = row % length;
    return row - inHead + (inHead % 2) * (length / 2) + inHead / 2;
}

}  // namespace sigmascope
