// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/GgufSource.h"
#include "core/export/GgufWriter.h"
#include "core/model/ModelConfig.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// One family of models: what changes on the way from its HF folders into a GGUF that llama.cpp computes alike. One row
/// each in architectures(), one file a family in this folder.
struct Architecture {
    std::string_view modelClass;  ///< transformers' word, as ModelConfig::modelClass
    std::string_view id;  ///< general.architecture

    /// A module in a block whose GGUF name is not ModelTopology's.
    struct Module {
        std::string_view hf, gguf;
    };
    std::span<const Module> modules{};
    /// GGUF names in a block, behind "blk.N.": what llama.cpp insists on, and what it takes besides. Any other tensor
    /// makes it refuse the file.
    std::span<const std::string_view> required{};
    std::span<const std::string_view> optional{};

    /// How the names of tensors begin that belong to another file of llama.cpp's: those of the part for images.
    std::span<const std::string_view> apart{};

    bool interleavesRotary = false;  ///< rows of q and k change to rotary pairs
    bool normsLackOne = false;  ///< the folder's norms hold w - 1 (gemma)
    bool normalizesAllHeads = false;  ///< q_norm and k_norm span all heads, not one
    bool hasOutput = true;  ///< false: the output is always the embedding
    bool needsOutput = false;  ///< true: llama.cpp wants an output matrix even where the folder ties it
    bool takesFrequencyFactors = false;  ///< rope_freqs.weight is read
    bool slidesWindow = false;  ///< llama.cpp's graph has the folder's sliding window

    /// What the folder asks for and llama.cpp's graph of this family does not do: NotRepresentable.
    Status (*check)(const ModelConfig&, const Json&, std::string_view file) = nullptr;
    /// Keys that only this family has, behind the common ones.
    void (*addKeys)(const ModelConfig&, GgufKeys&) = nullptr;
};

/// In no order that matters; every class that modelConfigFromHf() reads has its row.
[[nodiscard]] std::span<const Architecture* const> architectures();
/// Null if there is none.
[[nodiscard]] const Architecture* architectureOfClass(std::string_view modelClass);
/// Of a template: the first row with this general.architecture; a mixture and a dense model may share one.
[[nodiscard]] const Architecture* architectureOfId(std::string_view id);

/// GGUF name of an HF tensor in this family; nothing if it has none. Experts' matrices have their stack's.
[[nodiscard]] std::optional<std::string> ggufNameIn(const Architecture& architecture, std::string_view tensorName);

/// The tensor belongs to the part for images.
[[nodiscard]] bool isApart(const Architecture& architecture, std::string_view tensorName);

/// check(), and what holds for all: scaling of rotary frequencies, tied embeddings.
[[nodiscard]] Status checkArchitecture(const Architecture& architecture, const ModelConfig& config, const Json& json,
                                       std::string_view file);
/// Every key of the model but those of the tokenizer.
void setModelKeys(const Architecture& architecture, const ModelConfig& config, GgufKeys& keys);
/// Tensors of rotary frequency factors that no folder holds as tensors.
[[nodiscard]] std::vector<GgufExtra> ropeExtras(const ModelConfig& config);
/// What llama.cpp does otherwise than the model was trained, though near enough to be used by everybody; one line each.
[[nodiscard]] std::vector<std::string> architectureNotes(const Architecture& architecture, const ModelConfig& config);

/// Shape that the configuration gives a matrix or norm; nothing for what it does not fix. @p name is in GGUF, behind
/// "blk.N." inside blocks; an expert's shape is that of its part.
[[nodiscard]] std::optional<Shape> expectedShape(const Architecture& architecture, const ModelConfig& config,
                                                 std::string_view name);

/// "{arch}.{name}"
[[nodiscard]] std::string archKey(const ModelConfig& config, std::string_view name);

// The rows, one file a family.
extern const Architecture kLlama, kMistral, kMixtral, kSmolLm3;
extern const Architecture kQwen2, kQwen3, kQwen2Moe, kQwen3Moe;
extern const Architecture kGemma, kGemma2, kGemma3, kGemma3Images;
extern const Architecture kPhi3;
extern const Architecture kOlmo2, kOlmo3;

}  // namespace sigmascope
