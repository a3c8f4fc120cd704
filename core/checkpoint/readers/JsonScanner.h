// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace sigmascope {

/// Walks hostile JSON in place, without building a document: a tensor header of 100 MB costs no memory
/// beyond what its reader keeps. Stricter than JSON where a header needs it: integers only as plain digits
/// (no sign, fraction, exponent or leading zero), nesting at most kMaxDepth, no lone surrogates.
/// Errors name the byte offset in the file. @pre the text is valid UTF-8.
class JsonScanner {
public:
    static constexpr int kMaxDepth = 8;

    /// @param start  offset of @p text in its file.
    JsonScanner(std::string_view text, std::string_view file, std::uint64_t start)
        : m_text(text), m_file(file), m_start(start)
    {
    }

    /// Where the next character lies in the file.
    [[nodiscard]] std::uint64_t offset() const { return m_start + m_at; }
    /// The next character that is no white space; 0 at the end.
    [[nodiscard]] char peek();

    /// onMember(key, offset of the key) must consume the value. A key borrows the text, or the scanner
    /// until the next string is read.
    template <class OnMember>
    [[nodiscard]] Status object(OnMember&& onMember);
    /// onItem() must consume one item.
    template <class OnItem>
    [[nodiscard]] Status array(OnItem&& onItem);
    /// Borrows the text, or @p scratch when there are escapes.
    [[nodiscard]] Result<std::string_view> string(std::string& scratch);
    [[nodiscard]] Result<std::uint64_t> unsignedInteger();
    /// Any one value, checked for form but not kept.
    [[nodiscard]] Status skip();
    /// Nothing but white space may follow.
    [[nodiscard]] Status end();

    [[nodiscard]] tl::unexpected<Error> failHere(ErrorCode code, std::string_view what) const
    {
        return failAt(code, offset(), what);
    }
    [[nodiscard]] tl::unexpected<Error> failAt(ErrorCode code, std::uint64_t at, std::string_view what) const
    {
        return fail(code, Where{std::string(m_file), std::string(m_subject), at}, what);
    }
    /// The tensor that errors name from here on; borrowed, empty for none.
    void setSubject(std::string_view name) { m_subject = name; }

private:
    [[nodiscard]] bool take(char wanted)
    {
        if (peek() != wanted)
            return false;
        ++m_at;
        return true;
    }
    [[nodiscard]] Status enter();
    [[nodiscard]] Result<std::string_view> escapedString(std::size_t begin, std::string& scratch);
    [[nodiscard]] Status appendEscape(std::string& out);
    [[nodiscard]] Result<unsigned> fourHexDigits();
    [[nodiscard]] Status skipNumber();
    [[nodiscard]] tl::unexpected<Error> unexpectedCharacter(std::string_view wanted);

    std::string_view m_text;
    std::string_view m_file;
    std::string_view m_subject;
    std::uint64_t m_start;
    std::size_t m_at = 0;
    int m_depth = 0;
};

template <class OnMember>
Status JsonScanner::object(OnMember&& onMember)
{
    if (!take('{'))
        return unexpectedCharacter("an object");
    if (const Status entered = enter(); !entered)
        return entered;
    if (!take('}')) {
        std::string scratch;
        for (;;) {
            if (peek() != '"')
                return unexpectedCharacter("a quoted name");
            const std::uint64_t keyOffset = offset();
            const auto key = string(scratch);
            if (!key)
                return passOn(key);
            if (!take(':'))
                return unexpectedCharacter("':'");
            if (const Status taken = onMember(*key, keyOffset); !taken)
                return taken;
            if (take('}'))
                break;
            if (!take(','))
                return unexpectedCharacter("',' or '}'");
        }
    }
    --m_depth;
    return {};
}

template <class OnItem>
Status JsonScanner::array(OnItem&& onItem)
{
    if (!take('['))
        return unexpectedCharacter("an array");
    if (const Status entered = enter(); !entered)
        return entered;
    if (!take(']')) {
        for (;;) {
            if (const Status taken = onItem(); !taken)
                return taken;
            if (take(']'))
                break;
            if (!take(','))
                return unexpectedCharacter("',' or ']'");
        }
    }
    --m_depth;
    return {};
}

}  // namespace sigmascope
