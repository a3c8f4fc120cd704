// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/RankSlider.h"

#include "ui/Theme.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QSignalBlocker>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {
namespace {

constexpr int kSnap = 8;

int margin()
{
    return px(7);
}

}  // namespace

RankSlider::RankSlider(QWidget* parent)
    : QAbstractSlider(parent)
{
    setOrientation(Qt::Horizontal);
    setRange(0, 0);
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setAttribute(Qt::WA_Hover);
    setAccessibleName(tr("Rank"));
    setTracking(true);
}

void RankSlider::setRank(int rank)
{
    setValue(rank);
    update();
}

void RankSlider::setMaximumRank(int rank)
{
    setMaximum(rank);
    update();
}

int RankSlider::positionOf(int rank) const
{
    const double span = std::max(1, width() - 2 * margin());
    const double top = std::log2(1.0 + std::max(1, maximum()));
    return margin() + qRound(span * std::log2(1.0 + std::max(0, rank)) / top);
}

int RankSlider::rankAt(int x) const
{
    const double span = std::max(1, width() - 2 * margin());
    const double share = std::clamp((x - margin()) / span, 0.0, 1.0);
    return static_cast<int>(std::lround(std::exp2(share * std::log2(1.0 + std::max(1, maximum()))) - 1));
}

QSize RankSlider::sizeHint() const
{
    return {px(120), px(24)};
}

QSize RankSlider::minimumSizeHint() const
{
    return {px(60), px(24)};
}

void RankSlider::paintEvent(QPaintEvent*)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    const int y = height() / 2;
    const int thumbX = positionOf(value());
    painter.fillRect(QRect(margin(), y - 1, width() - 2 * margin(), 2), theme.line);
    painter.fillRect(QRect(margin(), y - 1, thumbX - margin(), 2), isEnabled() ? theme.acc : theme.line2);
    for (int tick = 8; tick <= maximum(); tick *= 2)
        painter.fillRect(QRect(positionOf(tick), y + px(8), 1, px(3)), theme.line2);
    painter.setRenderHint(QPainter::Antialiasing);
    const QRectF thumb(thumbX - px(3.5) + 0.5, y - px(7) + 0.5, px(7), px(14) - 1);
    if (hasFocus()) {
        painter.setPen(QPen(theme.acc, 2));
        painter.setBrush(Qt::NoBrush);
        painter.drawRoundedRect(thumb.adjusted(-2.5, -2, 2.5, 2), 4, 4);
    }
    const bool isStrong = m_isHovered || m_isDragging;
    painter.setPen(QPen(isEnabled() ? theme.ink : theme.dis, isStrong ? 2.0 : 1.2));
    painter.setBrush(theme.field);
    painter.drawRoundedRect(thumb, 2, 2);
}

void RankSlider::drag(int rank)
{
    const int wanted = std::clamp(rank, minimum(), maximum());
    if (wanted == value())
        return;
    setValue(wanted);
    emit rankDragged(wanted);
    update();
}

void RankSlider::step(int rank)
{
    const int wanted = std::clamp(rank, minimum(), maximum());
    if (wanted == value())
        return;
    emit rankDragStarted();
    drag(wanted);
    emit rankDragFinished(value());
}

void RankSlider::mousePressEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton)
        return;
    m_before = value();
    m_isDragging = true;
    emit rankDragStarted();
    // A press beside the thumb brings it there; on it, nothing jumps.
    if (std::abs(event->position().x() - positionOf(value())) > px(6))
        drag(rankAt(qRound(event->position().x())));
    update();
}

void RankSlider::mouseMoveEvent(QMouseEvent* event)
{
    if (!m_isDragging)
        return;
    int rank = rankAt(qRound(event->position().x()));
    if (event->modifiers().testFlag(Qt::ShiftModifier))
        rank = static_cast<int>(std::lround(static_cast<double>(rank) / kSnap)) * kSnap;
    drag(rank);
}

void RankSlider::mouseReleaseEvent(QMouseEvent* event)
{
    if (!m_isDragging || event->button() != Qt::LeftButton)
        return;
    m_isDragging = false;
    update();
    emit rankDragFinished(value());
}

void RankSlider::keyPressEvent(QKeyEvent* event)
{
    const int by = event->modifiers().testFlag(Qt::ShiftModifier) ? kSnap : 1;
    switch (event->key()) {
    case Qt::Key_Escape:
        if (!m_isDragging)
            break;
        m_isDragging = false;
        setValue(m_before);
        emit rankDragCancelled();
        update();
        return;
    case Qt::Key_Left:
    case Qt::Key_Down:
        return step(value() - by);
    case Qt::Key_Right:
    case Qt::Key_Up:
        return step(value() + by);
    case Qt::Key_PageDown:
        return step(value() - kSnap);
    case Qt::Key_PageUp:
        return step(value() + kSnap);
    case Qt::Key_Home:
        return step(0);
    case Qt::Key_End:
        return step(maximum());
    default:
        break;
    }
    QAbstractSlider::keyPressEvent(event);
}

void RankSlider::wheelEvent(QWheelEvent* event)
{
    event->ignore();  // the inspector scrolls; a rank never changes by passing over it
}

void RankSlider::enterEvent(QEnterEvent*)
{
    m_isHovered = true;
    update();
}

void RankSlider::leaveEvent(QEvent*)
{
    m_isHovered = false;
    update();
}

}  // namespace sigmascope::ui
