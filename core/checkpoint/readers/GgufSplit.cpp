// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/readers/GgufSplit.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sigmascope {

namespace {

constexpr std::string_view kNo = "split.no";
constexpr std::string_view kCount = "split.count";
constexpr std::string_view kTensors = "split.tensors.count";

const GgufKey* find(const ShardContent& content, std::string_view key)
{
    const auto it = std::ranges::find(content.keys, key, &GgufKey::key);
    return it == content.keys.end() ? nullptr : &*it;
}

/// The value of an integer key, whatever its width; nothing if it is absent, negative or no integer.
std::optional<std::uint64_t> integer(const GgufKey* key)
{
    if (key == nullptr)
        return std::nullopt;
    const bool isSigned = key->type == GgufType::I8 || key->type == GgufType::I16 || key->type == GgufType::I32 || key->type == GgufType::I64;
    const bool isUnsigned = key->type == GgufType::U8 || key->type == GgufType::U16 || key->type == GgufType::U32 || key->type == GgufType::U64;
    if (!isSigned && !isUnsigned)
        return std::nullopt;
    std::uint64_t value = 0;
    std::memcpy(&value, key->value.data(), std::min(sizeof value, key->value.size()));
    const bool negative = isSigned && (value >> (key->value.size() * 8 - 1)) != 0;
    return negative ? std::nullopt : std::optional(value);
}

struct SplitName {
    std::string prefix;
    std::uint64_t number = 0;  // from 1
    std::uint64_t count = 0;
};

/// PREFIX-%05d-of-%05d.gguf
std::optional<SplitName> parseName(const std::filesystem::path& path)
{
    constexpr std::size_t kTail = std::string_view("-00001-of-00002.gguf").size();
    const std::string name = path.filename().native();
    if (name.size() < kTail)
        return std::nullopt;
    const std::string_view tail = std::string_view(name).substr(name.size() - kTail);
    SplitName split{.prefix = name.substr(0, name.size() - kTail)};
    const auto digits = [&](std::size_t from, std::uint64_t& value) {
        const char* const end = tail.data() + from + 5;
        const auto [last, error] = std::from_chars(tail.data() + from, end, value);
        return error == std::errc{} && last == end;
    };
    const bool matches = tail[0] == '-' && digits(1, split.number) && tail.substr(6, 4) == "-of-" && digits(10, split.count)
        && tail.substr(15) == ".gguf";
    return matches && split.number >= 1 && split.number <= split.count ? std::optional(split) : std::nullopt;
}

std::string shown(std::optional<std::uint64_t> value)
{
    return value ? std::to_string(*value) : "nothing usable";
}

tl::unexpected<Error> inconsistent(const std::filesystem::path& path, std::string_view key, const GgufKey* found,
                                   std::uint64_t expected)
{
    const auto offset = found == nullptr ? std::nullopt : std::optional(found->offset);
    return fail(ErrorCode::InconsistentShards, Where{path.native(), std::string(key), offset},
                "expected " + std::to_string(expected) + ", found " + shown(integer(found)));
}

}  // namespace

bool isGgufSplit(const ShardContent& content)
{
    const GgufKey* const count = find(content, kCount);
    return count != nullptr && integer(count) != 1U;
}

Result<std::vector<std::string>> ggufSplitNames(const std::filesystem::path& path, const ShardContent& content)
{
    const GgufKey* const key = find(content, kCount);
    const auto name = parseName(path);
    if (!name)
        return fail(ErrorCode::InconsistentShards, Where{path.native(), std::string(kCount), key->offset},
                    "the file is one of " + shown(integer(key)) + ", but its name does not end in -NNNNN-of-NNNNN.gguf");
    if (Status fits = checkGgufSplitKeys(path, content, name->number - 1, name->count); !fits)
        return passOn(fits);
    std::vector<std::string> names;
    names.reserve(name->count);
    for (std::uint64_t i = 1; i <= name->count; ++i)
        names.push_back(fmt::format("{}-{:05}-of-{:05}.gguf", name->prefix, i, name->count));
    return names;
}

Status checkGgufSplitKeys(const std::filesystem::path& path, const ShardContent& content, std::size_t number, std::size_t count)
{
    const GgufKey* const no = find(content, kNo);
    const GgufKey* const total = find(content, kCount);
    if (integer(total) != count)
        return inconsistent(path, kCount, total, count);
    if (integer(no) != number)
        return inconsistent(path, kNo, no, number);
    return {};
}

Status checkGgufSplitTotal(const std::filesystem::path& path, const std::vector<std::optional<Result<ShardContent>>>& contents)
{
    std::uint64_t found = 0;
    for (const auto& content : contents) {
        if (!content)
            return {};
        found += content->value().tensors.size();
    }
    for (const auto& content : contents) {
        const GgufKey* const key = find(content->value(), kTensors);
        if (key != nullptr && integer(key) != found)
            return inconsistent(path, kTensors, key, found);
    }
    return {};
}

bool areOneGgufSplit(const std::vector<std::filesystem::path>& files)
{
    const auto first = parseName(files.front());
    return first && std::ranges::all_of(files, [&](const std::filesystem::path& file) {
        const auto name = parseName(file);
        return name && name->prefix == first->prefix && name->count == first->count;
    });
}

}  // namespace sigmascope
