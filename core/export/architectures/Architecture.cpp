// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/architectures/Architecture.h"

#include "core/checkpoint/ModelTopology.h"
#include "core/model/ConfigReader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::uint32_t kMostExperts = 512;  // llama.cpp's own limits
constexpr std::uint32_t kMostLayers = 512;

GgufExtra factorTensor(std::string_view name, std::span<const float> factors)
{
    GgufExtra extra{{std::string(name), DType::F32, {factors.size()}}, {}};
    const auto bytes = std::as_bytes(factors);
    extra.bytes.assign(bytes.begin(), bytes.end());
    return extra;
}

void setRopeKeys(const ModelConfig& config, GgufKeys& keys)
{
    keys.set(archKey(config, "rope.dimension_count"), config.rotaryLength);
    keys.set(archKey(config, "rope.freq_base"), config.ropeBase);
    const bool isLinear = config.rope.kind == RopeScaling::Kind::Linear;
    if (!isLinear && config.rope.kind != RopeScaling::Kind::Yarn)
        return;
    keys.set(archKey(config, "rope.scaling.type"), isLinear ? "linear" : "yarn");
    keys.set(archKey(config, "rope.scaling.factor"), config.rope.factor);
    if (config.rope.originalContext)
        keys.set(archKey(config, "rope.scaling.original_context_length"), *config.rope.originalContext);
}

}  // namespace

std::span<const Architecture* const> architectures()
{
    static constexpr std::array kRows{&kLlama,  &kMistral,      &kMixtral,  &kSmolLm3, &kQwen2,
                                      &kQwen3,  &kQwen2Moe,     &kQwen3Moe, &kGemma,   &kGemma2,
                                      &kGemma3, &kGemma3Images, &kPhi3,     &kOlmo2,   &kOlmo3};
    return kRows;
}

const Architecture* architectureOfClass(std::string_view modelClass)
{
    const auto found
        = std::ranges::find(architectures(), modelClass, [](const Architecture* row) { return row->modelClass; });
    return found == architectures().end() ? nullptr : *found;
}

const Architecture* architectureOfId(std::string_view id)
{
    const auto found = std::ranges::find(architectures(), id, [](const Architecture* row) { return row->id; });
    return found == architectures().end() ? nullptr : *found;
}

std::optional<std::string> ggufNameIn(const Architecture& architecture, std::string_view tensorName)
{
    const TensorPlace place = placeOf(tensorName);
    const std::string text = textNameOf(tensorName);
    if (place.block >= 0 && text.starts_with("model.layers.")) {
        const std::string prefix = fmt::format("model.layers.{}.", place.block);
        const std::string_view inBlock = std::string_view(text).substr(std::min(prefix.size(), text.size()));
        for (const Architecture::Module& module : architecture.modules) {
            if (inBlock.starts_with(module.hf)
                && (inBlock.substr(module.hf.size()) == ".weight" || inBlock.substr(module.hf.size()) == ".bias"))
                return fmt::format("blk.{}.{}{}", place.block, module.gguf, inBlock.substr(module.hf.size()));
        }
    }
    if (auto part = expertPartOf(tensorName))
        return std::move(part->stack);
    return ggufNameOf(tensorName);
}

bool isApart(const Architecture& architecture, std::string_view tensorName)
{
    return std::ranges::any_of(architecture.apart,
                               [tensorName](std::string_view start) { return tensorName.starts_with(start); });
}

Status checkArchitecture(const Architecture& architecture, const ModelConfig& config, const Json& whole,
                         std::string_view file)
{
    const Json json = textConfigOf(whole);
    const ConfigReader reader(json, file);
    const RopeScaling::Kind kind = config.rope.kind;
    if (kind == RopeScaling::Kind::Llama3 && !architecture.takesFrequencyFactors)
        return reader.notRepresentable(
            fmt::format("rope scaling of type llama3 is not read by llama.cpp's {}", architecture.id));
    if (kind == RopeScaling::Kind::LongRope && architecture.id != "phi3")
        return reader.notRepresentable(
            fmt::format("rope scaling of type longrope is not read by llama.cpp's {}", architecture.id));
    if (kind == RopeScaling::Kind::Yarn && architecture.normsLackOne)
        return reader.notRepresentable(fmt::format("rope scaling of type yarn is not known of {}", architecture.id));
    if (config.rotaryLength != config.headLength && architecture.id != "phi3")
        return reader.notRepresentable(fmt::format("{} of {} values of a head are rotated, llama.cpp's {} rotates all",
                                                   config.rotaryLength, config.headLength, architecture.id));
    if (!architecture.hasOutput && !config.tiedEmbeddings.value_or(true))
        return reader.notRepresentable(fmt::format(
            "\"tie_word_embeddings\" is false, but llama.cpp's {} has no output matrix of its own", architecture.id));
    if (config.blockCount > kMostLayers)
        return reader.notRepresentable(
            fmt::format("{} blocks are more than the {} that llama.cpp takes", config.blockCount, kMostLayers));
    if (config.experts > kMostExperts)
        return reader.notRepresentable(
            fmt::format("{} experts are more than the {} that llama.cpp takes", config.experts, kMostExperts));
    return architecture.check == nullptr ? Status{} : architecture.check(config, json, file);
}

std::string archKey(const ModelConfig& config, std::string_view name)
{
    return fmt::format("{}.{}", config.architecture, name);
}

void setModelKeys(const Architecture& architecture, const ModelConfig& config, GgufKeys& keys)
{
    keys.set(archKey(config, "context_length"), config.contextLength);
    keys.set(archKey(config, "embedding_length"), config.embeddingLength);
    keys.set(archKey(config, "block_count"), config.blockCount);
    keys.set(archKey(config, "feed_forward_length"), config.feedForwardLength);
    keys.set(archKey(config, "attention.head_count"), config.heads);
    keys.set(archKey(config, "attention.head_count_kv"), config.kvHeads);
    if (std::uint64_t{config.headLength} * config.heads != config.embeddingLength) {
        keys.set(archKey(config, "attention.key_length"), config.headLength);
        keys.set(archKey(config, "attention.value_length"), config.headLength);
    }
    setRopeKeys(config, keys);
    keys.set(archKey(config, "attention.layer_norm_rms_epsilon"), config.rmsEpsilon);
    keys.set(archKey(config, "vocab_size"), config.vocabularySize);
    if (architecture.addKeys != nullptr)
        architecture.addKeys(config, keys);
}

std::vector<GgufExtra> ropeExtras(const ModelConfig& config)
{
    std::vector<GgufExtra> extras;
    if (const auto factors = ropeFrequencyFactors(config); !factors.empty())
        extras.push_back(factorTensor("rope_freqs.weight", factors));
    if (config.rope.kind == RopeScaling::Kind::LongRope) {
        extras.push_back(factorTensor("rope_factors_long.weight", config.rope.longFactors));
        extras.push_back(factorTensor("rope_factors_short.weight", config.rope.shortFactors));
    }
    return extras;
}

std::vector<std::string> architectureNotes(const Architecture& architecture, const ModelConfig& config)
{
    if (architecture.slidesWindow || config.slidingWindow == 0 || config.slidingWindow >= config.contextLength
        || config.firstSliding >= config.blockCount)
        return {};
    return {fmt::format(
        "llama.cpp's {} has no sliding window: beyond {} tokens it attends to all of them, unlike the folder's model",
        architecture.id, config.slidingWindow)};
}

std::optional<Shape> expectedShape(const Architecture& architecture, const ModelConfig& config, std::string_view name)
{
    const std::uint64_t embedding = config.embeddingLength;
    const std::uint64_t queries = std::uint64_t{config.heads} * config.headLength;
    const std::uint64_t keys = std::uint64_t{config.kvHeads} * config.headLength;
    const std::uint64_t forward = config.feedForwardLength;
    const std::uint64_t expert = config.expertFeedForward != 0 ? config.expertFeedForward : forward;
    const std::uint64_t shared = config.sharedFeedForward;
    const bool isFused = std::ranges::find(architecture.required, "attn_qkv.weight") != architecture.required.end();
    const std::uint64_t normed = config.headLength;
    struct Row {
        std::string_view name;
        std::uint64_t rows;
        std::uint64_t cols = 0;  // 0: a vector
    };
    const std::array<Row, 32> rows{{
        {"token_embd.weight", config.vocabularySize, embedding},
        {"output.weight", config.vocabularySize, embedding},
        {"output_norm.weight", embedding},
        {"attn_norm.weight", embedding},
        {"attn_q.weight", queries, embedding},
        {"attn_k.weight", keys, embedding},
        {"attn_v.weight", keys, embedding},
        {"attn_qkv.weight", queries + 2 * keys, embedding},
        {"attn_q.bias", queries},
        {"attn_k.bias", keys},
        {"attn_v.bias", keys},
        {"attn_q_norm.weight", architecture.normalizesAllHeads ? queries : normed},
        {"attn_k_norm.weight", architecture.normalizesAllHeads ? keys : normed},
        {"attn_output.weight", embedding, queries},
        {"attn_output.bias", embedding},
        {"post_attention_norm.weight", embedding},
        {"ffn_norm.weight", embedding},
        {"post_ffw_norm.weight", embedding},
        {"ffn_gate.weight", forward, embedding},
        {"ffn_up.weight", isFused ? 2 * forward : forward, embedding},
        {"ffn_down.weight", embedding, forward},
        {"ffn_gate.bias", forward},
        {"ffn_up.bias", forward},
        {"ffn_down.bias", embedding},
        {"ffn_gate_inp.weight", config.experts, embedding},
        {"ffn_gate_exps.weight", expert, embedding},
        {"ffn_up_exps.weight", expert, embedding},
        {"ffn_down_exps.weight", embedding, expert},
        {"ffn_gate_shexp.weight", shared, embedding},
        {"ffn_up_shexp.weight", shared, embedding},
        {"ffn_down_shexp.weight", embedding, shared},
        {"ffn_gate_inp_shexp.weight", 1, embedding},
    }};
    const auto found = std::ranges::find(rows, name, &Row::name);
    if (found == rows.end())
        return std::nullopt;
    return found->cols == 0 ? Shape{found->rows} : Shape{found->rows, found->cols};
}

}  // namespace sigmascope
