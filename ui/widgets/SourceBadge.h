// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/models/LayerRoles.h"

#include <QColor>
#include <QRectF>
#include <QString>
#include <QWidget>

class QPainter;

namespace sigmascope::ui {

/// "exact", "measured", "estimated", "assumed"; translated.
[[nodiscard]] QString sourceWord(Source source);
/// Paints the glyph ■ ● ◐ ◌ centred in @p rect, 7 design pixels wide.
void paintSourceGlyph(QPainter& painter, const QRectF& rect, Source source, const QColor& colour);

/// Glyph and word in tx2.
class SourceBadge : public QWidget {
    Q_OBJECT

public:
    explicit SourceBadge(QWidget* parent = nullptr);

    /// @param words  what stands beside the glyph; the word of the source when empty.
    void setSource(Source source, const QString& words = {});
    [[nodiscard]] Source source() const { return m_source; }
    [[nodiscard]] QString words() const { return m_words; }

    [[nodiscard]] QSize sizeHint() const override;
    /// The glyph with an ellipsis: where room is short the words are elided and stand in the tooltip.
    [[nodiscard]] QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    bool event(QEvent* event) override;

private:
    [[nodiscard]] int wordsLeft() const;
    Source m_source = Source::None;
    QString m_words;
};

}  // namespace sigmascope::ui
