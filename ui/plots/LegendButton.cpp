// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/LegendButton.h"

#include <QPainter>

#include <cmath>

namespace sigmascope::ui {

LegendButton::LegendButton(Series series, const QString& text, QWidget* parent)
    : QToolButton(parent)
    , m_series(series)
{
    setText(text);
    setCheckable(true);
    setChecked(true);
    setFont(ui::font(FontRole::Caption));
    setFocusPolicy(Qt::TabFocus);
    setProperty("legend", true);
}

void LegendButton::setSample(Sample sample)
{
    m_sample = sample;
    update();
}

QSize LegendButton::sizeHint() const
{
    return {px(4) + px(20) + px(7) + fontMetrics().horizontalAdvance(text()) + px(4), px(24)};
}

void LegendButton::paintEvent(QPaintEvent*)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    const bool isDrawn = isEnabled() && isChecked();
    const QRect sample(px(4), 0, px(20), height());
    const double y = std::floor(0.5 * height()) + 0.5;
    if (m_sample == Sample::Fill) {
        const QRect box(sample.left(), height() / 2 - px(4), sample.width(), px(8));
        painter.fillRect(box, isDrawn ? theme.histogram : theme.line);
        painter.fillRect(QRect(box.left(), box.top(), box.width(), 1), isDrawn ? theme.colour(m_series) : theme.line2);
    } else {
        QPen pen = theme.pen(m_series, m_sample == Sample::ThinLine ? 1.0 : 2.0);
        if (!isDrawn)
            pen.setColor(theme.line2);
        painter.setPen(pen);
        painter.drawLine(QLineF(sample.left(), y, sample.right() + 1, y));
    }
    painter.setFont(font());
    painter.setPen(!isEnabled() ? theme.dis : !isChecked() ? theme.tx3 : underMouse() ? theme.tx : theme.tx2);
    painter.drawText(rect().adjusted(sample.right() + px(7), 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter, text());
    if (hasFocus()) {
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(QPen(theme.acc, 1));
        painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3);
    }
}

}  // namespace sigmascope::ui
