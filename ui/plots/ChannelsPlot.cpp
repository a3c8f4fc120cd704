// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/ChannelsParts.h"

#include <QKeyEvent>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sigmascope::ui {

ChannelsPlot::ChannelsPlot(QWidget* parent)
    : PlotFrame(parent)
    , m(std::make_unique<Parts>())
{
    buildHeader();
    buildRects();
    connect(plot(), &QCustomPlot::beforeReplot, this, [this] { chooseLayout(); });
    connect(plot(), &QCustomPlot::afterLayout, this, [this] { layOut(); });
    setAccessibleName(tr("Channels"));
    setTitle(QStringLiteral("channels"));
    setHint(tr("← → next channel, Shift by 8"));
    showEmpty(tr("Select a layer to see its channels"));
    refreshHeader();
}

ChannelsPlot::~ChannelsPlot() = default;

void ChannelsPlot::buildHeader()
{
    const auto legend = [this](Series series, const QString& text, const QString& explanation) {
        return static_cast<LegendButton*>(addLegend(series, text, explanation));
    };
    LegendButton* w = legend(Series::W, QStringLiteral("W"),
                             tr("Largest magnitude and root of the mean square of a channel's weights."));
    m->curves[Parts::AbsMax] = {.legend = w, .series = Series::W, .name = tr("W largest")};
    m->curves[Parts::Rms] = {.legend = w, .series = Series::W, .name = tr("W RMS")};
    m->curves[Parts::Error]
        = {.legend = legend(Series::E, QStringLiteral("E"), {}), .series = Series::E, .name = tr("E RMS")};
    m->curves[Parts::WeightedError]
        = {.legend = legend(Series::ES, QStringLiteral("E·S"), {}), .series = Series::ES, .name = tr("E·S RMS")};
    m->curves[Parts::WeightedError].legend->setChecked(false);  // at most three curves at first
    for (const Parts::Curve curve : {Parts::AbsMax, Parts::Error, Parts::WeightedError})
        connect(m->curves[curve].legend, &QToolButton::toggled, this, [this] { fitY(); });
    m->sides = new SegmentedControl(SegmentedControl::Mode::OneOfMany, this);
    m->sides->setAccessibleName(tr("Side of the matrix"));
    m->sides->setMinimumWidth(px(112));  // longer words in another language widen it
    m->sides->setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
    m->sides->setSegments(
        {{static_cast<int>(Side::Inputs), tr("Inputs"), true, tr("Columns of W: one for each input feature")},
         {static_cast<int>(Side::Outputs), tr("Outputs"), true, tr("Rows of W: one for each output feature")}});
    m->sides->setValue(static_cast<int>(Side::Inputs));
    connect(m->sides, &SegmentedControl::valueChosen, this, [this](int value) { setSide(static_cast<Side>(value)); });
    addHeaderWidget(m->sides);
    m->orders = new QComboBox(this);
    m->orders->addItems({tr("In order"), tr("By size")});
    m->orders->setToolTip(tr("Channels as they are stored, or by their largest weight"));
    m->orders->setAccessibleName(tr("Order of the channels"));
    connect(m->orders, &QComboBox::activated, this, [this](int index) { setOrder(static_cast<Order>(index)); });
    addHeaderWidget(m->orders);
}

void ChannelsPlot::refreshHeader()
{
    const bool hasError = m->hasData() && !m->values().e.isEmpty();
    const bool hasWeighted = m->hasData() && !m->values().es.isEmpty();
    LegendButton* error = m->curves[Parts::Error].legend;
    LegendButton* weighted = m->curves[Parts::WeightedError].legend;
    error->setEnabled(hasError);
    error->setToolTip(hasError || m->view.errorReason.isEmpty()
                          ? tr("Root of the mean square of E = W − Q, what the grid leaves.")
                          : m->view.errorReason);
    weighted->setEnabled(hasWeighted);
    // The reason stands beside the entry where there is room, else in its tooltip.
    const bool saysWhy = !hasWeighted && hasError && !m->view.plainReason.isEmpty() && width() >= px(640);
    weighted->setText(saysWhy ? tr("E·S: %1").arg(m->view.plainReason) : QStringLiteral("E·S"));
    weighted->setToolTip(
        hasWeighted    ? tr("Root of the mean square of E·S, the error weighted by the calibrated size of each input.")
            : hasError ? m->view.plainReason
                       : m->view.errorReason);
    weighted->updateGeometry();
}

void ChannelsPlot::resizeEvent(QResizeEvent* event)
{
    PlotFrame::resizeEvent(event);
    refreshHeader();
}

void ChannelsPlot::show(const ChannelsView& view)
{
    const std::size_t before = m->count();
    const bool isKept = m->isXFree && m->hasData();
    m->view = view;
    rebuild();
    refreshHeader();
    if (!isKept || m->count() != before)
        resetZoom();
    else
        fitY();
    if (m->cursorAt && *m->cursorAt >= m->count())
        m->cursorAt.reset();
    showOrSay();
    placeCursor();
}

void ChannelsPlot::showOrSay()
{
    const auto isDrawable = [](double value) { return std::isfinite(value) && value > 0; };
    if (std::ranges::any_of(m->curves, [&](const ChannelCurve& curve) { return std::ranges::any_of(curve.y, isDrawable); }))
        setReady();
    else
        showEmpty(m->count() == 0 ? tr("This layer has no channels") : tr("No weight is finite and other than 0: nothing to draw"));
}

void ChannelsPlot::setSide(Side side)
{
    if (side == m->side)
        return;
    m->side = side;
    m->sides->setValue(static_cast<int>(side));
    m->cursorAt.reset();
    rebuild();
    refreshHeader();
    resetZoom();
    placeCursor();
    emit sideChosen();
}

ChannelsPlot::Side ChannelsPlot::side() const
{
    return m->side;
}

void ChannelsPlot::setOrder(Order order)
{
    if (order == m->order)
        return;
    const auto channel = cursorChannel();
    m->order = order;
    m->orders->setCurrentIndex(static_cast<int>(order));
    rebuild();
    if (channel)
        m->cursorAt = m->placeOf(*channel);
    resetZoom();
    placeCursor();
}

ChannelsPlot::Order ChannelsPlot::order() const
{
    return m->order;
}

/// Values of the side in the order chosen, and its outliers.
void ChannelsPlot::rebuild()
{
    m->isDirty = true;
    m->channels.clear();
    m->places.clear();
    m->outliers.clear();
    if (!m->hasData())
        return;
    const ChannelSide& side = m->values();
    const std::size_t count = m->count();
    m->x.resize(count);
    std::iota(m->x.begin(), m->x.end(), 0.0);
    if (m->order == Order::Sorted) {
        m->channels.resize(count);
        std::iota(m->channels.begin(), m->channels.end(), std::uint64_t{0});
        std::ranges::stable_sort(m->channels, std::ranges::greater{},
                                 [&](std::uint64_t i) { return side.w.absMax[i]; });
        m->places.resize(count);
        for (std::size_t place = 0; place < count; ++place)
            m->places[m->channels[place]] = place;
    }
    const auto ordered = [&](const std::vector<double>& values) {
        std::vector<double> result(values.size());
        for (std::size_t place = 0; place < values.size(); ++place)
            result[place] = values[m->channelAt(place)];
        return result;
    };
    m->curves[Parts::AbsMax].y = ordered(side.w.absMax);
    m->curves[Parts::Rms].y = ordered(side.w.rms);
    m->curves[Parts::Error].y = ordered(side.e.rms);
    m->curves[Parts::WeightedError].y = ordered(side.es.rms);
    const bool hasActivation = m->side == Side::Inputs && m->view.activation.size() == count;
    m->activationY = hasActivation ? ordered(m->view.activation) : std::vector<double>();
    for (const OutlierChannel& outlier : outlierChannels(side.w.absMax))
        m->outliers.push_back({outlier, false});
    if (hasActivation)
        for (const OutlierChannel& outlier : outlierChannels(m->view.activation))
            m->outliers.push_back({outlier, true});
    std::ranges::stable_sort(m->outliers, std::ranges::greater{},
                             [](const ListedOutlier& o) { return o.channel.ratio; });
}

const std::vector<ListedOutlier>& ChannelsPlot::outliers() const
{
    return m->outliers;
}

void ChannelsPlot::goTo(std::uint64_t channel)
{
    if (channel >= m->count())
        return;
    m->cursorAt = m->placeOf(channel);
    const auto x = static_cast<double>(*m->cursorAt);
    const QCPRange range = m->xAxis().range();
    if (!range.contains(x)) {
        const double lower = std::clamp(x - range.size() / 2, -0.5,
                                        std::max(-0.5, static_cast<double>(m->count()) - 0.5 - range.size()));
        setXRange(lower, lower + range.size());
    }
    placeCursor();
    replotOverlay();
}

int ChannelsPlot::pointCount() const
{
    return m->curves[Parts::AbsMax].graph->dataCount();
}

std::optional<std::uint64_t> ChannelsPlot::cursorChannel() const
{
    return m->cursorAt ? std::optional(m->channelAt(*m->cursorAt)) : std::nullopt;
}

QString ChannelsPlot::readout() const
{
    return m->readout;
}

std::pair<double, double> ChannelsPlot::visibleRange() const
{
    return {m->xAxis().range().lower, m->xAxis().range().upper};
}

bool ChannelsPlot::hasActivation() const
{
    return m->hasLower;
}

QPoint ChannelsPlot::positionOf(std::uint64_t channel) const
{
    return QPointF(m->xAxis().coordToPixel(static_cast<double>(m->placeOf(channel))), m->upper->rect().center().y())
        .toPoint();
}

QString ChannelsPlot::dataAsCsv() const
{
    QString text = QStringLiteral("channel,W_absmax,W_rms,E_absmax,E_rms,ES_absmax,ES_rms,input_rms,outlier\n");
    if (!m->hasData())
        return text;
    const ChannelSide& side = m->values();
    std::vector<int> marks(m->count(), 0);
    for (const ListedOutlier& outlier : m->outliers)
        marks[outlier.channel.channel] |= outlier.isActivation ? 2 : 1;
    static const std::array<QString, 4> words{QString(), QStringLiteral("W"), QStringLiteral("input"),
                                              QStringLiteral("W and input")};
    const bool hasInputs = m->side == Side::Inputs && m->view.activation.size() == m->count();
    for (std::size_t i = 0; i < m->count(); ++i) {
        text += QString::number(i);
        for (const ChannelSeries* series : {&side.w, &side.e, &side.es})
            for (const std::vector<double>* values : {&series->absMax, &series->rms})
                text += QLatin1Char(',') + (values->empty() ? QString() : QString::number((*values)[i], 'g', 17));
        text += QLatin1Char(',') + (hasInputs ? QString::number(m->view.activation[i], 'g', 17) : QString());
        text += QLatin1Char(',') + words[static_cast<std::size_t>(marks[i])] + QLatin1Char('\n');
    }
    return text;
}

QString ChannelsPlot::dataUnits() const
{
    return (m->side == Side::Inputs ? QStringLiteral("input channels; ") : QStringLiteral("output channels; "))
        + QStringLiteral("W and E in weights, ES in weights times RMS of the input, input_rms in activations");
}

void ChannelsPlot::resetZoom()
{
    const Extent extent = dataExtent();
    setXRange(extent.xLower, extent.xUpper);
    m->isXFree = false;
    fitY();
}

void ChannelsPlot::setXRange(double lower, double upper)
{
    m->isXFree = true;
    m->xAxis().setRange(lower, upper);
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void ChannelsPlot::setYRange(double lower, double upper)
{
    m->yAxis().setRange(lower, upper);
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void ChannelsPlot::seriesToggled(Series, bool) { }

void ChannelsPlot::cursorMoved(const QPointF& position)
{
    const QPoint pixel = position.toPoint();
    const bool isOver = m->upper->rect().contains(pixel) || (m->hasLower && m->lower->rect().contains(pixel));
    if (!isOver || m->count() == 0 || (state() != State::Ready && !isStale())) {
        m->cursorAt.reset();
    } else {
        const double x
            = std::clamp(std::round(m->xAxis().pixelToCoord(position.x())), 0.0, static_cast<double>(m->count() - 1));
        m->cursorAt = static_cast<std::size_t>(x);
    }
    placeCursor();
    replotOverlay();
}

void ChannelsPlot::keyPressEvent(QKeyEvent* event)
{
    const std::size_t count = m->count();
    if (count == 0)
        return PlotFrame::keyPressEvent(event);
    const auto at = [&] {
        const double first = std::clamp(std::ceil(m->xAxis().range().lower), 0.0, static_cast<double>(count - 1));
        return m->cursorAt.value_or(static_cast<std::size_t>(first));
    };
    const std::size_t step = event->modifiers().testFlag(Qt::ShiftModifier) ? 8 : 1;
    switch (event->key()) {
    case Qt::Key_Left:
        return goTo(m->channelAt(at() < step ? 0 : at() - (m->cursorAt ? step : 0)));
    case Qt::Key_Right:
        return goTo(m->channelAt(std::min(count - 1, at() + (m->cursorAt ? step : 0))));
    case Qt::Key_Home:
        return goTo(m->channelAt(0));
    case Qt::Key_End:
        return goTo(m->channelAt(count - 1));
    default:
        PlotFrame::keyPressEvent(event);
    }
}

}  // namespace sigmascope::ui
