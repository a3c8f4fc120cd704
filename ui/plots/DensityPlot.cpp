// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/DensityPlot.h"

#include "core/analysis/Histogram.h"
#include "ui/plots/LegendButton.h"
#include "ui/plots/LevelItem.h"
#include "ui/plots/PlotItems.h"

#include <QComboBox>
#include <QKeyEvent>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sigmascope::ui {
namespace {

std::uint64_t total(const Histogram& histogram)
{
    return std::accumulate(histogram.counts.begin(), histogram.counts.end(), std::uint64_t{0});
}

/// Bins between 2.5 and 5 pixels wide whose width is a power of two and whose edges are multiples of it: every bin of a
/// binade then holds equally many codes of a binary float, and the outline shows no beat.
struct Bins {
    double lower = 0, upper = 1, width = 1;
    std::size_t count = 1;
};

Bins binsFor(double lower, double upper, int pixels)
{
    const double span = upper - lower;
    Bins bins;
    bins.width = std::exp2(std::ceil(std::log2(span * px(2.5) / std::max(pixels, 50))));
    const double first = std::floor(lower / bins.width), last = std::ceil(upper / bins.width);
    bins.lower = first * bins.width;
    bins.upper = last * bins.width;
    bins.count = static_cast<std::size_t>(std::clamp(last - first, 1.0, 4096.0));
    return bins;
}

}  // namespace

struct DensityPlot::Parts {
    DensityView view;
    QCPAxisRect* rect = nullptr;
    QCPGraph* outline = nullptr;  // W
    QCPGraph* after = nullptr;    // Q + LR
    LevelItem* levels = nullptr;
    ZoneItem* below = nullptr;    // outside the clip range
    ZoneItem* above = nullptr;
    LabelItem* belowLabel = nullptr;
    LabelItem* aboveLabel = nullptr;
    LabelItem* centreLabel = nullptr;
    QCPItemStraightLine* centre = nullptr;
    std::array<QCPItemStraightLine*, 2> clip{};
    CursorItem* cursor = nullptr;
    QComboBox* scale = nullptr;
    LegendButton* legendW = nullptr;
    LegendButton* legendQ = nullptr;
    LegendButton* legendAfter = nullptr;
    Histogram histogram, afterHistogram;
    Bins bins;
    std::pair<double, double> range{0, 1};
    bool isDirty = true;
    bool isYFree = false;         // zoomed by hand: re-binning leaves it
    int laidOutWidth = -1;

    [[nodiscard]] QCPAxis& x() const { return *rect->axis(QCPAxis::atBottom); }
    [[nodiscard]] QCPAxis& y() const { return *rect->axis(QCPAxis::atLeft); }
    [[nodiscard]] bool hasData() const { return view.codes != nullptr; }
};

DensityPlot::DensityPlot(QWidget* parent)
    : PlotFrame(parent)
    , m(std::make_unique<Parts>())
{
    build();
    m->legendW
        = static_cast<LegendButton*>(addLegend(Series::W, tr("W"), tr("Weights as stored, before quantization.")));
    m->legendW->setSample(LegendButton::Sample::Fill);
    m->legendAfter = static_cast<LegendButton*>(addLegend(
        Series::QLR, tr("After, Q + LR"), tr("Weights as the quantized layer represents them, with its correction.")));
    m->legendQ = static_cast<LegendButton*>(addLegend(Series::Q, tr("Grid levels"), QString()));
    m->legendQ->setSample(LegendButton::Sample::ThinLine);
    m->scale = new QComboBox(this);
    m->scale->addItem(tr("Log y"));
    m->scale->addItem(tr("Linear y"));
    m->scale->setAccessibleName(tr("Scale of the count axis"));
    connect(m->scale, &QComboBox::activated, this, [this](int index) { setLogY(index == 0); });
    addHeaderWidget(m->scale);
    connect(plot(), &QCustomPlot::afterLayout, this, [this] { layOut(); });
    setAccessibleName(tr("Density"));
    showEmpty(tr("Select a layer to see the density of its weights"));
}

DensityPlot::~DensityPlot() = default;

void DensityPlot::build()
{
    plot()->plotLayout()->clear();
    m->rect = new QCPAxisRect(plot());
    plot()->plotLayout()->addElement(0, 0, m->rect);
    for (QCPAxis* axis : m->rect->axes()) {
        axis->setLayer(QStringLiteral("axes"));
        axis->grid()->setLayer(QStringLiteral("grid"));
    }
    m->rect->setAutoMargins(QCP::msLeft | QCP::msBottom);
    m->x().setTicker(QSharedPointer<PlainTicker>::create());
    m->x().setRange(-1, 1);
    m->y().setScaleType(QCPAxis::stLogarithmic);
    m->y().setTicker(QSharedPointer<DecadeTicker>::create());
    m->y().setRange(0.8, 1e4);
    m->below = new ZoneItem(plot(), ZoneItem::Fill::Flat);
    m->above = new ZoneItem(plot(), ZoneItem::Fill::Flat);
    m->outline = plot()->addGraph(&m->x(), &m->y());
    m->after = plot()->addGraph(&m->x(), &m->y());
    for (QCPGraph* graph : {m->outline, m->after}) {
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
        line->setClipAxisRect(m->rect);
        line->setAntialiased(false);
        for (QCPItemPosition* position : line->positions()) {
            position->setAxes(&m->x(), &m->y());
            position->setAxisRect(m->rect);
        }
    }
    m->belowLabel = new LabelItem(plot(), FontRole::MonoAxis);
    m->aboveLabel = new LabelItem(plot(), FontRole::MonoAxis);
    m->centreLabel = new LabelItem(plot(), FontRole::MonoAxis);
    m->cursor = new CursorItem(plot());
}

void DensityPlot::show(const DensityView& view)
{
    const bool sameRange = m->hasData() && m->view.min == view.min && m->view.max == view.max;
    m->view = view;
    m->legendQ->setEnabled(!view.levels.empty());
    m->legendQ->setText(view.levels.empty() ? tr("no grid")
                                            : tr("%1 grid levels").arg(wholeNumber(view.levels.size())));
    m->legendQ->setToolTip(view.levels.empty() ? tr("This layer is kept as it is.") : view.levelsNote);
    m->legendQ->updateGeometry();
    m->legendAfter->setVisible(view.after != nullptr);
    m->levels->setLevels(view.levels);
    if (sameRange) {  // the zoom survives a change of the grid
        m->isDirty = true;
        if (!m->isYFree)
            fitY();
        setReady();
    } else {
        setReady();
        resetZoom();
    }
}

void DensityPlot::setLogY(bool on)
{
    m->scale->setCurrentIndex(on ? 0 : 1);
    if (on == isLogY())
        return;
    m->y().setScaleType(on ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    if (on)
        m->y().setTicker(QSharedPointer<DecadeTicker>::create());
    else
        m->y().setTicker(QSharedPointer<PlainTicker>::create());
    m->isYFree = false;
    m->isDirty = true;
    rebin();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

bool DensityPlot::isLogY() const
{
    return m->y().scaleType() == QCPAxis::stLogarithmic;
}

std::size_t DensityPlot::binCount() const
{
    return m->histogram.counts.size();
}

std::uint64_t DensityPlot::countInView() const
{
    return total(m->histogram);
}

std::uint64_t DensityPlot::countOutsideView() const
{
    return m->histogram.below + m->histogram.above;
}

std::pair<double, double> DensityPlot::visibleRange() const
{
    return m->range;
}

int DensityPlot::levelCount() const
{
    return m->levels->visible() ? static_cast<int>(m->view.levels.size()) : 0;
}

void DensityPlot::rebin()
{
    if (!m->hasData())
        return;
    const int pixels = m->rect->width() > 50 ? m->rect->width() : plot()->width() - px(70);
    m->bins = binsFor(m->range.first, m->range.second, pixels);
    m->histogram = binned(*m->view.codes, m->bins.lower, m->bins.upper, m->bins.count);
    m->afterHistogram
        = m->view.after ? binned(*m->view.after, m->bins.lower, m->bins.upper, m->bins.count) : Histogram{};
    const auto fill = [this](QCPGraph& graph, const Histogram& histogram) {
        QVector<QCPGraphData> points;
        points.reserve(static_cast<int>(histogram.counts.size()) + 1);
        const double nothing = isLogY() ? 1e-3 : 0;  // a log axis cannot place zero: far below its first count
        for (std::size_t i = 0; i < histogram.counts.size(); ++i)
            points.append(QCPGraphData(m->bins.lower + static_cast<double>(i) * m->bins.width,
                                       histogram.counts[i] == 0 ? nothing : static_cast<double>(histogram.counts[i])));
        if (!points.isEmpty())
            points.append(QCPGraphData(m->bins.upper, points.constLast().value));
        graph.data()->set(points, true);
    };
    fill(*m->outline, m->histogram);
    fill(*m->after, m->afterHistogram);
    if (!m->isYFree)
        fitY();
    setHint(m->histogram.exact ? tr("Bin %1, from %2 exact codes")
                                     .arg(number3(m->bins.width), wholeNumber(m->view.codes->counts.size()))
                               : tr("Bin %1, values resolved to one part in 128").arg(number3(m->bins.width)));
}

PlotFrame::Extent DensityPlot::dataExtent() const
{
    double lower = m->view.min, upper = m->view.max;
    if (!(upper > lower)) {  // a constant tensor still has a place on the axis
        const double half = std::max(std::abs(lower) * 0.1, 1e-6);
        lower -= half;
        upper += half;
    }
    Extent extent{.xLower = lower, .xUpper = upper, .yLower = 0, .yUpper = 1, .xLog = false, .yLog = isLogY()};
    std::uint64_t highest = 1;
    for (const auto* histogram : {&m->histogram, &m->afterHistogram})
        for (const std::uint64_t count : histogram->counts)
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

void DensityPlot::resetZoom()
{
    const Extent extent = dataExtent();
    const double margin = 0.02 * (extent.xUpper - extent.xLower);
    m->isYFree = false;
    setXRange(extent.xLower - margin, extent.xUpper + margin);
}

void DensityPlot::setXRange(double lower, double upper)
{
    m->range = {lower, upper};
    m->x().setRange(lower, upper);
    rebin();
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void DensityPlot::setYRange(double lower, double upper)
{
    if (qFuzzyCompare(m->y().range().lower + 1, lower + 1) && qFuzzyCompare(m->y().range().upper, upper))
        return;
    m->isYFree = true;
    m->y().setRange(lower, upper);
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void DensityPlot::seriesToggled(Series series, bool visible)
{
    if (series == Series::W)
        m->outline->setVisible(visible);
    else if (series == Series::QLR)
        m->after->setVisible(visible);
    placeReferences();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void DensityPlot::applyLook()
{
    if (!m || m->levels == nullptr)
        return;
    const Theme& theme = Theme::current();
    for (QCPAxis* axis : m->rect->axes())
        styleAxis(*axis);
    m->x().setLabel(tr("Weight"));
    m->y().setLabel(tr("Weights per bin"));
    m->rect->setMargins(QMargins(0, px(28), px(12), 0));
    QPen outline = isStale() ? QPen(theme.tx3, 1, Qt::DashLine) : QPen(theme.seriesW, 1);
    m->outline->setPen(outline);
    m->outline->setBrush(theme.histogram);
    m->after->setPen(isStale() ? QPen(theme.tx3, 1, Qt::DashLine) : QPen(theme.seriesQLR, 1.6));
    QPen dash(theme.tx2, 1);
    dash.setDashPattern({6, 3});
    m->centre->setPen(dash);
    QPen clip(theme.seriesQ, 1);
    clip.setDashPattern({6, 3});
    for (QCPItemStraightLine* line : m->clip)
        line->setPen(clip);
    for (LabelItem* label : {m->belowLabel, m->aboveLabel, m->centreLabel})
        label->setColour(theme.tx2);
}

void DensityPlot::layOut()
{
    if (m->hasData() && m->laidOutWidth != m->rect->width()) {
        m->laidOutWidth = m->rect->width();
        rebin();
    }
    m->isDirty = false;
    placeReferences();
}

void DensityPlot::placeReferences()
{
    const bool isShown = m->hasData() && (state() == State::Ready || isStale());
    const QRectF rect = m->rect->rect();
    m->levels->setVisible(isShown && m->legendQ->isChecked() && !m->view.levels.empty());
    m->levels->place(m->rect);
    const bool hasClip = isShown && m->view.clip.has_value();
    for (QCPLayerable* item : {static_cast<QCPLayerable*>(m->below), static_cast<QCPLayerable*>(m->above),
                               static_cast<QCPLayerable*>(m->belowLabel), static_cast<QCPLayerable*>(m->aboveLabel),
                               static_cast<QCPLayerable*>(m->clip[0]), static_cast<QCPLayerable*>(m->clip[1])})
        item->setVisible(hasClip);
    if (hasClip) {
        const auto [from, to] = *m->view.clip;
        const double left = std::clamp(m->x().coordToPixel(from), rect.left(), rect.right());
        const double right = std::clamp(m->x().coordToPixel(to), rect.left(), rect.right());
        m->below->place(QRectF(rect.topLeft(), QPointF(left, rect.bottom())));
        m->above->place(QRectF(QPointF(right, rect.top()), rect.bottomRight()));
        const double positions[] = {from, to};
        for (std::size_t i = 0; i < 2; ++i) {
            m->clip[i]->point1->setCoords(positions[i], m->y().range().lower);
            m->clip[i]->point2->setCoords(positions[i], m->y().range().upper);
        }
        const Histogram inside = binned(*m->view.codes, from, to, 1);
        const auto all = static_cast<double>(std::max<std::uint64_t>(1, total(inside) + inside.below + inside.above));
        m->belowLabel->setText(tr("%1\nbelow").arg(percent(static_cast<double>(inside.below) / all)));
        m->aboveLabel->setText(tr("%1\nabove").arg(percent(static_cast<double>(inside.above) / all)));
        const double room = px(8);
        m->belowLabel->setVisible(left - rect.left() > m->belowLabel->textSize().width() + 2 * room);
        m->aboveLabel->setVisible(rect.right() - right > m->aboveLabel->textSize().width() + 2 * room);
        m->belowLabel->place({left - m->belowLabel->textSize().width() - room, rect.top() + room});
        m->aboveLabel->place({right + room, rect.top() + room});
    }
    const bool hasCentre = isShown && m->view.centre.has_value();
    m->centre->setVisible(hasCentre);
    m->centreLabel->setVisible(hasCentre && m->x().range().contains(m->view.centre.value_or(0)));
    if (hasCentre) {
        m->centre->point1->setCoords(*m->view.centre, m->y().range().lower);
        m->centre->point2->setCoords(*m->view.centre, m->y().range().upper);
        m->centreLabel->setText(tr("median %1").arg(number3(*m->view.centre)));
        m->centreLabel->setGround(Theme::current().base);
        const double x = m->x().coordToPixel(*m->view.centre) + px(8);
        m->centreLabel->place({std::min(x, rect.right() - m->centreLabel->textSize().width()), rect.top() + px(8)});
    }
}

void DensityPlot::cursorMoved(const QPointF& position)
{
    const bool isInside
        = m->hasData() && m->rect->rect().contains(position.toPoint()) && (state() == State::Ready || isStale());
    m->cursor->setVisible(isInside);
    if (!isInside) {
        setReadout({});
        replotOverlay();
        return;
    }
    const Theme& theme = Theme::current();
    const double weight = m->x().pixelToCoord(position.x());
    QStringList parts{coloured(tr("weight %1").arg(number3(weight)), theme.tx2)};
    std::vector<CurvePoint> points;
    const auto bin = static_cast<std::ptrdiff_t>(std::floor((weight - m->bins.lower) / m->bins.width));
    const auto read = [&](const Histogram& histogram, QCPGraph* graph, const QString& name, Series series) {
        if (!graph->visible() || bin < 0 || bin >= static_cast<std::ptrdiff_t>(histogram.counts.size()))
            return;
        const std::uint64_t count = histogram.counts[static_cast<std::size_t>(bin)];
        parts += coloured(name.arg(wholeNumber(count)), theme.colour(series));
        if (const QPointF at(position.x(), m->y().coordToPixel(static_cast<double>(count)));
            count > 0 && m->rect->rect().contains(at.toPoint()))
            points.push_back({at, theme.colour(series)});
    };
    read(m->histogram, m->outline, tr("W %1"), Series::W);
    read(m->afterHistogram, m->after, tr("after %1"), Series::QLR);
    if (const DensityLevel* level = m->levels->nearest(weight); level != nullptr && m->levels->visible())
        parts += coloured(tr("code %1").arg(QLocale().toString(level->code)), theme.seriesQ);
    m->cursor->place(position.x(), {m->rect->rect()}, std::move(points));
    setReadout(parts.join(QStringLiteral("&nbsp;&nbsp; ")));
    replotOverlay();
}

void DensityPlot::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_L && event->modifiers() == Qt::NoModifier)
        setLogY(!isLogY());
    else
        PlotFrame::keyPressEvent(event);
}

QString DensityPlot::dataAsCsv() const
{
    QString text = QStringLiteral("lower,upper,count,count_after\n");
    for (std::size_t i = 0; i < m->histogram.counts.size(); ++i) {
        const double lower = m->bins.lower + static_cast<double>(i) * m->bins.width;
        text += QStringLiteral("%1,%2,%3,")
                    .arg(QString::number(lower, 'g', 17), QString::number(lower + m->bins.width, 'g', 17),
                         QString::number(m->histogram.counts[i]));
        if (i < m->afterHistogram.counts.size())
            text += QString::number(m->afterHistogram.counts[i]);
        text += QLatin1Char('\n');
    }
    return text;
}

}  // namespace sigmascope::ui
