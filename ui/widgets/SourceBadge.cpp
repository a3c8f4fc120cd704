// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/SourceBadge.h"

#include "ui/Theme.h"

#include <QCoreApplication>
#include <QPainter>

namespace sigmascope::ui {

QString sourceWord(Source source)
{
    switch (source) {
    case Source::None:
        return {};
    case Source::Exact:
        return SourceBadge::tr("exact");
    case Source::Measured:
        return SourceBadge::tr("measured");
    case Source::Estimated:
        return SourceBadge::tr("estimated");
    case Source::Assumed:
        return SourceBadge::tr("assumed");
    }
    return {};
}

void paintSourceGlyph(QPainter& painter, const QRectF& rect, Source source, const QColor& colour)
{
    if (source == Source::None)
        return;
    const double side = px(7) + 0.5;
    QRectF box(0, 0, side, side);
    box.moveCenter(rect.center());
    painter.save();
    painter.setPen(Qt::NoPen);
    painter.setBrush(colour);
    if (source == Source::Exact) {
        painter.drawRect(box.toAlignedRect());
        painter.restore();
        return;
    }
    painter.setRenderHint(QPainter::Antialiasing);
    if (source == Source::Measured) {
        painter.drawEllipse(box);
    } else {
        QPen pen(colour, 1.2);
        if (source == Source::Assumed)
            pen.setDashPattern({1.4, 1.4});
        else
            painter.drawPie(box, 90 * 16, 180 * 16);
        painter.setPen(pen);
        painter.setBrush(Qt::NoBrush);
        painter.drawEllipse(box);
    }
    painter.restore();
}

SourceBadge::SourceBadge(QWidget* parent)
    : QWidget(parent)
{
    setFont(ui::font(FontRole::Caption));
    setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
}

void SourceBadge::setSource(Source source, const QString& words)
{
    m_source = source;
    m_words = words.isEmpty() ? sourceWord(source) : words;
    setAccessibleName(words.isEmpty() ? m_words : sourceWord(source) + QStringLiteral(": ") + words);
    updateGeometry();
    update();
}

QSize SourceBadge::sizeHint() const
{
    const int glyph = m_source == Source::None ? 0 : px(14);
    return {glyph + fontMetrics().horizontalAdvance(m_words) + 1, px(20)};
}

void SourceBadge::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    const QColor colour = isEnabled() ? Theme::current().tx2 : Theme::current().dis;
    paintSourceGlyph(painter, QRectF(0, 0, px(9), height()), m_source, colour);
    painter.setPen(colour);
    painter.drawText(rect().adjusted(m_source == Source::None ? 0 : px(14), 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter,
                     m_words);
}

}  // namespace sigmascope::ui
