// SPDX-License-Identifier: GPL-3.0-or-later
// What the hand does on a heat map: cursor, wheel and keys.
#include "ui/plots/HeatMapParts.h"
#include "ui/plots/PlotRange.h"

#include <QKeyEvent>
#include <QWheelEvent>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {
namespace {

QString span(std::uint64_t first, std::uint64_t count, std::uint64_t end, const QString& one, const QString& many)
{
    const std::uint64_t last = std::min(first + count, end) - 1;
    return last == first ? one.arg(wholeNumber(first)) : many.arg(wholeNumber(first), wholeNumber(last));
}

}  // namespace

void HeatMapPlot::cursorMoved(const QPointF& position)
{
    m->cursor.reset();
    if (m->hasData() && state() == State::Ready && m->rect->rect().contains(position.toPoint())) {
        const double column = std::floor(m->x().pixelToCoord(position.x())),
                     row = std::floor(-m->y().pixelToCoord(position.y()));
        if (column >= 0 && row >= 0 && column < static_cast<double>(m->view.cols)
            && row < static_cast<double>(m->view.rows))
            m->cursor = QPoint(
                static_cast<int>(static_cast<std::uint64_t>(column) >> static_cast<unsigned>(m->wanted.levelX)),
                static_cast<int>(static_cast<std::uint64_t>(row) >> static_cast<unsigned>(m->wanted.levelY)));
    }
    placeCursor();
    replotOverlay();
}

void HeatMapPlot::placeCursor()
{
    const bool isShown = m->cursor && m->hasData() && state() == State::Ready;
    m->cell->setVisible(isShown);
    m->readout = isShown ? readoutAt(*m->cursor) : QString();
    setReadout(m->readout);
    if (!isShown)
        return;
    const HeatWindow window{.levelX = m->wanted.levelX,
                            .levelY = m->wanted.levelY,
                            .x = static_cast<std::uint64_t>(m->cursor->x()),
                            .y = static_cast<std::uint64_t>(m->cursor->y()),
                            .width = 1,
                            .height = 1};
    m->cell->place(m->picture->pixelsOf(window), m->rect->rect());
}

QString HeatMapPlot::readoutAt(const QPoint& cell) const
{
    const Theme& theme = Theme::current();
    const auto lx = static_cast<unsigned>(m->wanted.levelX), ly = static_cast<unsigned>(m->wanted.levelY);
    const float value = m->valueAt(cell);
    const QColor colour = m->view.quantity == HeatQuantity::W ? theme.seriesW
        : m->view.quantity == HeatQuantity::E                 ? theme.seriesE
                                                              : theme.seriesES;
    const QString name = nameOf(m->view.quantity) + QLatin1Char(' ');
    const bool isOne = lx + ly == 0;
    const QString figure = std::isnan(value) ? tr("NaN")
        : std::isinf(value)                  ? QStringLiteral("∞")
                                             : number3(static_cast<double>(value));
    return QStringList{coloured(span(static_cast<std::uint64_t>(cell.y()) << ly, std::uint64_t{1} << ly, m->view.rows,
                                     tr("row %1"), tr("rows %1–%2")),
                                theme.tx2),
                       coloured(span(static_cast<std::uint64_t>(cell.x()) << lx, std::uint64_t{1} << lx, m->view.cols,
                                     tr("column %1"), tr("columns %1–%2")),
                                theme.tx2),
                       coloured(isOne ? name + figure : tr("largest %1").arg(name + figure),
                                std::isfinite(value) ? colour : theme.bad)}
        .join(QStringLiteral("&nbsp;&nbsp; "));
}

void HeatMapPlot::moveCursor(int dx, int dy)
{
    if (!m->hasData() || state() != State::Ready)
        return;
    const auto cells = [&](std::uint64_t length, int level) { return static_cast<int>(cellsAt(length, level)) - 1; };
    const auto middle = [](const std::pair<double, double>& range, int level) {
        return static_cast<int>(std::ldexp(std::max(0.0, (range.first + range.second) / 2), -level));
    };
    QPoint at = m->cursor ? *m->cursor + QPoint(dx, dy)
                          : QPoint(middle(visibleColumns(), m->wanted.levelX), middle(visibleRows(), m->wanted.levelY));
    at = {std::clamp(at.x(), 0, cells(m->view.cols, m->wanted.levelX)),
          std::clamp(at.y(), 0, cells(m->view.rows, m->wanted.levelY))};
    m->cursor = at;
    const auto follow = [](double first, double length, const QCPRange& range) {
        return first < range.lower         ? first - range.lower
            : first + length > range.upper ? first + length - range.upper
                                           : 0.0;
    };
    const double w = std::ldexp(1.0, m->wanted.levelX), h = std::ldexp(1.0, m->wanted.levelY);
    const double byX = follow(at.x() * w, w, m->x().range()), byY = follow(-(at.y() + 1) * h, h, m->y().range());
    if (byX != 0)
        setXRange(m->x().range().lower + byX, m->x().range().upper + byX);
    if (byY != 0)
        setYRange(m->y().range().lower + byY, m->y().range().upper + byY);
    placeCursor();
    replotOverlay();
}

void HeatMapPlot::zoomBoth(const QPointF& at, double factor, bool horizontal, bool vertical)
{
    const Extent extent = dataExtent();
    const auto scaled = [&](const QCPAxis& axis, double pixel, double lower, double upper) {
        const double pivot = axis.pixelToCoord(pixel);
        const QCPRange range = axis.range();
        return limited({pivot + (range.lower - pivot) * factor, pivot + (range.upper - pivot) * factor}, lower, upper,
                       false);
    };
    if (horizontal) {
        const QCPRange range = scaled(m->x(), at.x(), extent.xLower, extent.xUpper);
        setXRange(range.lower, range.upper);
    }
    if (vertical) {
        const QCPRange range = scaled(m->y(), at.y(), extent.yLower, extent.yUpper);
        setYRange(range.lower, range.upper);
    }
}

bool HeatMapPlot::eventFilter(QObject* watched, QEvent* event)
{
    if (watched != plot() || event->type() != QEvent::Wheel)
        return PlotFrame::eventFilter(watched, event);
    // A picture has two sides alike: the wheel zooms both, Ctrl the rows alone, Shift the columns alone.
    const auto* wheel = static_cast<QWheelEvent*>(event);
    const QPoint delta = wheel->angleDelta();
    const double steps = (delta.y() != 0 ? delta.y() : delta.x()) / 120.0;
    const bool isRows = wheel->modifiers().testFlag(Qt::ControlModifier),
               isColumns = wheel->modifiers().testFlag(Qt::ShiftModifier);
    if (steps != 0)
        zoomBoth(wheel->position(), std::pow(0.8, steps), isColumns || !isRows, isRows || !isColumns);
    return true;
}

void HeatMapPlot::keyPressEvent(QKeyEvent* event)
{
    const int step = event->modifiers().testFlag(Qt::ShiftModifier) ? 8 : 1;
    const auto zoomAtCursor = [this](double factor) {
        QPointF at = m->rect->rect().center();
        if (m->cursor) {
            const auto element = *cursorElement();
            at = positionOf(element.first, element.second);
        }
        zoomBoth(at, factor, true, true);
    };
    switch (event->key()) {
    case Qt::Key_Left:
        return moveCursor(-step, 0);
    case Qt::Key_Right:
        return moveCursor(step, 0);
    case Qt::Key_Up:
        return moveCursor(0, -step);
    case Qt::Key_Down:
        return moveCursor(0, step);
    case Qt::Key_PageUp:
        return zoomAtCursor(0.5);
    case Qt::Key_PageDown:
        return zoomAtCursor(2);
    default:
        break;
    }
    if (event->key() == Qt::Key_L && event->modifiers() == Qt::NoModifier)
        return setLog(!isLog());
    PlotFrame::keyPressEvent(event);
}

}  // namespace sigmascope::ui
