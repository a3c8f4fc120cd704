// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/ModelTopology.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace sigmascope {

namespace {

/// A module inside a block, or outside of all, in both worlds' words (formats.md §2.8).
struct Name {
    std::string_view hf;
    std::string_view gguf;
    Role role;
};

constexpr std::array kOutside{
    Name{"model.embed_tokens", "token_embd", Role::Embedding},
    Name{"lm_head", "output", Role::Output},
    Name{"model.norm", "output_norm", Role::OutputNorm},
    Name{"", "rope_freqs", Role::Other},
};

constexpr std::array kInBlock{
    Name{"input_layernorm", "attn_norm", Role::AttnNorm},
    Name{"self_attn.q_proj", "attn_q", Role::AttnQ},
    Name{"self_attn.k_proj", "attn_k", Role::AttnK},
    Name{"self_attn.v_proj", "attn_v", Role::AttnV},
    Name{"self_attn.o_proj", "attn_output", Role::AttnOutput},
    Name{"self_attn.q_norm", "attn_q_norm", Role::AttnQNorm},
    Name{"self_attn.k_norm", "attn_k_norm", Role::AttnKNorm},
    // Before the feed-forward of most; gemma's and olmo2's families have it behind the attention and name it themselves.
    Name{"post_attention_layernorm", "ffn_norm", Role::FfnNorm},
    Name{"pre_feedforward_layernorm", "ffn_norm", Role::FfnPreNorm},
    Name{"post_feedforward_layernorm", "post_ffw_norm", Role::FfnPostNorm},
    Name{"", "post_attention_norm", Role::AttnPostNorm},
    // phi3: one matrix for q, k and v, one for gate and up
    Name{"self_attn.qkv_proj", "attn_qkv", Role::AttnQkv},
    Name{"mlp.gate_proj", "ffn_gate", Role::FfnGate},
    Name{"mlp.up_proj", "ffn_up", Role::FfnUp},
    Name{"mlp.gate_up_proj", "ffn_up", Role::FfnGateUp},
    Name{"mlp.down_proj", "ffn_down", Role::FfnDown},
    // mixtures of experts: the router, shared experts; routed ones are stacked in GGUF, so have no twin of their own
    Name{"mlp.gate", "ffn_gate_inp", Role::Other},
    Name{"block_sparse_moe.gate", "ffn_gate_inp", Role::Other},
    Name{"mlp.shared_expert_gate", "ffn_gate_inp_shexp", Role::Other},
    Name{"mlp.shared_expert.gate_proj", "ffn_gate_shexp", Role::FfnGate},
    Name{"mlp.shared_expert.up_proj", "ffn_up_shexp", Role::FfnUp},
    Name{"mlp.shared_expert.down_proj", "ffn_down_shexp", Role::FfnDown},
    Name{"", "ffn_gate_exps", Role::FfnGate},
    Name{"", "ffn_up_exps", Role::FfnUp},
    Name{"", "ffn_down_exps", Role::FfnDown},
};

constexpr std::array kExpert{
    Name{"gate_proj", "ffn_gate_exps", Role::FfnGate}, Name{"up_proj", "ffn_up_exps", Role::FfnUp},
    Name{"down_proj", "ffn_down_exps", Role::FfnDown}, Name{"w1", "ffn_gate_exps", Role::FfnGate},
    Name{"w3", "ffn_up_exps", Role::FfnUp},            Name{"w2", "ffn_down_exps", Role::FfnDown},
};

/// Nobody has more blocks; a hostile number must not become the size of a table.
constexpr std::int32_t kMaxBlocks = 100'000;

/// Takes "PREFIX" + number + "." off the front; nothing (and no change) if it is not there.
std::optional<std::int32_t> takeNumber(std::string_view& text, std::string_view prefix)
{
    if (!text.starts_with(prefix))
        return std::nullopt;
    const std::string_view rest = text.substr(prefix.size());
    std::int32_t number = 0;
    const auto [last, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    const auto digits = static_cast<std::size_t>(last - rest.data());
    const bool canonical = digits == 1 || (digits > 1 && rest[0] != '0');
    if (error != std::errc{} || !canonical || number < 0 || number >= kMaxBlocks || digits >= rest.size() || rest[digits] != '.')
        return std::nullopt;
    text = rest.substr(digits + 1);
    return number;
}

/// A tensor name taken apart. `known` is null when no table has it.
struct Parsed {
    const Name* known = nullptr;
    std::int32_t block = -1;
    std::int32_t expert = -1;
    std::string_view suffix{};  // ".weight" or ".bias", empty if neither
    bool isGguf = false;
};

template <std::size_t N>
const Name* lookUp(const std::array<Name, N>& table, std::string_view stem, std::string_view Name::*word)
{
    const auto it = std::ranges::find_if(table, [&](const Name& n) { return !stem.empty() && n.*word == stem; });
    return it == table.end() ? nullptr : &*it;
}

void lookUpExpert(std::string_view stem, Parsed& parsed)
{
    for (const std::string_view prefix : {"mlp.experts.", "block_sparse_moe.experts."}) {
        if (const auto expert = takeNumber(stem, prefix)) {
            parsed.known = lookUp(kExpert, stem, &Name::hf);
            parsed.expert = parsed.known != nullptr ? *expert : -1;
            return;
        }
    }
}

Parsed parse(std::string_view name)
{
    Parsed parsed;
    for (const std::string_view suffix : {".weight", ".bias"}) {
        if (name.ends_with(suffix)) {
            parsed.suffix = name.substr(name.size() - suffix.size());
            name.remove_suffix(suffix.size());
            break;
        }
    }
    if (const auto block = takeNumber(name, "blk.")) {
        parsed.block = *block;
        parsed.isGguf = true;
        parsed.known = lookUp(kInBlock, name, &Name::gguf);
    } else if (const auto layer = takeNumber(name, "model.layers.")) {
        parsed.block = *layer;
        parsed.known = lookUp(kInBlock, name, &Name::hf);
        if (parsed.known == nullptr)
            lookUpExpert(name, parsed);
    } else if (const Name* const outside = lookUp(kOutside, name, &Name::gguf)) {
        parsed.known = outside;
        parsed.isGguf = true;
    } else {
        parsed.known = lookUp(kOutside, name, &Name::hf);
    }
    return parsed;
}

FusedGroup groupOf(Role role)
{
    switch (role) {
    case Role::AttnQ:
    case Role::AttnK:
    case Role::AttnV: return FusedGroup::Qkv;
    case Role::FfnGate:
    case Role::FfnUp: return FusedGroup::GateUp;
    default: return FusedGroup::None;
    }
}

bool isFloat(DType dtype)
{
    switch (dtype) {
    case DType::F64:
    case DType::F32:
    case DType::F16:
    case DType::BF16:
    case DType::F8E4M3:
    case DType::F8E5M2: return true;
    default: return info(dtype).quantized;
    }
}

/// Small or touchy matrices that llama-quantize leaves alone too (formats.md §2.5): routers, convolutions,
/// state-space and position tables.
bool isLeftAlone(std::string_view name)
{
    constexpr std::array<std::string_view, 10> kParts{"norm", "gate_inp", ".gate.", "shared_expert_gate", "conv", "ssm",
                                                      "rel_b", "pos_emb", "rope", "time_mix"};
    return std::ranges::any_of(kParts, [&](std::string_view part) { return name.find(part) != std::string_view::npos; });
}

}  // namespace

std::string_view id(Role role)
{
    switch (role) {
    case Role::Embedding: return "embed_tokens";
    case Role::Output: return "lm_head";
    case Role::OutputNorm: return "norm";
    case Role::AttnNorm: return "input_layernorm";
    case Role::AttnQ: return "q_proj";
    case Role::AttnK: return "k_proj";
    case Role::AttnV: return "v_proj";
    case Role::AttnQkv: return "qkv_proj";
    case Role::AttnOutput: return "o_proj";
    case Role::AttnQNorm: return "q_norm";
    case Role::AttnKNorm: return "k_norm";
    case Role::AttnPostNorm: return "post_attention_norm";
    case Role::FfnNorm: return "post_attention_layernorm";
    case Role::FfnPreNorm: return "pre_feedforward_layernorm";
    case Role::FfnGate: return "gate_proj";
    case Role::FfnUp: return "up_proj";
    case Role::FfnGateUp: return "gate_up_proj";
    case Role::FfnDown: return "down_proj";
    case Role::FfnPostNorm: return "post_feedforward_layernorm";
    case Role::Other: break;
    }
    return "other";
}

std::tuple<int, int, int> depthOf(const TensorPlace& place)
{
    if (place.block >= 0)
        return {1, place.block, static_cast<int>(place.role)};
    return {place.role == Role::Embedding ? 0 : 2, 0, static_cast<int>(place.role)};
}

std::string textNameOf(std::string_view tensorName)
{
    constexpr std::string_view kOlder = "language_model.";
    constexpr std::string_view kNewer = "model.language_model.";  // whose output stands outside of it
    if (tensorName.starts_with(kNewer))
        return "model." + std::string(tensorName.substr(kNewer.size()));
    const bool isOlder = tensorName.starts_with("language_model.model.") || tensorName.starts_with("language_model.lm_head.");
    return std::string(isOlder ? tensorName.substr(kOlder.size()) : tensorName);
}

TensorPlace placeOf(std::string_view tensorName)
{
    const std::string name = textNameOf(tensorName);
    const Parsed parsed = parse(name);
    TensorPlace place{.block = parsed.block, .bias = parsed.suffix == ".bias", .expert = parsed.expert};
    if (parsed.known != nullptr && !parsed.suffix.empty()) {
        place.role = parsed.known->role;
        place.group = groupOf(place.role);
    }
    return place;
}

std::optional<std::string> ggufNameOf(std::string_view tensorName)
{
    const std::string text = textNameOf(tensorName);
    const Parsed parsed = parse(text);
    if (parsed.isGguf)
        return std::string(tensorName);
    if (parsed.known == nullptr || parsed.known->gguf.empty() || parsed.suffix.empty() || parsed.expert >= 0)
        return std::nullopt;
    std::string name = parsed.block < 0 ? std::string() : "blk." + std::to_string(parsed.block) + ".";
    name += parsed.known->gguf;
    name += parsed.suffix;
    return name;
}

std::optional<ExpertPart> expertPartOf(std::string_view tensorName)
{
    const std::string name = textNameOf(tensorName);
    const Parsed parsed = parse(name);
    if (parsed.expert < 0 || parsed.suffix != ".weight")
        return std::nullopt;
    return ExpertPart{.stack = "blk." + std::to_string(parsed.block) + "." + std::string(parsed.known->gguf) + ".weight",
                      .expert = static_cast<std::uint32_t>(parsed.expert)};
}

ModelTopology::ModelTopology(const Checkpoint& checkpoint)
{
    const auto tensors = checkpoint.tensors();
    m_places.reserve(tensors.size());
    m_quantizable.reserve(tensors.size());
    for (const TensorInfo& tensor : tensors) {
        const TensorPlace place = placeOf(tensor.name);
        m_blocks = std::max(m_blocks, static_cast<std::size_t>(place.block + 1));
        const bool matrix = tensor.shape.size() >= 2 && tensor.state == TensorState::Ok && isFloat(tensor.dtype);
        const bool weight = tensor.name.ends_with(".weight") && !isLeftAlone(tensor.name);
        m_places.push_back(place);
        m_quantizable.push_back(place.block >= 0 && matrix && weight);
    }
}

}  // namespace sigmascope
