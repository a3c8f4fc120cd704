// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only: the picture of a heat map and the outline of the cell under the cursor.

#include "core/analysis/HeatMap.h"
#include "ui/plots/PlotKit.h"

#include <QImage>

#include <memory>
#include <vector>

namespace sigmascope::ui {

/// How values become colours: from @p lower (ground) to @p upper, in the logarithm or linearly. What is not finite is
/// `bad`.
struct HeatScale {
    double lower = 0, upper = 1;
    bool isLog = true;

    friend bool operator==(const HeatScale&, const HeatScale&) = default;
};
[[nodiscard]] QImage heatImage(const HeatMap& map, const HeatScale& scale);

/// Maps drawn over each other in their order: pixel edges are shared, cells keep hard edges.
class HeatItem : public QCPAbstractItem {
public:
    HeatItem(QCustomPlot* plot, QCPAxisRect* rect);

    struct Picture {
        std::shared_ptr<const HeatMap> map;
        QImage image;  ///< empty: not coloured yet
    };
    std::vector<Picture> pictures;
    std::uint64_t rows = 0, cols = 0;
    HeatScale scale;

    /// Colours all anew at the next drawing.
    void forgetImages();
    /// In pixels; rows grow downwards.
    [[nodiscard]] QRect pixelsOf(const HeatWindow& window) const;
    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    QCPAxisRect* m_rect;
};

/// Outline of one cell, on the overlay.
class CellItem : public QCPAbstractItem {
public:
    explicit CellItem(QCustomPlot* plot);
    void place(const QRect& cell, const QRect& bounds);
    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    QRect m_cell, m_bounds;
};

}  // namespace sigmascope::ui
