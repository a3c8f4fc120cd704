// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/Tokenizer.h"

#include <fmt/format.h>

#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kByteToken = "<0x";

bool isByteToken(std::string_view text)
{
    return text.size() == 6 && text.starts_with(kByteToken) && text.ends_with('>')
           && text.substr(3, 2).find_first_not_of("0123456789ABCDEF") == std::string_view::npos;
}

/// Scores that make llama.cpp merge in the order of the list: SentencePiece scores what a merge makes, so all merges that
/// make one token must stand together in the list, as they do where it was made from scores.
Result<std::unordered_map<std::string, float>> scoresOf(const std::vector<std::string>& merges, const fs::path& path)
{
    std::unordered_map<std::string, float> scores;
    std::string current;
    float next = 0;
    for (const std::string& merge : merges) {
        const std::size_t space = merge.find(' ');
        std::string made = merge.substr(0, space) + merge.substr(space + 1);
        if (made == current)
            continue;
        if (!scores.try_emplace(made, next).second)
            return fail(ErrorCode::NotRepresentable, Where{path.string(), {}, {}},
                        fmt::format("its merges make \"{}\" at two places, which no scores of SentencePiece's do; take keys and tokenizer "
                                    "of a GGUF of the same model (--template)",
                                    escaped(made, 80)));
        current = std::move(made);
        next -= 1;
    }
    return scores;
}

/// SentencePiece's kind from what tokenizer.json tells of it.
Result<TokenizerSpm> sentencePieceOf(TokenizerBpe read, const fs::path& path)
{
    const auto scores = scoresOf(read.merges, path);
    if (!scores)
        return passOn(scores);
    TokenizerSpm tokenizer;
    tokenizer.tokens = std::move(read.tokens);
    const auto rest = -static_cast<float>(scores->size());
    for (std::size_t id = 0; id < tokenizer.tokens.size(); ++id) {
        Token& token = tokenizer.tokens[id];
        if (read.unknownId == id && token.type != TokenType::UserDefined)
            token.type = TokenType::Unknown;
        if (token.type == TokenType::Normal && isByteToken(token.text))
            token.type = TokenType::Byte;
        if (token.type == TokenType::Normal) {
            const auto found = scores->find(token.text);
            token.score = found != scores->end() ? found->second : rest;
        }
        constexpr std::string_view kBlank = "\u2581";  // the runtime matches these against plain text
        for (std::size_t at = 0; token.type == TokenType::UserDefined && (at = token.text.find(kBlank, at)) != std::string::npos;)
            token.text.replace(at, kBlank.size(), 1, ' ');
    }
    tokenizer.bosId = read.bosId;
    tokenizer.eosId = read.eosId;
    tokenizer.unknownId = read.unknownId;
    tokenizer.padId = read.padId;
    tokenizer.addBos = read.addBos;
    tokenizer.addEos = read.addEos;
    tokenizer.addSpacePrefix = *read.spacePrefix;
    tokenizer.chatTemplates = std::move(read.chatTemplates);
    return tokenizer;
}

}  // namespace

Result<AnyTokenizer> readTokenizer(const fs::path& folder, const Json& config, std::uint32_t vocabularySize)
{
    if (vocabularySize > kMostTokens)
        return fail(ErrorCode::InvalidMetadata, Where{(folder / "config.json").string(), {}, {}},
                    fmt::format("a vocabulary of {} tokens is more than {}", vocabularySize, kMostTokens));
    std::error_code error;
    const fs::path json = folder / "tokenizer.json";
    if (fs::exists(folder / "tokenizer.model", error)) {
        auto tokenizer = readTokenizerSpm(folder, config, vocabularySize);
        if (tokenizer)
            return AnyTokenizer{std::move(*tokenizer)};
        // Some folders keep a file of another kind under this name (llama 3's is tiktoken's): then tokenizer.json counts.
        if (tokenizer.error().code != ErrorCode::MalformedHeader || !fs::exists(json, error))
            return passOn(std::move(tokenizer));
    }
    auto content = tokenizerJson(json);
    if (!content)
        return passOn(std::move(content));
    auto tokenizer = readTokenizerBpe(folder, std::move(*content), config, vocabularySize);
    if (!tokenizer)
        return passOn(std::move(tokenizer));
    if (!tokenizer->spacePrefix)
        return AnyTokenizer{std::move(*tokenizer)};
    auto pieces = sentencePieceOf(std::move(*tokenizer), json);
    if (!pieces)
        return passOn(std::move(pieces));
    return AnyTokenizer{std::move(*pieces)};
}

}  // namespace sigmascope
