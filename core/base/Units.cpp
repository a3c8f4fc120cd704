// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Units.h"

#include <fmt/format.h>

#include <array>

namespace sigmascope {

std::string formatBytes(Bytes bytes)
{
    constexpr std::array kUnits{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1000)
        return fmt::format("{} B", bytes);
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    // 999.5 would print as "1000": the next unit takes over where three digits end.
    while (value >= 999.5 && unit + 1 < kUnits.size()) {
        value /= 1000;
        ++unit;
    }
    const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f} {}", value, decimals, kUnits[unit]);
}

}  // namespace sigmascope
