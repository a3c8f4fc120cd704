// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/model/TokenizerBpe.h"
#include "core/model/TokenizerSpm.h"

#include <cstdint>
#include <filesystem>
#include <variant>

namespace sigmascope {

/// A tokenizer of whichever kind GGUF has keys for.
using AnyTokenizer = std::variant<TokenizerSpm, TokenizerBpe>;

/// The tokenizer of an HF folder: SentencePiece where tokenizer.model is such a file, else tokenizer.json, else vocab.json
/// with merges.txt. A tokenizer.json with SentencePiece's merges and byte tokens (llama 2, gemma) is one of those too.
/// Errors as those of readTokenizerSpm and readTokenizerBpe.
[[nodiscard]] Result<AnyTokenizer> readTokenizer(const std::filesystem::path& folder, const Json& config, std::uint32_t vocabularySize);

}  // namespace sigmascope
