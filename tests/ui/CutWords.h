// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/panels/StartParts.h"

#include <QAbstractButton>
#include <QFontMetrics>
#include <QLabel>
#include <QStringList>
#include <QToolButton>
#include <QWidget>

namespace sigmascope::test {

/// Visible labels and buttons that have less room than their words need, each with the width it has and needs.
/// Labels that wrap or are cut with "…" and a tooltip, as ElidedLabel, are neither; nor is a button that is an icon.
inline QStringList cutWords(const QWidget& window)
{
    QStringList cut;
    for (const QWidget* widget : window.findChildren<QWidget*>()) {
        if (!widget->isVisible())
            continue;
        const auto* label = qobject_cast<const QLabel*>(widget);
        const auto* button = qobject_cast<const QAbstractButton*>(widget);
        const auto* tool = qobject_cast<const QToolButton*>(widget);
        QString text;
        int needed = 0;
        if (label != nullptr && !label->wordWrap() && label->textFormat() != Qt::RichText) {
            text = label->text();
            needed = label->fontMetrics().horizontalAdvance(text);
        } else if (tool != nullptr && tool->toolButtonStyle() == Qt::ToolButtonIconOnly && !tool->icon().isNull()) {
            continue;
        } else if (button != nullptr && qobject_cast<const ui::RecentRow*>(widget) == nullptr) {
            text = button->text();
            QFont font = button->font();
            if (button->property("segment").toBool())
                font.setWeight(QFont::DemiBold);  // as it is drawn when it is chosen
            needed = QFontMetrics(font).horizontalAdvance(QString(text).remove(u'&'));
        }
        if (!text.isEmpty() && needed > widget->width() + 1)
            cut << QStringLiteral("%1 (%2 of %3)").arg(text).arg(widget->width()).arg(needed);
    }
    return cut;
}

}  // namespace sigmascope::test
