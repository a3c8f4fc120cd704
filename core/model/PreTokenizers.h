// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"
#include "core/base/Result.h"

#include <string>
#include <string_view>

namespace sigmascope {

/// What decides among names of llama.cpp's pre-tokenizers that cut text alike.
struct PreTokenizerHints {
    std::string_view modelType{};   ///< config.json's model_type
    bool cleansSpaces = true;       ///< tokenizer_config.json's clean_up_tokenization_spaces: "a ." is shown as "a."
};

/// `tokenizer.ggml.pre` for a tokenizer.json: the name under which llama.cpp cuts text into the same words. Decided by
/// the definition itself (kinds, patterns and flags of pre_tokenizer, normalizer, model.ignore_merges) against a table
/// of known ones; spellings of a pattern that match alike count as one. The normal form NFC is let pass: llama.cpp
/// takes text as it comes.
/// NotRepresentable with what was found for everything else: a wrong name gives other tokens without any error.
[[nodiscard]] Result<std::string> preTokenizerName(const Json& tokenizer, const PreTokenizerHints& hints, std::string_view file);

/// The same for a vocab.json with merges.txt, whose words are cut by the class named in tokenizer_config.json.
[[nodiscard]] Result<std::string> preTokenizerNameOfClass(std::string_view tokenizerClass, const PreTokenizerHints& hints,
                                                          std::string_view file);

/// Whether a tokenizer.json with SentencePiece's merges (byte_fallback) puts a space before the text.
/// NotRepresentable when it prepares text in another way than by writing spaces as U+2581.
[[nodiscard]] Result<bool> putsSpaceBeforeText(const Json& tokenizer, std::string_view file);

}  // namespace sigmascope
