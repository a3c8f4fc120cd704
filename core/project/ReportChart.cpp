// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/ReportChart.h"

#include "core/base/Result.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace sigmascope {

namespace {

constexpr double kWidth = 960;
constexpr double kHeight = 200;
constexpr double kLeft = 56;
constexpr double kRight = 8;
constexpr double kTop = 12;
constexpr double kBottom = 14;

/// Value to height, linear from 0 or logarithmic over whole decades.
struct Axis {
    double low = 0, high = 1;
    bool logarithmic = false;

    [[nodiscard]] double at(double value) const
    {
        const double share = logarithmic ? (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low))
                                         : (value - low) / (high - low);
        return kTop + (1 - std::clamp(share, 0.0, 1.0)) * (kHeight - kTop - kBottom);
    }
};

bool isDrawable(const std::optional<double>& value, bool logarithmic)
{
    return value && std::isfinite(*value) && (*value > 0 || (!logarithmic && *value >= 0));
}

/// The smallest of 1, 2, 5 times a power of ten that is not below.
double roundUp(double value)
{
    const double power = std::pow(10.0, std::floor(std::log10(value)));
    for (const double step : {1.0, 2.0, 5.0})
        if (value <= step * power)
            return step * power;
    return 10 * power;
}

std::optional<Axis> axisOf(const Chart& chart)
{
    double low = 0;
    double high = 0;
    bool any = false;
    for (const ChartSeries& series : chart.series) {
        for (const auto& value : series.values) {
            if (!isDrawable(value, chart.logarithmic))
                continue;
            low = any ? std::min(low, *value) : *value;
            high = any ? std::max(high, *value) : *value;
            any = true;
        }
    }
    if (!any)
        return std::nullopt;
    if (!chart.logarithmic)
        return Axis{0, high > 0 ? roundUp(high) : 1, false};
    const double bottom = std::pow(10.0, std::floor(std::log10(low)));
    const double top = std::pow(10.0, std::ceil(std::log10(high)));
    return Axis{bottom, top > bottom ? top : 10 * bottom, true};
}

void addTick(std::string& svg, const Axis& axis, double value)
{
    const double y = axis.at(value);
    svg += fmt::format("<line class=\"grid\" x1=\"{:.0f}\" x2=\"{:.0f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
                       "<text class=\"tick\" x=\"{:.0f}\" y=\"{:.1f}\">{:g}</text>\n",
                       kLeft, kWidth - kRight, y, y, kLeft - 8, y + 4, value);
}

void addAxis(std::string& svg, const Axis& axis)
{
    if (axis.logarithmic) {
        for (double value = axis.low; value <= axis.high * 1.0001; value *= 10)
            addTick(svg, axis, value);
        return;
    }
    for (int i = 0; i <= 4; ++i)
        addTick(svg, axis, axis.high * i / 4);
}

void addMark(std::string& svg, const Chart& chart, const ChartSeries& series, const Axis& axis, std::size_t column, double pitch)
{
    const auto& value = series.values[column];
    if (!isDrawable(value, chart.logarithmic))
        return;
    const double x = kLeft + (static_cast<double>(column) + 0.5) * pitch;
    const double y = axis.at(*value);
    const double bottom = kHeight - kBottom;
    const std::string hint = fmt::format("<title>{}: {} {:.4g} {}</title>", markup(chart.columns[column]), markup(series.name),
                                         *value, markup(chart.unit));
    if (chart.series.size() == 1) {
        const double width = std::max(1.0, 0.75 * pitch);
        svg += fmt::format("<rect class=\"{}\" x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\">{}</rect>\n",
                           series.style, x - width / 2, y, width, std::max(0.5, bottom - y), hint);
    } else {
        svg += fmt::format("<circle class=\"{}\" cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"{:.2f}\">{}</circle>\n", series.style, x, y,
                           std::clamp(0.35 * pitch, 1.2, 3.5), hint);
    }
}

}  // namespace

std::string markup(std::string_view text)
{
    std::string out;
    for (const char c : escaped(text)) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        default: out += c;
        }
    }
    return out;
}

std::string svgChart(const Chart& chart)
{
    const auto axis = axisOf(chart);
    if (!axis || chart.columns.empty())
        return {};
    const double pitch = (kWidth - kLeft - kRight) / static_cast<double>(chart.columns.size());
    std::string svg = fmt::format("<figure><figcaption>{}{}", markup(chart.title),
                                  chart.unit.empty() ? std::string() : ", " + markup(chart.unit));
    if (chart.series.size() > 1)
        for (const ChartSeries& series : chart.series)
            svg += fmt::format(" <span class=\"key {0}\"></span>{1}", series.style, markup(series.name));
    svg += fmt::format("</figcaption>\n<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n", kWidth, kHeight,
                       markup(chart.title));
    addAxis(svg, *axis);
    for (const ChartSeries& series : chart.series)
        for (std::size_t column = 0; column < chart.columns.size(); ++column)
            addMark(svg, chart, series, *axis, column, pitch);
    return svg + "</svg></figure>\n";
}

}  // namespace sigmascope
