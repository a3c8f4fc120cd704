// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/SourceBadge.h"

#include "ui/Theme.h"

#include <QCoreApplication>
#include <QHelpEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>

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
    setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Fixed);
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
    return {wordsLeft() + fontMetrics().horizontalAdvance(m_words) + 1, px(20)};
}

QSize SourceBadge::minimumSizeHint() const
{
    const int words = std::min(fontMetrics().horizontalAdvance(m_words), fontMetrics().horizontalAdvance(u'…') + px(24));
    return {wordsLeft() + words + 1, px(20)};
}

int SourceBadge::wordsLeft() const
{
    return m_source == Source::None ? 0 : px(14);
}

bool SourceBadge::event(QEvent* event)
{
    // A tooltip of the badge's owner stays: it says more than the words.
    if (event->type() == QEvent::ToolTip && toolTip().isEmpty() && width() < sizeHint().width()) {
        QToolTip::showText(static_cast<QHelpEvent*>(event)->globalPos(), m_words, this);
        return true;
    }
    return QWidget::event(event);
}

void SourceBadge::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    const QColor colour = isEnabled() ? Theme::current().tx2 : Theme::current().dis;
    paintSourceGlyph(painter, QRectF(0, 0, px(9), height()), m_source, colour);
    painter.setPen(colour);
    const QRect words = rect().adjusted(wordsLeft(), 0, 0, 0);
    painter.drawText(words, Qt::AlignLeft | Qt::AlignVCenter,
                     fontMetrics().elidedText(m_words, Qt::ElideRight, words.width()));
}

}  // namespace sigmascope::ui
