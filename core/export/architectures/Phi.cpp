// SPDX-License-Identifier: GPL-3.0-or-later
//
// phi3: one matrix for q, k and v and one for gate and up, which stay whole; long contexts by factors of the
// frequencies.
#include "core/export/architectures/Architecture.h"

#include "core/model/ConfigReader.h"

#include <array>

namespace sigmascope {

namespace {

constexpr std::array<std::string_view, 6> kPhi3Block{"attn_norm.weight", "attn_qkv.weight", "attn_output.weight",
                                                     "ffn_norm.weight",  "ffn_up.weight",   "ffn_down.weight"};

Status checkPhi3(const ModelConfig& config, const Json& json, std::string_view file)
{
    const ConfigReader reader(json, file);
    const bool isLong = config.rope.kind == RopeScaling::Kind::LongRope;
    if (!isLong && config.rope.kind != RopeScaling::Kind::None)
        return reader.notRepresentable("rope scaling of this kind is not known of phi3");
    if (config.headLength != config.embeddingLength / config.heads)
        return reader.notRepresentable(
            "\"head_dim\" differs from hidden_size / num_attention_heads, which llama.cpp's phi3 assumes");
    return {};
}

void addPhi3Keys(const ModelConfig& config, GgufKeys& keys)
{
    keys.set(archKey(config, "rope.scaling.original_context_length"),
             config.rope.originalContext.value_or(config.contextLength));
    // Read, warned of and left aside by llama.cpp, which attends to everything.
    keys.set(archKey(config, "attention.sliding_window"), config.slidingWindow);
    if (config.rope.kind == RopeScaling::Kind::LongRope)
        keys.set(archKey(config, "rope.scaling.attn_factor"), config.rope.attentionFactor);
}

}  // namespace

const Architecture kPhi3{
    .modelClass = "Phi3ForCausalLM", .id = "phi3", .required = kPhi3Block, .check = checkPhi3, .addKeys = addPhi3Keys};

}  // namespace sigmascope
