// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/CellText.h"

#include <QApplication>
#include <QPainter>

#include <memory>

namespace sigmascope::ui {

const CellText::Face& CellText::face(FontRole role)
{
    if (const QFont base = QApplication::font(); base != m_base) {
        m_base = base;
        m_faces.clear();
        m_shaped.clear();
    }
    const auto found = m_faces.find(role);
    if (found != m_faces.end())
        return found->second;
    const QFont font = ui::font(role);
    return m_faces.emplace(role, Face{font, QFontMetrics(font)}).first->second;
}

void CellText::paint(QPainter& painter, const QRect& rect, bool isRight, FontRole role, const QString& text)
{
    if (text.isEmpty() || rect.width() <= 0)
        return;
    const Face& face = this->face(role);
    const Key key{text, rect.width(), role};
    const Shaped* shaped = m_shaped.object(key);
    std::unique_ptr<Shaped> fresh;
    if (shaped == nullptr) {
        fresh = std::make_unique<Shaped>();
        const QString shown = face.metrics.elidedText(text, Qt::ElideRight, rect.width());
        fresh->text.setTextFormat(Qt::PlainText);
        fresh->text.setText(shown);
        fresh->text.prepare({}, face.font);
        fresh->advance = QFontMetricsF(face.font).horizontalAdvance(shown);
        shaped = fresh.get();
    }
    painter.setFont(face.font);
    const double x = isRight ? rect.right() + 1 - shaped->advance : rect.left();
    const int y = rect.top() + (rect.height() - face.metrics.height()) / 2;
    painter.drawStaticText(QPointF(x, y), shaped->text);
    if (fresh)
        m_shaped.insert(key, fresh.release());
}

}  // namespace sigmascope::ui
