// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/SpectrumParts.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sigmascope::ui {

double RankCurve::at(int rank) const
{
    const auto index = static_cast<std::size_t>(isError ? rank : rank - 1);
    if (rank < (isError ? 0 : 1) || index >= y.size())
        return std::numeric_limits<double>::quiet_NaN();
    return y[index];
}

double SpectrumPlot::Parts::xUpper() const
{
    const std::size_t total
        = std::max({view.w.total, view.e.total, view.es.total, static_cast<std::size_t>(view.maxRank)});
    return total < 2 ? 256.0 : static_cast<double>(total);
}

void SpectrumPlot::buildRects()
{
    const StackedRects rects = stackRects(*plot());
    m->upper = rects.upper;
    m->lower = rects.lower;
    for (QCPAxisRect* rect : {m->upper, m->lower}) {
        QCPAxis* x = rect->axis(QCPAxis::atBottom);
        x->setScaleType(QCPAxis::stLogarithmic);
        x->setTicker(QSharedPointer<RankTicker>::create());
        x->setRange(0.42, 256);
    }
    m->y().setScaleType(QCPAxis::stLogarithmic);
    m->y().setTicker(QSharedPointer<DecadeTicker>::create());
    m->y().setRange(0.01, 10);
    m->yBelow().setTicker(QSharedPointer<PlainTicker>::create());
    m->yBelow().ticker()->setTickCount(3);
    m->yBelow().setRange(0, 5);
    connect(&m->x(), qOverload<const QCPRange&>(&QCPAxis::rangeChanged), m->lower->axis(QCPAxis::atBottom),
            qOverload<const QCPRange&>(&QCPAxis::setRange));
}

void SpectrumPlot::buildItems()
{
    const std::array<Series, 5> series{Series::W, Series::E, Series::ES, Series::E, Series::ES};
    const std::array<QString, 5> names{QStringLiteral("W"), QStringLiteral("E = W − Q"), QStringLiteral("E·S"),
                                       tr("weight error"), tr("output error")};
    for (std::size_t i = 0; i < m->curves.size(); ++i) {
        RankCurve& curve = m->curves[i];
        curve.series = series[i];
        curve.isError = i >= 3;
        QCPAxisRect* rect = curve.isError ? m->lower : m->upper;
        curve.graph = plot()->addGraph(rect->axis(QCPAxis::atBottom), rect->axis(QCPAxis::atLeft));
        curve.graph->setSelectable(QCP::stNone);
        curve.label = new LabelItem(plot(), curve.isError ? FontRole::Caption : FontRole::CaptionStrong);
        curve.label->setText(names[i]);
    }
    m->squares = plot()->addGraph(&m->x(), &m->y());
    m->squares->setLineStyle(QCPGraph::lsNone);
    m->noise = new QCPItemStraightLine(plot());
    m->lastComputed = new QCPItemStraightLine(plot());
    for (QCPItemStraightLine* line : {m->noise, m->lastComputed}) {
        line->setClipAxisRect(m->upper);
        for (QCPItemPosition* position : line->positions()) {
            position->setAxes(&m->x(), &m->y());
            position->setAxisRect(m->upper);
        }
    }
    m->noiseLabel = new LabelItem(plot(), FontRole::Caption);
    m->boundLabel = new LabelItem(plot(), FontRole::Caption);
    m->floorLabel = new LabelItem(plot(), FontRole::Caption);
    m->boundZone = new ZoneItem(plot(), ZoneItem::Fill::Hatched);
    m->boundZoneBelow = new ZoneItem(plot(), ZoneItem::Fill::Hatched);
    m->floorZone = new ZoneItem(plot(), ZoneItem::Fill::Flat);
    m->cursor = new CursorItem(plot());
    m->handle = new HandleItem(plot());
    m->bubble = new ReadoutItem(plot());
    m->handle->setVisible(false);
    m->bubble->setVisible(false);
}

void SpectrumPlot::applyLook()
{
    if (!m)
        return;
    for (QCPAxisRect* rect : {m->upper, m->lower})
        for (QCPAxis* axis : rect->axes())
            styleAxis(*axis);
    m->y().setLabel(tr("Singular value"));
    m->yBelow().setLabel(tr("Error left, %"));
    styleCurves();
    m->isDirty = true;
}

void SpectrumPlot::styleCurves()
{
    const Theme& theme = Theme::current();
    const RankCurve& main = m->mainCurve();
    for (RankCurve& curve : m->curves) {
        const bool isMain = &curve == &main || &curve == &m->mainError();
        QPen pen = theme.pen(curve.series, isMain ? 2.0 : 1.6);
        curve.label->setColour(theme.colour(curve.series));
        if (isStale()) {
            QColor pale = theme.tx3;
            pale.setAlphaF(0.7F);
            pen = QPen(pale, isMain ? 2.0 : 1.6, Qt::CustomDashLine, Qt::FlatCap);
            pen.setDashPattern({3, 2});
            curve.label->setColour(theme.tx3);
        }
        curve.graph->setPen(pen);
    }
    const QColor mainColour = isStale() ? theme.tx3 : theme.colour(main.series);
    m->squares->setScatterStyle(
        QCPScatterStyle(QCPScatterStyle::ssSquare, QPen(mainColour, 1), QBrush(mainColour), px(4)));
    QPen noise(isStale() ? theme.tx3 : theme.seriesE, 1);
    noise.setDashPattern({2, 3});
    m->noise->setPen(noise);
    QPen last(theme.line2, 1);
    last.setDashPattern({2, 3});
    m->lastComputed->setPen(last);
    m->noiseLabel->setColour(theme.tx2);
    m->boundLabel->setColour(theme.tx2);
    m->boundLabel->setGround(theme.alt);
    m->floorLabel->setColour(theme.tx3);
}

void SpectrumPlot::chooseLayout()
{
    // The lower rect keeps its 100; below 380 of plot height it hides and the axis moves up.
    m->hasLower = plot()->height() >= px(380);
    QCPAxis* xBelow = m->lower->axis(QCPAxis::atBottom);
    QCPAxis* bearer = m->hasLower ? xBelow : &m->x();
    for (QCPAxis* axis : {&m->x(), xBelow}) {
        axis->setTickLabels(axis == bearer);
        axis->setLabel(axis == bearer ? tr("Rank r, index of the singular value") : QString());
    }
    const int gap = px(17);
    m->lower->setVisible(m->hasLower);
    m->lower->setMinimumSize(0, m->hasLower ? px(100) : 0);
    m->lower->setMaximumSize(QWIDGETSIZE_MAX, m->hasLower ? px(100) : 0);
    m->lower->setAutoMargins(m->hasLower ? QCP::msLeft | QCP::msBottom : QCP::MarginSides(QCP::msNone));
    m->lower->setMargins(m->hasLower ? QMargins(0, gap, px(12), 0) : QMargins());
    m->upper->setAutoMargins(m->hasLower ? QCP::MarginSides(QCP::msLeft) : QCP::msLeft | QCP::msBottom);
    m->upper->setMargins(QMargins(0, m->hasLower ? px(8) : px(26), px(12), gap));
    for (std::size_t i = 3; i < m->curves.size(); ++i) {
        m->curves[i].graph->setVisible(m->hasLower && m->curves[i].isDrawn());
        m->curves[i].label->setVisible(m->hasLower);
    }
}

void SpectrumPlot::ensureLaidOut() const
{
    if (m->isDirty || m->laidOutWidth != plot()->width())
        plot()->replot(QCustomPlot::rpQueuedRefresh);
}

void SpectrumPlot::layOut()
{
    if (m->isDirty || m->laidOutWidth != plot()->width())
        fillCurves();
    m->isDirty = false;
    m->laidOutWidth = plot()->width();
    placeZones();
    placeLabels();
    decideBubble();
    placeMarker();
}

void SpectrumPlot::fillCurves()
{
    for (RankCurve& curve : m->curves) {
        if (!curve.isError)
            curve.graph->setVisible(curve.isDrawn());
        curve.graph->data()->set(thinned(curve.x, curve.y, m->x(), !curve.isError && isLogY()), true);
    }
    // Squares only where neighbours stand at least six pixels apart.
    const RankCurve& main = m->mainCurve();
    QVector<QCPGraphData> squares;
    for (std::size_t i = 0; main.isDrawn() && i < main.x.size() && (!isLogY() || main.y[i] > 0); ++i) {
        if (i > 0 && m->x().coordToPixel(main.x[i]) - m->x().coordToPixel(main.x[i - 1]) < px(6))
            break;
        squares.append(QCPGraphData(main.x[i], main.y[i]));
    }
    m->squares->data()->set(squares, true);
    double highest = 0;
    for (std::size_t i = 3; i < m->curves.size(); ++i)
        for (const double value : m->curves[i].y)
            highest = std::max(highest, value);
    const QCPRange range(0, highest > 0 ? highest * 1.15 : 5);
    if (range != m->yBelow().range()) {
        m->yBelow().setRange(range);
        // This may run between the layout and the painting of a replot, when the ticks are already laid out for the
        // range before.
        plot()->replot(QCustomPlot::rpQueuedReplot);
    }
}

PlotFrame::Extent SpectrumPlot::dataExtent() const
{
    Extent extent{.xLower = 0.42, .xUpper = m->xUpper(), .yLower = 0.01, .yUpper = 10, .xLog = true, .yLog = isLogY()};
    double low = std::numeric_limits<double>::infinity(), high = 0;
    for (std::size_t i = 0; i < 3; ++i)
        for (const double value : m->curves[i].y)
            if (value > 0 && std::isfinite(value)) {
                low = std::min(low, value);
                high = std::max(high, value);
            }
    if (high <= 0)
        return extent;
    // Values far under the resolution would squeeze everything worth seeing into the top.
    low = std::max({low, high * 1e-7, m->mainValues().floor * 0.3});
    extent.yLower = isLogY() ? low / 1.4 : 0;
    extent.yUpper = high * (isLogY() ? 1.5 : 1.06);
    return extent;
}

void SpectrumPlot::fitY()
{
    const Extent extent = dataExtent();
    m->y().setRange(extent.yLower, extent.yUpper);
}

void SpectrumPlot::placeZones()
{
    const QRectF rect = m->upper->rect();
    const SingularValues& values = m->mainValues();
    const int last = lowerBoundFrom();
    const double x = last > 0 ? std::clamp(m->x().coordToPixel(last), rect.left(), rect.right()) : rect.right();
    m->boundZone->place(QRectF(QPointF(x, rect.top()), rect.bottomRight()));
    const QRectF below = m->lower->rect();
    m->boundZoneBelow->place(m->hasLower ? QRectF(QPointF(x, below.top()), below.bottomRight()) : QRectF());
    const bool hasZone = last > 0 && x < rect.right() - 1;
    for (QCPLayerable* item : {static_cast<QCPLayerable*>(m->boundZone), static_cast<QCPLayerable*>(m->boundZoneBelow),
                               static_cast<QCPLayerable*>(m->boundLabel), static_cast<QCPLayerable*>(m->lastComputed)})
        item->setVisible(hasZone);
    if (hasZone) {
        m->lastComputed->point1->setCoords(last, m->y().range().lower);
        m->lastComputed->point2->setCoords(last, m->y().range().upper);
        m->boundLabel->setText(tr("%1 of %2\n%3 unresolved")
                                   .arg(wholeNumber(values.values.size()), wholeNumber(values.total),
                                        percent(values.unresolvedShare)));
        const QSizeF size = m->boundLabel->textSize();
        const double left = std::min(x + px(12), rect.right() - size.width() - px(4));
        m->boundLabel->place({left, rect.top() + px(14)});
    }
    const double floorY = m->y().coordToPixel(std::max(values.floor, 1e-300));
    const bool hasFloor = isLogY() && values.floor > m->y().range().lower && floorY > rect.top();
    m->floorZone->setVisible(hasFloor);
    m->floorLabel->setVisible(hasFloor);
    if (hasFloor) {
        m->floorZone->place(QRectF(QPointF(rect.left(), floorY), rect.bottomRight()));
        m->floorLabel->setText(tr("under the numerical floor, %1").arg(number3(values.floor)));
        m->floorLabel->place({rect.left() + px(8), rect.bottom() - m->floorLabel->textSize().height() - px(2)});
    }
    const bool hasNoise
        = m->view.e.noiseEdge > 0 && m->curves[1].isDrawn() && m->y().range().contains(m->view.e.noiseEdge);
    m->noise->setVisible(hasNoise);
    m->noiseLabel->setVisible(hasNoise);
    if (hasNoise) {
        m->noise->point1->setCoords(1, m->view.e.noiseEdge);
        m->noise->point2->setCoords(2, m->view.e.noiseEdge);
        m->noiseLabel->setText(tr("Noise edge of E (Marchenko–Pastur) %1").arg(number3(m->view.e.noiseEdge)));
    }
}

void SpectrumPlot::placeLabels()
{
    const bool isShown = state() == State::Ready || isStale();
    for (int i = 0; i < static_cast<int>(m->curves.size()); ++i) {
        RankCurve& curve = m->curves[static_cast<std::size_t>(i)];
        curve.label->setVisible(isShown && curve.isDrawn() && (!curve.isError || m->hasLower));
        if (curve.label->visible())
            placeLabel(i, QRectF(curve.isError ? m->lower->rect() : m->upper->rect()));
    }
    // The noise edge is named where its line is clear: below it, or above when a curve runs just below.
    if (m->noiseLabel->visible()) {
        const QRectF rect = m->upper->rect();
        const double y = m->y().coordToPixel(m->view.e.noiseEdge);
        const QSizeF size = m->noiseLabel->textSize();
        // Left or right, above or below the line: where the words cover least of curves and other labels.
        int fewest = std::numeric_limits<int>::max();
        QPointF best;
        for (const double x : {rect.left() + px(10), rect.right() - size.width() - px(10)}) {
            for (const double top : {y + px(2), y - size.height() - px(2)}) {
                const int hits = coveredBy(QRectF(QPointF(x, top), size));
                if (hits < fewest) {
                    fewest = hits;
                    best = {x, top};
                }
            }
        }
        m->noiseLabel->place(best);
    }
}

int SpectrumPlot::coveredBy(const QRectF& box) const
{
    int hits = m->upper->rect().contains(box.toAlignedRect()) ? 0 : 1000;
    for (const RankCurve& curve : m->curves) {
        if (curve.isError || !curve.isDrawn())
            continue;
        if (curve.label->visible() && curve.label->rect().intersects(box))
            hits += 20;
        for (double at = box.left(); at < box.right(); at += 4) {
            const double value = curve.at(std::max(1, xToRank(m->x().pixelToCoord(at))));
            const double curveY = std::isnan(value) || value <= 0 ? -1e9 : m->y().coordToPixel(value);
            hits += curveY > box.top() - 2 && curveY < box.bottom() + 2 ? 1 : 0;
        }
    }
    return hits;
}

void SpectrumPlot::placeLabel(int entry, const QRectF& area)
{
    const RankCurve& self = m->curves[static_cast<std::size_t>(entry)];
    QCPAxis& y = self.isError ? m->yBelow() : m->y();
    const QSizeF size = self.label->textSize();
    const auto curveY = [&](const RankCurve& curve, double px) {
        const double value = curve.at(std::max(curve.isError ? 0 : 1, xToRank(m->x().pixelToCoord(px))));
        return std::isnan(value) || (!curve.isError && isLogY() && value <= 0) ? -1e9 : y.coordToPixel(value);
    };
    double bestCost = 1e9;
    QPointF best;
    for (const double share : {0.1, 0.16, 0.24, 0.34, 0.46, 0.58, 0.7}) {
        const double start = self.isError ? area.left() : m->x().coordToPixel(1) + px(10);
        const double x = std::floor(std::max(area.left() + share * area.width(), start));
        for (const bool above : {true, false}) {
            double edge = curveY(self, x);
            for (double at = x; at <= x + size.width(); at += 4)
                edge = above ? std::min(edge, curveY(self, at)) : std::max(edge, curveY(self, at));
            const QRectF box(QPointF(x, std::round(above ? edge - size.height() - px(4) : edge + px(4))), size);
            double cost = area.contains(box) ? (above ? share : share + 0.05) : 1e6;
            for (double at = x - 2; at <= x + size.width(); at += 4)
                for (const RankCurve& other : m->curves)
                    if (other.isError == self.isError && other.isDrawn() && curveY(other, at) > box.top() - 2
                        && curveY(other, at) < box.bottom() + 2)
                        cost += 1;
            for (int i = 0; i < entry; ++i)
                if (m->curves[static_cast<std::size_t>(i)].label->visible()
                    && m->curves[static_cast<std::size_t>(i)].label->rect().intersects(box.adjusted(-8, -4, 8, 4)))
                    cost += 20;
            if (cost < bestCost) {
                bestCost = cost;
                best = box.topLeft();
            }
        }
    }
    self.label->setVisible(bestCost < 20);  // no room: the legend still names it
    self.label->place(best);
}

void SpectrumPlot::decideBubble()
{
    if (m->isDragging && m->handle->visible() && m->isHovered && m->rank != m->rankAtPress)
        return;  // decided when the drag began: it must not jump about
    const QRectF rect = m->upper->rect();
    m->bubble->setReadout(m->readout);
    const double x = m->x().coordToPixel(rankToX(m->rank));
    int fewest = std::numeric_limits<int>::max();
    // The outer two are a last resort: only where all three of the design's places cover a curve.
    for (const double share : {1.0 / 3, 0.5, 2.0 / 3, 5.0 / 6, 1.0 / 6}) {
        const QRectF box = m->bubble->bubbleAt({x, rect.top() + share * rect.height()}, rect).adjusted(-4, -4, 4, 4);
        int covered = 0;
        for (double at = box.left(); at <= box.right(); at += 4)
            for (std::size_t i = 0; i < 3; ++i) {
                const double value = m->curves[i].at(std::max(1, xToRank(m->x().pixelToCoord(at))));
                if (!m->curves[i].isDrawn() || std::isnan(value) || value <= 0)
                    continue;
                const double y = m->y().coordToPixel(value);
                covered += y >= box.top() && y <= box.bottom() ? 1 : 0;
            }
        for (const RankCurve& curve : m->curves)
            covered += curve.label->visible() && curve.label->rect().intersects(box) ? 10 : 0;
        if (covered < fewest) {
            fewest = covered;
            m->bubbleAt = share;
        }
    }
}

void SpectrumPlot::placeMarker()
{
    const QRectF rect = m->upper->rect();
    const double x = m->x().coordToPixel(rankToX(m->rank));
    const bool isVisible = m->hasMarker && rect.width() > 1 && x >= rect.left() - 1 && x <= rect.right() + 1
        && (state() == State::Ready || isStale());
    m->handle->setVisible(isVisible);
    const bool hasBubble = isVisible && !m->readout.identity.isEmpty();
    m->bubble->setVisible(hasBubble);
    const double gripY = m->hasLower ? std::round((rect.bottom() + m->lower->rect().top()) / 2) : rect.top() - px(13);
    m->handle->place(x, m->hasLower ? rect.top() : gripY, m->hasLower ? m->lower->rect().bottom() + 1.0 : rect.bottom(),
                     gripY);
    if (!isVisible)
        return;
    m->handle->setLook(!m->lockReason.isEmpty()              ? HandleItem::Look::Locked
                           : m->isDragging || m->isHovered ? HandleItem::Look::Hover
                                                           : HandleItem::Look::Rest);
    m->handle->setFocused(m->hasKeyboardFocus);
    std::vector<CurvePoint> points;
    const Theme& theme = Theme::current();
    const double value = m->mainCurve().at(m->rank);
    if (m->mainCurve().isDrawn() && value > 0 && m->y().range().contains(value))
        points.push_back({QPointF(x, m->y().coordToPixel(value)), theme.colour(m->mainCurve().series)});
    const double error = m->mainError().at(m->rank);
    if (m->hasLower && m->mainError().isDrawn() && !std::isnan(error))
        points.push_back({QPointF(x, m->yBelow().coordToPixel(error)), theme.colour(m->mainError().series)});
    m->handle->setPoints(std::move(points));
    MarkerReadout readout = m->readout;
    readout.isEstimated = readout.isEstimated || isStale();
    m->bubble->setReadout(readout);
    m->bubble->place({x, rect.top() + m->bubbleAt * rect.height()}, rect);
}

QString SpectrumPlot::readoutAt(int rank) const
{
    const Theme& theme = Theme::current();
    QStringList parts{coloured(QStringLiteral("r ") + wholeNumber(static_cast<std::uint64_t>(rank)), theme.tx2)};
    const std::array<QString, 3> names{QStringLiteral("W"), QStringLiteral("E"), QStringLiteral("E·S")};
    for (std::size_t i = 0; i < 3; ++i) {
        const double value = m->curves[i].at(rank);
        if (m->curves[i].isDrawn() && !std::isnan(value))
            parts += coloured(names[i] + QLatin1Char(' ') + number3(value), theme.colour(m->curves[i].series));
    }
    const double error = m->mainError().at(rank);
    if (!std::isnan(error))
        parts += coloured(tr("error at r %1").arg(percent(error / 100)), theme.tx2);
    return parts.join(QStringLiteral("&nbsp;&nbsp; "));
}

}  // namespace sigmascope::ui
