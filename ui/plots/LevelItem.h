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

    void setLevels(std::vector<DensityLevel> levels);
    void place(QCPAxisRect* rect) { m_rect = rect; }
    /// The level a weight rounds to; null when there is none.
    [[nodiscard]] const DensityLevel* nearest(double weight) const;
    /// Every how many-th level is labelled, at a mean distance in pixels.
    [[nodiscard]] static int labelStep(double distance, double room);

    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

protected:
    void draw(QCPPainter* painter) override;

private:
    std::vector<DensityLevel> m_levels;  // ascending by weight
    QCPAxisRect* m_rect = nullptr;
};

}  // namespace sigmascope::ui
