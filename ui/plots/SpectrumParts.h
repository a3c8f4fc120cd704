// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only: what a SpectrumPlot is made of, shared by its two source files.

#include "ui/plots/LegendButton.h"
#include "ui/plots/PlotItems.h"
#include "ui/plots/SpectrumPlot.h"

#include <QComboBox>

#include <array>

namespace sigmascope::ui {

/// A curve over the rank: its data in full, its thinned graph, its label and whether it is shown.
struct RankCurve {
    Series series = Series::W;
    bool isError = false;          ///< of the lower rect
    QCPGraph* graph = nullptr;
    LabelItem* label = nullptr;
    std::vector<double> x, y;
    bool isShown = true;

    [[nodiscard]] bool isDrawn() const { return isShown && !y.empty(); }
    /// Value at a rank; NaN where it is not computed.
    [[nodiscard]] double at(int rank) const;
};

struct SpectrumPlot::Parts {
    SpectrumView view;
    QCPAxisRect* upper = nullptr;
    QCPAxisRect* lower = nullptr;
    // W, E, E·S above; weight error, output error below.
    std::array<RankCurve, 5> curves;
    QCPGraph* squares = nullptr;   ///< single values of the main curve, where they stand apart
    QCPItemStraightLine* noise = nullptr;
    QCPItemStraightLine* lastComputed = nullptr;
    LabelItem* noiseLabel = nullptr;
    LabelItem* boundLabel = nullptr;
    LabelItem* floorLabel = nullptr;
    ZoneItem* boundZone = nullptr;
    ZoneItem* boundZoneBelow = nullptr;
    ZoneItem* floorZone = nullptr;
    HandleItem* handle = nullptr;
    ReadoutItem* bubble = nullptr;
    CursorItem* cursor = nullptr;
    QComboBox* scale = nullptr;
    std::array<LegendButton*, 3> legend{};

    int rank = 0;
    MarkerReadout readout;
    bool hasMarker = false;
    QString lockReason;
    bool isDragging = false;
    bool isHovered = false;
    bool hasKeyboardFocus = false;
    int rankAtPress = 0;
    double grabOffset = 0;         ///< pointer minus line at the press, so that a grab does not jump
    double bubbleAt = 1.0 / 3;     ///< of the upper rect's height
    bool isDirty = true;           ///< curves wait for the next layout
    int laidOutWidth = -1;
    bool hasLower = true;

    /// E·S under a metric, else E: what a correction works on.
    [[nodiscard]] const RankCurve& mainCurve() const { return curves[curves[2].y.empty() ? 1 : 2]; }
    [[nodiscard]] const RankCurve& mainError() const { return curves[curves[4].y.empty() ? 3 : 4]; }
    [[nodiscard]] const SingularValues& mainValues() const { return view.es.values.empty() ? view.e : view.es; }
    [[nodiscard]] QCPAxis& x() const { return *upper->axis(QCPAxis::atBottom); }
    [[nodiscard]] QCPAxis& y() const { return *upper->axis(QCPAxis::atLeft); }
    [[nodiscard]] QCPAxis& yBelow() const { return *lower->axis(QCPAxis::atLeft); }
    [[nodiscard]] double xUpper() const;
};

}  // namespace sigmascope::ui
