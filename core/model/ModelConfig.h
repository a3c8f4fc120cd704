// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"
#include "core/base/Result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// How positions beyond the trained context are reached.
struct RopeScaling {
    enum class Kind { None, Linear, Yarn, Llama3 };
    Kind kind = Kind::None;
    float factor = 1;
    std::optional<std::uint32_t> originalContext{};
    float lowFrequencyFactor = 1;   ///< llama3 only
    float highFrequencyFactor = 4;  ///< llama3 only
};

/// What a runtime must know of a llama-like model besides its weights; from an HF config.json.
struct ModelConfig {
    std::string architecture;       ///< GGUF's word: "llama"
    std::uint32_t contextLength = 0;
    std::uint32_t embeddingLength = 0;
    std::uint32_t blockCount = 0;
    std::uint32_t feedForwardLength = 0;
    std::uint32_t heads = 0;
    std::uint32_t kvHeads = 0;
    std::uint32_t headLength = 0;   ///< embeddingLength / heads unless the file says otherwise
    std::uint32_t vocabularySize = 0;
    float rmsEpsilon = 0;
    float ropeBase = 10000;
    RopeScaling rope{};
    /// Absent when the file does not tell: then an output matrix in the checkpoint decides.
    std::optional<bool> tiedEmbeddings{};
};

/// @param file  names the source in errors. NotRepresentable for architectures and features that cannot be written
/// as GGUF from this file alone (the message asks for a template GGUF); InvalidMetadata, naming the key, for values
/// that are missing or make no model.
[[nodiscard]] Result<ModelConfig> modelConfigFromHf(const Json& config, std::string_view file);

/// Divisors of the rotary frequencies, headLength / 2 of them, that llama3 scaling stands for; empty for other kinds.
[[nodiscard]] std::vector<float> ropeFrequencyFactors(const ModelConfig& config);

}  // namespace sigmascope
