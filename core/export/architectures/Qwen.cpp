// SPDX-License-Identifier: GPL-3.0-or-later
//
// qwen2 (biases on q, k, v), qwen3 (norms on q and k instead) and their mixtures of experts. No rows change places.
#include "core/export/architectures/Architecture.h"

#include "core/model/ConfigReader.h"

#include <fmt/format.h>

#include <array>

namespace sigmascope {

namespace {

constexpr std::array<std::string_view, 12> kQwen2Block{
    "attn_norm.weight", "attn_q.weight",      "attn_k.weight",   "attn_v.weight",   "attn_q.bias",   "attn_k.bias",
    "attn_v.bias",      "attn_output.weight", "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"};
constexpr std::array<std::string_view, 11> kQwen3Block{"attn_norm.weight",   "attn_q.weight",      "attn_k.weight",
                                                       "attn_v.weight",      "attn_q_norm.weight", "attn_k_norm.weight",
                                                       "attn_output.weight", "ffn_norm.weight",    "ffn_gate.weight",
                                                       "ffn_up.weight",      "ffn_down.weight"};
constexpr std::array<std::string_view, 17> kQwen2MoeBlock{"attn_norm.weight",      "attn_q.weight",
                                                          "attn_k.weight",         "attn_v.weight",
                                                          "attn_q.bias",           "attn_k.bias",
                                                          "attn_v.bias",           "attn_output.weight",
                                                          "ffn_norm.weight",       "ffn_gate_inp.weight",
                                                          "ffn_gate_exps.weight",  "ffn_up_exps.weight",
                                                          "ffn_down_exps.weight",  "ffn_gate_inp_shexp.weight",
                                                          "ffn_gate_shexp.weight", "ffn_up_shexp.weight",
                                                          "ffn_down_shexp.weight"};
constexpr std::array<std::string_view, 12> kQwen3MoeBlock{
    "attn_norm.weight",    "attn_q.weight",        "attn_k.weight",      "attn_v.weight",
    "attn_q_norm.weight",  "attn_k_norm.weight",   "attn_output.weight", "ffn_norm.weight",
    "ffn_gate_inp.weight", "ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight"};

/// Every block a mixture, the chosen experts' weights summing to one or not: no key of GGUF says either.
Status checkMixture(const Json& json, std::string_view file, bool normalizes)
{
    const ConfigReader reader(json, file);
    const auto normalized = reader.flag("norm_topk_prob");
    if (!normalized)
        return passOn(normalized);
    // Absent means false in both classes of transformers.
    if (normalized->value_or(false) != normalizes)
        return reader.notRepresentable(
            fmt::format("\"norm_topk_prob\" is {}, llama.cpp computes with {}", !normalizes, normalizes));
    const auto step = reader.count("decoder_sparse_step");
    if (!step)
        return passOn(step);
    if (step->value_or(1) != 1)
        return reader.notRepresentable(
            fmt::format("\"decoder_sparse_step\" is {}: llama.cpp wants experts in every block", **step));
    if (const Json* dense = reader.find("mlp_only_layers"); dense != nullptr && (!dense->is_array() || !dense->empty()))
        return reader.notRepresentable("\"mlp_only_layers\" is not empty: llama.cpp wants experts in every block");
    return {};
}

Status checkQwen2(const ModelConfig& config, const Json& json, std::string_view file)
{
    if (std::uint64_t{config.headLength} * config.heads != config.embeddingLength)
        return ConfigReader(json, file).notRepresentable(
            "\"head_dim\" is not hidden_size / num_attention_heads, as llama.cpp's qwen2 has it");
    return {};
}

Status checkQwen2Moe(const ModelConfig& config, const Json& json, std::string_view file)
{
    if (auto heads = checkQwen2(config, json, file); !heads)
        return heads;
    for (const auto& [key, value] : {std::pair{"moe_intermediate_size", config.expertFeedForward},
                                     std::pair{"shared_expert_intermediate_size", config.sharedFeedForward}}) {
        if (value == 0)
            return ConfigReader(json, file).missing(key);
    }
    return checkMixture(json, file, false);
}

Status checkQwen3Moe(const ModelConfig& config, const Json& json, std::string_view file)
{
    if (config.expertFeedForward == 0)
        return ConfigReader(json, file).missing("moe_intermediate_size");
    return checkMixture(json, file, true);
}

void addQwenMoeKeys(const ModelConfig& config, GgufKeys& keys)
{
    keys.set(archKey(config, "expert_count"), config.experts);
    keys.set(archKey(config, "expert_used_count"), config.expertsUsed);
    keys.set(archKey(config, "expert_feed_forward_length"), config.expertFeedForward);
    if (config.sharedFeedForward != 0)
        keys.set(archKey(config, "expert_shared_feed_forward_length"), config.sharedFeedForward);
}

}  // namespace

const Architecture kQwen2{
    .modelClass = "Qwen2ForCausalLM", .id = "qwen2", .required = kQwen2Block, .check = checkQwen2};

const Architecture kQwen3{.modelClass = "Qwen3ForCausalLM", .id = "qwen3", .required = kQwen3Block};

const Architecture kQwen2Moe{.modelClass = "Qwen2MoeForCausalLM",
                             .id = "qwen2moe",
                             .required = kQwen2MoeBlock,
                             .needsOutput = true,
                             .check = checkQwen2Moe,
                             .addKeys = addQwenMoeKeys};

const Architecture kQwen3Moe{.modelClass = "Qwen3MoeForCausalLM",
                             .id = "qwen3moe",
                             .required = kQwen3MoeBlock,
                             .check = checkQwen3Moe,
                             .addKeys = addQwenMoeKeys};

}  // namespace sigmascope
