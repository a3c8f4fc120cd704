// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/PlotFrame.h"

#include "ui/Theme.h"
#include "ui/plots/LegendButton.h"
#include "ui/plots/PlotItems.h"
#include "ui/plots/PlotOverlay.h"
#include "ui/plots/PlotRange.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {
struct PlotFrame::Gesture {
    enum class Kind { None, Pan, Box, Handle };
    Kind kind = Kind::None;
    QPointF pressed;
    QCPRange xAtPress, yAtPress;
    bool hasMoved = false;
    BoxItem* box = nullptr;
};

PlotFrame::PlotFrame(QWidget* parent)
    : QWidget(parent)
    , m_plot(new QCustomPlot(this))
    , m_overlay(new PlotOverlay(m_plot))
    , m_gesture(std::make_unique<Gesture>())
{
    setFocusPolicy(Qt::StrongFocus);
    setAutoFillBackground(true);
    setBackgroundRole(QPalette::Base);
    buildLayout();
    m_plot->setFocusPolicy(Qt::NoFocus);
    m_plot->setMouseTracking(true);
    m_plot->setInteractions(QCP::Interactions());
    m_plot->setNoAntialiasingOnDrag(true);
    m_plot->installEventFilter(this);
    m_gesture->box = new BoxItem(m_plot);
    connect(m_plot, &QCustomPlot::afterReplot, this, [this] {
        m_hasPainted = true;
        m_overlay->setGeometry(m_plot->rect());
        if (m_plot->axisRectCount() > 0)
            m_overlay->setArea(m_plot->axisRect(0)->rect());
    });
}

PlotFrame::~PlotFrame() = default;

void PlotFrame::buildLayout()
{
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(px(12), 0, px(12), 0);
    column->setSpacing(0);

    auto* header = new QHBoxLayout;
    header->setContentsMargins(0, px(8), 0, px(8));
    header->setSpacing(px(12));
    m_legend = new QHBoxLayout;
    m_legend->setSpacing(px(10));
    m_note = new ElidedLabel;
    m_note->setFont(ui::font(FontRole::Caption));
    setTextLevel(m_note, TextLevel::Hint);
    m_badge = new SourceBadge;
    m_headerRight = new QHBoxLayout;
    m_headerRight->setSpacing(px(12));
    header->addLayout(m_legend);
    header->addWidget(m_note, 1);
    header->addWidget(m_badge);
    header->addLayout(m_headerRight);
    column->addLayout(header);
    column->addWidget(m_plot, 1);

    m_rule = hairline(this);
    column->addWidget(m_rule);
    auto* row = new QHBoxLayout;
    row->setSpacing(px(16));
    row->setContentsMargins(0, 0, 0, 0);
    auto* name = caption(tr("Cursor"), this);
    setTextLevel(name, TextLevel::Label);
    m_readout = new QLabel;
    m_readout->setFont(ui::font(FontRole::Mono));
    m_readout->setTextFormat(Qt::RichText);
    m_readout->setMinimumSize(1, px(31));  // long figures are cut, they do not push the window wider
    m_hint = new ElidedLabel;
    m_hint->setFont(ui::font(FontRole::Caption));
    m_hint->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    setTextLevel(m_hint, TextLevel::Hint);
    row->addWidget(name);
    row->addWidget(m_readout);
    row->addWidget(m_hint, 1);
    column->addLayout(row);
}

QWidget* PlotFrame::canvas() const
{
    return m_plot;
}

void PlotFrame::setState(State state)
{
    m_state = state;
    m_isBuilt = true;
    refreshLook();
}

void PlotFrame::refreshLook()
{
    const Theme& theme = Theme::current();
    m_plot->setBackground(QBrush(theme.base));
    m_badge->setSource(m_state == State::Stale ? Source::Estimated : m_source,
                       m_state == State::Stale ? tr("updating…") : m_sourceWords);
    m_badge->setVisible(m_state == State::Ready || m_state == State::Stale);
    applyLook();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void PlotFrame::setReady()
{
    m_overlay->clear();
    m_note->setText({});
    setState(State::Ready);
}

void PlotFrame::showEmpty(const QString& sentence)
{
    m_overlay->showSentence(sentence);
    m_note->setText({});
    setReadout({});
    setState(State::Empty);
}

void PlotFrame::showLoading(const QString& what)
{
    m_overlay->showLoading(what);
    m_note->setText(tr("Esc cancels"));
    setState(State::Loading);
}

void PlotFrame::setLoadingProgress(double share)
{
    m_overlay->setProgress(share);
}

void PlotFrame::showStale(const QString& note)
{
    m_overlay->clear();
    m_note->setText(note);
    setState(State::Stale);
}

void PlotFrame::showFailed(const QString& what, const QString& where, const QString& link)
{
    m_overlay->showFailure(what, where, link);
    m_note->setText({});
    setState(State::Failed);
}

QString PlotFrame::message() const
{
    return m_overlay->text();
}

void PlotFrame::setSource(Source source, const QString& words)
{
    m_source = source;
    m_sourceWords = words;
    if (m_state != State::Stale)
        m_badge->setSource(source, words);
}

QToolButton* PlotFrame::addLegend(Series series, const QString& text, const QString& explanation)
{
    auto* button = new LegendButton(series, text, this);
    button->setToolTip(explanation);
    button->setAccessibleDescription(explanation);
    m_legend->addWidget(button);
    connect(button, &QToolButton::toggled, this, [this, series](bool on) { seriesToggled(series, on); });
    return button;
}

void PlotFrame::addHeaderWidget(QWidget* widget)
{
    m_headerRight->addWidget(widget);
}

void PlotFrame::setReadout(const QString& html)
{
    if (m_readout->text() != html)
        m_readout->setText(html);
}

void PlotFrame::setHint(const QString& text)
{
    m_hint->setText(text);
}

void PlotFrame::replotOverlay()
{
    if (!m_hasPainted) {  // the layer has no buffer yet; the first replot brings it along
        m_plot->replot(QCustomPlot::rpQueuedReplot);
        return;
    }
    // Once a turn of the event loop, before the frame is painted: a mouse may report several moves a frame.
    if (m_isOverlayQueued)
        return;
    m_isOverlayQueued = true;
    QMetaObject::invokeMethod(
        this,
        [this] {
            m_isOverlayQueued = false;
            m_plot->layer(QStringLiteral("overlay"))->replot();
        },
        Qt::QueuedConnection);
}

void PlotFrame::zoom(const QPointF& at, double factor, bool vertical)
{
    const QCPAxis& axis = *m_plot->axisRect(0)->axis(vertical ? QCPAxis::atLeft : QCPAxis::atBottom);
    const Extent extent = dataExtent();
    const bool log = vertical ? extent.yLog : extent.xLog;
    const double pivot = toScale(axis.pixelToCoord(vertical ? at.y() : at.x()), log);
    const double a = toScale(axis.range().lower, log), b = toScale(axis.range().upper, log);
    const QCPRange wanted(fromScale(pivot + (a - pivot) * factor, log), fromScale(pivot + (b - pivot) * factor, log));
    if (vertical) {
        const QCPRange range = limited(wanted, extent.yLower, extent.yUpper, log);
        setYRange(range.lower, range.upper);
    } else {
        const QCPRange range = limited(wanted, extent.xLower, extent.xUpper, log);
        setXRange(range.lower, range.upper);
    }
}

void PlotFrame::panTo(const QPointF& position)
{
    const Extent extent = dataExtent();
    const QRect rect = m_plot->axisRect(0)->rect();
    const auto shifted = [](const QCPRange& range, double share, bool log) {
        const double a = toScale(range.lower, log), b = toScale(range.upper, log);
        return QCPRange(fromScale(a + share * (b - a), log), fromScale(b + share * (b - a), log));
    };
    const QPointF by = position - m_gesture->pressed;
    const QCPRange x = limited(shifted(m_gesture->xAtPress, -by.x() / rect.width(), extent.xLog), extent.xLower,
                               extent.xUpper, extent.xLog);
    const QCPRange y = limited(shifted(m_gesture->yAtPress, by.y() / rect.height(), extent.yLog), extent.yLower,
                               extent.yUpper, extent.yLog);
    setXRange(x.lower, x.upper);
    setYRange(y.lower, y.upper);
}

void PlotFrame::zoomToBox(const QRectF& box)
{
    const Extent extent = dataExtent();
    const QCPAxis& x = *m_plot->axisRect(0)->axis(QCPAxis::atBottom);
    const QCPAxis& y = *m_plot->axisRect(0)->axis(QCPAxis::atLeft);
    const QCPRange xRange = limited({x.pixelToCoord(box.left()), x.pixelToCoord(box.right())}, extent.xLower,
                                    extent.xUpper, extent.xLog);
    const QCPRange yRange = limited({y.pixelToCoord(box.bottom()), y.pixelToCoord(box.top())}, extent.yLower,
                                    extent.yUpper, extent.yLog);
    setXRange(xRange.lower, xRange.upper);
    setYRange(yRange.lower, yRange.upper);
}

bool PlotFrame::pressed(const QPointF& position, Qt::MouseButton button, Qt::KeyboardModifiers modifiers)
{
    if (!m_plot->rect().contains(position.toPoint()))
        return false;
    if (button == Qt::LeftButton && m_overlay->isOverLink(position.toPoint()) && m_state == State::Failed) {
        emit linkActivated();
        return true;
    }
    setFocus(Qt::MouseFocusReason);
    *m_gesture = {.kind = Gesture::Kind::None,
                  .pressed = position,
                  .xAtPress = m_plot->axisRect(0)->axis(QCPAxis::atBottom)->range(),
                  .yAtPress = m_plot->axisRect(0)->axis(QCPAxis::atLeft)->range(),
                  .hasMoved = false,
                  .box = m_gesture->box};
    if (button == Qt::LeftButton)
        m_gesture->kind = handlePressed(position, modifiers) ? Gesture::Kind::Handle : Gesture::Kind::Pan;
    else if (button == Qt::RightButton)
        m_gesture->kind = Gesture::Kind::Box;
    return true;
}

void PlotFrame::moved(const QPointF& position, Qt::KeyboardModifiers modifiers)
{
    if (m_gesture->kind != Gesture::Kind::None && !m_gesture->hasMoved)
        m_gesture->hasMoved = (position - m_gesture->pressed).manhattanLength() >= 3;
    switch (m_gesture->kind) {
    case Gesture::Kind::Handle:
        handleMoved(position, modifiers);
        return;
    case Gesture::Kind::Pan:
        if (m_gesture->hasMoved)
            panTo(position);
        return;
    case Gesture::Kind::Box:
        m_gesture->box->place(QRectF(m_gesture->pressed, position).normalized());
        m_gesture->box->setVisible(m_gesture->hasMoved);
        replotOverlay();
        return;
    case Gesture::Kind::None:
        m_plot->setCursor(isOverHandle(position) ? Qt::SplitHCursor : Qt::ArrowCursor);
        cursorMoved(position);
    }
}

bool PlotFrame::released(const QPointF& position, Qt::KeyboardModifiers modifiers, const QPoint& globalPosition)
{
    const Gesture gesture = *m_gesture;
    m_gesture->kind = Gesture::Kind::None;
    m_gesture->box->setVisible(false);
    if (gesture.kind == Gesture::Kind::Handle) {
        handleReleased(position, modifiers);
    } else if (gesture.kind == Gesture::Kind::Pan && !gesture.hasMoved) {
        clicked(position);
    } else if (gesture.kind == Gesture::Kind::Box) {
        const QRectF box = QRectF(gesture.pressed, position).normalized();
        if (!gesture.hasMoved)
            openContextMenu(globalPosition);
        else if (box.width() >= 4 && box.height() >= 4)
            zoomToBox(box);
        replotOverlay();
    }
    return gesture.kind != Gesture::Kind::None;
}

void PlotFrame::changeEvent(QEvent* event)
{
    if (event->type() == QEvent::PaletteChange && m_isBuilt)
        refreshLook();
    QWidget::changeEvent(event);
}

void PlotFrame::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape && m_gesture->kind == Gesture::Kind::Handle) {
        m_gesture->kind = Gesture::Kind::None;  // the release that follows is nobody's
        handleCancelled();
    } else if (event->key() == Qt::Key_Escape && m_state == State::Loading) {
        emit cancelRequested();
    } else if (event->key() == Qt::Key_0 && event->modifiers() == Qt::NoModifier) {
        resetZoom();
    } else if (event->key() == Qt::Key_C && event->modifiers() == Qt::ControlModifier) {
        copyImage();
    } else if (event->key() == Qt::Key_C && event->modifiers() == (Qt::ControlModifier | Qt::ShiftModifier)) {
        copyData();
    } else {
        QWidget::keyPressEvent(event);
    }
}

void PlotFrame::mousePressEvent(QMouseEvent* event)
{
    event->setAccepted(pressed(m_plot->mapFrom(this, event->position()), event->button(), event->modifiers()));
}

void PlotFrame::mouseMoveEvent(QMouseEvent* event)
{
    moved(m_plot->mapFrom(this, event->position()), event->modifiers());
}

void PlotFrame::mouseReleaseEvent(QMouseEvent* event)
{
    event->setAccepted(
        released(m_plot->mapFrom(this, event->position()), event->modifiers(), event->globalPosition().toPoint()));
}

void PlotFrame::mouseDoubleClickEvent(QMouseEvent* event)
{
    if (m_plot->geometry().contains(event->position().toPoint()))
        resetZoom();
}

bool PlotFrame::eventFilter(QObject* watched, QEvent* event)
{
    if (watched != m_plot)
        return QWidget::eventFilter(watched, event);
    auto* mouse = static_cast<QMouseEvent*>(event);
    switch (event->type()) {
    case QEvent::MouseButtonPress:
        pressed(mouse->position(), mouse->button(), mouse->modifiers());
        return true;
    case QEvent::MouseMove:
        moved(mouse->position(), mouse->modifiers());
        return true;
    case QEvent::MouseButtonRelease:
        released(mouse->position(), mouse->modifiers(), mouse->globalPosition().toPoint());
        return true;
    case QEvent::MouseButtonDblClick:
        if (mouse->button() == Qt::LeftButton && !isOverHandle(mouse->position()))
            resetZoom();
        return true;
    case QEvent::Wheel: {
        const auto* wheel = static_cast<QWheelEvent*>(event);
        const double steps = wheel->angleDelta().y() / 120.0;
        if (steps != 0)
            zoom(wheel->position(), std::pow(0.8, steps), wheel->modifiers().testFlag(Qt::ControlModifier));
        return true;
    }
    case QEvent::Leave:
        cursorMoved({-1, -1});
        return false;
    case QEvent::ContextMenu:
        if (static_cast<QContextMenuEvent*>(event)->reason() == QContextMenuEvent::Keyboard)
            openContextMenu(m_plot->mapToGlobal(m_plot->rect().center()));
        return true;  // the mouse's menu opens at release: a right-drag is a zoom
    default:
        return false;
    }
}

}  // namespace sigmascope::ui
