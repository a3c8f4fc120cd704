// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only: what a DensityPlot is made of, shared by its two source files.

#include "ui/plots/DensityPlot.h"
#include "ui/plots/LegendButton.h"
#include "ui/plots/LevelItem.h"
#include "ui/plots/PlotItems.h"
#include "ui/widgets/SegmentedControl.h"

#include <QComboBox>
#include <QSpinBox>

#include <array>
#include <numeric>

namespace sigmascope::ui {

/// Bins as drawn, of either axis.
struct DensityBins {
    double lower = 0, width = 1;
    std::vector<std::uint64_t> counts;
    std::vector<std::uint64_t> after;   ///< of Q + LR; empty when not computed
    std::vector<double> errors;         ///< squared error a bin; empty on the axis of the weight
    std::uint64_t outside = 0;
    bool isExact = true;

    [[nodiscard]] std::uint64_t total() const
    {
        return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    }
    [[nodiscard]] double left(std::size_t bin) const { return lower + static_cast<double>(bin) * width; }
    /// Bin of a position; nothing outside the view.
    [[nodiscard]] std::optional<std::size_t> at(double x) const
    {
        const double bin = std::floor((x - lower) / width);
        return bin >= 0 && bin < static_cast<double>(counts.size()) ? std::optional(static_cast<std::size_t>(bin))
                                                                   : std::nullopt;
    }
};

struct DensityPlot::Parts {
    DensityView view;
    Axis wanted = Axis::Scaled;
    DensityPart part = DensityPart::Tensor;
    QCPAxisRect* upper = nullptr;
    QCPAxisRect* lower = nullptr;
    QCPGraph* outline = nullptr;   ///< W
    QCPGraph* after = nullptr;     ///< Q + LR
    QCPGraph* rounding = nullptr;  ///< error shares
    QCPGraph* clipping = nullptr;
    LevelItem* levels = nullptr;
    std::array<ZoneItem*, 2> zones{};  ///< outside the range of the codes
    std::array<LabelItem*, 2> zoneLabels{};
    std::array<QCPItemStraightLine*, 2> clip{};
    LabelItem* centreLabel = nullptr;
    QCPItemStraightLine* centre = nullptr;
    LabelItem* roundingLabel = nullptr;
    LabelItem* clippingLabel = nullptr;
    CursorItem* cursor = nullptr;
    QComboBox* scale = nullptr;
    QComboBox* axis = nullptr;
    SegmentedControl* parts = nullptr;
    QSpinBox* row = nullptr;
    QSpinBox* group = nullptr;
    LegendButton* legendW = nullptr;
    LegendButton* legendQ = nullptr;
    LegendButton* legendAfter = nullptr;
    DensityBins bins;
    std::pair<double, double> range{0, 1};
    bool isYFree = false;          ///< zoomed by hand: re-binning leaves it
    bool isXFree = false;          ///< zoomed by hand: the next layer keeps it
    bool hasLower = false;
    int laidOutWidth = -1;

    [[nodiscard]] QCPAxis& x() const { return *upper->axis(QCPAxis::atBottom); }
    [[nodiscard]] QCPAxis& y() const { return *upper->axis(QCPAxis::atLeft); }
    [[nodiscard]] QCPAxis& xBelow() const { return *lower->axis(QCPAxis::atBottom); }
    [[nodiscard]] QCPAxis& yBelow() const { return *lower->axis(QCPAxis::atLeft); }
    [[nodiscard]] bool hasData() const { return view.codes != nullptr; }
    [[nodiscard]] bool isScaled() const { return wanted == Axis::Scaled && view.grid != nullptr; }
    /// Range the codes reach on the axis shown.
    [[nodiscard]] std::optional<std::pair<double, double>> clipRange() const
    {
        return isScaled() ? std::optional(std::pair(view.grid->clipFrom, view.grid->clipTo)) : view.clip;
    }
    /// Ends of the grid on the axis shown; equal for layers of one grid, so that a zoom can be kept.
    [[nodiscard]] std::pair<double, double> frame() const
    {
        return isScaled() ? std::pair(view.grid->clipFrom, view.grid->clipTo) : std::pair(view.min, view.max);
    }
};

}  // namespace sigmascope::ui
