// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Digits.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope::cli
{

enum class Align { Left, Right };

struct Column {
    std::string title;
    Align align = Align::Right;
};

/// Text table with aligned columns, two blanks between them, a rule under the titles, no blanks at line ends.
/// Widths count code points; cells must be printable (see escaped()).
class Table
{
public:
    explicit Table(std::vector<Column> columns);
    /// Missing cells are empty. @pre no more cells than columns.
    void add(std::vector<std::string> cells);
    [[nodiscard]] bool isEmpty() const { return m_rows.empty(); }
    [[nodiscard]] std::string toString() const;

private:
    std::vector<Column> m_columns;
    std::vector<std::vector<std::string>> m_rows;
};

/// Code points of UTF-8 text; a stray byte counts as one.
[[nodiscard]] std::size_t displayWidth(std::string_view text);
/// "0.0713", "1.23e-07": four significant digits, "–" for an absent value. Locale-free.
[[nodiscard]] std::string shortNumber(std::optional<double> value);
/// "4.531 %" of a ratio, "–" if absent.
[[nodiscard]] std::string percent(std::optional<double> ratio);

} // namespace sigmascope::cli
