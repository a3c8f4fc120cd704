// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/plots/EqualizerView.h"

#include <QPixmap>
#include <QWidget>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

class QPainter;

namespace sigmascope::ui {

class EqualizerLayout;
struct Exportable;

/// One column per layer in depth order; rank, bits and output error above each other on one x axis. Bits and rank are
/// dragged in the plot, ranges are selected on its ground. Shows values and emits wishes: whoever owns the plan applies
/// them and hands the columns back by update().
///
/// Paints itself instead of through QCustomPlot: columns sit on whole pixels and scroll below a pitch of 3.
class EqualizerPlot : public QWidget {
    Q_OBJECT

public:
    enum class Handle { None, Bits, Rank };

    explicit EqualizerPlot(QWidget* parent = nullptr);
    ~EqualizerPlot() override;

    void show(EqualizerView view);
    using QWidget::show;
    /// New values of some columns; axes stay where they are while a drag lasts.
    void update(const std::vector<std::pair<int, EqualizerColumn>>& columns);
    using QWidget::update;
    [[nodiscard]] const EqualizerView& view() const { return m_view; }

    /// @param columns  ascending. @param current  the layer looked at.
    void setSelection(std::vector<int> columns, std::optional<int> current);
    [[nodiscard]] const std::vector<int>& selection() const { return m_selection; }
    [[nodiscard]] std::optional<int> current() const { return m_current; }
    /// Columns that something else points at (a rule under the cursor): their ground is `seln`. Empty: none.
    void setLit(std::vector<int> columns);
    [[nodiscard]] const std::vector<int>& lit() const { return m_lit; }
    /// Members of a fused group move together in every gesture.
    void setFusedTogether(bool together) { m_isFusedTogether = together; }

    /// What the bubble says of the column under the pointer or the drag; see bubbleWanted().
    struct Bubble {
        QString title, right, line;
    };
    void setBubble(const Bubble& bubble);
    [[nodiscard]] const Bubble& bubble() const { return m_bubble; }
    [[nodiscard]] std::optional<int> hovered() const { return m_hovered; }

    [[nodiscard]] QImage image() const;
    [[nodiscard]] QString dataAsCsv() const;
    [[nodiscard]] Exportable exportable() const;
    /// PNG, SVG or CSV by the suffix. False if the file could not be written.
    bool saveAs(const QString& path);
    void resetZoom();

    // Where things are, for tests and for screen readers.
    [[nodiscard]] const EqualizerLayout& geometryOf() const { return *m_layout; }
    [[nodiscard]] QPoint barTop(int column) const;
    [[nodiscard]] QPoint tick(int column) const;
    [[nodiscard]] Handle handleAt(const QPoint& position) const;
    [[nodiscard]] int yForBits(double bits) const;
    [[nodiscard]] int yForRank(double rank) const;

    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override;

signals:
    void selectionWished(const std::vector<int>& columns, int current);
    /// A gesture on these columns begins; its wishes follow until it is finished or cancelled. The first is the one in
    /// the hand; pinned ones other than it are left out already.
    void gestureStarted(const std::vector<int>& columns);
    /// Since the start of the gesture: bits by, or rank by so many octaves of 1 + rank, rounded to a multiple.
    void bitsDragged(int by);
    void rankDragged(double octaves, int multiple);
    void gestureFinished();
    void gestureCancelled();
    /// Keys: one width up or down, rank by, on these columns (the current one first, pinned others left out).
    void bitsStepped(const std::vector<int>& columns, int direction);
    void bitsChosen(const std::vector<int>& columns, int bits);
    void rankStepped(const std::vector<int>& columns, int by);
    void pinToggled(const std::vector<int>& columns);
    void bubbleWanted(int column, sigmascope::ui::EqualizerPlot::Handle dragged);
    void saveFailed(const QString& path);

protected:
    bool event(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void changeEvent(QEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void contextMenuEvent(QContextMenuEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    enum class Gesture { None, Range, Handle, Scroll };
    void refit();
    void scrollTo(int scroll);
    void reveal(int column);
    void hover(std::optional<int> column);
    [[nodiscard]] Handle dragged() const;
    void beginHandle(const QPoint& position, int column, Handle handle);
    void dragBits(const QPoint& position);
    void dragRank(const QPoint& position, Qt::KeyboardModifiers modifiers);
    void dragRange(const QPoint& position);
    void cancelGesture();
    void clickColumn(int column, Qt::KeyboardModifiers modifiers);
    void step(int by, bool extend);
    void stepBlock(int direction, bool extend);
    void moveTo(int column, bool extend);
    /// Columns that a gesture on @p column reaches: the selection if it holds it, and fused mates where they move
    /// along.
    [[nodiscard]] std::vector<int> reachOf(int column) const;
    [[nodiscard]] std::vector<int> matesOf(int column) const;
    [[nodiscard]] bool isSelected(int column) const;
    void openContextMenu(const QPoint& globalPosition);
    void describeCurrent();

    // EqualizerPaint.cpp
    void paintBase(QPainter& painter) const;
    void paintSelection(QPainter& painter) const;
    void paintAxes(QPainter& painter) const;
    void paintColumns(QPainter& painter) const;
    void paintColumn(QPainter& painter, int column) const;
    void paintBrackets(QPainter& painter, int from, int to) const;
    void paintGroupLabels(QPainter& painter) const;
    void paintOverview(QPainter& painter) const;
    void paintOverlay(QPainter& painter) const;
    void paintBubble(QPainter& painter) const;

    EqualizerView m_view;
    std::unique_ptr<EqualizerLayout> m_layout;
    int m_wantedPitch = 0;
    std::vector<int> m_selection, m_lit;
    std::optional<int> m_current, m_hovered;
    int m_anchor = 0;  ///< fixed end of a range that Shift extends
    bool m_isFusedTogether = false;
    Bubble m_bubble;

    Gesture m_gesture = Gesture::None;
    Handle m_handle = Handle::None;
    int m_held = -1;              ///< column in the hand, or where a range began
    QPoint m_pressed;
    int m_grab = 0;               ///< from the handle to the pointer, so that nothing jumps
    bool m_hasMoved = false;
    EqualizerColumn m_before;     ///< the held column as the gesture found it
    std::vector<int> m_range;     ///< of a range gesture under way

    mutable QPixmap m_base;
    mutable bool m_isBaseStale = true;
};

/// A pin of 9 design pixels in ink, its needle's point at @p tip.
void paintEqualizerPin(QPainter& painter, const QPoint& tip);

}  // namespace sigmascope::ui
