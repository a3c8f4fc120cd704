// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace sigmascope::ui {

/// The list without one row; nothing if there is no such row.
template <class Row>
[[nodiscard]] std::optional<std::vector<Row>> withoutRow(std::vector<Row> rows, int row)
{
    if (row < 0 || row >= static_cast<int>(rows.size()))
        return std::nullopt;
    rows.erase(rows.begin() + row);
    return rows;
}

/// The list with a row that has changed places with the one @p by rows on; nothing if there is no such row.
template <class Row>
[[nodiscard]] std::optional<std::vector<Row>> withMovedRow(std::vector<Row> rows, int row, int by)
{
    const int count = static_cast<int>(rows.size());
    const int to = row + by;
    if (row < 0 || row >= count || to < 0 || to >= count)
        return std::nullopt;
    std::swap(rows[static_cast<std::size_t>(row)], rows[static_cast<std::size_t>(to)]);
    return rows;
}

}  // namespace sigmascope::ui
