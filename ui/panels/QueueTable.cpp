// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/QueueTable.h"

#include "ui/Theme.h"
#include "ui/models/LayerRoles.h"
#include "ui/models/RunTableModel.h"
#include "ui/widgets/CellText.h"
#include "ui/widgets/LayerDelegate.h"

#include <QAction>
#include <QApplication>
#include <QHeaderView>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <QSortFilterProxyModel>
#include <QStyledItemDelegate>

#include <algorithm>
#include <array>

namespace sigmascope::ui {

namespace {

/// Words in Inter, figures in mono; the state as glyph and word, or as bar and phase. Paints its cells itself: when a
/// run begins or ends all of them change, which must fit into a frame.
class QueueDelegate : public QStyledItemDelegate {
public:
    using QStyledItemDelegate::QStyledItemDelegate;

    /// For the width that a column wants.
    void initStyleOption(QStyleOptionViewItem* option, const QModelIndex& index) const override
    {
        QStyledItemDelegate::initStyleOption(option, index);
        option->font = ui::font(roleOf(index.column()));
        option->fontMetrics = QFontMetrics(option->font);
    }

    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override
    {
        const Theme& theme = Theme::current();
        const int column = index.column();
        const bool isSelected = option.state.testFlag(QStyle::State_Selected);
        if (isSelected)
            painter->fillRect(option.rect, option.state.testFlag(QStyle::State_Active) ? theme.sel : theme.seln);
        const QRect rect = option.rect.adjusted(px(2), 0, -px(3), 0);  // under the words of the header
        painter->setPen(column == RunTableModel::Order ? theme.tx2 : theme.tx);
        if (column == RunTableModel::State)
            paintState(*painter, rect, index, isSelected);
        else
            m_text.paint(*painter, rect, RunTableModel::isNumber(column), roleOf(column), index.data().toString());
        if (option.state.testFlag(QStyle::State_HasFocus)) {
            painter->setPen(theme.acc);
            painter->setBrush(Qt::NoBrush);
            painter->drawRect(option.rect.adjusted(0, 0, -1, -1));
        }
    }

private:
    static FontRole roleOf(int column)
    {
        const bool isWords
            = column == RunTableModel::Layer || column == RunTableModel::State || column == RunTableModel::Note;
        return isWords ? FontRole::Body : FontRole::Mono;
    }
    void paintState(QPainter& painter, QRect rect, const QModelIndex& index, bool isSelected) const
    {
        const auto state = static_cast<QueueState>(index.data(QueueStateRole).toInt());
        painter.save();
        painter.setClipRect(rect);  // of a narrow column
        rect.adjust(px(6), 0, 0, 0);
        const int side = px(12);
        const QRectF glyph(rect.left(), rect.center().y() - side / 2.0 + 1, side, side);
        switch (state) {
        case QueueState::Waiting:
            painter.setPen(isSelected ? Theme::current().tx2 : Theme::current().tx3);
            break;
        case QueueState::Running:
            paintPhase(painter, {rect.left(), rect.center().y()},
                       static_cast<RunStage>(index.data(QueueStageRole).toInt()));
            rect.setLeft(rect.left() + 3 * partWidth() + px(12));
            break;
        case QueueState::Done:
            paintVerdict(painter, glyph, Verdict::Better);
            break;
        case QueueState::DoneOtherwise:
            paintVerdict(painter, glyph, Verdict::Changed);
            break;
        case QueueState::Failed:
            paintVerdict(painter, glyph, Verdict::Worse);
            break;
        }
        if (state != QueueState::Waiting && state != QueueState::Running)
            rect.setLeft(rect.left() + side + px(6));
        m_text.paint(painter, rect, false, FontRole::Body, index.data().toString().trimmed());
        painter.restore();
    }

    static int partWidth() { return px(16); }
    /// One part a phase of the layer: codes, factors, writing. Filled up to the present one.
    static void paintPhase(QPainter& painter, const QPoint& middleLeft, RunStage stage)
    {
        const int reached = stage == RunStage::Write ? 3 : stage == RunStage::Factors ? 2 : 1;
        for (int part = 0; part < 3; ++part)
            painter.fillRect(QRect(middleLeft.x() + part * (partWidth() + px(2)), middleLeft.y(), partWidth(), px(3)),
                             part < reached ? Theme::current().acc : Theme::current().line);
    }

    mutable CellText m_text;
};

}  // namespace

QueueTable::QueueTable(RunTableModel& model, QWidget* parent)
    : QTableView(parent)
    , m_model(model)
    , m_sorted(new QSortFilterProxyModel(this))
{
    m_sorted->setSourceModel(&model);
    m_sorted->setSortRole(SortRole);
    setModel(m_sorted);
    setItemDelegate(new QueueDelegate(this));
    setSortingEnabled(true);
    sortByColumn(-1, Qt::AscendingOrder);
    setSelectionBehavior(QAbstractItemView::SelectRows);
    setEditTriggers(QAbstractItemView::NoEditTriggers);
    setShowGrid(false);
    setWordWrap(false);
    setFrameShape(QFrame::NoFrame);
    setTabKeyNavigation(false);
    verticalHeader()->hide();
    verticalHeader()->setDefaultSectionSize(px(22));
    horizontalHeader()->setHighlightSections(false);
    const std::array<int, RunTableModel::ColumnCount> widths{56, 176, 116, 128, 112, 84, 116, 68, 72, 112, 160};
    for (int column = 0; column < RunTableModel::ColumnCount; ++column)
        setColumnWidth(column, px(widths[static_cast<std::size_t>(column)]));
    horizontalHeader()->setStretchLastSection(true);
    connect(horizontalHeader(), &QHeaderView::sortIndicatorChanged, this, [this](int column) {
        if (column == RunTableModel::Order)
            sortByColumn(-1, Qt::AscendingOrder);  // as they run
        refreshMoves();
    });
    connect(verticalScrollBar(), &QScrollBar::actionTriggered, this, [this] { m_follows = false; });
    connect(&model, &QAbstractItemModel::rowsMoved, this, &QueueTable::refreshMoves);
    connect(&model, &QAbstractItemModel::modelReset, this, &QueueTable::refreshMoves);
    addMove(tr("Move up"), QKeySequence(tr("Alt+Up")), tr("The selected layers run one place earlier"),
            &QueueTable::moveUp);
    addMove(tr("Move down"), QKeySequence(tr("Alt+Down")), tr("The selected layers run one place later"),
            &QueueTable::moveDown);
    addMove(tr("Move to the top"), QKeySequence(tr("Alt+Home")), tr("The selected layers run next"),
            &QueueTable::moveToTop);
    refreshMoves();
}

void QueueTable::addMove(const QString& text, const QKeySequence& key, const QString& tip, void (QueueTable::*act)())
{
    auto* action = new QAction(text, this);
    action->setShortcut(key);
    action->setShortcutContext(Qt::WidgetShortcut);
    action->setStatusTip(tip);
    connect(action, &QAction::triggered, this, act);
    addAction(action);
    m_moves << action;
}

bool QueueTable::isQueueOrder() const
{
    return m_sorted->sortColumn() < 0;
}

std::vector<int> QueueTable::selectedModelRows() const
{
    std::vector<int> rows;
    for (const QModelIndex& index : selectionModel()->selectedRows())
        rows.push_back(m_sorted->mapToSource(index).row());
    std::ranges::sort(rows);
    return rows;
}

void QueueTable::refreshMoves()
{
    const auto selected = selectedModelRows();
    const bool canMove
        = isQueueOrder() && std::ranges::any_of(selected, [this](int row) { return m_model.isWaiting(row); });
    for (QAction* action : m_moves)
        action->setEnabled(canMove);
}

void QueueTable::selectionChanged(const QItemSelection& selected, const QItemSelection& deselected)
{
    QTableView::selectionChanged(selected, deselected);
    refreshMoves();
}

void QueueTable::moveTo(const std::vector<int>& rows, int row)
{
    const std::vector<int> moved = m_model.moveRows(rows, row);
    if (!moved.empty() && !m_isDragging)
        scrollTo(m_sorted->mapFromSource(m_model.index(moved.front(), 0)));
}

void QueueTable::moveUp()
{
    std::vector<int> rows = selectedModelRows();
    std::erase_if(rows, [this](int row) { return !m_model.isWaiting(row); });
    if (!rows.empty())
        moveTo(rows, std::max(rows.front() - 1, m_model.firstWaiting()));
}

void QueueTable::moveDown()
{
    std::vector<int> rows = selectedModelRows();
    std::erase_if(rows, [this](int row) { return !m_model.isWaiting(row); });
    if (!rows.empty())
        moveTo(rows, rows.back() + 2);
}

void QueueTable::moveToTop()
{
    moveTo(selectedModelRows(), m_model.firstWaiting());
}

void QueueTable::showProgress(int modelRow)
{
    if (!m_follows || m_isDragging || !isQueueOrder())
        return;
    const QModelIndex index = m_sorted->mapFromSource(m_model.index(modelRow, 0));
    // A few of those that come next stay in view.
    const QModelIndex ahead = m_sorted->index(std::min(index.row() + 3, m_sorted->rowCount() - 1), 0);
    scrollTo(ahead.isValid() ? ahead : index);
}

int QueueTable::dropRowAt(int y) const
{
    const QModelIndex under = indexAt({px(4), y});
    int row = under.isValid() ? m_sorted->mapToSource(under).row() : y < 0 ? 0 : m_model.rowCount();
    if (under.isValid() && y > visualRect(under).center().y())
        ++row;
    return std::clamp(row, m_model.firstWaiting(), m_model.rowCount());
}

void QueueTable::mousePressEvent(QMouseEvent* event)
{
    const QModelIndex index = indexAt(event->pos());
    m_grabbed = -1;
    m_selectsOnRelease = false;
    if (event->button() == Qt::LeftButton && index.isValid() && isQueueOrder()) {
        const int row = m_sorted->mapToSource(index).row();
        if (m_model.isWaiting(row)) {
            m_grabbed = row;
            m_pressed = event->pos();
            m_selectsOnRelease = event->modifiers() == Qt::NoModifier
                && selectionModel()->isRowSelected(index.row(), {}) && selectionModel()->selectedRows().size() > 1;
        }
    }
    if (!m_selectsOnRelease)
        QTableView::mousePressEvent(event);
}

void QueueTable::mouseMoveEvent(QMouseEvent* event)
{
    if (m_grabbed < 0 || !event->buttons().testFlag(Qt::LeftButton)) {
        QTableView::mouseMoveEvent(event);
        return;
    }
    // A row that the run has begun meanwhile is no longer in the hand.
    if (!m_isDragging && (event->pos() - m_pressed).manhattanLength() < QApplication::startDragDistance())
        return;
    m_isDragging = true;
    viewport()->setCursor(Qt::ClosedHandCursor);
    if (event->pos().y() < px(11))
        verticalScrollBar()->setValue(verticalScrollBar()->value() - 1);
    else if (event->pos().y() > viewport()->height() - px(11))
        verticalScrollBar()->setValue(verticalScrollBar()->value() + 1);
    m_dropRow = dropRowAt(event->pos().y());
    viewport()->update();
}

void QueueTable::mouseReleaseEvent(QMouseEvent* event)
{
    const bool isDrop = m_isDragging && event->button() == Qt::LeftButton;
    if (isDrop) {
        moveTo(selectedModelRows(), dropRowAt(event->pos().y()));
    } else if (m_selectsOnRelease) {
        if (const QModelIndex index = indexAt(event->pos()); index.isValid())
            selectionModel()->setCurrentIndex(index, QItemSelectionModel::ClearAndSelect | QItemSelectionModel::Rows);
    }
    endDrag();
    if (!isDrop)
        QTableView::mouseReleaseEvent(event);
}

void QueueTable::endDrag()
{
    m_isDragging = false;
    m_selectsOnRelease = false;
    m_grabbed = -1;
    m_dropRow = -1;
    viewport()->unsetCursor();
    viewport()->update();
}

void QueueTable::wheelEvent(QWheelEvent* event)
{
    m_follows = false;
    QTableView::wheelEvent(event);
}

void QueueTable::keyPressEvent(QKeyEvent* event)
{
    if (m_isDragging && event->key() == Qt::Key_Escape) {
        endDrag();
        return;
    }
    QTableView::keyPressEvent(event);
}

bool QueueTable::event(QEvent* event)
{
    // Esc lets go of the rows before it does anything else in the window.
    if (event->type() == QEvent::ShortcutOverride && m_isDragging
        && static_cast<QKeyEvent*>(event)->key() == Qt::Key_Escape) {
        event->accept();
        return true;
    }
    return QTableView::event(event);
}

void QueueTable::paintEvent(QPaintEvent* event)
{
    QTableView::paintEvent(event);
    if (!m_isDragging || m_dropRow < 0)
        return;
    const int rows = m_model.rowCount();
    const QRect beside = visualRect(m_sorted->index(std::min(m_dropRow, rows - 1), 0));
    const int y = m_dropRow < rows ? beside.top() : beside.bottom() + 1;
    QPainter painter(viewport());
    painter.fillRect(QRect(0, y - 1, viewport()->width(), 2), Theme::current().acc);
}

}  // namespace sigmascope::ui
