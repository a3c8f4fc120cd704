// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/SideFiles.h"

#include "core/checkpoint/readers/ShardIndex.h"

#include <algorithm>
#include <array>
#include <system_error>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 17> kNames{
    "README.md",           "added_tokens.json",      "chat_template.jinja",       "chat_template.json",  "generation_config.json",
    "merges.txt",          "preprocessor_config.json", "processor_config.json",   "sentencepiece.bpe.model", "special_tokens_map.json",
    "spiece.model",        "tokenizer.json",         "tokenizer.model",           "tokenizer_config.json",   "video_preprocessor_config.json",
    "vocab.json",          "vocab.txt"};
constexpr std::array<std::string_view, 3> kStarts{"LICENSE", "NOTICE", "USE_POLICY"};
constexpr std::array<std::string_view, 2> kEnds{".py", ".tiktoken"};

bool isSideFile(std::string_view name)
{
    return std::ranges::find(kNames, name) != kNames.end()
        || std::ranges::any_of(kStarts, [name](std::string_view start) { return name.starts_with(start); })
        || std::ranges::any_of(kEnds, [name](std::string_view end) { return name.size() > end.size() && name.ends_with(end); });
}

}  // namespace

std::vector<SideFile> sideFilesOf(const Checkpoint& checkpoint, std::vector<std::string>& notes)
{
    std::vector<SideFile> files;
    if (checkpoint.format() != CheckpointFormat::Safetensors || !checkpoint.config().is_object())
        return files;
    const fs::path folder = checkpoint.folder();
    std::error_code error;
    for (fs::directory_iterator it(folder, error), last; !error && it != last; it.increment(error)) {
        const std::string name = it->path().filename().native();
        if (!isSideFile(name))
            continue;
        if (const Status inside = refuseLinkOutOf(folder, name); !inside) {
            notes.push_back(inside.error().detail + ": not copied");
            continue;
        }
        std::error_code unreadable;
        if (!fs::is_regular_file(it->path(), unreadable))
            continue;
        const auto bytes = fs::file_size(it->path(), unreadable);
        if (!unreadable)
            files.push_back({.name = name, .source = it->path(), .bytes = bytes});
    }
    std::ranges::sort(files, {}, &SideFile::name);  // not as the file system lists them
    return files;
}

}  // namespace sigmascope
