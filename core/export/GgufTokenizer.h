// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/GgufWriter.h"
#include "core/model/Tokenizer.h"

namespace sigmascope {

/// Puts a tokenizer into a GGUF's keys: tokenizer.ggml.* and tokenizer.chat_template.
void setTokenizerKeys(const AnyTokenizer& tokenizer, GgufKeys& keys);

/// What llama.cpp does otherwise than the tokenizer, one line each.
[[nodiscard]] std::vector<std::string> tokenizerNotes(const AnyTokenizer& tokenizer);

}  // namespace sigmascope
