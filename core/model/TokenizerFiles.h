// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"
#include "core/base/Result.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What the readers of both kinds of tokenizers take from the files of an HF folder.

namespace sigmascope {

/// Files of vocabularies beyond this are refused unread: the largest published ones have 35 MB.
inline constexpr std::uint64_t kLargestTokenizerFile = 128ULL << 20;
/// Vocabularies beyond this are refused: the largest published ones have 262,144 tokens.
inline constexpr std::uint32_t kMostTokens = 1U << 24;

/// Content of a side file; nothing when it is absent, HeaderTooLarge beyond kLargestTokenizerFile.
[[nodiscard]] Result<std::optional<std::string>> tokenizerText(const std::filesystem::path& path);

/// A side file that holds a JSON object; an empty one when it is absent.
[[nodiscard]] Result<Json> tokenizerJson(const std::filesystem::path& path);

/// Chat templates of a model: the one that counts, and others by name.
struct ChatTemplates {
    std::optional<std::string> main{};
    std::vector<std::pair<std::string, std::string>> named{};  ///< name of letters, digits and _, template
};

/// tokenizer_config.json's own (one text, or a list of named ones of which "default" counts) wins over
/// chat_template.jinja with those in additional_chat_templates/, which wins over chat_template.json, as in llama.cpp's
/// converter. UnsafePath for templates that are links out of the folder.
[[nodiscard]] Result<ChatTemplates> chatTemplatesOf(const std::filesystem::path& folder, const Json& tokenizerConfig);

/// Marked as control by llama.cpp's converter although the files do not call them special.
[[nodiscard]] bool looksSpecial(std::string_view text);

/// Text of an entry like "bos_token": a string, or an object with the string as "content"; empty if neither.
[[nodiscard]] std::string specialText(const Json& object, const char* key);

/// The flag at @p key; nothing where there is none.
[[nodiscard]] std::optional<bool> flagIn(const Json& object, const char* key);

/// The whole number that all of @p text spells.
[[nodiscard]] std::optional<std::uint64_t> wholeNumber(std::string_view text);

}  // namespace sigmascope
