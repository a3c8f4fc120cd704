// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/TokenizerFiles.h"

#include "core/base/MappedFile.h"
#include "core/checkpoint/readers/ShardIndex.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <span>
#include <system_error>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

/// Names become parts of GGUF keys.
std::string keyName(std::string_view name)
{
    std::string key;
    for (const char c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        key += plain ? c : '_';
    }
    return key;
}

constexpr std::size_t kMostTemplates = 64;

/// The files NAME.jinja of a folder, by name; none if there is no such folder.
Result<std::vector<fs::path>> templateFilesIn(const fs::path& folder)
{
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), last; !error && it != last; it.increment(error)) {
        std::error_code unreadable;
        if (it->path().extension() == ".jinja" && fs::is_regular_file(it->path(), unreadable))
            files.push_back(it->path());
    }
    if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
        return fail(ErrorCode::IoFailed, Where{folder.string(), {}, {}}, "cannot be listed: " + error.message());
    std::ranges::sort(files);  // not as the file system lists them
    return files;
}

/// Named templates in folder / inner.
Result<std::vector<std::pair<std::string, std::string>>> namedTemplatesIn(const fs::path& folder,
                                                                          const std::string& inner)
{
    if (auto inside = refuseLinkOutOf(folder, inner); !inside)
        return passOn(std::move(inside));
    const auto files = templateFilesIn(folder / inner);
    if (!files)
        return passOn(files);
    std::vector<std::pair<std::string, std::string>> named;
    std::uint64_t all = 0;
    for (const fs::path& file : *files) {
        const std::string name = keyName(file.stem().native());
        const bool known = std::ranges::any_of(named, [&](const auto& one) { return one.first == name; });
        if (name.empty() || known || named.size() >= kMostTemplates)
            continue;
        if (auto inside = refuseLinkOutOf(folder, inner + "/" + file.filename().native()); !inside)
            return passOn(std::move(inside));
        auto text = tokenizerText(file);
        if (!text)
            return passOn(std::move(text));
        all += *text ? (*text)->size() : 0;
        if (all > kLargestTokenizerFile)
            return fail(ErrorCode::HeaderTooLarge, Where{(folder / inner).string(), {}, {}},
                        fmt::format("has templates of more than {} bytes", kLargestTokenizerFile));
        if (*text)
            named.emplace_back(name, std::move(**text));
    }
    return named;
}

ChatTemplates templatesIn(const Json& entry)
{
    ChatTemplates templates;
    if (entry.is_string())
        templates.main = entry.get<std::string>();
    if (!entry.is_array())
        return templates;
    for (const Json& item : entry) {
        if (!item.is_object() || templates.named.size() >= kMostTemplates)
            continue;
        const std::string name = keyName(textIn(item, "name"));
        std::string text = textIn(item, "template");
        const bool known = std::any_of(templates.named.begin(), templates.named.end(), [&](const auto& n) { return n.first == name; });
        if (name.empty() || text.empty() || known)
            continue;
        if (name == "default")
            templates.main = std::move(text);
        else
            templates.named.emplace_back(name, std::move(text));
    }
    return templates;
}

}  // namespace

Result<std::optional<std::string>> tokenizerText(const fs::path& path)
{
    std::error_code error;
    if (!fs::exists(path, error))
        return std::optional<std::string>{};
    const auto file = MappedFile::open(path);
    if (!file)
        return passOn(file);
    const std::span<const std::byte> bytes = (*file)->bytes();
    if (bytes.size() > kLargestTokenizerFile)
        return fail(ErrorCode::HeaderTooLarge, Where{path.string(), {}, {}},
                    fmt::format("has {} bytes, files of a tokenizer have at most {}", bytes.size(), kLargestTokenizerFile));
    std::optional text{std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
    if (auto unchanged = (*file)->checkUnchanged(); !unchanged)
        return passOn(std::move(unchanged));
    return text;
}

Result<Json> tokenizerJson(const fs::path& path)
{
    const auto text = tokenizerText(path);
    if (!text)
        return passOn(text);
    if (!*text)
        return Json::object();
    auto json = parseJson(**text, path.string());
    if (json && !json->is_object())
        return fail(ErrorCode::InvalidMetadata, Where{path.string(), {}, {}}, "a JSON object is expected");
    return json;
}

Result<ChatTemplates> chatTemplatesOf(const fs::path& folder, const Json& tokenizerConfig)
{
    const auto entry = tokenizerConfig.find("chat_template");
    if (entry != tokenizerConfig.end() && !entry->is_null())
        return templatesIn(*entry);
    // Any text is a template, and becomes part of the output: none is read from outside of the folder.
    if (auto inside = refuseLinkOutOf(folder, "chat_template.jinja"); !inside)
        return passOn(std::move(inside));
    auto jinja = tokenizerText(folder / "chat_template.jinja");
    if (!jinja)
        return passOn(std::move(jinja));
    if (*jinja) {
        auto named = namedTemplatesIn(folder, "additional_chat_templates");
        if (!named)
            return passOn(std::move(named));
        // "default" would be the one that counts under another name; transformers never writes it there.
        std::erase_if(*named, [](const auto& one) { return one.first == "default"; });
        return ChatTemplates{std::move(*jinja), std::move(*named)};
    }
    const auto json = tokenizerJson(folder / "chat_template.json");
    if (!json)
        return passOn(json);
    return templatesIn(json->value("chat_template", Json()));
}

bool looksSpecial(std::string_view text)
{
    constexpr std::array<std::string_view, 4> kKnown{"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kFrames{{{"<|", "|>"}, {"<｜", "｜>"}, {"<unused", ">"}}};
    return std::find(kKnown.begin(), kKnown.end(), text) != kKnown.end()
           || std::any_of(kFrames.begin(), kFrames.end(),
                          [&](const auto& frame) { return text.starts_with(frame.first) && text.ends_with(frame.second); });
}

std::string specialText(const Json& object, const char* key)
{
    const auto entry = object.find(key);
    if (entry == object.end())
        return {};
    return entry->is_object() ? textIn(*entry, "content") : entry->is_string() ? entry->get<std::string>() : std::string();
}

std::optional<bool> flagIn(const Json& object, const char* key)
{
    const auto entry = object.find(key);
    return entry == object.end() || !entry->is_boolean() ? std::nullopt : std::optional(entry->get<bool>());
}

std::optional<std::uint64_t> wholeNumber(std::string_view text)
{
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

}  // namespace sigmascope
