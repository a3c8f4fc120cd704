// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/readers/JsonScanner.h"

#include <bit>
#include <charconv>
#include <cstring>

namespace sigmascope {

namespace {

constexpr bool isDigit(char c)
{
    return c >= '0' && c <= '9';
}

/// First of '"', '\\' or a control character at or after @p from; text.size() if there is none.
/// Eight bytes at a time: names and metadata are most of a header.
std::size_t endOfPlainText(std::string_view text, std::size_t from)
{
    constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
    constexpr std::uint64_t kHigh = 0x8080808080808080ULL;
    while (from + 8 <= text.size()) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + from, 8);
        const std::uint64_t quote = word ^ (kOnes * '"');
        const std::uint64_t backslash = word ^ (kOnes * '\\');
        // Classic "has a zero byte" and "has a byte below 0x20"; false alarms only end the fast loop early.
        const std::uint64_t hit = ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash)
            | ((word - kOnes * 0x20) & ~word);
        if ((hit & kHigh) != 0)
            break;
        from += 8;
    }
    while (from < text.size() && text[from] != '"' && text[from] != '\\' && static_cast<unsigned char>(text[from]) >= 0x20)
        ++from;
    return from;
}

void appendUtf8(std::string& out, unsigned code)
{
    const auto put = [&out](unsigned byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0U | (code >> 6));
        put(0x80U | (code & 0x3FU));
    } else if (code < 0x10000) {
        put(0xE0U | (code >> 12));
        put(0x80U | ((code >> 6) & 0x3FU));
        put(0x80U | (code & 0x3FU));
    } else {
        put(0xF0U | (code >> 18));
        put(0x80U | ((code >> 12) & 0x3FU));
        put(0x80U | ((code >> 6) & 0x3FU));
        put(0x80U | (code & 0x3FU));
    }
}

}  // namespace

char JsonScanner::peek()
{
    while (m_at < m_text.size()) {
        const char c = m_text[m_at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return c;
        ++m_at;
    }
    return '\0';
}

tl::unexpected<Error> JsonScanner::unexpectedCharacter(std::string_view wanted)
{
    const bool atEnd = m_at >= m_text.size();
    const std::string found = atEnd ? std::string("the end") : "'" + escaped(m_text.substr(m_at, 1)) + "'";
    return failHere(ErrorCode::MalformedHeader, "JSON: expected " + std::string(wanted) + ", found " + found);
}

Status JsonScanner::enter()
{
    if (++m_depth > kMaxDepth)
        return failHere(ErrorCode::MalformedHeader, "JSON: nested deeper than " + std::to_string(kMaxDepth) + " levels");
    return {};
}

Result<std::string_view> JsonScanner::string(std::string& scratch)
{
    if (!take('"'))
        return unexpectedCharacter("a string");
    const std::size_t begin = m_at;
    m_at = endOfPlainText(m_text, m_at);
    if (m_at < m_text.size() && m_text[m_at] == '"')
        return m_text.substr(begin, m_at++ - begin);
    return escapedString(begin, scratch);
}

Result<std::string_view> JsonScanner::escapedString(std::size_t begin, std::string& scratch)
{
    scratch.assign(m_text.substr(begin, m_at - begin));
    for (;;) {
        if (m_at >= m_text.size())
            return failHere(ErrorCode::MalformedHeader, "JSON: a string does not end");
        const char c = m_text[m_at];
        if (c == '"') {
            ++m_at;
            return std::string_view(scratch);
        }
        if (c != '\\')
            return failHere(ErrorCode::MalformedHeader, "JSON: control character in a string");
        if (const Status escape = appendEscape(scratch); !escape)
            return passOn(escape);
        const std::size_t plainEnd = endOfPlainText(m_text, m_at);
        scratch.append(m_text.substr(m_at, plainEnd - m_at));
        m_at = plainEnd;
    }
}

Result<unsigned> JsonScanner::fourHexDigits()
{
    unsigned code = 0;
    const char* const from = m_text.data() + m_at;
    if (m_text.size() - m_at < 4)
        return failHere(ErrorCode::MalformedHeader, "JSON: \\u needs four hexadecimal digits");
    const auto [last, error] = std::from_chars(from, from + 4, code, 16);
    if (error != std::errc{} || last != from + 4)
        return failHere(ErrorCode::MalformedHeader, "JSON: \\u needs four hexadecimal digits");
    m_at += 4;
    return code;
}

Status JsonScanner::appendEscape(std::string& out)
{
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeaning = "\"\\/\b\f\n\r\t";
    const std::uint64_t at = offset();
    ++m_at;  // the backslash
    const char letter = m_at < m_text.size() ? m_text[m_at] : '\0';
    if (const std::size_t i = kLetters.find(letter); letter != '\0' && i != std::string_view::npos) {
        out += kMeaning[i];
        ++m_at;
        return {};
    }
    if (letter != 'u')
        return failAt(ErrorCode::MalformedHeader, at, "JSON: unknown escape in a string");
    ++m_at;
    const auto first = fourHexDigits();
    if (!first)
        return passOn(first);
    unsigned code = *first;
    if (code >= 0xD800 && code < 0xE000) {
        const bool pairFollows = code < 0xDC00 && m_text.substr(m_at, 2) == "\\u";
        if (!pairFollows)
            return failAt(ErrorCode::InvalidUtf8, at, "JSON: lone surrogate escape");
        m_at += 2;
        const auto second = fourHexDigits();
        if (!second)
            return passOn(second);
        if (*second < 0xDC00 || *second >= 0xE000)
            return failAt(ErrorCode::InvalidUtf8, at, "JSON: lone surrogate escape");
        code = 0x10000 + ((code - 0xD800) << 10) + (*second - 0xDC00);
    }
    appendUtf8(out, code);
    return {};
}

Result<std::uint64_t> JsonScanner::unsignedInteger()
{
    const char first = peek();
    const std::uint64_t at = offset();
    const std::size_t begin = m_at;
    std::size_t stop = begin;
    while (stop < m_text.size() && isDigit(m_text[stop]))
        ++stop;
    const char next = stop < m_text.size() ? m_text[stop] : '\0';
    const bool plain = stop > begin && next != '.' && next != 'e' && next != 'E' && !(first == '0' && stop - begin > 1);
    std::uint64_t value = 0;
    const auto [last, error] = std::from_chars(m_text.data() + begin, m_text.data() + stop, value);
    if (!plain || error != std::errc{} || last != m_text.data() + stop) {
        const std::size_t shownEnd = m_text.find_first_of(",]}: \n\t\r", begin);
        const std::string shown = escaped(m_text.substr(begin, shownEnd == std::string_view::npos ? 32 : shownEnd - begin), 32);
        return failAt(ErrorCode::InvalidNumber, at, "expected a plain integer from 0 to 2^64-1, found " + shown);
    }
    m_at = stop;
    return value;
}

Status JsonScanner::skipNumber()
{
    const std::uint64_t at = offset();
    const auto digits = [this] {
        const std::size_t begin = m_at;
        while (m_at < m_text.size() && isDigit(m_text[m_at]))
            ++m_at;
        return m_at - begin;
    };
    const auto next = [this] { return m_at < m_text.size() ? m_text[m_at] : '\0'; };
    if (next() == '-')
        ++m_at;
    const bool zero = next() == '0';
    const std::size_t whole = digits();
    bool ok = whole == 1 || (whole > 1 && !zero);
    if (next() == '.') {
        ++m_at;
        ok = ok && digits() > 0;
    }
    if (next() == 'e' || next() == 'E') {
        ++m_at;
        if (next() == '+' || next() == '-')
            ++m_at;
        ok = ok && digits() > 0;
    }
    if (!ok)
        return failAt(ErrorCode::MalformedHeader, at, "JSON: not a value");
    return {};
}

Status JsonScanner::skip()
{
    std::string scratch;
    switch (peek()) {
    case '{': return object([this](std::string_view, std::uint64_t) { return skip(); });
    case '[': return array([this] { return skip(); });
    case '"': {
        const auto text = string(scratch);
        return text ? Status{} : passOn(text);
    }
    default: break;
    }
    for (const std::string_view word : {"true", "false", "null"}) {
        if (m_text.substr(m_at, word.size()) == word) {
            m_at += word.size();
            return {};
        }
    }
    return skipNumber();
}

Status JsonScanner::end()
{
    if (peek() != '\0' || m_at < m_text.size())
        return failHere(ErrorCode::MalformedHeader, "JSON: something follows the end of the object");
    return {};
}

}  // namespace sigmascope
