// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/TokenizerFiles.h"

#include "core/base/MappedFile.h"

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

ChatTemplates templatesIn(const Json& entry)
{
    ChatTemplates templates;
    if (entry.is_string())
        templates.main = entry.get<std::string>();
    if (!entry.is_array())
        return templates;
    constexpr std::size_t kMostTemplates = 64;
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
    auto jinja = tokenizerText(folder / "chat_template.jinja");
    if (!jinja)
        return passOn(std::move(jinja));
    if (*jinja)
        return ChatTemplates{std::move(*jinja), {}};
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
