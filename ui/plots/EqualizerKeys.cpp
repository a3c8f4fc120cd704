// SPDX-License-Identifier: GPL-3.0-or-later
// Keyboard of the Equalizer.
#include "ui/plots/EqualizerLayout.h"
#include "ui/plots/EqualizerPlot.h"

#include <QKeyEvent>

#include <algorithm>

namespace sigmascope::ui {
namespace {

/// Keys that the window gives to layers as well: here they mean the columns.
bool isOwnKey(int key)
{
    return key == Qt::Key_Plus || key == Qt::Key_Minus || key == Qt::Key_Equal || key == Qt::Key_Underscore
        || key == Qt::Key_Space || key == Qt::Key_Up || key == Qt::Key_Down || key == Qt::Key_Left
        || key == Qt::Key_Right || (key >= Qt::Key_0 && key <= Qt::Key_8);
}

}  // namespace

void EqualizerPlot::moveTo(int column, bool extend)
{
    column = std::clamp(column, 0, static_cast<int>(m_view.columns.size()) - 1);
    std::vector<int> columns{column};
    if (extend) {
        columns.clear();
        for (int i = std::min(m_anchor, column); i <= std::max(m_anchor, column); ++i)
            columns.push_back(i);
    } else {
        m_anchor = column;
    }
    reveal(column);
    emit selectionWished(columns, column);
}

void EqualizerPlot::step(int by, bool extend)
{
    moveTo(m_current ? *m_current + by : 0, extend);
}

void EqualizerPlot::stepBlock(int direction, bool extend)
{
    const auto& columns = m_view.columns;
    const auto groupOf = [&columns](int i) { return columns[static_cast<std::size_t>(i)].group; };
    const int last = static_cast<int>(columns.size()) - 1;
    int at = m_current.value_or(0);
    // The same place in the neighbouring block, as far as it has one.
    int place = 0;
    while (at - place > 0 && groupOf(at - place - 1) == groupOf(at))
        ++place;
    int first = at - place;
    if (direction > 0) {
        while (at < last && groupOf(at + 1) == groupOf(first))
            ++at;
        first = std::min(at + 1, last);
    } else {
        first = std::max(first - 1, 0);
        while (first > 0 && groupOf(first - 1) == groupOf(first))
            --first;
    }
    int column = first;
    while (place-- > 0 && column < last && groupOf(column + 1) == groupOf(first))
        ++column;
    moveTo(column, extend);
}

bool EqualizerPlot::event(QEvent* event)
{
    if (event->type() == QEvent::ShortcutOverride) {
        const auto* key = static_cast<QKeyEvent*>(event);
        const bool isHeld = m_gesture == Gesture::Handle && key->key() == Qt::Key_Escape;
        const bool isPlain = (key->modifiers() & ~(Qt::ShiftModifier | Qt::KeypadModifier)) == Qt::NoModifier;
        if (isHeld || (isPlain && isOwnKey(key->key()))) {
            event->accept();
            return true;
        }
    }
    return QWidget::event(event);
}

void EqualizerPlot::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape && m_gesture != Gesture::None)
        return cancelGesture();
    if (m_view.columns.empty())
        return QWidget::keyPressEvent(event);
    const bool shift = event->modifiers().testFlag(Qt::ShiftModifier),
               control = event->modifiers().testFlag(Qt::ControlModifier);
    const std::vector<int> reached = m_current ? reachOf(*m_current) : std::vector<int>{};
    switch (event->key()) {
    case Qt::Key_Left:
    case Qt::Key_Right: {
        const int direction = event->key() == Qt::Key_Left ? -1 : 1;
        return control ? stepBlock(direction, shift) : step(direction, shift);
    }
    case Qt::Key_Home: return moveTo(0, shift);
    case Qt::Key_End: return moveTo(static_cast<int>(m_view.columns.size()) - 1, shift);
    case Qt::Key_0: return resetZoom();
    default: break;
    }
    if (reached.empty())
        return QWidget::keyPressEvent(event);
    if (event->key() >= Qt::Key_1 && event->key() <= Qt::Key_8 && !control) {
        emit bitsChosen(reached, event->key() - Qt::Key_0);
        return;
    }
    switch (event->key()) {
    case Qt::Key_Up: emit bitsStepped(reached, 1); return;
    case Qt::Key_Down: emit bitsStepped(reached, -1); return;
    case Qt::Key_Equal:
    case Qt::Key_Plus: {
        // A plus that needs Shift to be typed is no Shift+plus.
        const bool isCoarse = shift && event->modifiers().testFlag(Qt::KeypadModifier);
        emit rankStepped(reached, isCoarse ? 8 : 1);
        return;
    }
    case Qt::Key_Underscore: emit rankStepped(reached, -8); return;
    case Qt::Key_Minus: emit rankStepped(reached, shift ? -8 : -1); return;
    case Qt::Key_Space: emit pinToggled(isSelected(*m_current) ? m_selection : std::vector<int>{*m_current}); return;
    default: QWidget::keyPressEvent(event);
    }
}

}  // namespace sigmascope::ui
