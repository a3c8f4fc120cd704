// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Json.h"

#include "core/base/Utf8.h"

#include <set>
#include <vector>

namespace sigmascope {

namespace {

/// Builds the document through nlohmann's own DOM callbacks but refuses what it would let through:
/// duplicate keys and unbounded depth.
class GuardedBuilder : public nlohmann::json_sax<Json> {
public:
    GuardedBuilder(Json& root, int maxDepth) : m_dom(root, false), m_maxDepth(maxDepth) {}

    bool null() override { return m_dom.null(); }
    bool boolean(bool value) override { return m_dom.boolean(value); }
    bool number_integer(number_integer_t value) override { return m_dom.number_integer(value); }
    bool number_unsigned(number_unsigned_t value) override { return m_dom.number_unsigned(value); }
    bool number_float(number_float_t value, const string_t& text) override { return m_dom.number_float(value, text); }
    bool string(string_t& value) override { return m_dom.string(value); }
    bool binary(binary_t& value) override { return m_dom.binary(value); }
    bool start_object(std::size_t size) override
    {
        m_keys.emplace_back();
        return deeper() && m_dom.start_object(size);
    }
    bool end_object() override
    {
        m_keys.pop_back();
        --m_depth;
        return m_dom.end_object();
    }
    bool key(string_t& value) override
    {
        if (!m_keys.back().insert(value).second) {
            problem = "duplicate key \"" + escaped(value) + "\"";
            code = ErrorCode::DuplicateName;
            return false;
        }
        return m_dom.key(value);
    }
    bool start_array(std::size_t size) override { return deeper() && m_dom.start_array(size); }
    bool end_array() override
    {
        --m_depth;
        return m_dom.end_array();
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override
    {
        offset = position;
        problem = e.what();
        return false;
    }

    std::string problem;
    std::optional<std::size_t> offset;
    ErrorCode code = ErrorCode::MalformedHeader;

private:
    bool deeper()
    {
        if (++m_depth <= m_maxDepth)
            return true;
        problem = "nested deeper than " + std::to_string(m_maxDepth) + " levels";
        return false;
    }

    nlohmann::detail::json_sax_dom_parser<Json> m_dom;
    std::vector<std::set<std::string>> m_keys;
    int m_maxDepth;
    int m_depth = 0;
};

}  // namespace

Result<Json> parseJson(std::string_view text, std::string_view file, JsonLimits limits)
{
    if (const auto bad = firstInvalidUtf8(text))
        return fail(ErrorCode::InvalidUtf8, Where{std::string(file), {}, bad}, "JSON is not valid UTF-8");
    Json root;
    GuardedBuilder builder(root, limits.depth);
    const bool ok = Json::sax_parse(text.begin(), text.end(), &builder, nlohmann::detail::input_format_t::json, true);
    if (!ok)
        return fail(builder.code, Where{std::string(file), {}, builder.offset}, "JSON: " + builder.problem);
    return root;
}

std::string textIn(const Json& object, const char* key)
{
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string dumpJson(const Json& value, int indent)
{
    return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sigmascope
