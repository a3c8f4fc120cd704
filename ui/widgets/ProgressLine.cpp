// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/ProgressLine.h"

#include "ui/Theme.h"

#include <QPainter>

#include <algorithm>

namespace sigmascope::ui {

void ProgressLine::setValueSoon(int value)
{
    if (value == this->value())
        return;
    setUpdatesEnabled(false);
    setValue(value);
    setUpdatesEnabled(true);
}

void ProgressLine::paintEvent(QPaintEvent*)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    const int thick = std::min(height(), px(4));
    const QRect line(0, (height() - thick) / 2, width(), thick);
    painter.fillRect(line, theme.line);
    const int span = maximum() - minimum();
    if (span <= 0)
        return;
    const double share = std::clamp(static_cast<double>(value() - minimum()) / span, 0.0, 1.0);
    painter.fillRect(QRect(line.topLeft(), QSize(qRound(line.width() * share), thick)), theme.acc);
}

}  // namespace sigmascope::ui
