// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Json.h"

#include "core/base/Utf8.h"

#include <unordered_set>
#include <utility>
#include <vector>

namespace sigmascope {

namespace {

/// Builds the document but refuses what nlohmann's own builder would let through: duplicate keys and unbounded depth.
/// A name that is known to be new is appended: an ordered object's own insertion looks through all before it, which for
/// the 200,000 tokens of a vocabulary would take minutes.
class GuardedBuilder : public nlohmann::json_sax<Json> {
public:
    GuardedBuilder(Json& root, int maxDepth) : m_root(root), m_maxDepth(maxDepth) {}

    bool null() override { return put(Json(nullptr)); }
    bool boolean(bool value) override { return put(Json(value)); }
    bool number_integer(number_integer_t value) override { return put(Json(value)); }
    bool number_unsigned(number_unsigned_t value) override { return put(Json(value)); }
    bool number_float(number_float_t value, const string_t& /*text*/) override { return put(Json(value)); }
    bool string(string_t& value) override { return put(Json(std::move(value))); }
    bool binary(binary_t& /*value*/) override { return false; }  // no text holds any
    bool start_object(std::size_t /*size*/) override
    {
        m_names.emplace_back();
        return open(Json::value_t::object);
    }
    bool end_object() override
    {
        m_names.pop_back();
        m_open.pop_back();
        return true;
    }
    bool key(string_t& value) override
    {
        if (!m_names.back().insert(value).second) {
            problem = "duplicate key \"" + escaped(value) + "\"";
            code = ErrorCode::DuplicateName;
            return false;
        }
        m_key = std::move(value);
        return true;
    }
    bool start_array(std::size_t /*size*/) override { return open(Json::value_t::array); }
    bool end_array() override
    {
        m_open.pop_back();
        return true;
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
    bool open(Json::value_t type)
    {
        if (m_open.size() >= static_cast<std::size_t>(m_maxDepth)) {
            problem = "nested deeper than " + std::to_string(m_maxDepth) + " levels";
            return false;
        }
        m_open.push_back(&place(Json(type)));
        return true;
    }
    bool put(Json&& value)
    {
        place(std::move(value));
        return true;
    }
    /// Where it stands stays valid while it is open: what holds it does not grow meanwhile.
    Json& place(Json&& value)
    {
        if (m_open.empty())
            return m_root = std::move(value);
        Json& parent = *m_open.back();
        if (parent.is_array()) {
            auto& array = parent.get_ref<Json::array_t&>();
            array.push_back(std::move(value));
            return array.back();
        }
        auto& object = static_cast<Json::object_t::Container&>(parent.get_ref<Json::object_t&>());
        object.emplace_back(std::move(m_key), std::move(value));
        return object.back().second;
    }

    Json& m_root;
    std::vector<Json*> m_open;
    std::vector<std::unordered_set<std::string>> m_names;
    std::string m_key;
    int m_maxDepth;
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
