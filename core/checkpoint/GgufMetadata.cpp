// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/GgufMetadata.h"

#include "core/checkpoint/readers/ByteCursor.h"

#include <algorithm>

namespace sigmascope {

namespace {

constexpr std::size_t kArrayHead = 4 + 8;  // element type, count

template <class Number>
std::optional<Number> scalar(const GgufKey* key, GgufType type)
{
    if (key == nullptr || key->type != type || key->value.size() != sizeof(Number))
        return std::nullopt;
    Number value{};
    std::memcpy(&value, key->value.data(), sizeof(Number));
    return value;
}

}  // namespace

const GgufKey* GgufMetadata::find(std::string_view key) const
{
    const auto it = std::ranges::find(m_keys, key, &GgufKey::key);
    return it == m_keys.end() ? nullptr : &*it;
}

std::optional<std::uint32_t> GgufMetadata::u32(std::string_view key) const
{
    return scalar<std::uint32_t>(find(key), GgufType::U32);
}

std::optional<float> GgufMetadata::f32(std::string_view key) const
{
    return scalar<float>(find(key), GgufType::F32);
}

std::optional<std::string_view> GgufMetadata::string(std::string_view key) const
{
    const GgufKey* const found = find(key);
    if (found == nullptr || found->type != GgufType::String)
        return std::nullopt;
    // Validated when opened; read with bounds again, because the mapping may have lost its pages since.
    const auto text = ByteCursor(found->value, {}).string({});
    return text ? std::optional(*text) : std::nullopt;
}

std::optional<std::vector<std::string_view>> GgufMetadata::strings(std::string_view key) const
{
    const GgufKey* const found = find(key);
    if (found == nullptr || found->type != GgufType::Array || found->elementType != GgufType::String)
        return std::nullopt;
    ByteCursor cursor(found->value.subspan(kArrayHead), {});
    std::vector<std::string_view> texts;
    texts.reserve(static_cast<std::size_t>(found->count));
    for (std::uint64_t i = 0; i < found->count; ++i) {
        const auto text = cursor.string({});
        if (!text)
            return std::nullopt;
        texts.push_back(*text);
    }
    return texts;
}

}  // namespace sigmascope
