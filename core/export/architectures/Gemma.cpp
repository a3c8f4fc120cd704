// SPDX-License-Identifier: GPL-3.0-or-later
//
// gemma, gemma2, gemma3 (of one that takes images the part for text): norms are stored as w - 1 in folders, the output
// is the embedding, and from the second on norms stand behind attention and feed-forward too.
#include "core/export/architectures/Architecture.h"

#include "core/model/ConfigReader.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace sigmascope {

namespace {

constexpr std::array<std::string_view, 9> kGemmaBlock{"attn_norm.weight", "attn_q.weight",      "attn_k.weight",
                                                      "attn_v.weight",    "attn_output.weight", "ffn_norm.weight",
                                                      "ffn_gate.weight",  "ffn_up.weight",      "ffn_down.weight"};
constexpr std::array<std::string_view, 11> kGemma2Block{
    "attn_norm.weight",           "attn_q.weight",   "attn_k.weight",   "attn_v.weight", "attn_output.weight",
    "post_attention_norm.weight", "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight",
    "post_ffw_norm.weight"};
constexpr std::array<std::string_view, 13> kGemma3Block{
    "attn_norm.weight",    "attn_q.weight",      "attn_k.weight",      "attn_v.weight",
    "attn_q_norm.weight",  "attn_k_norm.weight", "attn_output.weight", "post_attention_norm.weight",
    "ffn_norm.weight",     "ffn_gate.weight",    "ffn_up.weight",      "ffn_down.weight",
    "post_ffw_norm.weight"};

constexpr std::array<Architecture::Module, 3> kGemma2Modules{{{"post_attention_layernorm", "post_attention_norm"},
                                                              {"pre_feedforward_layernorm", "ffn_norm"},
                                                              {"post_feedforward_layernorm", "post_ffw_norm"}}};

constexpr std::uint32_t kBlocksOfGemma2At27B = 46;
constexpr std::uint32_t kBlocksOfGemma3At27B = 62;

/// llama.cpp divides queries by the root of a head's length, and in the largest models, which it knows by their number
/// of blocks, by that of the embedding's share of a head.
Status checkQueryScale(const ModelConfig& config, const ConfigReader& reader, std::uint32_t largest)
{
    const std::uint32_t computed
        = config.blockCount == largest ? config.embeddingLength / config.heads : config.headLength;
    const float asked = config.queryScalar.value_or(static_cast<float>(config.headLength));
    if (asked == static_cast<float>(computed))
        return {};
    return reader.notRepresentable(
        fmt::format("\"query_pre_attn_scalar\" is {}, llama.cpp computes with {} for a {} of {} blocks", asked,
                    computed, config.architecture, config.blockCount));
}

Status checkPeriod(const ModelConfig& config, const ConfigReader& reader, std::uint32_t period)
{
    if (config.slidingWindow == 0)
        return reader.missing("sliding_window");
    if (config.fullEvery != period)
        return reader.notRepresentable(fmt::format("one block in {} attends to everything, in llama.cpp's {} one in {}",
                                                   config.fullEvery, config.architecture, period));
    return {};
}

Status checkGemma2(const ModelConfig& config, const Json& json, std::string_view file)
{
    const ConfigReader reader(json, file);
    // Without the keys llama.cpp caps at 50 and 30 all the same.
    if (!config.attentionSoftcap || !config.finalSoftcap)
        return reader.notRepresentable("a gemma2 without soft caps of attention and logits is not known to llama.cpp");
    if (auto period = checkPeriod(config, reader, 2); !period)
        return period;
    return checkQueryScale(config, reader, kBlocksOfGemma2At27B);
}

Status checkGemma3(const ModelConfig& config, const Json& json, std::string_view file)
{
    const ConfigReader reader(json, file);
    if (config.attentionSoftcap || config.finalSoftcap)
        return reader.notRepresentable("soft caps of attention or logits are not computed in llama.cpp's gemma3");
    if (config.slidingRopeBase != 0 && config.slidingRopeBase != 10000.0F)
        return reader.notRepresentable(
            fmt::format("\"rope_local_base_freq\" is {}, llama.cpp computes with 10000", config.slidingRopeBase));
    if (const auto both = reader.flag("use_bidirectional_attention"); !both || both->value_or(false))
        return both ? Status(reader.notRepresentable("\"use_bidirectional_attention\" is not computed"))
                    : Status(passOn(both));
    if (auto period = checkPeriod(config, reader, 6); !period)
        return period;
    return checkQueryScale(config, reader, kBlocksOfGemma3At27B);
}

void addGemma2Keys(const ModelConfig& config, GgufKeys& keys)
{
    keys.set(archKey(config, "attn_logit_softcapping"), *config.attentionSoftcap);
    keys.set(archKey(config, "final_logit_softcapping"), *config.finalSoftcap);
    keys.set(archKey(config, "attention.sliding_window"), config.slidingWindow);
}

/// As the folders of the class that takes images have them, older and newer.
constexpr std::array<std::string_view, 4> kGemma3Apart{"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                                                       "model.multi_modal_projector."};

void addGemma3Keys(const ModelConfig& config, GgufKeys& keys)
{
    keys.set(archKey(config, "attention.sliding_window"), config.slidingWindow);
}

/// The folders of both classes hold the same part for text.
constexpr Architecture gemma3Of(std::string_view modelClass)
{
    return {.modelClass = modelClass,
            .id = "gemma3",
            .modules = kGemma2Modules,
            .required = kGemma3Block,
            .apart = kGemma3Apart,
            .normsLackOne = true,
            .hasOutput = false,
            .slidesWindow = true,
            .check = checkGemma3,
            .addKeys = addGemma3Keys};
}

}  // namespace

const Architecture kGemma{
    .modelClass = "GemmaForCausalLM", .id = "gemma", .required = kGemmaBlock, .normsLackOne = true, .hasOutput = false};

const Architecture kGemma2{.modelClass = "Gemma2ForCausalLM",
                           .id = "gemma2",
                           .modules = kGemma2Modules,
                           .required = kGemma2Block,
                           .normsLackOne = true,
                           .hasOutput = false,
                           .slidesWindow = true,
                           .check = checkGemma2,
                           .addKeys = addGemma2Keys};

const Architecture kGemma3 = gemma3Of("Gemma3ForCausalLM");
const Architecture kGemma3Images = gemma3Of("Gemma3ForConditionalGeneration");

}  // namespace sigmascope
