// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace sigmascope {

/// Reads little-endian values of a hostile file one after another; nothing past the end is ever touched.
class ByteCursor {
public:
    ByteCursor(std::span<const std::byte> bytes, std::string_view file) : m_bytes(bytes), m_file(file) {}

    [[nodiscard]] std::uint64_t offset() const { return m_at; }
    [[nodiscard]] std::uint64_t left() const { return m_bytes.size() - m_at; }
    /// The tensor or key that errors name from here on; borrowed, empty for none.
    void setSubject(std::string_view name) { m_subject = name; }

    /// @param what  names the field in the error.
    template <class Number>
        requires std::is_arithmetic_v<Number>
    [[nodiscard]] Result<Number> number(std::string_view what)
    {
        if (left() < sizeof(Number))
            return tooShort(what, sizeof(Number));
        Number value{};
        std::memcpy(&value, m_bytes.data() + m_at, sizeof(Number));
        m_at += sizeof(Number);
        return value;
    }
    /// Borrows the file.
    [[nodiscard]] Result<std::span<const std::byte>> bytes(std::uint64_t count, std::string_view what)
    {
        if (left() < count)
            return tooShort(what, count);
        const auto taken = m_bytes.subspan(m_at, static_cast<std::size_t>(count));
        m_at += static_cast<std::size_t>(count);
        return taken;
    }
    /// A u64 length and that many bytes. Borrows the file.
    [[nodiscard]] Result<std::string_view> string(std::string_view what)
    {
        const auto length = number<std::uint64_t>(what);
        if (!length)
            return passOn(length);
        const auto text = bytes(*length, what);
        if (!text)
            return passOn(text);
        return std::string_view(reinterpret_cast<const char*>(text->data()), text->size());
    }

    [[nodiscard]] tl::unexpected<Error> failAt(ErrorCode code, std::uint64_t at, std::string_view what) const
    {
        return fail(code, Where{std::string(m_file), std::string(m_subject), at}, what);
    }

private:
    [[nodiscard]] tl::unexpected<Error> tooShort(std::string_view what, std::uint64_t needed) const
    {
        return failAt(ErrorCode::Truncated, m_at,
                      std::string(what) + " needs " + std::to_string(needed) + " bytes, the file has "
                          + std::to_string(left()) + " left");
    }

    std::span<const std::byte> m_bytes;
    std::string_view m_file;
    std::string_view m_subject;
    std::size_t m_at = 0;
};

}  // namespace sigmascope
