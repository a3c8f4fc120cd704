// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only: items drawn on the overlay layer, so that a drag replots nothing else.

#include "ui/plots/PlotKit.h"
#include "ui/plots/SpectrumPlot.h"

#include <vector>

namespace sigmascope::ui {

/// One point of a curve under the marker or the cursor, in pixels of the plot.
struct CurvePoint {
    QPointF position;
    QColor colour;
};

/// A vertical handle through one or two rects: line, grip between the rects, diamonds on the curves. Ink.
class HandleItem : public QCPAbstractItem {
public:
    explicit HandleItem(QCustomPlot* plot);

    enum class Look { Rest, Hover, Locked };
    void place(double x, double top, double bottom, double gripY);
    void setPoints(std::vector<CurvePoint> points) { m_points = std::move(points); }
    void setLook(Look look) { m_look = look; }
    void setFocused(bool focused) { m_isFocused = focused; }

    [[nodiscard]] QPointF grip() const { return {m_x, m_gripY}; }
    [[nodiscard]] double top() const { return m_top; }
    [[nodiscard]] double bottom() const { return m_bottom; }
    /// Nine design pixels either side of the whole line, and the grip.
    [[nodiscard]] bool isHit(const QPointF& position) const;

    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    void drawGrip(QCPPainter* painter, const QRectF& grip) const;

    double m_x = 0, m_top = 0, m_bottom = 0, m_gripY = 0;
    Look m_look = Look::Rest;
    bool m_isFocused = false;
    std::vector<CurvePoint> m_points;
};

/// The bubble: identity and captured energy, then the consequence.
class ReadoutItem : public QCPAbstractItem {
public:
    explicit ReadoutItem(QCustomPlot* plot);

    void setReadout(const MarkerReadout& readout) { m_readout = readout; }
    /// Anchor on the marker's line; the bubble stands 12 right of it, left when it would leave @p bounds.
    void place(const QPointF& anchor, const QRectF& bounds);
    [[nodiscard]] QSizeF bubbleSize() const;
    [[nodiscard]] QRectF bubbleAt(const QPointF& anchor, const QRectF& bounds) const;

    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    [[nodiscard]] QStringList consequenceLines() const;

    MarkerReadout m_readout;
    QRectF m_rect;
    mutable bool m_isNarrow = false;  ///< follows from the room at the last placing
};

/// Dotted vertical through all rects and squares on the curves.
class CursorItem : public QCPAbstractItem {
public:
    explicit CursorItem(QCustomPlot* plot);

    void place(double x, const std::vector<QRect>& rects, std::vector<CurvePoint> points);
    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    double m_x = 0;
    std::vector<QRect> m_rects;
    std::vector<CurvePoint> m_points;
};

/// A zone of one rect: flat (alt) or hatched. Behind the grid. In pixels, clipped to the rect.
class ZoneItem : public QCPAbstractItem {
public:
    enum class Fill { Flat, Hatched };
    ZoneItem(QCustomPlot* plot, Fill fill);

    void place(const QRectF& zone) { m_zone = zone; }
    [[nodiscard]] const QRectF& zone() const { return m_zone; }
    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    Fill m_fill;
    QRectF m_zone;
};

/// A short text at a pixel position, clipped by nothing.
class LabelItem : public QCPAbstractItem {
public:
    LabelItem(QCustomPlot* plot, FontRole role);

    void setText(const QString& text) { m_text = text; }
    [[nodiscard]] QString text() const { return m_text; }
    void setColour(const QColor& colour) { m_colour = colour; }
    void setGround(const QColor& ground) { m_ground = ground; }
    void place(const QPointF& topLeft) { m_at = topLeft; }
    [[nodiscard]] QSizeF textSize() const;
    [[nodiscard]] QRectF rect() const { return {m_at, textSize()}; }
    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    FontRole m_role;
    QString m_text;
    QColor m_colour, m_ground;
    QPointF m_at;
};

/// Box of a right-drag zoom.
class BoxItem : public QCPAbstractItem {
public:
    explicit BoxItem(QCustomPlot* plot);
    void place(const QRectF& box) { m_box = box; }
    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    QRectF m_box;
};

}  // namespace sigmascope::ui
