// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/readers/ConfigCheck.h"

#include "core/checkpoint/ModelTopology.h"

#include <array>

namespace sigmascope {

namespace {

std::uint64_t number(const Json& config, const char* key)
{
    const auto it = config.find(key);
    return it != config.end() && it->is_number_unsigned() ? it->get<std::uint64_t>() : 0;
}

/// 0 where the config does not tell.
struct Sizes {
    std::uint64_t hidden, intermediate, vocabulary, query, keyValue;

    explicit Sizes(const Json& config)
        : hidden(number(config, "hidden_size")), intermediate(number(config, "intermediate_size")),
          vocabulary(number(config, "vocab_size"))
    {
        const std::uint64_t heads = number(config, "num_attention_heads");
        const std::uint64_t kvHeads = config.contains("num_key_value_heads") ? number(config, "num_key_value_heads") : heads;
        std::uint64_t headSize = number(config, "head_dim");
        if (headSize == 0 && heads != 0)
            headSize = hidden / heads;
        query = checkedMul(heads, headSize).value_or(0);
        keyValue = checkedMul(kvHeads, headSize).value_or(0);
    }
};

/// Expected [out, in] of a weight matrix; zeros where the role has none.
std::array<std::uint64_t, 2> expectedShape(Role role, const Sizes& sizes)
{
    switch (role) {
    case Role::Embedding:
    case Role::Output: return {sizes.vocabulary, sizes.hidden};
    case Role::AttnQ: return {sizes.query, sizes.hidden};
    case Role::AttnK:
    case Role::AttnV: return {sizes.keyValue, sizes.hidden};
    case Role::AttnOutput: return {sizes.hidden, sizes.query};
    case Role::FfnGate:
    case Role::FfnUp: return {sizes.intermediate, sizes.hidden};
    case Role::FfnDown: return {sizes.hidden, sizes.intermediate};
    default: return {0, 0};
    }
}

bool isKnownModel(const Json& config)
{
    const auto type = config.find("model_type");
    if (!config.is_object() || type == config.end() || !type->is_string() || config.contains("quantization_config"))
        return false;
    for (const std::string_view known : {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "olmo2", "smollm3"}) {
        if (type->get_ref<const std::string&>() == known)
            return true;
    }
    return false;
}

}  // namespace

std::string misfitToConfig(const TensorInfo& tensor, const Json& config)
{
    if (tensor.state == TensorState::Missing || tensor.shape.size() != 2 || !config.is_object() || !isKnownModel(config))
        return {};
    const TensorPlace place = placeOf(tensor.name);
    if (place.bias)
        return {};
    const auto expected = expectedShape(place.role, Sizes(config));
    if (expected[0] == 0 || expected[1] == 0)
        return {};
    if (tensor.shape[0] == expected[0] && tensor.shape[1] == expected[1])
        return {};
    return "the shape is " + toString(tensor.shape) + ", config.json asks for " + toString(expected)
        + ": perhaps a shard of another revision";
}

}  // namespace sigmascope
