// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/HeatMapItems.h"

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

QImage heatImage(const HeatMap& map, const HeatScale& scale)
{
    const Theme& theme = Theme::current();
    std::array<QRgb, 256> colours{};
    for (std::size_t i = 0; i < colours.size(); ++i)
        colours[i] = theme.heatAt(static_cast<double>(i) / 255.0).rgb();
    const QRgb bad = theme.bad.rgb();
    const auto width = static_cast<int>(map.window.width), height = static_cast<int>(map.window.height);
    QImage image(width, height, QImage::Format_RGB32);
    const bool isFlat = !(scale.upper > scale.lower);
    const auto lower = static_cast<float>(scale.isLog ? std::log2(scale.lower) : scale.lower);
    const auto span = static_cast<float>(scale.isLog ? std::log2(scale.upper) : scale.upper) - lower;
    for (int y = 0; y < height; ++y) {
        auto* const line = reinterpret_cast<QRgb*>(image.scanLine(y));
        const float* const values = map.values.data() + static_cast<std::size_t>(y) * map.window.width;
        for (int x = 0; x < width; ++x) {
            const float value = values[x];
            if (!std::isfinite(value)) {
                line[x] = bad;
                continue;
            }
            const float place
                = isFlat ? (value > 0 ? 1.0F : 0.0F) : ((scale.isLog ? std::log2(value) : value) - lower) / span;
            line[x] = colours[static_cast<std::size_t>(std::lround(std::clamp(place, 0.0F, 1.0F) * 255.0F))];
        }
    }
    return image;
}

HeatItem::HeatItem(QCustomPlot* plot, QCPAxisRect* rect)
    : QCPAbstractItem(plot)
    , m_rect(rect)
{
    setLayer(QStringLiteral("main"));
    setSelectable(false);
    setClipAxisRect(rect);
    setClipToAxisRect(true);
}

void HeatItem::forgetImages()
{
    for (Picture& picture : pictures)
        picture.image = QImage();
}

QRect HeatItem::pixelsOf(const HeatWindow& window) const
{
    const QCPAxis& x = *m_rect->axis(QCPAxis::atBottom);
    const QCPAxis& y = *m_rect->axis(QCPAxis::atLeft);
    const auto start
        = [](std::uint64_t cell, int level) { return static_cast<double>(cell << static_cast<unsigned>(level)); };
    // A last cell that sticks out of the matrix is drawn whole, and cut with the picture's ground by the clip below.
    const int left = static_cast<int>(std::lround(x.coordToPixel(start(window.x, window.levelX))));
    const int right = static_cast<int>(std::lround(x.coordToPixel(start(window.x + window.width, window.levelX))));
    const int top = static_cast<int>(std::lround(y.coordToPixel(-start(window.y, window.levelY))));
    const int bottom = static_cast<int>(std::lround(y.coordToPixel(-start(window.y + window.height, window.levelY))));
    return {left, top, right - left, bottom - top};
}

void HeatItem::draw(QCPPainter* painter)
{
    painter->save();
    painter->setRenderHint(QPainter::SmoothPixmapTransform, false);
    const QRect matrix = pixelsOf({.width = cols, .height = rows});
    const QRect bounds = m_rect->rect() & matrix;
    painter->setClipRect(bounds, Qt::IntersectClip);
    for (Picture& picture : pictures) {
        const QRect target = pixelsOf(picture.map->window);
        if (!target.intersects(bounds))
            continue;
        if (picture.image.isNull())
            picture.image = heatImage(*picture.map, scale);
        // Only the part in view is scaled: deep in a zoom a tile is many thousand pixels wide.
        const double perX = static_cast<double>(target.width()) / picture.image.width();
        const double perY = static_cast<double>(target.height()) / picture.image.height();
        if (perX <= 0 || perY <= 0)
            continue;
        const auto cell = [](int pixel, double per, int most, bool up) {
            return std::clamp(static_cast<int>(up ? std::ceil(pixel / per) : std::floor(pixel / per)), 0, most);
        };
        const int x0 = cell(bounds.left() - target.left(), perX, picture.image.width(), false);
        const int x1 = cell(bounds.right() + 1 - target.left(), perX, picture.image.width(), true);
        const int y0 = cell(bounds.top() - target.top(), perY, picture.image.height(), false);
        const int y1 = cell(bounds.bottom() + 1 - target.top(), perY, picture.image.height(), true);
        painter->drawImage(
            QRectF(target.left() + x0 * perX, target.top() + y0 * perY, (x1 - x0) * perX, (y1 - y0) * perY),
            picture.image, QRectF(x0, y0, x1 - x0, y1 - y0));
    }
    painter->restore();
}

CellItem::CellItem(QCustomPlot* plot)
    : QCPAbstractItem(plot)
{
    setLayer(QStringLiteral("overlay"));
    setClipToAxisRect(false);
    setSelectable(false);
}

void CellItem::place(const QRect& cell, const QRect& bounds)
{
    m_cell = cell;
    m_bounds = bounds;
}

void CellItem::draw(QCPPainter* painter)
{
    const Theme& theme = Theme::current();
    painter->save();
    painter->setAntialiasing(false);
    painter->setClipRect(m_bounds);
    QPen dotted(theme.tx3, 1);
    dotted.setDashPattern({1, 3});
    painter->setPen(dotted);
    const QPoint centre = m_cell.center();
    painter->drawLine(QLineF(m_bounds.left(), centre.y(), m_cell.left() - 2, centre.y()));
    painter->drawLine(QLineF(m_cell.right() + 2, centre.y(), m_bounds.right(), centre.y()));
    painter->drawLine(QLineF(centre.x(), m_bounds.top(), centre.x(), m_cell.top() - 2));
    painter->drawLine(QLineF(centre.x(), m_cell.bottom() + 2, centre.x(), m_bounds.bottom()));
    // Ink on any colour of the map: a line of the ground around a line of ink.
    painter->setBrush(Qt::NoBrush);
    const QRect outline = m_cell.adjusted(-1, -1, 0, 0);
    painter->setPen(QPen(theme.base, 1));
    painter->drawRect(outline.adjusted(-1, -1, 1, 1));
    painter->setPen(QPen(theme.ink, 1));
    painter->drawRect(outline);
    painter->restore();
}

}  // namespace sigmascope::ui
