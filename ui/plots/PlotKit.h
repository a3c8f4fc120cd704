// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only: the look of axes, tickers and thinning that all plots share.

#include "ui/Theme.h"
#include "ui/text/Numbers.h"

#include <qcustomplot.h>

#include <span>

namespace sigmascope::ui {

/// "10⁻²", "1", "10": the label of a decade.
[[nodiscard]] QString decadeLabel(int exponent);
/// `<span style="color:…">text</span>`
[[nodiscard]] QString coloured(const QString& text, const QColor& colour);

/// Axis line, ticks, labels and grid in the theme's colours. Left or bottom axes.
void styleAxis(QCPAxis& axis);

/// Two rects above each other as the only ones of a plot: shared left and right margins, axes and grid on the layers of
/// those names. What stands on the axes is the caller's.
struct StackedRects {
    QCPAxisRect* upper = nullptr;
    QCPAxisRect* lower = nullptr;
};
[[nodiscard]] StackedRects stackRects(QCustomPlot& plot);

/// Decades with 10ⁿ labels, at most seven.
class DecadeTicker : public QCPAxisTickerLog {
protected:
    QString getTickLabel(double tick, const QLocale& locale, QChar formatChar, int precision) override;
    QVector<double> createTickVector(double tickStep, const QCPRange& range) override;
};

/// Linear, five or so ticks, labels of the locale with a true minus.
class PlainTicker : public QCPAxisTicker {
public:
    PlainTicker() { setTickCount(5); }

protected:
    QString getTickLabel(double tick, const QLocale& locale, QChar formatChar, int precision) override;
};

/// Rank axis: 0 in its slot left of 1, then 1 4 16 64 …, or finer when zoomed in.
class RankTicker : public QCPAxisTicker {
public:
    void generate(const QCPRange& range, const QLocale& locale, QChar formatChar, int precision, QVector<double>& ticks,
                  QVector<double>* subTicks, QVector<QString>* tickLabels) override;
};

/// Where rank 0 is drawn on the logarithmic rank axis.
inline constexpr double kRankZeroSlot = 0.5;
[[nodiscard]] inline double rankToX(int rank)
{
    return rank <= 0 ? kRankZeroSlot : rank;
}
[[nodiscard]] int xToRank(double x);

/// At most two points (smallest and largest) a pixel column, in the order of x. Points that @p axis cannot place (y of
/// a log axis not positive) are left out.
/// @pre x ascending, same size as y.
[[nodiscard]] QVector<QCPGraphData> thinned(std::span<const double> x, std::span<const double> y,
                                            const QCPAxis& keyAxis, bool positiveOnly);

}  // namespace sigmascope::ui
