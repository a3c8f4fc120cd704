// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sigmascope {

/// Text as it may stand in HTML and SVG: markup escaped, control characters shown, invalid UTF-8 replaced.
[[nodiscard]] std::string markup(std::string_view text);

struct ChartSeries {
    std::string name;
    std::string style;                         ///< CSS class: its colour and pattern
    std::vector<std::optional<double>> values; ///< one a column; absent ones leave a gap
};

struct Chart {
    std::string title;
    std::string unit;
    std::span<const std::string> columns{};    ///< what each column stands for, shown on hover
    std::vector<ChartSeries> series{};
    bool logarithmic = false;                  ///< values of 0 and less are left out then
};

/// Vertical marks over the columns in order, as an <svg> of fixed width that scales with the page: bars for one series,
/// dots for several. Empty if no value can be drawn.
[[nodiscard]] std::string svgChart(const Chart& chart);

}  // namespace sigmascope
