// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/ConfigReader.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace sigmascope {

const Json* ConfigReader::find(const char* key) const
{
    const auto found = m_object.find(key);
    return found == m_object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::optional<std::uint32_t>> ConfigReader::countOrZero(const char* key) const
{
    const Json* value = find(key);
    if (value == nullptr)
        return std::optional<std::uint32_t>{};
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > std::numeric_limits<std::int32_t>::max())
        return wrong(key, "a count of 31 bits", *value);
    return std::optional{value->get<std::uint32_t>()};
}

Result<std::optional<std::uint32_t>> ConfigReader::count(const char* key) const
{
    const Json* value = find(key);
    if (value == nullptr)
        return std::optional<std::uint32_t>{};
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() == 0
        || value->get<std::uint64_t>() > std::numeric_limits<std::int32_t>::max())
        return wrong(key, "a positive integer of 31 bits", *value);
    return std::optional{value->get<std::uint32_t>()};
}

Result<std::optional<float>> ConfigReader::real(const char* key) const
{
    const Json* value = find(key);
    if (value == nullptr)
        return std::optional<float>{};
    const float number = value->is_number() ? value->get<float>() : 0.0F;
    if (!std::isfinite(number) || number <= 0)
        return wrong(key, "a positive number", *value);
    return std::optional{number};
}

Result<std::optional<bool>> ConfigReader::flag(const char* key) const
{
    const Json* value = find(key);
    if (value == nullptr)
        return std::optional<bool>{};
    if (!value->is_boolean())
        return wrong(key, "true or false", *value);
    return std::optional{value->get<bool>()};
}

Result<std::vector<float>> ConfigReader::reals(const char* key, std::size_t most) const
{
    std::vector<float> numbers;
    const Json* list = find(key);
    if (list == nullptr)
        return numbers;
    if (!list->is_array() || list->size() > most)
        return wrong(key, fmt::format("a list of at most {} numbers", most), *list);
    for (const Json& value : *list) {
        const float number = value.is_number() ? value.get<float>() : 0.0F;
        if (!std::isfinite(number) || number <= 0)
            return wrong(key, "a list of positive numbers", value);
        numbers.push_back(number);
    }
    return numbers;
}

tl::unexpected<Error> ConfigReader::wrong(const char* key, std::string_view expected, const Json& found) const
{
    return fail(ErrorCode::InvalidMetadata, Where{std::string(m_file), {}, {}},
                fmt::format("\"{}\": {} is expected, found {}", key, expected, escaped(dumpJson(found), 60)));
}

tl::unexpected<Error> ConfigReader::missing(const char* key) const
{
    return fail(ErrorCode::InvalidMetadata, Where{std::string(m_file), {}, {}}, fmt::format("\"{}\" is missing", key));
}

tl::unexpected<Error> ConfigReader::notRepresentable(std::string_view what) const
{
    return fail(ErrorCode::NotRepresentable, Where{std::string(m_file), {}, {}},
                fmt::format("{}; a GGUF of the same model, given as template, can carry it", what));
}

}  // namespace sigmascope
