// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/GgufTokenizer.h"

#include <fmt/format.h>

#include <type_traits>

namespace sigmascope {

namespace {

void setOptional(std::string_view key, const std::optional<std::uint32_t>& id, GgufKeys& keys)
{
    if (id)
        keys.set(key, *id);
}

void setOptional(std::string_view key, const std::optional<bool>& flag, GgufKeys& keys)
{
    if (flag)
        keys.set(key, *flag);
}

/// What both kinds have: tokens, ids, templates.
template <class Kind>
void setCommonKeys(const Kind& tokenizer, GgufKeys& keys)
{
    std::vector<std::string> texts;
    std::vector<std::int32_t> types;
    for (const Token& token : tokenizer.tokens) {
        texts.push_back(token.text);
        types.push_back(static_cast<std::int32_t>(token.type));
    }
    keys.set("tokenizer.ggml.tokens", texts);
    if constexpr (std::is_same_v<Kind, TokenizerSpm>) {
        std::vector<float> scores;
        for (const Token& token : tokenizer.tokens)
            scores.push_back(token.score);
        keys.set("tokenizer.ggml.scores", std::span<const float>(scores));
    }
    keys.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
    setOptional("tokenizer.ggml.bos_token_id", tokenizer.bosId, keys);
    setOptional("tokenizer.ggml.eos_token_id", tokenizer.eosId, keys);
    setOptional("tokenizer.ggml.unknown_token_id", tokenizer.unknownId, keys);
    setOptional("tokenizer.ggml.padding_token_id", tokenizer.padId, keys);
    setOptional("tokenizer.ggml.add_bos_token", std::optional<bool>(tokenizer.addBos), keys);
    setOptional("tokenizer.ggml.add_eos_token", std::optional<bool>(tokenizer.addEos), keys);
    if constexpr (std::is_same_v<Kind, TokenizerSpm>)
        keys.set("tokenizer.ggml.add_space_prefix", tokenizer.addSpacePrefix);
    const ChatTemplates& templates = tokenizer.chatTemplates;
    if (templates.main)
        keys.set("tokenizer.chat_template", std::string_view(*templates.main));
    std::vector<std::string> names;
    for (const auto& [name, text] : templates.named) {
        keys.set(fmt::format("tokenizer.chat_template.{}", name), std::string_view(text));
        names.push_back(name);
    }
    if (!names.empty())
        keys.set("tokenizer.chat_templates", names);
}

void setKindKeys(const TokenizerSpm& tokenizer, GgufKeys& keys)
{
    keys.set("tokenizer.ggml.model", "llama");
    keys.set("tokenizer.ggml.pre", "default");
    setCommonKeys(tokenizer, keys);
}

void setKindKeys(const TokenizerBpe& tokenizer, GgufKeys& keys)
{
    keys.set("tokenizer.ggml.model", "gpt2");
    keys.set("tokenizer.ggml.pre", std::string_view(tokenizer.pre));
    setCommonKeys(tokenizer, keys);
    setOptional("tokenizer.ggml.eot_token_id", tokenizer.eotId, keys);
    keys.set("tokenizer.ggml.merges", tokenizer.merges);
}

}  // namespace

void setTokenizerKeys(const AnyTokenizer& tokenizer, GgufKeys& keys)
{
    std::visit([&](const auto& kind) { setKindKeys(kind, keys); }, tokenizer);
}

std::vector<std::string> tokenizerNotes(const AnyTokenizer& tokenizer)
{
    const auto* bpe = std::get_if<TokenizerBpe>(&tokenizer);
    return bpe == nullptr ? std::vector<std::string>{} : bpe->notes;
}

}  // namespace sigmascope
