// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"
#include "core/base/Result.h"
#include "core/model/TokenizerFiles.h"
#include "core/model/TokenizerSpm.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope {

/// Everything GGUF keeps of a byte-level BPE tokenizer (GPT-2's kind), gathered from an HF folder.
struct TokenizerBpe {
    std::string pre{};                  ///< how text is cut into words, by llama.cpp's name for it
    /// Set where the file holds SentencePiece's merges with tokens for bytes, which llama.cpp runs by scores and without
    /// cutting text first (Tokenizer.h): whether a space goes before the text. Then there is no pre.
    std::optional<bool> spacePrefix{};
    std::vector<Token> tokens{};        ///< exactly as many as the embedding has rows; scores mean nothing
    std::vector<std::string> merges{};  ///< "left right", the first merged first
    std::optional<std::uint32_t> bosId{}, eosId{}, eotId{}, unknownId{}, padId{};
    bool addBos = false, addEos = false;
    ChatTemplates chatTemplates{};
    std::vector<std::string> notes{};   ///< what llama.cpp does otherwise, one line each
};

/// Reads vocab.json with merges.txt (where there is no tokenizer.json), tokenizer_config.json, special_tokens_map.json,
/// added_tokens.json, generation_config.json and chat templates of an HF folder.
/// @param tokenizer  the folder's tokenizer.json, an empty object where there is none.
/// @param config  the folder's config.json, for ids the others do not tell.
/// @param vocabularySize  rows of the embedding: ids without a token become unused tokens.
/// NotRepresentable when there is no such tokenizer, or not one that llama.cpp reproduces (PreTokenizers.h);
/// InvalidMetadata for ids out of range or given twice and for merges of tokens that are not there.
[[nodiscard]] Result<TokenizerBpe> readTokenizerBpe(const std::filesystem::path& folder, Json tokenizer, const Json& config,
                                                    std::uint32_t vocabularySize);

}  // namespace sigmascope
