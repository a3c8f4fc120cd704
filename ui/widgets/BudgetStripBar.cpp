// SPDX-License-Identifier: GPL-3.0-or-later
// The bar of the budget strip, and what stands in its place where a target refuses the plan.

#include "ui/Theme.h"
#include "ui/widgets/BudgetStrip.h"
#include "ui/widgets/LayerDelegate.h"

#include <QPainter>

#include <algorithm>
#include <utility>

namespace sigmascope::ui {

void BudgetStrip::paintBar(QPainter& painter, const QRect& bar) const
{
    const Theme& theme = Theme::current();
    const quint64 target = m_view.targetBytes.value_or(0);
    // Room past the flag, so that "over" can be seen.
    const double full = std::max(static_cast<double>(m_view.fileBytes), static_cast<double>(target) * 1.08);
    if (full <= 0)
        return;
    const auto at = [&](double bytes) { return bar.left() + qRound(bar.width() * std::min(1.0, bytes / full)); };
    painter.fillRect(QRect(bar.left(), bar.center().y(), bar.width(), 1), theme.line);
    const std::pair<quint64, QColor> parts[] = {
        {m_view.codeBytes, theme.tx3}, {m_view.factorBytes, theme.seriesQLR}, {m_view.keptBytes, theme.line2}};
    double from = 0;
    for (const auto& [bytes, colour] : parts) {
        const double to = from + static_cast<double>(bytes);
        int left = at(from);
        if (left > bar.left() && bytes > 0)
            left += 1;  // a seam of one pixel tells neighbours apart without colour
        // A part that exists is seen, however small.
        const int right = bytes > 0 ? std::max(at(to), left + 2) : left;
        painter.fillRect(QRect(left, bar.top(), right - left, bar.height()), colour);
        from = to;
    }
    if (target == 0)
        return;
    const int flag = at(static_cast<double>(target));
    if (m_view.fileBytes > target) {
        const QRect past(flag, bar.top(), at(static_cast<double>(m_view.fileBytes)) - flag, bar.height());
        painter.fillRect(past, theme.panel);
        painter.fillRect(past, QBrush(theme.bad, Qt::BDiagPattern));
    }
    painter.fillRect(QRect(flag, bar.top() - px(6), 2, bar.height() + px(10)), theme.ink);
    painter.fillRect(QRect(flag - px(3), bar.top() - px(6), px(6) + 2, px(4)), theme.ink);
}

/// Where the bar would be.
void BudgetStrip::paintRefusal(QPainter& painter) const
{
    const QRect row(m_bar.left(), m_bar.center().y() - px(10), m_bar.width(), px(20));
    paintVerdict(painter, QRectF(row.left(), row.center().y() - px(6), px(12), px(12)), Verdict::Worse);
    painter.setFont(ui::font(FontRole::Caption));
    painter.setPen(Theme::current().tx);
    const QRect words = row.adjusted(px(18), 0, 0, 0);
    painter.drawText(words, Qt::AlignLeft | Qt::AlignVCenter,
                     painter.fontMetrics().elidedText(m_view.refusal, Qt::ElideRight, words.width()));
}

}  // namespace sigmascope::ui
