// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only.

#include "ui/plots/DensityPlot.h"
#include "ui/plots/PlotKit.h"

#include <vector>

namespace sigmascope::ui {

/// Levels of a grid as 1 px lines, their codes above the frame while they stand at least 18 apart; every 2nd, 4th …
/// otherwise.
class LevelItem : public QCPAbstractItem {
public:
    explicit LevelItem(QCustomPlot* plot);

    /// @param isScaled  placed at their values over the scale, else at the weights of a typical group.
    void setLevels(std::vector<DensityLevel> levels, bool isScaled);
    void place(QCPAxisRect* rect) { m_rect = rect; }
    /// The level a position on the axis rounds to; null when there is none.
    [[nodiscard]] const DensityLevel* nearest(double x) const;
    /// Every how many-th level is labelled, at a mean distance in pixels.
    [[nodiscard]] static int labelStep(double distance, double room);

    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    [[nodiscard]] double at(const DensityLevel& level) const { return m_isScaled ? level.level : level.weight; }

    std::vector<DensityLevel> m_levels;  // ascending on the axis
    bool m_isScaled = false;
    QCPAxisRect* m_rect = nullptr;
};

}  // namespace sigmascope::ui
