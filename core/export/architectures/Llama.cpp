// SPDX-License-Identifier: GPL-3.0-or-later
//
// llama, mistral, mixtral and smollm3: rotary pairs lie side by side in GGUF, half a head apart in HF folders.
#include "core/export/architectures/Architecture.h"

#include "core/model/ConfigReader.h"

#include <fmt/format.h>

#include <array>

namespace sigmascope {

namespace {

constexpr std::array<std::string_view, 9> kLlamaBlock{"attn_norm.weight", "attn_q.weight",      "attn_k.weight",
                                                      "attn_v.weight",    "attn_output.weight", "ffn_norm.weight",
                                                      "ffn_gate.weight",  "ffn_up.weight",      "ffn_down.weight"};
constexpr std::array<std::string_view, 7> kLlamaBiases{
    "attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias", "ffn_gate.bias", "ffn_up.bias", "ffn_down.bias"};
constexpr std::array<std::string_view, 10> kMixtralBlock{
    "attn_norm.weight", "attn_q.weight",       "attn_k.weight",        "attn_v.weight",      "attn_output.weight",
    "ffn_norm.weight",  "ffn_gate_inp.weight", "ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight"};

/// llama.cpp leaves every fourth block of a smollm3 without positions, whatever the file says.
constexpr std::uint32_t kSmolLmStep = 4;

Status checkSmolLm3(const ModelConfig& config, const Json& json, std::string_view file)
{
    const ConfigReader reader(json, file);
    const Json* list = reader.find("no_rope_layers");
    if (list == nullptr) {
        const auto interval = reader.count("no_rope_layer_interval");
        if (!interval)
            return passOn(interval);
        if (interval->value_or(kSmolLmStep) != kSmolLmStep)
            return reader.notRepresentable(
                fmt::format("\"no_rope_layer_interval\" is {}, llama.cpp computes with 4", **interval));
        return {};
    }
    if (!list->is_array() || list->size() != config.blockCount)
        return reader.wrong("no_rope_layers", fmt::format("a list of {} numbers", config.blockCount), *list);
    for (std::uint32_t block = 0; block < config.blockCount; ++block) {
        if ((*list)[block] != ((block + 1) % kSmolLmStep != 0 ? 1 : 0))
            return reader.notRepresentable(
                fmt::format("\"no_rope_layers\": llama.cpp rotates all blocks but every fourth, which block {} "
                            "is not",
                            block));
    }
    return {};
}

void addMixtralKeys(const ModelConfig& config, GgufKeys& keys)
{
    keys.set(archKey(config, "expert_count"), config.experts);
    keys.set(archKey(config, "expert_used_count"), config.expertsUsed);
}

}  // namespace

const Architecture kLlama{.modelClass = "LlamaForCausalLM",
                          .id = "llama",
                          .required = kLlamaBlock,
                          .optional = kLlamaBiases,
                          .interleavesRotary = true,
                          .takesFrequencyFactors = true};

const Architecture kMistral{.modelClass = "MistralForCausalLM",
                            .id = "llama",
                            .required = kLlamaBlock,
                            .interleavesRotary = true,
                            .takesFrequencyFactors = true};

const Architecture kMixtral{.modelClass = "MixtralForCausalLM",
                            .id = "llama",
                            .required = kMixtralBlock,
                            .interleavesRotary = true,
                            .takesFrequencyFactors = true,
                            .addKeys = addMixtralKeys};

const Architecture kSmolLm3{.modelClass = "SmolLM3ForCausalLM",
                            .id = "smollm3",
                            .required = kLlamaBlock,
                            .interleavesRotary = true,
                            .check = checkSmolLm3};

}  // namespace sigmascope
