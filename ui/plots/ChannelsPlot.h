// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/ChannelStats.h"
#include "ui/plots/PlotFrame.h"

#include <memory>
#include <optional>
#include <vector>

namespace sigmascope::ui {

/// Both sides of one matrix, channel by channel.
struct ChannelsView {
    std::shared_ptr<const ChannelStats> stats;  ///< never null
    std::vector<double> activation;  ///< RMS of each input [cols]; empty without calibration
    QString plainReason;  ///< why E·S is absent
    QString errorReason;  ///< why E is absent
};

/// An outlier as listed beside the plot.
struct ListedOutlier {
    OutlierChannel channel;
    bool isActivation = false;  ///< of the inputs' size, not of the weights
};

/// Magnitude of every input or output channel on a log axis: largest and RMS of W, RMS of E and of E·S; for inputs the
/// size of the activations below, on the same axis. In their own order or by falling size.
class ChannelsPlot : public PlotFrame {
    Q_OBJECT

public:
    enum class Side { Inputs, Outputs };
    enum class Order { Natural, Sorted };

    explicit ChannelsPlot(QWidget* parent = nullptr);
    ~ChannelsPlot() override;

    void show(const ChannelsView& view);
    using QWidget::show;
    void setSide(Side side);
    [[nodiscard]] Side side() const;
    void setOrder(Order order);
    [[nodiscard]] Order order() const;
    /// Outliers of the side shown, the most extreme first; marked in the plot.
    [[nodiscard]] const std::vector<ListedOutlier>& outliers() const;
    /// Moves the cursor to a channel and brings it into view.
    void goTo(std::uint64_t channel);

    /// What is drawn now, for tests: points of the largest-magnitude curve, channel under the cursor, the visible
    /// range.
    [[nodiscard]] int pointCount() const;
    [[nodiscard]] std::optional<std::uint64_t> cursorChannel() const;
    [[nodiscard]] QString readout() const;
    [[nodiscard]] std::pair<double, double> visibleRange() const;
    [[nodiscard]] bool hasActivation() const;
    /// Where a channel stands, in pixels of the canvas.
    [[nodiscard]] QPoint positionOf(std::uint64_t channel) const;

    [[nodiscard]] QString dataAsCsv() const override;
    [[nodiscard]] QString dataUnits() const override;
    void resetZoom() override;

signals:
    void sideChosen();

protected:
    void seriesToggled(Series series, bool visible) override;
    void applyLook() override;
    void setXRange(double lower, double upper) override;
    void setYRange(double lower, double upper) override;
    [[nodiscard]] Extent dataExtent() const override;
    void cursorMoved(const QPointF& position) override;
    void keyPressEvent(QKeyEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    struct Parts;
    void buildRects();
    void buildHeader();
    void refreshHeader();
    void rebuild();
    /// The curves, or a sentence where a log axis has nothing to show.
    void showOrSay();
    void chooseLayout();
    void layOut();
    void fillCurves();
    void fitY();
    void placeCursor();
    void placeLabels();
    [[nodiscard]] QString readoutAt(std::size_t place) const;

    std::unique_ptr<Parts> m;
};

}  // namespace sigmascope::ui
