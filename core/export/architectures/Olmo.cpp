// SPDX-License-Identifier: GPL-3.0-or-later
//
// olmo2: norms behind attention and feed-forward only, and on the whole of q and of k.
#include "core/export/architectures/Architecture.h"

#include "core/model/ConfigReader.h"

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

}  // namespace

const Architecture kOlmo2{.modelClass = "Olmo2ForCausalLM",
                          .id = "olmo2",
                          .modules = kOlmo2Modules,
                          .required = kOlmo2Block,
                          .normalizesAllHeads = true,
                          .needsOutput = true,
                          .check = checkOlmo2};

}  // namespace sigmascope
