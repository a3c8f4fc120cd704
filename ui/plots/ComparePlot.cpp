// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/ComparePlot.h"

#include "ui/plots/GroupTicker.h"
#include "ui/plots/LegendButton.h"
#include "ui/plots/LogTicker.h"
#include "ui/plots/PlotItems.h"
#include "ui/text/Csv.h"

#include <QComboBox>
#include <QKeyEvent>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace sigmascope::ui {

namespace {

QString signedPercent(double ratio)
{
    return ratio > 0 ? QStringLiteral("+") + percent(ratio) : percent(ratio);
}

/// Smallest and largest of the finite values; above zero only, if asked. An empty range (first > second) without any.
std::pair<double, double> spanOf(std::initializer_list<const std::vector<double>*> all, bool positiveOnly)
{
    std::pair<double, double> span(std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity());
    for (const std::vector<double>* values : all) {
        for (const double value : *values) {
            if (!std::isfinite(value) || (positiveOnly && value <= 0))
                continue;
            span.first = std::min(span.first, value);
            span.second = std::max(span.second, value);
        }
    }
    return span;
}

}  // namespace

struct ComparePlot::Parts {
    CompareView view;
    QCPAxisRect* upper = nullptr;
    QCPAxisRect* lower = nullptr;
    QCPGraph* a = nullptr;
    QCPGraph* b = nullptr;
    QCPGraph* change = nullptr;
    QSharedPointer<GroupTicker> ticker = QSharedPointer<GroupTicker>::create();
    LegendButton* legendA = nullptr;
    LegendButton* legendB = nullptr;
    LegendButton* legendOne = nullptr;
    QComboBox* scale = nullptr;
    CursorItem* cursor = nullptr;
    std::vector<double> x, percentA, percentB, percentChange;
    std::optional<int> cursorAt;
    QString readout;
    bool isLog = true;
    bool hasLower = false;
    bool isDirty = true;
    int laidOutWidth = -1;

    [[nodiscard]] QCPAxis& xAxis() const { return *upper->axis(QCPAxis::atBottom); }
    [[nodiscard]] QCPAxis& yAxis() const { return *upper->axis(QCPAxis::atLeft); }
    [[nodiscard]] QCPAxis& xBelow() const { return *lower->axis(QCPAxis::atBottom); }
    [[nodiscard]] QCPAxis& yBelow() const { return *lower->axis(QCPAxis::atLeft); }
    [[nodiscard]] bool isPair() const { return !view.b.empty(); }
    [[nodiscard]] Series seriesOfA() const { return isPair() ? Series::ES : Series::E; }
    [[nodiscard]] bool isDrawnA() const { return (isPair() ? legendA : legendOne)->isChecked(); }
    [[nodiscard]] bool isDrawnB() const { return isPair() && legendB->isChecked(); }
};

ComparePlot::ComparePlot(QWidget* parent)
    : PlotFrame(parent)
    , m(std::make_unique<Parts>())
{
    buildHeader();
    buildRects();
    connect(plot(), &QCustomPlot::beforeReplot, this, [this] { chooseLayout(); });
    connect(plot(), &QCustomPlot::afterLayout, this, [this] { layOut(); });
    setAccessibleName(tr("Error of A and B, layer by layer"));
    setTitle(QStringLiteral("comparison"));
    showEmpty(tr("Choose two runs, or two models, to see where they differ"));
    refreshHeader();
}

ComparePlot::~ComparePlot() = default;

void ComparePlot::buildHeader()
{
    m->legendA = static_cast<LegendButton*>(addLegend(Series::ES, QStringLiteral("A"), {}));
    m->legendB = static_cast<LegendButton*>(addLegend(Series::QLR, QStringLiteral("B"), {}));
    m->legendOne = static_cast<LegendButton*>(
        addLegend(Series::E, QStringLiteral("A − B"), tr("‖A − B‖ / ‖A‖ of every tensor that both models hold.")));
    for (LegendButton* legend : {m->legendA, m->legendB, m->legendOne})
        connect(legend, &QToolButton::toggled, this, [this] { fitY(); });
    m->scale = new QComboBox(this);
    m->scale->addItems({tr("Log"), tr("Linear")});
    m->scale->setAccessibleName(tr("Scale of the error"));
    m->scale->setToolTip(tr("Log shows ratios, linear shows layers without error too. L"));
    connect(m->scale, &QComboBox::activated, this, [this](int index) { setLogY(index == 0); });
    addHeaderWidget(m->scale);
}

void ComparePlot::buildRects()
{
    const StackedRects rects = stackRects(*plot());
    m->upper = rects.upper;
    m->lower = rects.lower;
    m->yAxis().setScaleType(QCPAxis::stLogarithmic);
    m->yAxis().setTicker(QSharedPointer<LogTicker>::create());
    m->yAxis().setRange(0.1, 100);
    m->yBelow().setTicker(QSharedPointer<PlainTicker>::create());
    m->yBelow().ticker()->setTickCount(3);
    m->yBelow().setRange(-100, 100);
    for (QCPAxis* axis : {&m->xAxis(), &m->xBelow()}) {
        axis->setTicker(m->ticker);
        axis->setRange(-0.5, 9.5);
        axis->grid()->setVisible(true);
    }
    connect(&m->xAxis(), qOverload<const QCPRange&>(&QCPAxis::rangeChanged), &m->xBelow(),
            qOverload<const QCPRange&>(&QCPAxis::setRange));
    m->change = plot()->addGraph(&m->xBelow(), &m->yBelow());
    m->change->setLineStyle(QCPGraph::lsImpulse);
    m->a = plot()->addGraph(&m->xAxis(), &m->yAxis());
    m->b = plot()->addGraph(&m->xAxis(), &m->yAxis());
    for (QCPGraph* graph : {m->a, m->b, m->change})
        graph->setSelectable(QCP::stNone);
    m->cursor = new CursorItem(plot());
    m->cursor->setVisible(false);
}

void ComparePlot::refreshHeader()
{
    m->legendA->setVisible(m->isPair());
    m->legendB->setVisible(m->isPair());
    m->legendOne->setVisible(!m->isPair() && !m->view.a.empty());
    m->legendA->setToolTip(m->view.nameA);
    m->legendB->setToolTip(m->view.nameB);
    m->scale->setEnabled(!m->view.a.empty());
    m->scale->setCurrentIndex(m->isLog ? 0 : 1);
    setHint(m->view.a.empty() ? QString() : tr("← → next layer, click selects it"));
}

void ComparePlot::show(const CompareView& view)
{
    m->view = view;
    m->cursorAt.reset();
    m->ticker->setGroups(view.groups);
    m->x.resize(view.layers.size());
    std::iota(m->x.begin(), m->x.end(), 0.0);
    const auto inPercent = [](const std::vector<double>& ratios) {
        std::vector<double> values(ratios.size());
        std::ranges::transform(ratios, values.begin(), [](double ratio) { return 100 * ratio; });
        return values;
    };
    m->percentA = inPercent(view.a);
    m->percentB = inPercent(view.b);
    m->percentChange = inPercent(view.change);
    const auto any = spanOf({&m->percentA, &m->percentB}, false);
    const auto positive = spanOf({&m->percentA, &m->percentB}, true);
    refreshHeader();
    resetZoom();
    placeCursor();
    if (any.first > any.second)
        showEmpty(view.layers.empty() ? tr("A and B have no layer in common")
                                      : tr("No layer has an error that both measured"));
    else if (positive.first > positive.second)
        showEmpty(m->isPair() ? tr("No layer of A or B has any error: both keep every weight")
                              : tr("A and B hold the same weights: nothing to draw"));
    else
        setReady();
}

void ComparePlot::setLogY(bool on)
{
    if (m->isLog == on)
        return;
    m->isLog = on;
    m->scale->setCurrentIndex(on ? 0 : 1);
    m->yAxis().setScaleType(on ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    if (on)
        m->yAxis().setTicker(QSharedPointer<LogTicker>::create());
    else
        m->yAxis().setTicker(QSharedPointer<PlainTicker>::create());
    fitY();
}

bool ComparePlot::isLogY() const
{
    return m->isLog;
}

void ComparePlot::goTo(int layer)
{
    if (layer < 0 || layer >= static_cast<int>(m->x.size()))
        return;
    m->cursorAt = layer;
    const QCPRange range = m->xAxis().range();
    if (!range.contains(layer)) {
        const double last = static_cast<double>(m->x.size()) - 0.5;
        const double lower = std::clamp(layer - range.size() / 2, -0.5, std::max(-0.5, last - range.size()));
        setXRange(lower, lower + range.size());
    }
    placeCursor();
    replotOverlay();
}

int ComparePlot::pointsOfA() const
{
    return m->a->visible() ? m->a->dataCount() : 0;
}

int ComparePlot::pointsOfB() const
{
    return m->b->visible() ? m->b->dataCount() : 0;
}

std::optional<int> ComparePlot::cursorLayer() const
{
    return m->cursorAt;
}

QString ComparePlot::readout() const
{
    return m->readout;
}

bool ComparePlot::hasLower() const
{
    return m->hasLower;
}

QPoint ComparePlot::positionOf(int layer) const
{
    return QPointF(m->xAxis().coordToPixel(layer), m->upper->rect().center().y()).toPoint();
}

QString ComparePlot::dataAsCsv() const
{
    QString text = m->isPair() ? QStringLiteral("place,layer,error_A,error_B,change\n") : QStringLiteral("place,layer,difference\n");
    for (std::size_t i = 0; i < m->view.a.size(); ++i) {
        text += QString::number(i) + QLatin1Char(',') + csvField(m->view.layers[i]) + QLatin1Char(',') + csvNumber(m->view.a[i]);
        if (m->isPair())
            text += QLatin1Char(',') + csvNumber(m->view.b[i]) + QLatin1Char(',') + csvNumber(m->view.change[i]);
        text += QLatin1Char('\n');
    }
    return text;
}

QString ComparePlot::dataUnits() const
{
    return m->isPair() ? QStringLiteral("error_A, error_B: 1; change: error_B/error_A-1")
                       : QStringLiteral("difference = ||A - B|| / ||A||");
}

void ComparePlot::resetZoom()
{
    const Extent extent = dataExtent();
    m->xAxis().setRange(extent.xLower, extent.xUpper);
    fitY();
}

void ComparePlot::seriesToggled(Series, bool) {}

void ComparePlot::applyLook()
{
    if (!m)
        return;
    const Theme& theme = Theme::current();
    for (QCPAxisRect* rect : {m->upper, m->lower})
        for (QCPAxis* axis : rect->axes())
            styleAxis(*axis);
    m->yBelow().grid()->setZeroLinePen(QPen(theme.line2, 1));
    m->yAxis().setLabel(m->view.axis);
    m->yBelow().setLabel(tr("B against A, %"));
    m->a->setPen(theme.pen(m->seriesOfA(), 2));
    m->b->setPen(theme.pen(Series::QLR, 1.6));
    m->change->setPen(QPen(theme.colour(Series::QLR), 2, Qt::SolidLine, Qt::FlatCap));
    m->isDirty = true;
}

void ComparePlot::setXRange(double lower, double upper)
{
    m->xAxis().setRange(lower, upper);
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void ComparePlot::setYRange(double lower, double upper)
{
    m->yAxis().setRange(lower, upper);
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

PlotFrame::Extent ComparePlot::dataExtent() const
{
    Extent extent{.xLower = -0.5,
                  .xUpper = std::max(0.5, static_cast<double>(m->x.size()) - 0.5),
                  .yLower = 0.1,
                  .yUpper = 100,
                  .yLog = m->isLog};
    static const std::vector<double> kNone;
    const auto [low, high]
        = spanOf({m->isDrawnA() ? &m->percentA : &kNone, m->isDrawnB() ? &m->percentB : &kNone}, m->isLog);
    if (low > high || high <= 0)
        return extent;
    extent.yLower = m->isLog ? low / 1.3 : 0;
    extent.yUpper = m->isLog ? high * 1.3 : high * 1.08;
    return extent;
}

void ComparePlot::fitY()
{
    const Extent extent = dataExtent();
    m->yAxis().setRange(extent.yLower, extent.yUpper);
    const auto [low, high] = spanOf({&m->percentChange}, false);
    if (low <= high) {
        const double reach = std::max({1.0, std::abs(low), std::abs(high)}) * 0.1;
        m->yBelow().setRange(std::min(0.0, low) - reach, std::max(0.0, high) + reach);
    }
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void ComparePlot::chooseLayout()
{
    m->hasLower = m->isPair() && plot()->height() >= px(300);
    QCPAxis& bearer = m->hasLower ? m->xBelow() : m->xAxis();
    for (QCPAxis* axis : {&m->xAxis(), &m->xBelow()}) {
        axis->setTickLabels(axis == &bearer);
        axis->setLabel(axis == &bearer ? tr("Block, layers in depth order") : QString());
    }
    m->lower->setVisible(m->hasLower);
    m->change->setVisible(m->hasLower);
    m->lower->setMinimumSize(0, m->hasLower ? px(100) : 0);
    m->lower->setMaximumSize(QWIDGETSIZE_MAX, m->hasLower ? px(100) : 0);
    m->lower->setAutoMargins(m->hasLower ? QCP::msLeft | QCP::msBottom : QCP::MarginSides(QCP::msNone));
    m->lower->setMargins(m->hasLower ? QMargins(0, px(8), px(12), 0) : QMargins());
    m->upper->setAutoMargins(m->hasLower ? QCP::MarginSides(QCP::msLeft) : QCP::msLeft | QCP::msBottom);
    m->upper->setMargins(QMargins(0, px(8), px(12), m->hasLower ? px(8) : 0));
}

void ComparePlot::layOut()
{
    if (m->isDirty || m->laidOutWidth != plot()->width())
        fillCurves();
    m->isDirty = false;
    m->laidOutWidth = plot()->width();
    placeCursor();
}

void ComparePlot::fillCurves()
{
    // Only what is in view and one layer either side is handed over, two points a pixel column at most.
    const QCPRange range = m->xAxis().range();
    const auto place
        = [&](double x) { return static_cast<std::size_t>(std::clamp(x, 0.0, static_cast<double>(m->x.size()))); };
    const std::size_t from = place(std::floor(range.lower)), to = place(std::ceil(range.upper) + 1);
    const auto fill = [&](QCPGraph& graph, const std::vector<double>& y, const QCPAxis& axis, bool positiveOnly) {
        if (y.empty() || from >= to) {
            graph.data()->clear();
            return;
        }
        graph.data()->set(thinned(std::span(m->x).subspan(from, to - from), std::span(y).subspan(from, to - from), axis,
                                  positiveOnly),
                          true);
    };
    fill(*m->a, m->percentA, m->xAxis(), m->isLog);
    fill(*m->b, m->percentB, m->xAxis(), m->isLog);
    fill(*m->change, m->percentChange, m->xBelow(), false);
    m->a->setVisible(m->isDrawnA());
    m->b->setVisible(m->isDrawnB());
    // A square on every layer while there is room to tell them apart.
    const double pitch = m->xAxis().coordToPixel(1) - m->xAxis().coordToPixel(0);
    const Theme& theme = Theme::current();
    const auto mark = [&](QCPGraph& graph, Series series) {
        graph.setScatterStyle(pitch < px(8) ? QCPScatterStyle(QCPScatterStyle::ssNone)
                                            : QCPScatterStyle(QCPScatterStyle::ssSquare, QPen(theme.colour(series), 1),
                                                              QBrush(theme.colour(series)), px(4)));
    };
    mark(*m->a, m->seriesOfA());
    mark(*m->b, Series::QLR);
    QPen bar = m->change->pen();
    bar.setWidthF(std::clamp(pitch * 0.5, 1.0, static_cast<double>(px(6))));
    m->change->setPen(bar);
}

std::optional<int> ComparePlot::layerAt(const QPointF& position) const
{
    const QPoint pixel = position.toPoint();
    const bool isOver = m->upper->rect().contains(pixel) || (m->hasLower && m->lower->rect().contains(pixel));
    if (!isOver || m->x.empty() || state() != State::Ready)
        return std::nullopt;
    return static_cast<int>(
        std::clamp(std::round(m->xAxis().pixelToCoord(position.x())), 0.0, static_cast<double>(m->x.size() - 1)));
}

void ComparePlot::cursorMoved(const QPointF& position)
{
    m->cursorAt = layerAt(position);
    placeCursor();
    replotOverlay();
}

void ComparePlot::clicked(const QPointF& position)
{
    if (const auto layer = layerAt(position))
        emit layerClicked(*layer);
}

void ComparePlot::keyPressEvent(QKeyEvent* event)
{
    const int count = static_cast<int>(m->x.size());
    const int step = event->modifiers().testFlag(Qt::ShiftModifier) ? 8 : 1;
    if (event->key() == Qt::Key_L && event->modifiers() == Qt::NoModifier)
        setLogY(!m->isLog);
    else if (count > 0 && state() == State::Ready && (event->key() == Qt::Key_Left || event->key() == Qt::Key_Right))
        goTo(std::clamp(m->cursorAt.value_or(event->key() == Qt::Key_Right ? -1 : count)
                            + (event->key() == Qt::Key_Right ? step : -step),
                        0, count - 1));
    else if (m->cursorAt && (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter))
        emit layerClicked(*m->cursorAt);
    else
        PlotFrame::keyPressEvent(event);
}

void ComparePlot::placeCursor()
{
    const bool isShown = m->cursorAt && *m->cursorAt < static_cast<int>(m->x.size()) && state() == State::Ready;
    m->cursor->setVisible(isShown);
    m->readout = isShown ? readoutAt(static_cast<std::size_t>(*m->cursorAt)) : QString();
    setReadout(m->readout);
    if (!isShown)
        return;
    const Theme& theme = Theme::current();
    const auto at = static_cast<std::size_t>(*m->cursorAt);
    const double x = m->xAxis().coordToPixel(*m->cursorAt);
    std::vector<CurvePoint> points;
    const auto add = [&](const QCPAxis& axis, const QCPAxisRect& rect, double value, const QColor& colour) {
        const QPointF point(x, std::isfinite(value) && (value > 0 || axis.scaleType() == QCPAxis::stLinear) ? axis.coordToPixel(value) : -1);
        if (rect.rect().contains(point.toPoint()))
            points.push_back({point, colour});
    };
    if (m->isDrawnA())
        add(m->yAxis(), *m->upper, m->percentA[at], theme.colour(m->seriesOfA()));
    if (m->isDrawnB())
        add(m->yAxis(), *m->upper, m->percentB[at], theme.colour(Series::QLR));
    std::vector<QRect> rects{m->upper->rect()};
    if (m->hasLower) {
        add(m->yBelow(), *m->lower, m->percentChange[at], theme.colour(Series::QLR));
        rects.push_back(m->lower->rect());
    }
    m->cursor->place(x, rects, std::move(points));
}

QString ComparePlot::readoutAt(std::size_t layer) const
{
    const Theme& theme = Theme::current();
    QStringList parts{coloured(m->view.layers[layer], theme.tx2)};
    const auto value = [](double ratio) { return std::isnan(ratio) ? QStringLiteral("–") : percent(ratio); };
    if (!m->isPair()) {
        parts += coloured(tr("A − B %1").arg(value(m->view.a[layer])), theme.colour(Series::E));
    } else {
        parts += coloured(QStringLiteral("A ") + value(m->view.a[layer]), theme.colour(Series::ES));
        parts += coloured(QStringLiteral("B ") + value(m->view.b[layer]), theme.colour(Series::QLR));
        if (const double change = m->view.change[layer]; !std::isnan(change))
            parts += coloured(signedPercent(change), theme.tx);
    }
    return parts.join(QStringLiteral("&nbsp;&nbsp; "));
}

}  // namespace sigmascope::ui
