// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/readers/GgufKeys.h"

#include "core/base/Units.h"

#include <algorithm>
#include <array>

namespace sigmascope {

namespace {

constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint32_t kTypeCount = 13;
constexpr std::uint32_t kArrayType = static_cast<std::uint32_t>(GgufType::Array);
constexpr std::uint32_t kStringType = static_cast<std::uint32_t>(GgufType::String);
constexpr std::uint32_t kBoolType = static_cast<std::uint32_t>(GgufType::Bool);
/// By type id; 0 for what has no fixed size.
constexpr std::array<std::uint64_t, kTypeCount> kSizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

Result<std::uint32_t> readType(ByteCursor& cursor, std::string_view what)
{
    const std::uint64_t start = cursor.offset();
    auto type = cursor.number<std::uint32_t>(what);
    if (type && *type >= kTypeCount)
        return cursor.failAt(ErrorCode::UnknownType, start, std::string(what) + ": the id " + std::to_string(*type) + " is not known");
    return type;
}

Status skipScalars(ByteCursor& cursor, std::uint32_t type, std::uint64_t count)
{
    const std::uint64_t start = cursor.offset();
    const auto size = checkedMul(count, kSizes[type]);
    if (!size)
        return cursor.failAt(ErrorCode::SizeOverflow, start, "an array of " + std::to_string(count) + " elements overflows");
    const auto value = cursor.bytes(*size, "the value");
    if (!value)
        return passOn(value);
    if (type != kBoolType)
        return {};
    const auto bad = std::ranges::find_if(*value, [](std::byte b) { return b > std::byte{1}; });
    if (bad != value->end())
        return cursor.failAt(ErrorCode::InvalidMetadata, start + static_cast<std::uint64_t>(bad - value->begin()),
                             "a bool: expected 0 or 1, found " + std::to_string(std::to_integer<int>(*bad)));
    return {};
}

Status skipStrings(ByteCursor& cursor, std::uint64_t count)
{
    if (count > cursor.left() / 8)
        return cursor.failAt(ErrorCode::Truncated, cursor.offset(),
                             "an array of " + std::to_string(count) + " strings cannot fit in the " + std::to_string(cursor.left())
                                 + " bytes left");
    for (std::uint64_t i = 0; i < count; ++i) {
        if (const auto text = cursor.string("a string"); !text)
            return passOn(text);
    }
    return {};
}

Status skipElements(ByteCursor& cursor, std::uint32_t type, std::uint64_t count)
{
    return type == kStringType ? skipStrings(cursor, count) : skipScalars(cursor, type, count);
}

Status skipArray(ByteCursor& cursor, GgufKey& key)
{
    const std::uint64_t start = cursor.offset();
    const auto elementType = readType(cursor, "the array's element type");
    if (!elementType)
        return passOn(elementType);
    if (*elementType == kArrayType)
        return cursor.failAt(ErrorCode::MalformedHeader, start, "an array of arrays is not allowed");
    const auto count = cursor.number<std::uint64_t>("the array's length");
    if (!count)
        return passOn(count);
    key.elementType = static_cast<GgufType>(*elementType);
    key.count = *count;
    return skipElements(cursor, *elementType, *count);
}

}  // namespace

Result<GgufKey> readGgufKey(ByteCursor& cursor)
{
    const std::uint64_t start = cursor.offset();
    cursor.setSubject({});
    const auto name = cursor.string("a key");
    if (!name)
        return passOn(name);
    if (name->empty() || name->size() > kMaxKeyBytes)
        return cursor.failAt(ErrorCode::MalformedHeader, start,
                             "a key of " + std::to_string(name->size()) + " bytes: expected 1 to 65535");
    cursor.setSubject(*name);
    const auto type = readType(cursor, "the value's type");
    if (!type)
        return passOn(type);
    GgufKey key{.key = *name, .type = static_cast<GgufType>(*type), .offset = cursor.offset()};
    ByteCursor whole = cursor;
    const Status skipped = *type == kArrayType ? skipArray(cursor, key) : skipElements(cursor, *type, 1);
    if (!skipped)
        return passOn(skipped);
    key.value = *whole.bytes(cursor.offset() - key.offset, "the value");
    cursor.setSubject({});
    return key;
}

}  // namespace sigmascope
