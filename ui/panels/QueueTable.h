// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPersistentModelIndex>
#include <QPoint>
#include <QTableView>

#include <vector>

class QAction;
class QSortFilterProxyModel;

namespace sigmascope::ui {

class RunTableModel;

/// The queue as it is seen and steered: rows of waiting layers are dragged, or moved by keys and menu, while the table
/// shows them in the order in which they run. A click on a header sorts by that column, on # as they run.
class QueueTable : public QTableView {
    Q_OBJECT

public:
    explicit QueueTable(RunTableModel& model, QWidget* parent = nullptr);

    /// Move up, move down, to the top.
    [[nodiscard]] QList<QAction*> moveActions() const { return m_moves; }
    /// Shown in the order in which they run: rows can be moved.
    [[nodiscard]] bool isQueueOrder() const;
    /// The row of the model that is worked on comes into view, unless the user has scrolled since the last follow().
    void showProgress(int modelRow);
    void follow() { m_follows = true; }
    /// Rows of the model, ascending.
    [[nodiscard]] std::vector<int> selectedModelRows() const;
    [[nodiscard]] bool isDragging() const { return m_isDragging; }

protected:
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void selectionChanged(const QItemSelection& selected, const QItemSelection& deselected) override;

private:
    void addMove(const QString& text, const QKeySequence& key, const QString& tip, void (QueueTable::*act)());
    void moveUp();
    void moveDown();
    void moveToTop();
    void moveTo(const std::vector<int>& rows, int row);
    void refreshMoves();
    void endDrag();
    /// Row of the model before which a drop at this height goes.
    [[nodiscard]] int dropRowAt(int y) const;

    RunTableModel& m_model;
    QSortFilterProxyModel* m_sorted;
    QList<QAction*> m_moves;
    QPoint m_pressed;
    int m_grabbed = -1;  // row of the model under the button
    int m_dropRow = -1;
    bool m_isDragging = false;
    bool m_selectsOnRelease = false;  // a press on one of several selected rows may begin a drag of all
    bool m_follows = true;
};

}  // namespace sigmascope::ui
