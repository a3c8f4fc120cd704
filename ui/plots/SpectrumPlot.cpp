// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/SpectrumParts.h"

#include <QKeyEvent>

#include <algorithm>
#include <cmath>
#include <limits>

namespace sigmascope::ui {
namespace {

constexpr int kSnap = 8;  // Shift snaps to multiples of it

std::array<const char*, 3> legendTexts()
{
    return {"W", "E", "E·S"};
}

}  // namespace

SpectrumPlot::SpectrumPlot(QWidget* parent)
    : PlotFrame(parent)
    , m(std::make_unique<Parts>())
{
    buildRects();
    buildItems();
    const std::array<QString, 3> explanations{
        tr("Singular values of the weights W."),
        tr("Singular values of the rounding error E = W − Q."),
        tr("Singular values of E·S, the error weighted by the calibrated size of each input: what a low-rank "
           "correction removes from the output."),
    };
    for (std::size_t i = 0; i < 3; ++i) {
        const Series series = m->curves[i].series;
        m->legend[i]
            = static_cast<LegendButton*>(addLegend(series, QString::fromUtf8(legendTexts()[i]), explanations[i]));
    }
    m->scale = new QComboBox(this);
    m->scale->addItem(tr("Log – log"));
    m->scale->addItem(tr("Log – linear"));
    m->scale->setToolTip(tr("Rank axis – value axis"));
    m->scale->setAccessibleName(tr("Scale of the value axis"));
    connect(m->scale, &QComboBox::activated, this, [this](int index) { setLogY(index == 0); });
    addHeaderWidget(m->scale);
    connect(plot(), &QCustomPlot::beforeReplot, this, [this] { chooseLayout(); });
    connect(plot(), &QCustomPlot::afterLayout, this, [this] { layOut(); });
    setAccessibleName(tr("Spectrum"));
    setTitle(QStringLiteral("spectrum"));
    showEmpty(tr("Select a layer to see its spectrum"));
}

SpectrumPlot::~SpectrumPlot() = default;

void SpectrumPlot::show(const SpectrumView& view)
{
    // The zoom survives a change of layer as long as it still lies within the new one.
    const double before = m->xUpper();
    const bool wasReset = m->view.w.total == 0 || qFuzzyCompare(m->x().range().upper, before);
    m->view = view;
    const std::array<const SingularValues*, 3> values{&view.w, &view.e, &view.es};
    for (std::size_t i = 0; i < 3; ++i) {
        m->curves[i].y = values[i]->values;
        m->curves[i].x.resize(m->curves[i].y.size());
        for (std::size_t k = 0; k < m->curves[i].x.size(); ++k)
            m->curves[i].x[k] = static_cast<double>(k + 1);
    }
    const std::array<const ErrorSpectrum*, 2> errors{&view.weightError, &view.outputError};
    for (std::size_t i = 0; i < 2; ++i) {
        RankCurve& curve = m->curves[3 + i];
        const std::size_t count = errors[i]->isEmpty() ? 0 : errors[i]->maxRank() + 1;
        curve.x.resize(count);
        curve.y.resize(count);
        for (std::size_t r = 0; r < count; ++r) {
            curve.x[r] = rankToX(static_cast<int>(r));
            curve.y[r] = 100 * errors[i]->errorAtRank(r);
        }
    }
    for (std::size_t i = 0; i < 3; ++i)
        m->legend[i]->setEnabled(!m->curves[i].y.empty());
    if (view.es.values.empty()) {
        m->legend[2]->setToolTip(view.plainReason.isEmpty() ? tr("no calibration") : view.plainReason);
        m->legend[2]->setText(tr("E·S: %1").arg(m->legend[2]->toolTip()));
    } else {
        m->legend[2]->setToolTip(
            tr("Singular values of E·S, the error weighted by the calibrated size of each input: what a "
               "low-rank correction removes from the output."));
        m->legend[2]->setText(QStringLiteral("E·S"));
    }
    m->legend[2]->updateGeometry();
    setHint(view.rankStep > 1 ? tr("← → rank by %1, the step of the stored factors").arg(view.rankStep)
                              : tr("← → rank by 1, Shift by 8"));
    m->isDirty = true;
    if (wasReset || m->x().range().lower > m->xUpper())
        m->x().setRange(0.42, m->xUpper());
    else
        m->x().setRange(m->x().range().lower, std::min(m->x().range().upper, m->xUpper()));
    fitY();
    const auto isDrawable = [](double value) { return std::isfinite(value) && value > 0; };
    if (std::ranges::any_of(m->curves, [&](const RankCurve& curve) { return std::ranges::any_of(curve.y, isDrawable); }))
        setReady();
    else
        showEmpty(view.w.values.empty() ? tr("No singular value is known") : tr("Every singular value is 0: the weights are all zero"));
}

void SpectrumPlot::setMarker(int rank, const MarkerReadout& readout)
{
    m->hasMarker = true;
    m->rank = std::clamp(rank, 0, std::max(0, m->view.maxRank));
    m->readout = readout;
    setAccessibleName(tr("Rank, %1, %2").arg(QLocale().toString(m->rank), readout.consequence));
    placeMarker();
    replotOverlay();
}

void SpectrumPlot::hideMarker()
{
    m->hasMarker = false;
    m->isDragging = false;
    setAccessibleName(tr("Spectrum"));
    placeMarker();
    replotOverlay();
}

void SpectrumPlot::setMarkerLocked(const QString& reason)
{
    m->lockReason = reason;
    plot()->setToolTip(reason);
    placeMarker();
    replotOverlay();
}

void SpectrumPlot::setLogY(bool on)
{
    m->scale->setCurrentIndex(on ? 0 : 1);
    if (on == (m->y().scaleType() == QCPAxis::stLogarithmic))
        return;
    m->y().setScaleType(on ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    if (on)
        m->y().setTicker(QSharedPointer<DecadeTicker>::create());
    else
        m->y().setTicker(QSharedPointer<PlainTicker>::create());
    m->isDirty = true;
    fitY();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

bool SpectrumPlot::isLogY() const
{
    return m->y().scaleType() == QCPAxis::stLogarithmic;
}

int SpectrumPlot::markerRank() const
{
    return m->rank;
}

QPoint SpectrumPlot::markerPosition() const
{
    return positionOfRank(m->rank);
}

QPoint SpectrumPlot::positionOfRank(int rank) const
{
    ensureLaidOut();
    const QPointF inPlot(m->x().coordToPixel(rankToX(rank)), m->handle->grip().y());
    return plot()->mapTo(this, inPlot).toPoint();
}

int SpectrumPlot::rankAt(const QPoint& position) const
{
    ensureLaidOut();
    return rankAtPixel(plot()->mapFrom(this, QPointF(position)).x(), Qt::NoModifier);
}

bool SpectrumPlot::isDragging() const
{
    return m->isDragging;
}

int SpectrumPlot::pointCount(Series series) const
{
    ensureLaidOut();
    for (const RankCurve& curve : m->curves)
        if (curve.series == series && !curve.isError)
            return curve.graph->dataCount();
    return 0;
}

bool SpectrumPlot::isSeriesDrawn(Series series) const
{
    return std::any_of(m->curves.begin(), m->curves.begin() + 3,
                       [series](const RankCurve& curve) { return curve.series == series && curve.isDrawn(); });
}

int SpectrumPlot::lowerBoundFrom() const
{
    const SingularValues& values = m->mainValues();
    return !values.values.empty() && values.values.size() < values.total ? static_cast<int>(values.values.size()) : 0;
}

QString SpectrumPlot::dataAsCsv() const
{
    QString text = QStringLiteral("rank,sigma_W,sigma_E,sigma_ES,weight_error,output_error\n");
    std::size_t count = 0;
    for (const RankCurve& curve : m->curves)
        count = std::max(count, curve.y.size() + (curve.isError ? 0 : 1));
    for (std::size_t r = 0; r < count; ++r) {
        text += QString::number(r);
        for (const RankCurve& curve : m->curves) {
            const double value = curve.at(static_cast<int>(r)) / (curve.isError ? 100 : 1);
            text += QLatin1Char(',') + (std::isnan(value) ? QString() : QString::number(value, 'g', 17));
        }
        text += QLatin1Char('\n');
    }
    return text;
}

QString SpectrumPlot::dataUnits() const
{
    return QStringLiteral("sigma_W and sigma_E in weights, sigma_ES in weights times RMS of the input, errors relative");
}

void SpectrumPlot::resetZoom()
{
    m->x().setRange(0.42, m->xUpper());
    m->isDirty = true;
    fitY();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SpectrumPlot::seriesToggled(Series series, bool visible)
{
    for (RankCurve& curve : m->curves)
        if (curve.series == series)
            curve.isShown = visible;
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SpectrumPlot::setXRange(double lower, double upper)
{
    m->x().setRange(lower, upper);
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SpectrumPlot::setYRange(double lower, double upper)
{
    m->y().setRange(lower, upper);
    m->isDirty = true;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SpectrumPlot::cursorMoved(const QPointF& position)
{
    const bool isHovered = m->hasMarker && m->lockReason.isEmpty() && m->handle->isHit(position);
    const bool isInside = m->upper->rect().contains(position.toPoint())
        || (m->hasLower && m->lower->rect().contains(position.toPoint()));
    const bool isShown = isInside && !m->curves[0].y.empty() && (state() == State::Ready || isStale());
    if (isHovered != m->isHovered) {
        m->isHovered = isHovered;
        placeMarker();
    }
    m->cursor->setVisible(isShown);
    if (isShown) {
        const int rank = xToRank(m->x().pixelToCoord(position.x()));
        std::vector<CurvePoint> points;
        const double x = m->x().coordToPixel(rankToX(rank));
        for (const RankCurve& curve : m->curves) {
            const double value = curve.at(rank);
            if (!curve.isDrawn() || std::isnan(value) || (curve.isError && !m->hasLower))
                continue;
            const QPointF at(x, (curve.isError ? m->yBelow() : m->y()).coordToPixel(value));
            if ((curve.isError ? m->lower : m->upper)->rect().contains(at.toPoint()))
                points.push_back({at, Theme::current().colour(curve.series)});
        }
        std::vector<QRect> rects{m->upper->rect()};
        if (m->hasLower)
            rects.push_back(m->lower->rect());
        m->cursor->place(x, rects, std::move(points));
        setReadout(readoutAt(rank));
    } else {
        setReadout({});
    }
    replotOverlay();
}

int SpectrumPlot::rankAtPixel(double x, Qt::KeyboardModifiers modifiers) const
{
    int rank = std::clamp(xToRank(m->x().pixelToCoord(x)), 0, m->view.maxRank);
    int step = std::max(1, m->view.rankStep);
    if (modifiers.testFlag(Qt::ShiftModifier))
        step = std::max(step, kSnap);
    rank = static_cast<int>(std::lround(static_cast<double>(rank) / step)) * step;
    return std::min(rank, m->view.maxRank / step * step);
}

bool SpectrumPlot::isOverHandle(const QPointF& position) const
{
    return m->hasMarker && m->handle->visible() && m->lockReason.isEmpty() && m->handle->isHit(position);
}

bool SpectrumPlot::handlePressed(const QPointF& position, Qt::KeyboardModifiers)
{
    ensureLaidOut();
    if (!isOverHandle(position))
        return false;
    m->isDragging = true;
    m->isHovered = true;
    m->rankAtPress = m->rank;
    m->grabOffset = position.x() - m->x().coordToPixel(rankToX(m->rank));
    m->cursor->setVisible(false);
    decideBubble();
    emit rankDragStarted();
    placeMarker();
    replotOverlay();
    return true;
}

void SpectrumPlot::handleMoved(const QPointF& position, Qt::KeyboardModifiers modifiers)
{
    if (m->isDragging)
        dragTo(rankAtPixel(position.x() - m->grabOffset, modifiers));
}

void SpectrumPlot::handleReleased(const QPointF&, Qt::KeyboardModifiers)
{
    if (!m->isDragging)
        return;
    m->isDragging = false;
    placeMarker();
    replotOverlay();
    emit rankDragFinished(m->rank);
}

void SpectrumPlot::handleCancelled()
{
    if (!m->isDragging)
        return;
    m->isDragging = false;
    m->isHovered = false;
    m->rank = m->rankAtPress;
    emit rankDragCancelled();
    placeMarker();
    replotOverlay();
}

void SpectrumPlot::dragTo(int rank)
{
    if (rank == m->rank)
        return;
    m->rank = rank;
    emit rankDragged(rank);  // the answer is setMarker(), in this very call: one frame
    placeMarker();
    replotOverlay();
}

void SpectrumPlot::moveByKey(int rank)
{
    const int wanted = std::clamp(rank, 0, m->view.maxRank);
    if (wanted == m->rank)
        return;
    emit rankDragStarted();
    dragTo(wanted);
    emit rankDragFinished(m->rank);
    decideBubble();
}

void SpectrumPlot::keyPressEvent(QKeyEvent* event)
{
    const int block = std::max(1, m->view.rankStep);
    const int step = event->modifiers().testFlag(Qt::ShiftModifier) ? std::max(kSnap, block) : block;
    const bool canMove = m->hasMarker && m->lockReason.isEmpty() && !m->isDragging;
    switch (canMove ? event->key() : 0) {
    case Qt::Key_Left:
        return moveByKey(m->rank - step);
    case Qt::Key_Right:
        return moveByKey(m->rank + step);
    case Qt::Key_Home:
        return moveByKey(0);
    case Qt::Key_End:
        return moveByKey(m->view.maxRank / block * block);
    default:
        break;
    }
    if (event->key() == Qt::Key_L && event->modifiers() == Qt::NoModifier)
        return setLogY(!isLogY());
    PlotFrame::keyPressEvent(event);
}

void SpectrumPlot::focusInEvent(QFocusEvent* event)
{
    m->hasKeyboardFocus = event->reason() != Qt::MouseFocusReason;
    placeMarker();
    replotOverlay();
    PlotFrame::focusInEvent(event);
}

void SpectrumPlot::focusOutEvent(QFocusEvent* event)
{
    m->hasKeyboardFocus = false;
    placeMarker();
    replotOverlay();
    PlotFrame::focusOutEvent(event);
}

}  // namespace sigmascope::ui
