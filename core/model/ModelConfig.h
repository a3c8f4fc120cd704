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
    enum class Kind { None, Linear, Yarn, Llama3, LongRope };
    Kind kind = Kind::None;
    float factor = 1;
    std::optional<std::uint32_t> originalContext{};
    float lowFrequencyFactor = 1;  ///< llama3 only
    float highFrequencyFactor = 4;  ///< llama3 only
    /// Divisors of the frequencies within the original context and beyond it; longrope only, rotaryLength / 2 of each.
    std::vector<float> shortFactors{}, longFactors{};
    float attentionFactor = 1;  ///< longrope only: what cosine and sine are multiplied by
};

/// What a runtime must know of a llama-like model besides its weights; from an HF config.json.
struct ModelConfig {
    std::string architecture;  ///< GGUF's word: "llama"
    std::string modelClass;  ///< transformers' word: "MixtralForCausalLM"
    std::uint32_t contextLength = 0;
    std::uint32_t embeddingLength = 0;
    std::uint32_t blockCount = 0;
    std::uint32_t feedForwardLength = 0;
    std::uint32_t heads = 0;
    std::uint32_t kvHeads = 0;
    std::uint32_t headLength = 0;  ///< embeddingLength / heads unless the file says otherwise
    std::uint32_t rotaryLength = 0;  ///< leading values of a head that are rotated: all of them in most models
    std::uint32_t vocabularySize = 0;
    float rmsEpsilon = 0;
    float ropeBase = 10000;
    RopeScaling rope{};
    /// Absent when the file does not tell: then an output matrix in the checkpoint decides.
    std::optional<bool> tiedEmbeddings{};

    /// Tokens that a sliding block sees; 0: every block sees all.
    std::uint32_t slidingWindow = 0;
    std::uint32_t firstSliding = 0;  ///< blocks before it see all
    std::uint32_t fullEvery = 0;  ///< of so many blocks the last sees all; 0: all slide
    float slidingRopeBase = 0;  ///< of sliding blocks where they differ (gemma3); 0: ropeBase

    std::optional<float> attentionSoftcap{}, finalSoftcap{};
    std::optional<float> queryScalar{};  ///< queries are divided by its root; absent: headLength

    std::uint32_t experts = 0;  ///< 0: dense
    std::uint32_t expertsUsed = 0;
    std::uint32_t expertFeedForward = 0;  ///< of one expert; 0: feedForwardLength
    std::uint32_t sharedFeedForward = 0;  ///< of the expert that every token meets; 0: none

    [[nodiscard]] bool slides(std::uint32_t block) const
    {
        return slidingWindow != 0 && block >= firstSliding && (fullEvery == 0 || (block + 1) % fullEvery != 0);
    }
};

/// What a config.json says of the model of text: itself, or of a model that takes images as well its "text_config",
/// filled up with what transformers takes where that is silent, and with what stands beside it.
[[nodiscard]] Json textConfigOf(const Json& config);

/// @param file  names the source in errors. NotRepresentable for architectures and features that cannot be written
/// as GGUF from this file alone (the message asks for a template GGUF); InvalidMetadata, naming the key, for values
/// that are missing or make no model.
[[nodiscard]] Result<ModelConfig> modelConfigFromHf(const Json& config, std::string_view file);

/// Names of the classes that modelConfigFromHf() reads.
[[nodiscard]] std::vector<std::string_view> modelClasses();

/// Divisors of the rotary frequencies, headLength / 2 of them, that llama3 scaling stands for; empty for other kinds.
[[nodiscard]] std::vector<float> ropeFrequencyFactors(const ModelConfig& config);

}  // namespace sigmascope
