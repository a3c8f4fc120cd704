// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

namespace sigmascope {

using Bytes = std::uint64_t;

// Sizes that come from a file never meet a bare product: these return nothing on overflow.
[[nodiscard]] constexpr std::optional<std::uint64_t> checkedMul(std::uint64_t a, std::uint64_t b)
{
    if (a != 0 && b > std::numeric_limits<std::uint64_t>::max() / a)
        return std::nullopt;
    return a * b;
}

[[nodiscard]] constexpr std::optional<std::uint64_t> checkedAdd(std::uint64_t a, std::uint64_t b)
{
    if (b > std::numeric_limits<std::uint64_t>::max() - a)
        return std::nullopt;
    return a + b;
}

/// Next multiple of @p alignment. @pre alignment is a power of two.
[[nodiscard]] constexpr std::optional<std::uint64_t> checkedAlign(std::uint64_t value, std::uint64_t alignment)
{
    const auto sum = checkedAdd(value, alignment - 1);
    if (!sum)
        return std::nullopt;
    return *sum & ~(alignment - 1);
}

/// The same for sizes already validated.
[[nodiscard]] constexpr std::uint64_t alignUp(std::uint64_t value, std::uint64_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

/// "4.69 GB", "36.0 kB": powers of ten, three significant digits, as shops and `ls --si` count. Locale-free.
[[nodiscard]] std::string formatBytes(Bytes bytes);

}  // namespace sigmascope
