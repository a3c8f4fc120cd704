// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Table.h"

#include "core/base/Utf8.h"

#include <algorithm>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

void appendPadded(std::string& line, std::string_view cell, std::size_t width, Align align)
{
    const std::size_t blanks = width - std::min(width, displayWidth(cell));
    if (align == Align::Right)
        line.append(blanks, ' ');
    line += cell;
    if (align == Align::Left)
        line.append(blanks, ' ');
}

void endLine(std::string& text, std::string line)
{
    line.erase(line.find_last_not_of(' ') + 1);
    text += line;
    text += '\n';
}

} // namespace

Table::Table(std::vector<Column> columns)
    : m_columns(std::move(columns))
{
}

void Table::add(std::vector<std::string> cells)
{
    cells.resize(m_columns.size());
    m_rows.push_back(std::move(cells));
}

std::string Table::toString() const
{
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < m_columns.size(); ++i) {
        std::size_t width = displayWidth(m_columns[i].title);
        for (const auto& row : m_rows)
            width = std::max(width, displayWidth(row[i]));
        widths.push_back(width);
    }
    const auto line = [&](auto&& cellOf) {
        std::string joined;
        for (std::size_t i = 0; i < m_columns.size(); ++i) {
            if (i != 0)
                joined += "  ";
            appendPadded(joined, cellOf(i), widths[i], m_columns[i].align);
        }
        return joined;
    };
    std::string text;
    endLine(text, line([&](std::size_t i) -> std::string_view { return m_columns[i].title; }));
    std::string rule;
    for (std::size_t i = 0; i < widths.size(); ++i) {
        rule += i == 0 ? "" : "  ";
        for (std::size_t at = 0; at < widths[i]; ++at)
            rule += "─";
    }
    endLine(text, rule);
    for (const auto& row : m_rows)
        endLine(text, line([&](std::size_t i) -> std::string_view { return row[i]; }));
    return text;
}

std::size_t displayWidth(std::string_view text)
{
    std::size_t width = 0;
    while (!text.empty()) {
        text.remove_prefix(std::max<std::size_t>(1, utf8SequenceLength(text)));
        ++width;
    }
    return width;
}

std::string shortNumber(std::optional<double> value)
{
    return value ? fmt::format("{:.4g}", *value) : "–";
}

std::string percent(std::optional<double> ratio)
{
    if (!ratio)
        return "–";
    if (*ratio != 0 && *ratio < 1e-5)
        return fmt::format("{:.2g} %", 100 * *ratio);
    return fmt::format("{:.3f} %", 100 * *ratio);
}

} // namespace sigmascope::cli
