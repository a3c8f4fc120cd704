// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractSlider>

namespace sigmascope::ui {

/// Slider over whole ranks 0…maximum with a log2(1 + r) scale and ticks at 8 16 32 …: the same gesture signals as the
/// marker in the plot. Value of the QAbstractSlider is the rank. Setting the rank never emits a gesture.
class RankSlider : public QAbstractSlider {
    Q_OBJECT

public:
    explicit RankSlider(QWidget* parent = nullptr);

    void setRank(int rank);
    [[nodiscard]] int rank() const { return value(); }
    void setMaximumRank(int rank);

    /// x of a rank, in widget coordinates, and back: whole ranks.
    [[nodiscard]] int positionOf(int rank) const;
    [[nodiscard]] int rankAt(int x) const;

    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override;

signals:
    void rankDragStarted();
    void rankDragged(int rank);
    void rankDragFinished(int rank);
    void rankDragCancelled();

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void enterEvent(QEnterEvent* event) override;
    void leaveEvent(QEvent* event) override;

private:
    void drag(int rank);
    void step(int rank);

    bool m_isDragging = false;
    bool m_isHovered = false;
    int m_before = 0;
};

}  // namespace sigmascope::ui
