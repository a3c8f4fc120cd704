// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"
#include "core/base/Result.h"
#include "core/model/TokenizerFiles.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// SentencePiece's kinds of pieces, by the numbers that its files and GGUF's token_type share.
enum class TokenType : std::int32_t { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

struct Token {
    std::string text;
    float score = 0;
    TokenType type = TokenType::Normal;
};

/// A SentencePiece model: pieces with scores and kinds, as they stand in a tokenizer.model.
struct SentencePieceModel {
    std::vector<Token> pieces;
    bool isBpe = false;           ///< merges by score; the other kinds are not what llama.cpp calls "llama"
    bool addsDummyPrefix = true;  ///< a space before the text
    // Defaults of the format, for files that leave them out.
    std::optional<std::uint32_t> unknownId{0}, bosId{1}, eosId{2}, padId{};
};

/// Parses the protobuf of a tokenizer.model. @p file names the source in errors, which tell the byte offset.
[[nodiscard]] Result<SentencePieceModel> parseSentencePiece(std::span<const std::byte> bytes, std::string_view file);

/// A text's ids by the SentencePiece library itself, without BOS: what any reader of the vocabulary must reproduce.
[[nodiscard]] Result<std::vector<std::int32_t>> encodeWithSentencePiece(const std::filesystem::path& model, std::string_view text);

/// Everything GGUF keeps of a SentencePiece tokenizer, gathered from an HF folder.
struct TokenizerSpm {
    std::vector<Token> tokens;  ///< exactly as many as the embedding has rows
    std::optional<std::uint32_t> bosId{}, eosId{}, unknownId{}, padId{};
    std::optional<bool> addBos{}, addEos{};
    bool addSpacePrefix = true;
    ChatTemplates chatTemplates{};
};

/// Reads tokenizer.model, added_tokens.json, tokenizer_config.json and chat_template.jinja of an HF folder, as
/// llama.cpp's own converter does. @param config the folder's config.json, for ids the others do not tell.
/// @param vocabularySize rows of the embedding: missing tokens become unused ones.
/// NotRepresentable when there is no tokenizer.model, or not one of the BPE kind.
[[nodiscard]] Result<TokenizerSpm> readTokenizerSpm(const std::filesystem::path& folder, const Json& config,
                                                    std::uint32_t vocabularySize);

}  // namespace sigmascope
