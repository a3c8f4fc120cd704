// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/MappedFile.h"

namespace sigmascope {

enum class FileKind { Safetensors, Gguf, Index };

/// What a file is, by its first bytes; its extension decides only where they do not. WrongMagic when it
/// is something else altogether, saying what it seems to be: a Git-LFS pointer, a web page, an archive,
/// a GGML file of old.
[[nodiscard]] Result<FileKind> fileKindOf(const MappedFile& file);

}  // namespace sigmascope
