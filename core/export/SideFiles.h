// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Units.h"
#include "core/checkpoint/Checkpoint.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// Where newer folders have the templates of chats that are not the usual one.
inline constexpr std::string_view kTemplatesFolder = "additional_chat_templates";

/// A file that a model folder has beside its weights: tokenizer, configuration, licence.
struct SideFile {
    std::string name;               ///< in the new folder: bare, or behind the name of one folder and a slash
    std::filesystem::path source{}; ///< copied from here; empty: `text` is the content
    std::string text{};
    Bytes bytes = 0;
};

/// Everything that runtimes read beside the weights, in order of name, config.json left out. Nothing if there is no
/// config.json: a lone file in a folder of downloads has no side files. Files that are links to a place outside of the
/// model's folder are left out and told in @p notes.
[[nodiscard]] std::vector<SideFile> sideFilesOf(const Checkpoint& checkpoint, std::vector<std::string>& notes);

}  // namespace sigmascope
