// SPDX-License-Identifier: GPL-3.0-or-later
// Mouse of the Equalizer: what a press, a drag or a turn of the wheel means. Its keys are in EqualizerKeys.cpp, its
// painting in EqualizerPaint.cpp.
#include "ui/plots/EqualizerPlot.h"

#include "ui/Theme.h"
#include "ui/plots/EqualizerLayout.h"

#include <QMouseEvent>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

EqualizerPlot::EqualizerPlot(QWidget* parent)
    : QWidget(parent)
    , m_layout(std::make_unique<EqualizerLayout>())
{
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setAttribute(Qt::WA_OpaquePaintEvent);
    setAccessibleName(tr("Equalizer"));
}

EqualizerPlot::~EqualizerPlot() = default;

void EqualizerPlot::show(EqualizerView view)
{
    cancelGesture();
    m_view = std::move(view);
    m_selection.clear();
    m_lit.clear();
    m_current.reset();
    m_hovered.reset();
    m_bubble = {};
    m_wantedPitch = 0;
    m_layout->scaleTo(m_view);
    refit();
}

void EqualizerPlot::update(const std::vector<std::pair<int, EqualizerColumn>>& columns)
{
    for (const auto& [index, column] : columns)
        m_view.columns[static_cast<std::size_t>(index)] = column;
    if (m_gesture != Gesture::Handle)
        m_layout->scaleTo(m_view);
    m_isBaseStale = true;
    if (m_hovered)
        emit bubbleWanted(*m_hovered, dragged());
    describeCurrent();
    update();
}

void EqualizerPlot::setSelection(std::vector<int> columns, std::optional<int> current)
{
    if (columns == m_selection && current == m_current)
        return;
    m_selection = std::move(columns);
    m_current = current;
    if (m_current && (m_selection.size() < 2 || !isSelected(m_anchor)))
        m_anchor = *m_current;
    m_isBaseStale = true;
    describeCurrent();
    update();
}

void EqualizerPlot::setLit(std::vector<int> columns)
{
    if (columns == m_lit)
        return;
    m_lit = std::move(columns);
    m_isBaseStale = true;
    update();
}

void EqualizerPlot::setBubble(const Bubble& bubble)
{
    m_bubble = bubble;
    update();
}

void EqualizerPlot::describeCurrent()
{
    if (!m_current)
        return setAccessibleDescription({});
    const EqualizerColumn& column = m_view.columns[static_cast<std::size_t>(*m_current)];
    setAccessibleDescription(column.isKept ? tr("Layer %1 of %2, kept").arg(*m_current + 1).arg(m_view.columns.size())
                                           : tr("Layer %1 of %2, %3 bits, rank %4")
                                                 .arg(*m_current + 1)
                                                 .arg(m_view.columns.size())
                                                 .arg(column.bits)
                                                 .arg(column.rank));
}

QSize EqualizerPlot::sizeHint() const
{
    return {px(900), px(390)};
}

QSize EqualizerPlot::minimumSizeHint() const
{
    return {px(420), px(230)};
}

bool EqualizerPlot::isSelected(int column) const
{
    return std::binary_search(m_selection.begin(), m_selection.end(), column);
}

std::vector<int> EqualizerPlot::matesOf(int column) const
{
    const auto& columns = m_view.columns;
    const int fused = columns[static_cast<std::size_t>(column)].fused;
    std::vector<int> mates{column};
    if (fused < 0)
        return mates;
    const auto joined = [&](int i) {
        return i >= 0 && i < static_cast<int>(columns.size()) && columns[static_cast<std::size_t>(i)].fused == fused;
    };
    for (int i = column - 1; joined(i); --i)
        mates.insert(mates.begin(), i);
    for (int i = column + 1; joined(i); ++i)
        mates.push_back(i);
    return mates;
}

std::vector<int> EqualizerPlot::reachOf(int column) const
{
    std::vector<int> reached = isSelected(column) ? m_selection : std::vector<int>{column};
    if (m_isFusedTogether) {
        std::vector<int> all;
        for (const int one : reached) {
            const std::vector<int> mates = matesOf(one);
            all.insert(all.end(), mates.begin(), mates.end());
        }
        std::sort(all.begin(), all.end());
        all.erase(std::unique(all.begin(), all.end()), all.end());
        reached = std::move(all);
    }
    // A pin protects from a gesture on many, not from the hand on this very layer.
    std::erase_if(reached, [this, column](int one) {
        return one == column || m_view.columns[static_cast<std::size_t>(one)].isPinned;
    });
    reached.insert(reached.begin(), column);
    return reached;
}

QPoint EqualizerPlot::barTop(int column) const
{
    const EqualizerColumn& shown = m_view.columns[static_cast<std::size_t>(column)];
    return {m_layout->barLeft(column) + m_layout->barWidth() / 2,
            m_layout->yOfBits(shown.isKept ? kBitsTop : shown.bits)};
}

QPoint EqualizerPlot::tick(int column) const
{
    const EqualizerColumn& shown = m_view.columns[static_cast<std::size_t>(column)];
    return {m_layout->barLeft(column) + m_layout->barWidth() / 2, m_layout->yOfRank(shown.isKept ? 0 : shown.rank)};
}

int EqualizerPlot::yForBits(double bits) const
{
    return m_layout->yOfBits(bits);
}

int EqualizerPlot::yForRank(double rank) const
{
    return m_layout->yOfRank(rank);
}

EqualizerPlot::Handle EqualizerPlot::handleAt(const QPoint& position) const
{
    const int column = m_layout->columnAt(position.x());
    if (column < 0)
        return Handle::None;
    const EqualizerColumn& shown = m_view.columns[static_cast<std::size_t>(column)];
    const int reach = px(7);
    if (shown.widths != 0 && std::abs(position.y() - barTop(column).y()) <= reach)
        return Handle::Bits;
    if (shown.maxRank > 0 && !shown.isKept && std::abs(position.y() - tick(column).y()) <= reach)
        return Handle::Rank;
    return Handle::None;
}

void EqualizerPlot::beginHandle(const QPoint& position, int column, Handle handle)
{
    m_gesture = Gesture::Handle;
    m_handle = handle;
    m_held = column;
    m_before = m_view.columns[static_cast<std::size_t>(column)];
    m_grab = position.y() - (handle == Handle::Bits ? barTop(column) : tick(column)).y();
}

void EqualizerPlot::dragBits(const QPoint& position)
{
    const int wanted = nearestWidth(m_before, m_layout->bitsAt(position.y() - m_grab));
    const int before = m_before.isKept ? 16 : static_cast<int>(std::lround(m_before.bits));
    // The top of a kept bar stands beyond 8: only below its widest grid does it wake.
    const bool isAtTop = m_before.isKept && m_layout->bitsAt(position.y() - m_grab) > 8.5;
    emit bitsDragged(isAtTop ? 0 : wanted - before);
}

void EqualizerPlot::dragRank(const QPoint& position, Qt::KeyboardModifiers modifiers)
{
    const int multiple = modifiers.testFlag(Qt::ShiftModifier) ? 8 : 1;
    const double wanted = std::min<double>(m_layout->rankAt(position.y() - m_grab), m_before.maxRank);
    const double rounded = multiple * std::round(wanted / multiple);
    // No movement, no change: the pixel of a tick stands for several ranks.
    const bool isHome = multiple == 1 && m_layout->yOfRank(m_before.rank) == position.y() - m_grab;
    emit rankDragged(isHome ? 0.0 : std::log2(1 + rounded) - std::log2(1.0 + m_before.rank), multiple);
}

void EqualizerPlot::dragRange(const QPoint& position)
{
    const int column
        = m_layout->nearestColumn(std::clamp(position.x(), m_layout->rank().left(), m_layout->rank().right()));
    if (column < 0)
        return;
    // Past an edge the columns come along.
    if (m_layout->isScrolling() && (position.x() < m_layout->rank().left() || position.x() > m_layout->rank().right()))
        scrollTo(m_layout->scroll() + (position.x() < m_layout->rank().left() ? -1 : 1) * 4 * m_layout->pitch());
    m_range.clear();
    for (int i = std::min(m_held, column); i <= std::max(m_held, column); ++i)
        m_range.push_back(i);
    m_hovered = column;
    m_isBaseStale = true;
    emit bubbleWanted(column, Handle::None);
    update();
}

void EqualizerPlot::mousePressEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton || m_gesture != Gesture::None)
        return;
    const QPoint position = event->position().toPoint();
    m_pressed = position;
    m_hasMoved = false;
    if (m_layout->overview().adjusted(0, -px(4), 0, px(4)).contains(position)) {
        m_gesture = Gesture::Scroll;
        scrollTo(m_layout->overviewScroll(position.x()));
        return;
    }
    const int column = m_layout->columnAt(position.x());
    if (column < 0 || position.y() > m_layout->error().bottom() + px(20))
        return;
    const bool isPlain = (event->modifiers() & (Qt::ShiftModifier | Qt::ControlModifier)) == Qt::NoModifier;
    const Handle handle = handleAt(position);
    if (handle != Handle::None && (isPlain || handle == Handle::Rank)
        && !event->modifiers().testFlag(Qt::ControlModifier)) {
        beginHandle(position, column, handle);
        hover(column);
        return;
    }
    m_gesture = Gesture::Range;
    m_held = event->modifiers().testFlag(Qt::ShiftModifier) && m_current ? m_anchor : column;
    m_range.clear();
}

void EqualizerPlot::mouseMoveEvent(QMouseEvent* event)
{
    const QPoint position = event->position().toPoint();
    if (m_gesture != Gesture::None && !m_hasMoved && (position - m_pressed).manhattanLength() >= 3) {
        m_hasMoved = true;
        if (m_gesture == Gesture::Handle) {
            // Only now is it a drag: a mere click on a handle selects.
            if (!isSelected(m_held))
                emit selectionWished({m_held}, m_held);
            emit gestureStarted(reachOf(m_held));
        }
    }
    switch (m_gesture) {
    case Gesture::Scroll: scrollTo(m_layout->overviewScroll(position.x())); return;
    case Gesture::Range:
        if (m_hasMoved)
            dragRange(position);
        return;
    case Gesture::Handle:
        if (!m_hasMoved)
            return;
        if (m_handle == Handle::Bits)
            dragBits(position);
        else
            dragRank(position, event->modifiers());
        return;
    case Gesture::None: break;
    }
    const int column = position.y() > m_layout->error().bottom() + px(20) ? -1 : m_layout->columnAt(position.x());
    hover(column < 0 ? std::nullopt : std::optional(column));
    setCursor(handleAt(position) != Handle::None ? Qt::SizeVerCursor : Qt::ArrowCursor);
}

void EqualizerPlot::mouseReleaseEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton || m_gesture == Gesture::None)
        return;
    const Gesture gesture = std::exchange(m_gesture, Gesture::None);
    const int held = m_held;
    if (gesture == Gesture::Handle && m_hasMoved) {
        m_layout->scaleTo(m_view);
        m_isBaseStale = true;
        emit gestureFinished();
        hover(std::nullopt);
    } else if (gesture == Gesture::Range && m_hasMoved && !m_range.empty()) {
        const std::vector<int> range = std::exchange(m_range, {});
        m_anchor = held;
        emit selectionWished(range, held);
    } else if (gesture != Gesture::Scroll) {
        const int column = m_layout->columnAt(m_pressed.x());
        if (column >= 0)
            clickColumn(column, event->modifiers());
    }
    update();
}

void EqualizerPlot::clickColumn(int column, Qt::KeyboardModifiers modifiers)
{
    if (modifiers.testFlag(Qt::ShiftModifier) && m_current) {
        moveTo(column, true);
    } else if (modifiers.testFlag(Qt::ControlModifier)) {
        std::vector<int> columns = m_selection;
        const auto at = std::lower_bound(columns.begin(), columns.end(), column);
        if (at != columns.end() && *at == column && columns.size() > 1)
            columns.erase(at);
        else if (at == columns.end() || *at != column)
            columns.insert(at, column);
        emit selectionWished(columns,
                             isSelected(column) && columns.size() < m_selection.size() ? columns.front() : column);
    } else {
        m_anchor = column;
        emit selectionWished({column}, column);
    }
}

void EqualizerPlot::cancelGesture()
{
    const Gesture gesture = std::exchange(m_gesture, Gesture::None);
    m_range.clear();
    m_isBaseStale = true;
    if (gesture == Gesture::Handle && m_hasMoved) {
        emit gestureCancelled();
        m_layout->scaleTo(m_view);
    }
    update();
}

EqualizerPlot::Handle EqualizerPlot::dragged() const
{
    return m_gesture == Gesture::Handle && m_hasMoved ? m_handle : Handle::None;
}

void EqualizerPlot::hover(std::optional<int> column)
{
    if (column == m_hovered)
        return;
    m_hovered = column;
    m_bubble = {};
    if (column)
        emit bubbleWanted(*column, dragged());
    update();
}

void EqualizerPlot::leaveEvent(QEvent*)
{
    if (m_gesture == Gesture::None)
        hover(std::nullopt);
}

void EqualizerPlot::mouseDoubleClickEvent(QMouseEvent* event)
{
    // A second press is a press: ranges and handles are grabbed twice in a row.
    mousePressEvent(event);
}

void EqualizerPlot::refit()
{
    m_layout->fit(m_view, size(), m_wantedPitch);
    m_isBaseStale = true;
    update();
}

void EqualizerPlot::scrollTo(int scroll)
{
    const int before = m_layout->scroll();
    m_layout->setScroll(scroll);
    if (m_layout->scroll() == before)
        return;
    m_isBaseStale = true;
    update();
}

void EqualizerPlot::reveal(int column)
{
    const int left = m_layout->slotLeft(column), margin = 4 * m_layout->pitch();
    if (left < m_layout->rank().left() + margin)
        scrollTo(m_layout->scroll() - (m_layout->rank().left() + margin - left));
    else if (left > m_layout->rank().right() - margin)
        scrollTo(m_layout->scroll() + left - (m_layout->rank().right() - margin));
}

void EqualizerPlot::resetZoom()
{
    m_wantedPitch = 0;
    refit();
    if (m_current)
        reveal(*m_current);
}

void EqualizerPlot::wheelEvent(QWheelEvent* event)
{
    const QPoint delta = event->angleDelta();
    const bool sideways = event->modifiers().testFlag(Qt::ShiftModifier) || std::abs(delta.x()) > std::abs(delta.y());
    const double steps = (delta.x() != 0 && sideways ? delta.x() : delta.y()) / 120.0;
    event->accept();
    if (m_view.columns.empty() || steps == 0)
        return;
    if (sideways)
        return scrollTo(m_layout->scroll() - static_cast<int>(steps * px(60)));
    // Zoom about the column under the pointer.
    const int column = m_layout->nearestColumn(event->position().toPoint().x());
    const int before = m_layout->slotLeft(column);
    const int pitch = m_layout->pitch();
    const int step = std::max(1, static_cast<int>(std::lround(pitch * 0.25 * std::abs(steps))));
    m_wantedPitch = std::clamp(steps > 0 ? pitch + step : pitch - step, EqualizerLayout::kLeastPitch, px(64));
    m_layout->fit(m_view, size(), m_wantedPitch);
    if (!m_layout->isScrolling()) {
        m_wantedPitch = 0;  // all columns fit: back to the whole width
        m_layout->fit(m_view, size(), 0);
    }
    m_layout->setScroll(m_layout->scroll() + m_layout->slotLeft(column) - before);
    m_isBaseStale = true;
    update();
}

void EqualizerPlot::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    refit();
}

void EqualizerPlot::changeEvent(QEvent* event)
{
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange)
        refit();
    QWidget::changeEvent(event);
}

void EqualizerPlot::focusInEvent(QFocusEvent* event)
{
    QWidget::focusInEvent(event);
    m_isBaseStale = true;
    update();
}

void EqualizerPlot::focusOutEvent(QFocusEvent* event)
{
    QWidget::focusOutEvent(event);
    m_isBaseStale = true;
    update();
}

}  // namespace sigmascope::ui
