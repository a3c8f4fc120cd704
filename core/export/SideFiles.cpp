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

/// The file @p name of the model's folder, unless it is a link out of there, or no file.
void addSide(const fs::path& folder, const std::string& name, std::vector<SideFile>& files, std::vector<std::string>& notes)
{
    if (const Status inside = refuseLinkOutOf(folder, name); !inside) {
        notes.push_back(inside.error().detail + ": not copied");
        return;
    }
    std::error_code unreadable;
    if (!fs::is_regular_file(folder / name, unreadable))
        return;
    const auto bytes = fs::file_size(folder / name, unreadable);
    if (!unreadable)
        files.push_back({.name = name, .source = folder / name, .bytes = bytes});
}

/// Templates of chats that have names of their own.
void addTemplates(const fs::path& folder, std::vector<SideFile>& files, std::vector<std::string>& notes)
{
    const std::string inner(kTemplatesFolder);
    if (const Status inside = refuseLinkOutOf(folder, inner); !inside) {
        notes.push_back(inside.error().detail + ": not copied");
        return;
    }
    constexpr std::size_t kMost = 64;  // as many as are read
    std::size_t count = 0;
    std::error_code error;
    for (fs::directory_iterator it(folder / inner, error), last; !error && it != last && count < kMost; it.increment(error)) {
        if (it->path().extension() != ".jinja")
            continue;
        addSide(folder, inner + "/" + it->path().filename().native(), files, notes);
        ++count;
    }
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
        if (isSideFile(name))
            addSide(folder, name, files, notes);
    }
    addTemplates(folder, files, notes);
    std::ranges::sort(files, {}, &SideFile::name);  // not as the file system lists them
    return files;
}

}  // namespace sigmascope
