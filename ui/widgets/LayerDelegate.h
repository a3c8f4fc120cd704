// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStyledItemDelegate>

namespace sigmascope::ui {

/// Paints a layer row: name with pin and warning glyphs, bit pips, mono figures, error with its bar on a log scale
/// of 0.6 % to 16 %. Reads the roles of ui/models/LayerRoles.h; formats nothing itself.
class LayerDelegate : public QStyledItemDelegate {
    Q_OBJECT

public:
    using QStyledItemDelegate::QStyledItemDelegate;

    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
    [[nodiscard]] QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;
    /// Width a column needs for its widest usual content: what the tree sets its sections to.
    [[nodiscard]] static int columnWidth(int column);
};

/// Eight cells filled to (fractional) @p bits, rest in `line`.
void paintPips(QPainter& painter, const QPoint& topLeft, double bits);
/// Bar of a relative error, log scale of 0.6 % to 16 %.
void paintErrorBar(QPainter& painter, const QPoint& topLeft, double error);
/// Progress bar of a table cell, 84 x 3.
void paintProgressBar(QPainter& painter, const QPoint& topLeft, double share, int width = 0);

enum class Verdict { Better, Same, Changed, Worse };
/// ✓ ≈ ▲ ✕ in ok, tx2, warn, bad; @p rect is square. The words beside it are tx.
void paintVerdict(QPainter& painter, const QRectF& rect, Verdict verdict);

}  // namespace sigmascope::ui
