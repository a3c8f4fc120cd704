// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/PlotItems.h"

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {
namespace {

void dressForOverlay(QCPAbstractItem& item)
{
    item.setLayer(QStringLiteral("overlay"));
    item.setClipToAxisRect(false);
    item.setSelectable(false);
}

void drawDiamond(QCPPainter& painter, const QPointF& centre, double radius, const QColor& fill, const QColor& edge)
{
    painter.setPen(QPen(edge, 1.4));
    painter.setBrush(fill);
    painter.drawPolygon(QPolygonF{centre + QPointF(0, -radius), centre + QPointF(radius, 0),
                                  centre + QPointF(0, radius), centre + QPointF(-radius, 0)});
}

}  // namespace

HandleItem::HandleItem(QCustomPlot* plot)
    : QCPAbstractItem(plot)
{
    dressForOverlay(*this);
}

void HandleItem::place(double x, double top, double bottom, double gripY)
{
    m_x = x;
    m_top = top;
    m_bottom = bottom;
    m_gripY = gripY;
}

bool HandleItem::isHit(const QPointF& position) const
{
    const double reach = std::abs(position.y() - m_gripY) <= px(10) ? px(13) : px(9);
    const double top = std::min(m_top, m_gripY - px(10));
    const double bottom = std::max(m_bottom, m_gripY + px(10));
    return std::abs(position.x() - m_x) <= reach && position.y() >= top && position.y() <= bottom;
}

void HandleItem::draw(QCPPainter* painter)
{
    const Theme& theme = Theme::current();
    const bool isLocked = m_look == Look::Locked;
    painter->setAntialiasing(true);
    QPen line(theme.ink, m_look == Look::Hover ? 2.0 : 1.2);
    if (isLocked)
        line.setDashPattern({4, 3});
    painter->setPen(line);
    const double x = std::floor(m_x) + 0.5;
    painter->drawLine(QLineF(x, m_top, x, m_bottom));
    for (const CurvePoint& point : m_points)
        drawDiamond(*painter, QPointF(x, point.position.y()), px(5), theme.base, theme.ink);
    drawGrip(painter, QRectF(x - px(13), m_gripY - px(10), px(26), px(20)));
}

void HandleItem::drawGrip(QCPPainter* painter, const QRectF& grip) const
{
    const Theme& theme = Theme::current();
    if (m_isFocused) {
        painter->setPen(QPen(theme.acc, 2));
        painter->setBrush(theme.base);
        painter->drawRoundedRect(grip.adjusted(-3.5, -3.5, 3.5, 3.5), 5, 5);
    }
    if (m_look == Look::Locked) {
        painter->setPen(QPen(theme.tx2, 1.2));
        painter->setBrush(theme.base);
        painter->drawRoundedRect(grip, 3, 3);
        const QPointF c = grip.center();
        painter->setBrush(theme.tx2);
        painter->drawRect(QRectF(c.x() - px(4), c.y() - px(1), px(8), px(6)));
        painter->setBrush(Qt::NoBrush);
        painter->drawArc(QRectF(c.x() - px(2.5), c.y() - px(6), px(5), px(9)), 0, 180 * 16);
        return;
    }
    painter->setPen(QPen(theme.base, 1));
    painter->setBrush(theme.ink);
    painter->drawRoundedRect(grip, 3, 3);
    painter->setPen(QPen(theme.inkt, 1.4));
    for (const int offset : {-4, 0, 4}) {
        const double x = grip.center().x() + px(offset);
        painter->drawLine(QLineF(x, grip.center().y() - px(4.5), x, grip.center().y() + px(4.5)));
    }
}

ReadoutItem::ReadoutItem(QCustomPlot* plot)
    : QCPAbstractItem(plot)
{
    dressForOverlay(*this);
}

QStringList ReadoutItem::consequenceLines() const
{
    if (!m_isNarrow)
        return {m_readout.consequence};
    // Broken at the first separator: error, then what it costs.
    const QString separator = QStringLiteral(" · ");
    const qsizetype at = m_readout.consequence.indexOf(separator);
    if (at < 0)
        return {m_readout.consequence};
    return {m_readout.consequence.left(at), m_readout.consequence.mid(at + separator.size())};
}

QSizeF ReadoutItem::bubbleSize() const
{
    const QFontMetricsF strong(font(FontRole::BodyStrong));
    const QFontMetricsF mono(font(FontRole::Mono));
    const double badge = m_readout.isEstimated ? px(14) : 0;
    const double first = strong.horizontalAdvance(m_readout.identity) + px(28) + badge
        + mono.horizontalAdvance(m_readout.captured);
    double second = 0;
    const QStringList lines = consequenceLines();
    for (const QString& line : lines)
        second = std::max(second, mono.horizontalAdvance(line));
    // Narrow: the captured energy gets a line of its own too.
    const double head = m_isNarrow ? std::max(strong.horizontalAdvance(m_readout.identity),
                                              badge + mono.horizontalAdvance(m_readout.captured))
                                   : first;
    const auto rows = static_cast<double>(lines.size() + (m_isNarrow ? 2 : 1));
    return {std::ceil(std::max(head, second)) + px(22), px(10) + rows * px(19)};
}

QRectF ReadoutItem::bubbleAt(const QPointF& anchor, const QRectF& bounds) const
{
    const double gap = px(12);
    const auto fits = [&](double width) {
        return anchor.x() + gap + width <= bounds.right() || anchor.x() - gap - width >= bounds.left();
    };
    // Where neither side has room for the two lines, more and shorter ones: the line and its curve stay in sight.
    m_isNarrow = false;
    m_isNarrow = !fits(bubbleSize().width());
    const QSizeF size = bubbleSize();
    double x = anchor.x() + gap;
    if (x + size.width() > bounds.right())
        x = anchor.x() - gap - size.width();
    // Too narrow for either side: cover the line rather than be clipped.
    x = std::clamp(x, bounds.left(), std::max(bounds.left(), bounds.right() - size.width()));
    return {std::floor(x) + 0.5, std::floor(anchor.y() - size.height() / 2) + 0.5, size.width(), size.height()};
}

void ReadoutItem::place(const QPointF& anchor, const QRectF& bounds)
{
    m_rect = bubbleAt(anchor, bounds);
}

void ReadoutItem::draw(QCPPainter* painter)
{
    if (m_readout.identity.isEmpty() && m_readout.consequence.isEmpty())
        return;
    const Theme& theme = Theme::current();
    painter->setAntialiasing(true);
    painter->setPen(QPen(theme.line2, 1));
    painter->setBrush(theme.field);
    painter->drawRoundedRect(m_rect, 3, 3);
    const QRectF inner = m_rect.adjusted(px(11), px(5), -px(11), -px(5));
    const QStringList lines = consequenceLines();
    const double row = inner.height() / static_cast<double>(lines.size() + (m_isNarrow ? 2 : 1));
    const QRectF first(inner.left(), inner.top(), inner.width(), row);
    const QRectF second = m_isNarrow ? first.translated(0, row) : first;
    painter->setFont(font(FontRole::BodyStrong));
    painter->setPen(theme.tx);
    painter->drawText(first, Qt::AlignLeft | Qt::AlignVCenter, m_readout.identity);
    painter->setFont(font(FontRole::Mono));
    painter->setPen(theme.tx2);
    const int side = m_isNarrow ? Qt::AlignLeft : Qt::AlignRight;
    const double badge = m_readout.isEstimated ? px(14) : 0;
    painter->drawText(second.adjusted(m_isNarrow ? badge : 0, 0, 0, 0), side | Qt::AlignVCenter, m_readout.captured);
    if (m_readout.isEstimated) {
        const double width = QFontMetricsF(painter->font()).horizontalAdvance(m_readout.captured);
        const double left = m_isNarrow ? second.left() : second.right() - width - badge;
        paintSourceGlyph(*painter, QRectF(left, second.top(), px(10), second.height()), Source::Estimated, theme.tx2);
    }
    painter->setPen(theme.tx);
    for (qsizetype i = 0; i < lines.size(); ++i)
        painter->drawText(second.translated(0, row * static_cast<double>(i + 1)), Qt::AlignLeft | Qt::AlignVCenter,
                          lines[i]);
}

CursorItem::CursorItem(QCustomPlot* plot)
    : QCPAbstractItem(plot)
{
    dressForOverlay(*this);
    setVisible(false);
}

void CursorItem::place(double x, const std::vector<QRect>& rects, std::vector<CurvePoint> points)
{
    m_x = x;
    m_rects = rects;
    m_points = std::move(points);
}

void CursorItem::draw(QCPPainter* painter)
{
    painter->setAntialiasing(false);
    QPen pen(Theme::current().tx3, 1);
    pen.setDashPattern({1, 2});
    painter->setPen(pen);
    const double x = std::floor(m_x) + 0.5;
    for (const QRect& rect : m_rects)
        painter->drawLine(QLineF(x, rect.top(), x, rect.bottom()));
    for (const CurvePoint& point : m_points) {
        const double half = px(4) / 2.0 + 0.5;
        painter->fillRect(QRectF(point.position.x() - half, point.position.y() - half, 2 * half, 2 * half),
                          point.colour);
    }
}

ZoneItem::ZoneItem(QCustomPlot* plot, Fill fill)
    : QCPAbstractItem(plot)
    , m_fill(fill)
{
    setLayer(QStringLiteral("background"));
    setClipToAxisRect(false);
    setSelectable(false);
}

void ZoneItem::draw(QCPPainter* painter)
{
    if (m_zone.width() < 1 || m_zone.height() < 1)
        return;
    const Theme& theme = Theme::current();
    painter->fillRect(m_zone, theme.alt);
    if (m_fill == Fill::Flat)
        return;
    painter->save();
    painter->setClipRect(m_zone);
    painter->setAntialiasing(true);
    painter->setPen(QPen(theme.line, 1));
    // Anchored at the rect's own origin, so that the hatch does not crawl while the zone grows.
    const double pitch = px(7);
    for (double x = m_zone.right() - m_zone.height(); x > m_zone.left() - m_zone.height() - pitch; x -= pitch)
        painter->drawLine(QLineF(x, m_zone.top(), x + m_zone.height(), m_zone.bottom()));
    for (double x = m_zone.right() - m_zone.height() + pitch; x < m_zone.right(); x += pitch)
        painter->drawLine(QLineF(x, m_zone.top(), x + m_zone.height(), m_zone.bottom()));
    painter->restore();
}

LabelItem::LabelItem(QCustomPlot* plot, FontRole role)
    : QCPAbstractItem(plot)
    , m_role(role)
{
    setClipToAxisRect(false);
    setSelectable(false);
}

QSizeF LabelItem::textSize() const
{
    const QFontMetricsF metrics(font(m_role));
    const QSizeF size = metrics.size(0, m_text);
    return {std::ceil(size.width()), std::ceil(size.height())};
}

void LabelItem::draw(QCPPainter* painter)
{
    if (m_text.isEmpty())
        return;
    if (m_ground.isValid())
        painter->fillRect(rect().adjusted(-px(3), 0, px(3), 0), m_ground);
    painter->setFont(font(m_role));
    painter->setPen(m_colour);
    painter->drawText(rect().adjusted(0, 0, 1, 0), Qt::AlignLeft | Qt::AlignTop, m_text);
}

BoxItem::BoxItem(QCustomPlot* plot)
    : QCPAbstractItem(plot)
{
    dressForOverlay(*this);
    setVisible(false);
}

void BoxItem::draw(QCPPainter* painter)
{
    const Theme& theme = Theme::current();
    QColor fill = theme.sel;
    fill.setAlphaF(0.55F);
    painter->setAntialiasing(false);
    painter->setPen(QPen(theme.acc, 1));
    painter->setBrush(fill);
    painter->drawRect(m_box);
}

}  // namespace sigmascope::ui
