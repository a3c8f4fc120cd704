// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/PlotKit.h"

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {
QString decadeLabel(int exponent)
{
    if (exponent == 0)
        return QStringLiteral("1");
    if (exponent == 1)
        return QStringLiteral("10");
    return QStringLiteral("10") + superscript(exponent);
}

QString coloured(const QString& text, const QColor& colour)
{
    return QStringLiteral("<span style=\"color:%1\">%2</span>").arg(colour.name(), text.toHtmlEscaped());
}

void styleAxis(QCPAxis& axis)
{
    const Theme& theme = Theme::current();
    const QPen line(theme.line2, 1);
    axis.setBasePen(line);
    axis.setTickPen(line);
    axis.setSubTickPen(line);
    axis.setTickLength(0, px(5));
    axis.setSubTickLength(0, px(3));
    axis.setTickLabelFont(font(FontRole::MonoAxis));
    axis.setTickLabelColor(theme.tx2);
    axis.setLabelFont(font(FontRole::Caption));
    axis.setLabelColor(theme.tx2);
    axis.setTickLabelPadding(px(4));
    axis.setLabelPadding(px(4));
    axis.grid()->setPen(QPen(theme.grid, 1));
    axis.grid()->setZeroLinePen(QPen(theme.grid, 1));
    axis.grid()->setSubGridVisible(false);
    axis.grid()->setAntialiased(false);
}

StackedRects stackRects(QCustomPlot& plot)
{
    plot.plotLayout()->clear();
    plot.plotLayout()->setRowSpacing(0);
    const StackedRects rects{new QCPAxisRect(&plot), new QCPAxisRect(&plot)};
    plot.plotLayout()->addElement(0, 0, rects.upper);
    plot.plotLayout()->addElement(1, 0, rects.lower);
    auto* group = new QCPMarginGroup(&plot);
    for (QCPAxisRect* rect : {rects.upper, rects.lower}) {
        rect->setMarginGroup(QCP::msLeft | QCP::msRight, group);
        for (QCPAxis* axis : rect->axes()) {
            axis->setLayer(QStringLiteral("axes"));
            axis->grid()->setLayer(QStringLiteral("grid"));
        }
    }
    return rects;
}

QString DecadeTicker::getTickLabel(double tick, const QLocale&, QChar, int)
{
    return decadeLabel(static_cast<int>(std::lround(std::log10(tick))));
}

QVector<double> DecadeTicker::createTickVector(double, const QCPRange& range)
{
    QVector<double> ticks;
    if (range.lower <= 0)
        return ticks;
    const int first = static_cast<int>(std::floor(std::log10(range.lower)));
    const int last = static_cast<int>(std::ceil(std::log10(range.upper)));
    const int step = std::max(1, (last - first + 6) / 7);
    for (int e = first; e <= last; ++e)
        if (e % step == 0)
            ticks.append(std::pow(10.0, e));
    return ticks;
}

QString PlainTicker::getTickLabel(double tick, const QLocale&, QChar, int)
{
    if (std::abs(tick) < 1e-12)
        return QStringLiteral("0");
    if (std::abs(tick) >= 1e7)
        return number3(tick);
    return QLocale().toString(tick, 'g', 7).replace(QLatin1Char('-'), QChar(0x2212));
}

void RankTicker::generate(const QCPRange& range, const QLocale&, QChar, int, QVector<double>& ticks,
                          QVector<double>* subTicks, QVector<QString>* tickLabels)
{
    ticks.clear();
    QVector<double> minor;
    const double octaves = std::log2(range.upper / std::max(range.lower, 0.25));
    if (range.lower <= kRankZeroSlot * 1.02)
        ticks.append(kRankZeroSlot);
    if (octaves > 2.5) {
        const int step = octaves > 6 ? 2 : 1;  // 1 4 16 64 …, or every power of two
        for (int e = 0; e <= 40 && std::ldexp(1.0, e) <= range.upper * 1.001; ++e) {
            const double x = std::ldexp(1.0, e);
            if (x < range.lower)
                continue;
            (e % step == 0 ? ticks : minor).append(x);
        }
    } else {
        const double span = range.upper - range.lower;
        double step = std::max(1.0, std::pow(2.0, std::ceil(std::log2(span / 6))));
        for (double x = std::max(1.0, std::ceil(range.lower / step) * step); x <= range.upper; x += step)
            ticks.append(x);
    }
    if (subTicks != nullptr)
        *subTicks = minor;
    if (tickLabels == nullptr)
        return;
    tickLabels->clear();
    for (const double tick : std::as_const(ticks))
        tickLabels->append(tick < 1 ? QStringLiteral("0")
                                    : wholeNumber(static_cast<std::uint64_t>(std::llround(tick))));
}

int xToRank(double x)
{
    // Halfway on the log axis between the slot of 0 and 1.
    if (!(x >= std::sqrt(kRankZeroSlot)))
        return 0;
    return std::max(1, static_cast<int>(std::lround(std::min(x, 1e9))));
}

QVector<QCPGraphData> thinned(std::span<const double> x, std::span<const double> y, const QCPAxis& keyAxis,
                              bool positiveOnly)
{
    QVector<QCPGraphData> points;
    int column = 0;
    bool isOpen = false;
    QCPGraphData low, high;
    const auto flush = [&] {
        if (!isOpen)
            return;
        points.append(low.key <= high.key ? low : high);
        if (low.key != high.key)
            points.append(low.key <= high.key ? high : low);
    };
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (!std::isfinite(y[i]) || (positiveOnly && y[i] <= 0))
            continue;
        const int here = static_cast<int>(std::floor(keyAxis.coordToPixel(x[i])));
        const QCPGraphData point(x[i], y[i]);
        if (!isOpen || here != column) {
            flush();
            low = high = point;
            column = here;
            isOpen = true;
            continue;
        }
        if (point.value < low.value)
            low = point;
        if (point.value > high.value)
            high = point;
    }
    flush();
    return points;
}

}  // namespace sigmascope::ui
