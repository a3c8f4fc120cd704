// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/LevelItem.h"

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

LevelItem::LevelItem(QCustomPlot* plot)
    : QCPAbstractItem(plot)
{
    setClipToAxisRect(false);
    setSelectable(false);
}

void LevelItem::setLevels(std::vector<DensityLevel> levels, bool isScaled)
{
    m_levels = std::move(levels);
    m_isScaled = isScaled;
    std::ranges::sort(m_levels, {}, [this](const DensityLevel& level) { return at(level); });
}

const DensityLevel* LevelItem::nearest(double x) const
{
    const auto it = std::ranges::min_element(m_levels, {}, [this, x](const DensityLevel& level) { return std::abs(at(level) - x); });
    return it == m_levels.end() ? nullptr : &*it;
}

int LevelItem::labelStep(double distance, double room)
{
    int step = 1;
    while (distance > 0 && distance * step < room && step < 1 << 16)
        step *= 2;
    return step;
}

void LevelItem::draw(QCPPainter* painter)
{
    if (m_rect == nullptr || m_levels.empty())
        return;
    const Theme& theme = Theme::current();
    const QRect rect = m_rect->rect();
    const QCPAxis& axis = *m_rect->axis(QCPAxis::atBottom);
    const double first = axis.coordToPixel(at(m_levels.front())), last = axis.coordToPixel(at(m_levels.back()));
    const double distance = m_levels.size() > 1 ? (last - first) / static_cast<double>(m_levels.size() - 1) : 100;
    painter->setAntialiasing(false);
    painter->setFont(font(FontRole::MonoAxis));
    // At least 18 apart, and never touching: "-128" is wider than that.
    const double widest = painter->fontMetrics().horizontalAdvance(QString::number(m_levels.front().code));
    const double room = std::max<double>(px(18), widest + px(8));
    const int step = labelStep(distance, room);
    QColor thin = theme.seriesQ;
    if (distance < 6)
        thin.setAlphaF(0.28F);  // 256 levels: a tint, not a wall
    double lastLabelled = -1e9;
    for (const DensityLevel& level : m_levels) {
        const double x = std::floor(axis.coordToPixel(at(level))) + 0.5;
        if (x < rect.left() || x > rect.right())
            continue;
        painter->setPen(QPen(thin, 1));
        painter->drawLine(QLineF(x, rect.top(), x, rect.bottom()));
        const bool isLabelled = ((level.code % step) + step) % step == 0 && x - lastLabelled >= room;
        if (!isLabelled)
            continue;
        lastLabelled = x;
        painter->setPen(theme.seriesQ);
        QString text = QLocale().toString(level.code);
        text.replace(QLatin1Char('-'), QChar(0x2212));
        painter->drawText(QRectF(x - px(20), rect.top() - px(20), px(40), px(16)), Qt::AlignCenter, text);
    }
    painter->setFont(font(FontRole::Caption));
    painter->setPen(theme.seriesQ);
    const double right = std::min<double>(last + px(16), rect.right() - px(30));
    if (right - lastLabelled > px(14) && last < rect.right())
        painter->drawText(QRectF(right, rect.top() - px(20), px(60), px(16)), Qt::AlignLeft | Qt::AlignVCenter,
                          DensityPlot::tr("code"));
}

}  // namespace sigmascope::ui
