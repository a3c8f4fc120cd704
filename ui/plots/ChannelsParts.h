// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only: what a ChannelsPlot is made of, shared by its two source files.

#include "ui/plots/ChannelsPlot.h"
#include "ui/plots/LegendButton.h"
#include "ui/plots/PlotItems.h"
#include "ui/widgets/SegmentedControl.h"

#include <QComboBox>

#include <array>

namespace sigmascope::ui {

/// One curve over the channels: its values in the order drawn, its thinned graph and its legend entry.
struct ChannelCurve {
    QCPGraph* graph = nullptr;
    LabelItem* label = nullptr;
    LegendButton* legend = nullptr;  ///< one for both curves of W
    Series series = Series::W;
    QString name;
    std::vector<double> y;

    [[nodiscard]] bool isDrawn() const { return !y.empty() && legend->isChecked(); }
};

struct ChannelsPlot::Parts {
    enum Curve { AbsMax, Rms, Error, WeightedError, CurveCount };

    ChannelsView view;
    Side side = Side::Inputs;
    Order order = Order::Natural;
    QCPAxisRect* upper = nullptr;
    QCPAxisRect* lower = nullptr;
    std::array<ChannelCurve, CurveCount> curves;
    QCPGraph* activation = nullptr;
    QCPGraph* marks = nullptr;  ///< outliers of W
    QCPGraph* activationMarks = nullptr;
    LabelItem* activationLabel = nullptr;
    CursorItem* cursor = nullptr;
    SegmentedControl* sides = nullptr;
    QComboBox* orders = nullptr;

    std::vector<double> x;  ///< 0, 1, 2 …
    std::vector<std::uint64_t> channels;  ///< channel at each place; empty in natural order
    std::vector<std::uint64_t> places;  ///< place of each channel; empty in natural order
    std::vector<double> activationY;
    std::vector<ListedOutlier> outliers;
    std::optional<std::size_t> cursorAt;  ///< place
    bool hasLower = false;
    bool isXFree = false;  ///< zoomed by hand
    bool isDirty = true;
    int laidOutWidth = -1;
    QString readout;

    [[nodiscard]] QCPAxis& xAxis() const { return *upper->axis(QCPAxis::atBottom); }
    [[nodiscard]] QCPAxis& yAxis() const { return *upper->axis(QCPAxis::atLeft); }
    [[nodiscard]] QCPAxis& xBelow() const { return *lower->axis(QCPAxis::atBottom); }
    [[nodiscard]] QCPAxis& yBelow() const { return *lower->axis(QCPAxis::atLeft); }
    [[nodiscard]] bool hasData() const { return view.stats != nullptr; }
    [[nodiscard]] const ChannelSide& values() const
    {
        return side == Side::Inputs ? view.stats->inputs : view.stats->outputs;
    }
    [[nodiscard]] std::size_t count() const { return hasData() ? values().w.absMax.size() : 0; }
    [[nodiscard]] std::uint64_t channelAt(std::size_t place) const
    {
        return channels.empty() ? place : channels[place];
    }
    [[nodiscard]] std::size_t placeOf(std::uint64_t channel) const
    {
        return static_cast<std::size_t>(places.empty() ? channel : places[channel]);
    }
    [[nodiscard]] bool showsActivation() const { return side == Side::Inputs && !activationY.empty(); }
};

}  // namespace sigmascope::ui
