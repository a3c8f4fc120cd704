// SPDX-License-Identifier: GPL-3.0-or-later
//
// olmo2: norms behind attention and feed-forward only, and on the whole of q and of k. olmo3 is the same to llama.cpp,
// with a window in all blocks but every fourth, whose positions alone are stretched.
#include "core/export/architectures/Architecture.h"

#include "core/model/ConfigReader.h"

#include <fmt/format.h>

#include <array>

namespace sigmascope {

namespace {

constexpr std::array<std::string_view, 11> kOlmo2Block{"attn_q.weight",
                                                       "attn_k.weight",
                                                       "attn_v.weight",
                                                       "attn_q_norm.weight",
                                                       "attn_k_norm.weight",
                                                       "attn_output.weight",
                                                       "post_attention_norm.weight",
                                                       "ffn_gate.weight",
                                                       "ffn_up.weight",
                                                       "ffn_down.weight",
                                                       "post_ffw_norm.weight"};

constexpr std::array<Architecture::Module, 2> kOlmo2Modules{
    {{"post_attention_layernorm", "post_attention_norm"}, {"post_feedforward_layernorm", "post_ffw_norm"}}};

Status checkOlmo2(const ModelConfig& config, const Json& json, std::string_view file)
{
    if (config.headLength != config.embeddingLength / config.heads)
        return ConfigReader(json, file)
            .notRepresentable(
                "\"head_dim\" differs from hidden_size / num_attention_heads, which llama.cpp's olmo2 assumes");
    return {};
}

/// llama.cpp knows no other period of an olmo's window.
constexpr std::uint32_t kOlmo3Period = 4;

Status checkOlmo3(const ModelConfig& config, const Json& json, std::string_view file)
{
    const ConfigReader reader(json, file);
    if (config.slidingWindow == 0)
        return reader.missing("sliding_window");
    if (config.fullEvery != kOlmo3Period)
        return reader.notRepresentable(
            fmt::format("one block in {} attends to everything, in llama.cpp's olmo2 with a window one in {}",
                        config.fullEvery, kOlmo3Period));
    if (config.slidingRopeBase != 0 && config.slidingRopeBase != config.ropeBase)
        return reader.notRepresentable(
            fmt::format("sliding blocks have the rotary base {}, the others {}: llama.cpp computes with one",
                        config.slidingRopeBase, config.ropeBase));
    return checkOlmo2(config, json, file);
}

void addOlmo3Keys(const ModelConfig& config, GgufKeys& keys)
{
    keys.set(archKey(config, "attention.sliding_window"), config.slidingWindow);
}

}  // namespace

const Architecture kOlmo2{.modelClass = "Olmo2ForCausalLM",
                          .id = "olmo2",
                          .modules = kOlmo2Modules,
                          .required = kOlmo2Block,
                          .normalizesAllHeads = true,
                          .needsOutput = true,
                          .check = checkOlmo2};

const Architecture kOlmo3{.modelClass = "Olmo3ForCausalLM",
                          .id = "olmo2",
                          .modules = kOlmo2Modules,
                          .required = kOlmo2Block,
                          .normalizesAllHeads = true,
                          .needsOutput = true,
                          .slidesWindow = true,
                          .check = checkOlmo3,
                          .addKeys = addOlmo3Keys};

}  // namespace sigmascope
