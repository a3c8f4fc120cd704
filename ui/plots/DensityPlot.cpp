// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/DensityParts.h"

#include <QKeyEvent>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

DensityPlot::DensityPlot(QWidget* parent)
    : PlotFrame(parent)
    , m(std::make_unique<Parts>())
{
    buildRects();
    buildItems();
    buildHeader();
    connect(plot(), &QCustomPlot::beforeReplot, this, [this] { chooseLayout(); });
    connect(plot(), &QCustomPlot::afterLayout, this, [this] { layOut(); });
    setTitle(QStringLiteral("density"));
    setAccessibleName(tr("Density"));
    showEmpty(tr("Select a layer to see the density of its weights"));
    refreshHeader();
}

DensityPlot::~DensityPlot() = default;

void DensityPlot::buildHeader()
{
    const auto legend = [this](Series series, const QString& text, const QString& explanation) {
        return static_cast<LegendButton*>(addLegend(series, text, explanation));
    };
    m->legendW = legend(Series::W, tr("W"), tr("Weights as stored, before quantization."));
    m->legendW->setSample(LegendButton::Sample::Fill);
    m->legendAfter = legend(Series::QLR, tr("After, Q + LR"),
                            tr("Weights as the quantized layer represents them, with its correction."));
    m->legendAfter->hide();
    m->legendQ = legend(Series::Q, tr("Grid levels"), QString());
    m->legendQ->setSample(LegendButton::Sample::ThinLine);

    m->parts = new SegmentedControl(SegmentedControl::Mode::OneOfMany, this);
    m->parts->setAccessibleName(tr("Weights shown"));
    m->parts->setMinimumWidth(px(164));  // longer words in another language widen it
    m->parts->setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
    addHeaderWidget(m->parts);
    const auto spin = [this](const QString& prefix, const QString& name) {
        auto* made = new QSpinBox(this);
        made->setPrefix(prefix);
        made->setAccessibleName(name);
        made->setKeyboardTracking(false);
        made->setFont(ui::font(FontRole::Mono));
        made->hide();
        addHeaderWidget(made);
        connect(made, &QSpinBox::valueChanged, this, [this] { choosePart(); });
        return made;
    };
    m->row = spin(tr("row "), tr("Row shown"));
    m->group = spin(tr("group "), tr("Group of the row shown"));
    connect(m->parts, &SegmentedControl::valueChosen, this, [this](int value) {
        m->part = static_cast<DensityPart>(value);
        refreshHeader();
        choosePart();
    });
    const auto combo = [this](const QStringList& items, const QString& name) {
        auto* made = new QComboBox(this);
        made->addItems(items);
        made->setAccessibleName(name);
        addHeaderWidget(made);
        return made;
    };
    m->axis = combo({tr("÷ scale"), tr("Weight")}, tr("Unit of the weight axis"));
    m->scale = combo({tr("Log y"), tr("Linear y")}, tr("Scale of the count axis"));
    connect(m->axis, &QComboBox::activated, this, [this](int index) { setAxis(index == 0 ? Axis::Scaled : Axis::Weight); });
    connect(m->scale, &QComboBox::activated, this, [this](int index) { setLogY(index == 0); });
}

void DensityPlot::refreshHeader()
{
    const bool hasGrid = m->view.grid != nullptr;
    const bool isScaled = m->isScaled();
    const QString reason = !hasGrid ? tr("Rows and groups are shown over the scales of a grid. This layer has none yet.")
        : !isScaled                 ? tr("Rows and groups are shown over their scales: choose ÷ scale.")
                                    : QString();
    m->parts->setSegments({{static_cast<int>(DensityPart::Tensor), tr("Tensor"), true, tr("All weights of the layer")},
                           {static_cast<int>(DensityPart::Row), tr("Row"), isScaled,
                            isScaled ? tr("The weights of one output channel") : reason},
                           {static_cast<int>(DensityPart::Group), tr("Group"), isScaled,
                            isScaled ? tr("The weights that share one scale") : reason}});
    m->parts->setValue(static_cast<int>(isScaled ? m->part : DensityPart::Tensor));
    m->row->setMaximum(static_cast<int>(std::clamp<std::uint64_t>(m->view.rows, 1, 1U << 30U)) - 1);
    m->group->setMaximum(static_cast<int>(std::clamp<std::uint64_t>(m->view.groupsInRow, 1, 1U << 30U)) - 1);
    m->row->setVisible(isScaled && m->part != DensityPart::Tensor);
    m->group->setVisible(isScaled && m->part == DensityPart::Group);
    m->axis->setEnabled(hasGrid);
    m->axis->setCurrentIndex(isScaled ? 0 : 1);
    m->axis->setToolTip(hasGrid ? tr("Weight over the scale of its group: there the levels of all groups fall together")
                                : tr("A layer that is kept has no scales to divide by"));
    m->legendQ->setEnabled(!m->view.levels.empty());
    m->legendQ->setText(m->view.levels.empty() ? tr("no grid")
                                               : tr("%1 grid levels").arg(wholeNumber(m->view.levels.size())));
    m->legendQ->setToolTip(m->view.levels.empty() ? tr("This layer is kept as it is.")
                               : isScaled         ? tr("Values of the grid's codes, the same for every group.")
                                                  : m->view.levelsNote);
    m->legendQ->updateGeometry();
    m->legendAfter->setVisible(m->view.after != nullptr && !isScaled);
}

void DensityPlot::choosePart()
{
    emit partChosen(m->part, static_cast<quint64>(m->row->value()), static_cast<quint64>(m->group->value()));
}

void DensityPlot::setPart(DensityPart part, std::uint64_t row, std::uint64_t group)
{
    m->part = part;
    refreshHeader();
    for (const auto& [box, value] : {std::pair(m->row, row), std::pair(m->group, group)}) {
        box->setMaximum(std::max(box->maximum(), static_cast<int>(std::min<std::uint64_t>(value, 1U << 30U))));
        box->setValue(static_cast<int>(std::min<std::uint64_t>(value, 1U << 30U)));
    }
}

/// Nothing that has a place on an axis: no picture of before stays either.
void DensityPlot::showNothing()
{
    m->view = {};
    m->bins = {};
    for (QCPGraph* graph : {m->outline, m->after, m->rounding, m->clipping})
        graph->data()->clear();
    m->levels->setLevels({}, false);
    refreshHeader();
    setHint({});
    showEmpty(tr("No finite value to show"));
}

void DensityPlot::show(const DensityView& view)
{
    const bool hasCounts = std::ranges::any_of(view.codes->counts, [](std::uint64_t count) { return count > 0; });
    if (view.elements == 0 || !hasCounts || !std::isfinite(view.min) || !std::isfinite(view.max)) {
        showNothing();
        return;
    }
    const bool wasScaled = m->isScaled();
    const auto frameBefore = m->frame();
    const bool hadData = m->hasData();
    m->view = view;
    refreshHeader();
    m->levels->setLevels(view.levels, m->isScaled());
    // A zoom made by hand survives a change of the layer or the grid as long as it still means the same.
    const bool isKept = hadData && m->isXFree && wasScaled == m->isScaled() && frameBefore == m->frame();
    setReady();
    if (isKept)
        setXRange(m->range.first, m->range.second);
    else
        resetZoom();
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
    rebin();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

bool DensityPlot::isLogY() const
{
    return m->y().scaleType() == QCPAxis::stLogarithmic;
}

void DensityPlot::setAxis(Axis axis)
{
    if (axis == m->wanted)
        return;
    m->wanted = axis;
    if (!m->hasData())
        return;
    refreshHeader();
    m->levels->setLevels(m->view.levels, m->isScaled());
    resetZoom();
}

DensityPlot::Axis DensityPlot::axis() const
{
    return m->isScaled() ? Axis::Scaled : Axis::Weight;
}

std::size_t DensityPlot::binCount() const
{
    return m->bins.counts.size();
}

std::uint64_t DensityPlot::countInView() const
{
    return m->bins.total();
}

std::uint64_t DensityPlot::countOutsideView() const
{
    return m->bins.outside;
}

std::pair<double, double> DensityPlot::visibleRange() const
{
    return m->range;
}

int DensityPlot::levelCount() const
{
    return m->levels->visible() ? static_cast<int>(m->view.levels.size()) : 0;
}

std::optional<double> DensityPlot::errorShareInView() const
{
    if (!m->isScaled() || !m->hasLower || m->view.grid->squaredError <= 0)
        return std::nullopt;
    return 100 * std::accumulate(m->bins.errors.begin(), m->bins.errors.end(), 0.0) / m->view.grid->squaredError;
}

QStringList DensityPlot::errorLabels() const
{
    QStringList labels;
    for (const LabelItem* label : {m->roundingLabel, m->clippingLabel})
        if (label->visible())
            labels << label->text();
    return labels;
}

void DensityPlot::resetZoom()
{
    const Extent extent = dataExtent();
    const double margin = 0.02 * (extent.xUpper - extent.xLower);
    m->isYFree = false;
    setXRange(extent.xLower - margin, extent.xUpper + margin);
    m->isXFree = false;
}

void DensityPlot::setXRange(double lower, double upper)
{
    m->isXFree = true;
    m->range = {lower, upper};
    m->x().setRange(lower, upper);
    rebin();
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

QStringList DensityPlot::readoutAt(double x) const
{
    const Theme& theme = Theme::current();
    QStringList parts{coloured(m->isScaled() ? tr("%1 steps").arg(number3(x)) : tr("weight %1").arg(number3(x)), theme.tx2)};
    if (const auto bin = m->bins.at(x)) {
        if (m->outline->visible())
            parts += coloured(tr("W %1").arg(wholeNumber(m->bins.counts[*bin])), theme.seriesW);
        if (m->after->visible() && *bin < m->bins.after.size())
            parts += coloured(tr("after %1").arg(wholeNumber(m->bins.after[*bin])), theme.seriesQLR);
        if (*bin < m->bins.errors.size() && m->view.grid->squaredError > 0)
            parts += coloured(tr("error share %1").arg(percent(m->bins.errors[*bin] / m->view.grid->squaredError)),
                              theme.seriesE);
    }
    if (const DensityLevel* level = m->levels->nearest(x); level != nullptr && m->levels->visible())
        parts += coloured(tr("code %1").arg(QLocale().toString(level->code)), theme.seriesQ);
    return parts;
}

void DensityPlot::cursorMoved(const QPointF& position)
{
    const QPoint pixel = position.toPoint();
    const bool isOver = m->upper->rect().contains(pixel) || (m->hasLower && m->lower->rect().contains(pixel));
    const bool isInside = m->hasData() && isOver && (state() == State::Ready || isStale());
    m->cursor->setVisible(isInside);
    if (!isInside) {
        setReadout({});
        replotOverlay();
        return;
    }
    const Theme& theme = Theme::current();
    const double x = m->x().pixelToCoord(position.x());
    std::vector<CurvePoint> points;
    const auto mark = [&](const QCPGraph* graph, const std::vector<std::uint64_t>& counts, Series series) {
        const auto bin = m->bins.at(x);
        if (!graph->visible() || !bin || *bin >= counts.size() || counts[*bin] == 0)
            return;
        const QPointF at(position.x(), m->y().coordToPixel(static_cast<double>(counts[*bin])));
        if (m->upper->rect().contains(at.toPoint()))
            points.push_back({at, theme.colour(series)});
    };
    mark(m->outline, m->bins.counts, Series::W);
    mark(m->after, m->bins.after, Series::QLR);
    std::vector<QRect> rects{m->upper->rect()};
    if (m->hasLower)
        rects.push_back(m->lower->rect());
    m->cursor->place(position.x(), rects, std::move(points));
    setReadout(readoutAt(x).join(QStringLiteral("&nbsp;&nbsp; ")));
    replotOverlay();
}

void DensityPlot::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_L && event->modifiers() == Qt::NoModifier)
        setLogY(!isLogY());
    else
        PlotFrame::keyPressEvent(event);
}

QString DensityPlot::dataUnits() const
{
    return m->isScaled() ? QStringLiteral("edges in weights over the scale of their group, squared_error in weights squared")
                         : QStringLiteral("edges in weights");
}

QString DensityPlot::dataAsCsv() const
{
    QString text = QStringLiteral("lower,upper,count,count_after,squared_error\n");
    for (std::size_t i = 0; i < m->bins.counts.size(); ++i) {
        text += QStringLiteral("%1,%2,%3,")
                    .arg(QString::number(m->bins.left(i), 'g', 17), QString::number(m->bins.left(i + 1), 'g', 17),
                         QString::number(m->bins.counts[i]));
        if (i < m->bins.after.size())
            text += QString::number(m->bins.after[i]);
        text += QLatin1Char(',');
        if (i < m->bins.errors.size())
            text += QString::number(m->bins.errors[i], 'g', 17);
        text += QLatin1Char('\n');
    }
    return text;
}

}  // namespace sigmascope::ui
