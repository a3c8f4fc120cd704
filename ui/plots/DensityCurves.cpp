// SPDX-License-Identifier: GPL-3.0-or-later
// The drawing half of DensityPlot: rects, bins and what lies over them.
#include "core/analysis/Histogram.h"
#include "ui/plots/DensityParts.h"

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

namespace {

/// Bins between 2.5 and 5 pixels wide whose width is a power of two and whose edges are multiples of it: every bin of a
/// binade then holds equally many codes of a binary float, and the outline shows no beat.
double binWidth(double lower, double upper, int pixels)
{
    return std::exp2(std::ceil(std::log2((upper - lower) * px(2.5) / std::max(pixels, 50))));
}

DensityBins binsOfWeights(const DensityView& view, double lower, double upper, double width)
{
    DensityBins bins;
    bins.width = width;
    const double first = std::floor(lower / width), last = std::ceil(upper / width);
    bins.lower = first * width;
    const auto count = static_cast<std::size_t>(std::clamp(last - first, 1.0, 4096.0));
    const Histogram histogram = binned(*view.codes, bins.lower, last * width, count);
    bins.counts = histogram.counts;
    bins.outside = histogram.below + histogram.above;
    bins.isExact = histogram.exact;
    if (view.after)
        bins.after = binned(*view.after, bins.lower, last * width, count).counts;
    return bins;
}

DensityBins binsOfPositions(const GridDensity& density, double lower, double upper, double width)
{
    GridBins found = rebinned(density, lower, upper, width);
    DensityBins bins;
    bins.lower = found.lower;
    bins.width = found.width;
    bins.counts = std::move(found.counts);
    bins.errors = std::move(found.errors);
    bins.outside = density.elements - bins.total();
    return bins;
}

void fillSteps(QCPGraph& graph, const DensityBins& bins, const std::vector<std::uint64_t>& counts, bool isLog)
{
    QVector<QCPGraphData> points;
    points.reserve(static_cast<int>(counts.size()) + 1);
    const double nothing = isLog ? 1e-3 : 0;  // a log axis cannot place zero: far below its first count
    for (std::size_t i = 0; i < counts.size(); ++i)
        points.append(QCPGraphData(bins.left(i), counts[i] == 0 ? nothing : static_cast<double>(counts[i])));
    if (!points.isEmpty())
        points.append(QCPGraphData(bins.left(counts.size()), points.constLast().value));
    graph.data()->set(points, true);
}

}  // namespace

void DensityPlot::buildRects()
{
    const StackedRects rects = stackRects(*plot());
    m->upper = rects.upper;
    m->lower = rects.lower;
    for (QCPAxisRect* rect : {m->upper, m->lower}) {
        rect->axis(QCPAxis::atBottom)->setTicker(QSharedPointer<PlainTicker>::create());
        rect->axis(QCPAxis::atBottom)->setRange(-1, 1);
    }
    m->y().setScaleType(QCPAxis::stLogarithmic);
    m->y().setTicker(QSharedPointer<DecadeTicker>::create());
    m->y().setRange(0.8, 1e4);
    m->yBelow().setTicker(QSharedPointer<PlainTicker>::create());
    m->yBelow().ticker()->setTickCount(3);
    m->yBelow().setRange(0, 5);
    connect(&m->x(), qOverload<const QCPRange&>(&QCPAxis::rangeChanged), &m->xBelow(),
            qOverload<const QCPRange&>(&QCPAxis::setRange));
}

void DensityPlot::buildItems()
{
    for (ZoneItem*& zone : m->zones)
        zone = new ZoneItem(plot(), ZoneItem::Fill::Flat);
    m->outline = plot()->addGraph(&m->x(), &m->y());
    m->after = plot()->addGraph(&m->x(), &m->y());
    m->rounding = plot()->addGraph(&m->xBelow(), &m->yBelow());
    m->clipping = plot()->addGraph(&m->xBelow(), &m->yBelow());
    for (QCPGraph* graph : {m->outline, m->after, m->rounding, m->clipping}) {
        graph->setLineStyle(QCPGraph::lsStepLeft);
        graph->setSelectable(QCP::stNone);
        graph->setAntialiased(false);
        graph->setAntialiasedFill(false);
    }
    m->levels = new LevelItem(plot());
    m->levels->setVisible(false);
    m->centre = new QCPItemStraightLine(plot());
    m->clip = {new QCPItemStraightLine(plot()), new QCPItemStraightLine(plot())};
    for (QCPItemStraightLine* line : {m->centre, m->clip[0], m->clip[1]}) {
        line->setClipAxisRect(m->upper);
        line->setAntialiased(false);
        for (QCPItemPosition* position : line->positions()) {
            position->setAxes(&m->x(), &m->y());
            position->setAxisRect(m->upper);
        }
    }
    for (LabelItem*& label : m->zoneLabels)
        label = new LabelItem(plot(), FontRole::MonoAxis);
    m->centreLabel = new LabelItem(plot(), FontRole::MonoAxis);
    m->roundingLabel = new LabelItem(plot(), FontRole::CaptionStrong);
    m->clippingLabel = new LabelItem(plot(), FontRole::CaptionStrong);
    m->cursor = new CursorItem(plot());
}

void DensityPlot::applyLook()
{
    if (!m || m->cursor == nullptr)
        return;
    const Theme& theme = Theme::current();
    for (QCPAxisRect* rect : {m->upper, m->lower})
        for (QCPAxis* axis : rect->axes())
            styleAxis(*axis);
    m->y().setLabel(tr("Weights per bin"));
    m->yBelow().setLabel(tr("Error share, %"));
    const auto pen = [&](const QColor& colour, double width) {
        return isStale() ? QPen(theme.tx3, 1, Qt::DashLine) : QPen(colour, width);
    };
    m->outline->setPen(pen(theme.seriesW, 1));
    m->outline->setBrush(theme.histogram);
    m->after->setPen(pen(theme.seriesQLR, 1.6));
    for (const auto& [graph, series] : {std::pair(m->rounding, Series::E), std::pair(m->clipping, Series::ES)}) {
        const QColor colour = isStale() ? theme.tx3 : theme.colour(series);
        graph->setPen(QPen(colour, 1));
        graph->setBrush(colour);
    }
    QPen dash(theme.tx2, 1);
    dash.setDashPattern({6, 3});
    m->centre->setPen(dash);
    QPen clip(theme.seriesQ, 1);
    clip.setDashPattern({6, 3});
    for (QCPItemStraightLine* line : m->clip)
        line->setPen(clip);
    for (LabelItem* label : {m->zoneLabels[0], m->zoneLabels[1], m->centreLabel})
        label->setColour(theme.tx2);
    m->roundingLabel->setColour(theme.seriesE);
    m->clippingLabel->setColour(theme.seriesES);
}

void DensityPlot::chooseLayout()
{
    // The lower rect keeps its 100; below 380 of plot height it hides and the axis moves up.
    const bool isShown = m->isScaled() && (state() == State::Ready || isStale());
    m->hasLower = isShown && plot()->height() >= px(380);
    QCPAxis* bearer = m->hasLower ? &m->xBelow() : &m->x();
    for (QCPAxis* axis : {&m->x(), &m->xBelow()}) {
        axis->setTickLabels(axis == bearer);
        axis->setLabel(axis != bearer ? QString() : m->isScaled() ? tr("Weight ÷ scale of its group") : tr("Weight"));
    }
    m->lower->setVisible(m->hasLower);
    m->lower->setMinimumSize(0, m->hasLower ? px(100) : 0);
    m->lower->setMaximumSize(QWIDGETSIZE_MAX, m->hasLower ? px(100) : 0);
    m->lower->setAutoMargins(m->hasLower ? QCP::msLeft | QCP::msBottom : QCP::MarginSides(QCP::msNone));
    m->lower->setMargins(m->hasLower ? QMargins(0, px(24), px(12), 0) : QMargins());
    m->upper->setAutoMargins(m->hasLower ? QCP::MarginSides(QCP::msLeft) : QCP::msLeft | QCP::msBottom);
    m->upper->setMargins(QMargins(0, px(28), px(12), px(8)));
    m->rounding->setVisible(m->hasLower);
    m->clipping->setVisible(m->hasLower);
}

void DensityPlot::layOut()
{
    if (m->hasData() && m->laidOutWidth != m->upper->width()) {
        m->laidOutWidth = m->upper->width();
        rebin();
    }
    placeReferences();
}

void DensityPlot::rebin()
{
    if (!m->hasData())
        return;
    const auto [lower, upper] = m->range;
    const int pixels = m->upper->width() > 50 ? m->upper->width() : plot()->width() - px(70);
    const double width = binWidth(lower, upper, pixels);
    m->bins = m->isScaled() ? binsOfPositions(*m->view.grid, lower, upper, width)
                            : binsOfWeights(m->view, lower, upper, width);
    fillSteps(*m->outline, m->bins, m->bins.counts, isLogY());
    fillSteps(*m->after, m->bins, m->bins.after, isLogY());
    fillErrors();
    if (!m->isYFree)
        fitY();
    const QString size = number3(m->bins.width);
    setHint(m->isScaled()       ? tr("Bin %1 steps, from %2 weights").arg(size, wholeNumber(m->view.grid->elements))
                : m->bins.isExact ? tr("Bin %1, from %2 exact codes").arg(size, wholeNumber(m->view.codes->counts.size()))
                                  : tr("Bin %1, values resolved to one part in 128").arg(size));
}

void DensityPlot::fillErrors()
{
    QVector<QCPGraphData> rounding, clipping;
    double highest = 0;
    const double all = m->isScaled() ? m->view.grid->squaredError : 0;
    for (std::size_t i = 0; all > 0 && i <= m->bins.errors.size(); ++i) {
        const double share = i < m->bins.errors.size() ? 100 * m->bins.errors[i] / all : 0;
        const double middle = m->bins.left(i) + m->bins.width / 2;
        const bool isClipped = middle < m->view.grid->clipFrom || middle > m->view.grid->clipTo;
        rounding.append(QCPGraphData(m->bins.left(i), isClipped ? 0 : share));
        clipping.append(QCPGraphData(m->bins.left(i), isClipped ? share : 0));
        highest = std::max(highest, share);
    }
    m->rounding->data()->set(rounding, true);
    m->clipping->data()->set(clipping, true);
    m->yBelow().setRange(0, highest > 0 ? highest * 1.08 : 1);
}

PlotFrame::Extent DensityPlot::dataExtent() const
{
    double lower = m->isScaled() ? m->view.grid->min : m->view.min;
    double upper = m->isScaled() ? m->view.grid->max : m->view.max;
    if (m->isScaled() && !m->view.levels.empty()) {  // every level has a place, used or not
        lower = std::min(lower, m->view.levels.front().level);
        upper = std::max(upper, m->view.levels.back().level);
    }
    if (!(upper > lower)) {  // a constant tensor still has a place on the axis
        const double half = std::max(std::abs(lower) * 0.1, 1e-6);
        lower -= half;
        upper += half;
    }
    Extent extent{.xLower = lower, .xUpper = upper, .yLower = 0, .yUpper = 1, .xLog = false, .yLog = isLogY()};
    std::uint64_t highest = 1;
    for (const auto* counts : {&m->bins.counts, &m->bins.after})
        for (const std::uint64_t count : *counts)
            highest = std::max(highest, count);
    extent.yLower = isLogY() ? 0.8 : 0;  // one count is the floor
    extent.yUpper = isLogY() ? std::pow(static_cast<double>(highest), 1.05) * 1.1 : static_cast<double>(highest) * 1.05;
    return extent;
}

void DensityPlot::fitY()
{
    const Extent extent = dataExtent();
    m->y().setRange(extent.yLower, extent.yUpper);
}

void DensityPlot::placeReferences()
{
    const bool isShown = m->hasData() && (state() == State::Ready || isStale());
    m->levels->setVisible(isShown && m->legendQ->isChecked() && !m->view.levels.empty());
    m->levels->place(m->upper);
    placeClip();
    placeCentre();
    placeErrorLabels();
}

void DensityPlot::placeClip()
{
    const bool isShown = m->hasData() && (state() == State::Ready || isStale()) && m->clipRange().has_value();
    for (std::size_t i = 0; i < 2; ++i) {
        m->zones[i]->setVisible(isShown);
        m->zoneLabels[i]->setVisible(isShown);
        m->clip[i]->setVisible(isShown);
    }
    if (!isShown)
        return;
    const QRectF rect = m->upper->rect();
    const auto [from, to] = *m->clipRange();
    const double left = std::clamp(m->x().coordToPixel(from), rect.left(), rect.right());
    const double right = std::clamp(m->x().coordToPixel(to), rect.left(), rect.right());
    m->zones[0]->place(QRectF(rect.topLeft(), QPointF(left, rect.bottom())));
    m->zones[1]->place(QRectF(QPointF(right, rect.top()), rect.bottomRight()));
    const double positions[] = {from, to};
    std::uint64_t outside[] = {0, 0};
    std::uint64_t all = 1;
    if (m->isScaled()) {
        outside[0] = m->view.grid->below;
        outside[1] = m->view.grid->above;
        all = std::max<std::uint64_t>(1, m->view.grid->elements);
    } else {
        const Histogram inside = binned(*m->view.codes, from, to, 1);
        outside[0] = inside.below;
        outside[1] = inside.above;
        all = std::max<std::uint64_t>(1, inside.counts.front() + inside.below + inside.above);
    }
    const QString words[] = {tr("%1\nbelow"), tr("%1\nabove")};
    const double room[] = {left - rect.left(), rect.right() - right};
    for (std::size_t i = 0; i < 2; ++i) {
        m->clip[i]->point1->setCoords(positions[i], m->y().range().lower);
        m->clip[i]->point2->setCoords(positions[i], m->y().range().upper);
        m->zoneLabels[i]->setText(words[i].arg(percent(static_cast<double>(outside[i]) / static_cast<double>(all))));
        const double width = m->zoneLabels[i]->textSize().width();
        m->zoneLabels[i]->setVisible(room[i] > width + 2 * px(8));
        m->zoneLabels[i]->place({i == 0 ? left - width - px(8) : right + px(8), rect.top() + px(8)});
    }
}

void DensityPlot::placeCentre()
{
    const bool isShown = m->hasData() && (state() == State::Ready || isStale()) && m->view.centre && !m->isScaled();
    m->centre->setVisible(isShown);
    m->centreLabel->setVisible(isShown && m->x().range().contains(m->view.centre.value_or(0)));
    if (!isShown)
        return;
    const QRectF rect = m->upper->rect();
    m->centre->point1->setCoords(*m->view.centre, m->y().range().lower);
    m->centre->point2->setCoords(*m->view.centre, m->y().range().upper);
    m->centreLabel->setText(tr("median %1").arg(number3(*m->view.centre)));
    m->centreLabel->setGround(Theme::current().base);
    const double x = m->x().coordToPixel(*m->view.centre) + px(8);
    m->centreLabel->place({std::min(x, rect.right() - m->centreLabel->textSize().width()), rect.top() + px(8)});
}

void DensityPlot::placeErrorLabels()
{
    m->roundingLabel->setVisible(m->hasLower);
    m->clippingLabel->setVisible(m->hasLower && m->view.grid->clippedError > 0);
    if (!m->hasLower)
        return;
    const GridDensity& density = *m->view.grid;
    const double clipped = density.squaredError > 0 ? density.clippedError / density.squaredError : 0;
    m->roundingLabel->setText(density.squaredError > 0 ? tr("rounding %1").arg(percent(1 - clipped))
                                                       : tr("no error: every weight lies on a level"));
    m->clippingLabel->setText(tr("clipping %1").arg(percent(clipped)));
    // Right-aligned over the lower rect, the larger part last.
    const QRectF rect = m->lower->rect();
    double right = rect.right();
    for (LabelItem* label : {m->clippingLabel, m->roundingLabel}) {
        if (!label->visible())
            continue;
        const QSizeF size = label->textSize();
        label->place({right - size.width(), rect.top() - size.height() - px(4)});
        right -= size.width() + px(16);
    }
}

}  // namespace sigmascope::ui
