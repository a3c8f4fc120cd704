// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/ChannelsParts.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sigmascope::ui {
namespace {

constexpr std::size_t kMostMarks = 64;
constexpr double kDeepest = 1e-7;  // values further below the largest would squeeze all others

}  // namespace

void ChannelsPlot::buildRects()
{
    const StackedRects rects = stackRects(*plot());
    m->upper = rects.upper;
    m->lower = rects.lower;
    for (QCPAxisRect* rect : {m->upper, m->lower}) {
        rect->axis(QCPAxis::atBottom)->setTicker(QSharedPointer<PlainTicker>::create());
        rect->axis(QCPAxis::atBottom)->setRange(-0.5, 99.5);
        rect->axis(QCPAxis::atLeft)->setScaleType(QCPAxis::stLogarithmic);
        rect->axis(QCPAxis::atLeft)->setTicker(QSharedPointer<DecadeTicker>::create());
        rect->axis(QCPAxis::atLeft)->setRange(0.01, 1);
    }
    connect(&m->xAxis(), qOverload<const QCPRange&>(&QCPAxis::rangeChanged), &m->xBelow(),
            qOverload<const QCPRange&>(&QCPAxis::setRange));
    for (ChannelCurve& curve : m->curves) {
        curve.graph = plot()->addGraph(&m->xAxis(), &m->yAxis());
        curve.label = new LabelItem(plot(), FontRole::CaptionStrong);
        curve.label->setVisible(false);
    }
    m->activation = plot()->addGraph(&m->xBelow(), &m->yBelow());
    m->marks = plot()->addGraph(&m->xAxis(), &m->yAxis());
    m->activationMarks = plot()->addGraph(&m->xBelow(), &m->yBelow());
    for (QCPGraph* graph : {m->marks, m->activationMarks})
        graph->setLineStyle(QCPGraph::lsNone);
    for (int i = 0; i < plot()->graphCount(); ++i) {
        plot()->graph(i)->setSelectable(QCP::stNone);
        plot()->graph(i)->setAntialiased(true);
    }
    m->activationLabel = new LabelItem(plot(), FontRole::Caption);
    m->activationLabel->setText(tr("RMS of the input, from calibration"));
    m->cursor = new CursorItem(plot());
    m->cursor->setVisible(false);
}

void ChannelsPlot::applyLook()
{
    if (!m)
        return;
    const Theme& theme = Theme::current();
    for (QCPAxisRect* rect : {m->upper, m->lower})
        for (QCPAxis* axis : rect->axes())
            styleAxis(*axis);
    m->yAxis().setLabel(tr("Weight magnitude"));
    m->yBelow().setLabel(tr("Input RMS"));
    for (std::size_t i = 0; i < m->curves.size(); ++i) {
        ChannelCurve& curve = m->curves[i];
        QPen pen = theme.pen(curve.series, i == Parts::AbsMax ? 1.6 : i == Parts::Rms ? 1.0 : 1.4);
        QColor label = theme.colour(curve.series);
        if (isStale()) {
            QColor pale = theme.tx3;
            pale.setAlphaF(0.7F);
            pen = QPen(pale, pen.widthF(), Qt::CustomDashLine, Qt::FlatCap);
            pen.setDashPattern({3, 2});
            label = theme.tx3;
        }
        // Thousands of channels are a band of noise: dashes would not be seen, and cost a frame.
        if (m->count() > 2048 && !isStale())
            pen.setStyle(Qt::SolidLine);
        curve.graph->setPen(pen);
        curve.label->setColour(label);
        curve.label->setGround(theme.base);
    }
    m->activation->setPen(QPen(isStale() ? theme.tx3 : theme.tx2, 1.2));
    m->activationLabel->setColour(theme.tx2);
    m->activationLabel->setGround(theme.base);
    const auto square = [](const QColor& edge, const QColor& fill) {
        return QCPScatterStyle(QCPScatterStyle::ssSquare, QPen(edge, 1.4), QBrush(fill), px(6));
    };
    m->marks->setScatterStyle(square(theme.seriesW, theme.base));
    m->activationMarks->setScatterStyle(square(theme.tx2, theme.base));
    m->isDirty = true;
}

void ChannelsPlot::chooseLayout()
{
    m->hasLower = m->showsActivation() && plot()->height() >= px(340);
    QCPAxis& bearer = m->hasLower ? m->xBelow() : m->xAxis();
    const QString order = m->order == Order::Natural ? QString() : tr(", by largest weight");
    const QString name
        = (m->side == Side::Inputs ? tr("Input channel, column of W") : tr("Output channel, row of W")) + order;
    for (QCPAxis* axis : {&m->xAxis(), &m->xBelow()}) {
        axis->setTickLabels(axis == &bearer);
        axis->setLabel(axis == &bearer ? name : QString());
    }
    m->lower->setVisible(m->hasLower);
    m->activation->setVisible(m->hasLower);
    m->activationMarks->setVisible(m->hasLower);
    m->activationLabel->setVisible(m->hasLower);
    m->lower->setMinimumSize(0, m->hasLower ? px(120) : 0);
    m->lower->setMaximumSize(QWIDGETSIZE_MAX, m->hasLower ? px(120) : 0);
    m->lower->setAutoMargins(m->hasLower ? QCP::msLeft | QCP::msBottom : QCP::MarginSides(QCP::msNone));
    m->lower->setMargins(m->hasLower ? QMargins(0, px(8), px(12), 0) : QMargins());
    m->upper->setAutoMargins(m->hasLower ? QCP::MarginSides(QCP::msLeft) : QCP::msLeft | QCP::msBottom);
    m->upper->setMargins(QMargins(0, px(8), px(12), m->hasLower ? px(8) : 0));
}

void ChannelsPlot::layOut()
{
    if (m->isDirty || m->laidOutWidth != plot()->width())
        fillCurves();
    m->isDirty = false;
    m->laidOutWidth = plot()->width();
    placeLabels();
    placeCursor();
}

void ChannelsPlot::fillCurves()
{
    // Only what is in view and one channel either side is handed over, two points a pixel column at most.
    const std::size_t count = m->count();
    const QCPRange range = m->xAxis().range();
    const auto place
        = [&](double x) { return static_cast<std::size_t>(std::clamp(x, 0.0, static_cast<double>(count))); };
    const std::size_t from = place(std::floor(range.lower)), to = place(std::ceil(range.upper) + 1);
    const auto fill = [&](QCPGraph& graph, const std::vector<double>& y, const QCPAxis& axis) {
        if (y.empty() || from >= to) {
            graph.data()->clear();
            return;
        }
        graph.data()->set(
            thinned(std::span(m->x).subspan(from, to - from), std::span(y).subspan(from, to - from), axis, true), true);
    };
    for (ChannelCurve& curve : m->curves) {
        curve.graph->setVisible(curve.isDrawn());
        fill(*curve.graph, curve.y, m->xAxis());
    }
    fill(*m->activation, m->activationY, m->xAxis());
    QVector<QCPGraphData> marks, activationMarks;
    for (const ListedOutlier& outlier : m->outliers) {
        QVector<QCPGraphData>& target = outlier.isActivation ? activationMarks : marks;
        if (target.size() < static_cast<qsizetype>(kMostMarks))
            target.append(
                QCPGraphData(static_cast<double>(m->placeOf(outlier.channel.channel)), outlier.channel.value));
    }
    m->marks->setVisible(m->curves[Parts::AbsMax].isDrawn());
    m->marks->data()->set(marks);
    m->activationMarks->data()->set(activationMarks);
}

PlotFrame::Extent ChannelsPlot::dataExtent() const
{
    Extent extent{.xLower = -0.5,
                  .xUpper = std::max(0.5, static_cast<double>(m->count()) - 0.5),
                  .yLower = 0.01,
                  .yUpper = 1,
                  .yLog = true};
    double low = std::numeric_limits<double>::infinity(), high = 0;
    for (const ChannelCurve& curve : m->curves) {
        if (!curve.isDrawn())
            continue;
        for (const double value : curve.y) {
            if (!std::isfinite(value))
                continue;
            high = std::max(high, value);
            low = value > 0 ? std::min(low, value) : low;
        }
    }
    if (high <= 0)
        return extent;
    low = std::max(low, high * kDeepest);
    extent.yLower = low / 1.5;
    extent.yUpper = high * 1.5;
    return extent;
}

void ChannelsPlot::fitY()
{
    const Extent extent = dataExtent();
    m->yAxis().setRange(extent.yLower, extent.yUpper);
    double low = std::numeric_limits<double>::infinity(), high = 0;
    for (const double value : m->activationY) {
        if (!std::isfinite(value))
            continue;
        high = std::max(high, value);
        low = value > 0 ? std::min(low, value) : low;
    }
    if (high > 0)
        m->yBelow().setRange(std::max(low, high * kDeepest) / 1.5, high * 2);
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

/// Each curve is named once, at the right, where its values of the last eighth lie; names give way to each other.
void ChannelsPlot::placeLabels()
{
    const QRectF rect = m->upper->rect();
    std::vector<QRectF> taken;
    const auto reach = [&](const ChannelCurve& curve, bool isTop) {
        double edge = isTop ? rect.bottom() : rect.top();
        const double from = rect.right() - px(150);
        for (const QCPGraphData& point : *curve.graph->data()) {
            if (m->xAxis().coordToPixel(point.key) < from || m->xAxis().coordToPixel(point.key) > rect.right())
                continue;
            const double y = m->yAxis().coordToPixel(point.value);
            edge = isTop ? std::min(edge, y) : std::max(edge, y);
        }
        return edge;
    };
    for (std::size_t i = 0; i < m->curves.size(); ++i) {
        ChannelCurve& curve = m->curves[i];
        const bool isShown = curve.isDrawn() && (state() == State::Ready || isStale()) && curve.graph->dataCount() > 0;
        curve.label->setVisible(isShown);
        if (!isShown)
            continue;
        curve.label->setText(curve.name);
        const QSizeF size = curve.label->textSize();
        const double x = rect.right() - size.width() - px(8);
        const QRectF above(QPointF(x, reach(curve, true) - size.height() - px(3)), size);
        const QRectF below(QPointF(x, reach(curve, false) + px(3)), size);
        // The largest magnitude has free ground above it, all others below.
        const auto isFree = [&](const QRectF& box) {
            return rect.contains(box) && std::ranges::none_of(taken, [&](const QRectF& other) {
                       return other.adjusted(-2, -2, 2, 2).intersects(box);
                   });
        };
        const QRectF first = i == Parts::AbsMax ? above : below, second = i == Parts::AbsMax ? below : above;
        const QRectF box = isFree(first) ? first : second;
        curve.label->setVisible(isFree(box));
        curve.label->place(box.topLeft());
        taken.push_back(box);
    }
    if (m->hasLower)
        m->activationLabel->place(QPointF(m->lower->rect().topLeft() + QPoint(px(8), px(2))));
}

void ChannelsPlot::placeCursor()
{
    const bool isShown = m->cursorAt && *m->cursorAt < m->count() && (state() == State::Ready || isStale());
    m->cursor->setVisible(isShown);
    m->readout = isShown ? readoutAt(*m->cursorAt) : QString();
    setReadout(m->readout);
    if (!isShown)
        return;
    const Theme& theme = Theme::current();
    const double x = m->xAxis().coordToPixel(static_cast<double>(*m->cursorAt));
    std::vector<CurvePoint> points;
    const auto add = [&](const QCPAxis& axis, const QCPAxisRect& rect, double value, const QColor& colour) {
        const QPointF at(x, value > 0 ? axis.coordToPixel(value) : -1);
        if (rect.rect().contains(at.toPoint()))
            points.push_back({at, colour});
    };
    for (const ChannelCurve& curve : m->curves)
        if (curve.isDrawn())
            add(m->yAxis(), *m->upper, curve.y[*m->cursorAt], theme.colour(curve.series));
    std::vector<QRect> rects{m->upper->rect()};
    if (m->hasLower) {
        add(m->yBelow(), *m->lower, m->activationY[*m->cursorAt], theme.tx2);
        rects.push_back(m->lower->rect());
    }
    m->cursor->place(x, rects, std::move(points));
}

QString ChannelsPlot::readoutAt(std::size_t place) const
{
    const Theme& theme = Theme::current();
    const std::uint64_t channel = m->channelAt(place);
    QStringList parts{coloured(tr("channel %1").arg(wholeNumber(channel)), theme.tx2)};
    const std::array<QString, Parts::CurveCount> names{tr("largest"), tr("RMS"), QStringLiteral("E"),
                                                       QStringLiteral("E·S")};
    for (std::size_t i = 0; i < m->curves.size(); ++i)
        if (m->curves[i].isDrawn())
            parts += coloured(names[i] + QLatin1Char(' ') + number3(m->curves[i].y[place]),
                              theme.colour(m->curves[i].series));
    if (m->showsActivation())
        parts += coloured(tr("input %1").arg(number3(m->activationY[place])), theme.tx2);
    for (const ListedOutlier& outlier : m->outliers)
        if (outlier.channel.channel == channel)
            parts += coloured(outlier.isActivation ? tr("input ×%1").arg(number3(outlier.channel.ratio))
                                                   : tr("W ×%1").arg(number3(outlier.channel.ratio)),
                              theme.tx);
    return parts.join(QStringLiteral("&nbsp;&nbsp; "));
}

}  // namespace sigmascope::ui
