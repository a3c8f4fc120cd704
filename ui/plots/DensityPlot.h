// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/GridDensity.h"
#include "core/compute/CodeCounts.h"
#include "ui/plots/PlotFrame.h"

#include <optional>
#include <utility>
#include <vector>

namespace sigmascope::ui {

/// One code of the grid: its value over the scale of a group, and the weight it stands for in a typical group.
struct DensityLevel {
    double weight = 0;
    double level = 0;
    int code = 0;
};

/// Distribution of one tensor's weights and the grid laid over it.
struct DensityView {
    std::shared_ptr<const CodeCounts> codes;        ///< never null; re-binned on zoom without touching the tensor
    double min = 0, max = 0;                        ///< smallest and largest finite weight
    std::uint64_t elements = 0;
    std::vector<DensityLevel> levels;               ///< ascending; may be empty (kept layers)
    QString levelsNote;                             ///< which group the levels in weight units are of
    std::optional<std::pair<double, double>> clip;  ///< range the codes reach, in weight units
    std::optional<double> centre;                   ///< density centre (median)
    std::shared_ptr<const CodeCounts> after;        ///< distribution of Q + LR; null when not computed
    /// The weights looked at over the scales of their groups, with the error of each bin; null when there is no grid.
    std::shared_ptr<const GridDensity> grid;
    std::uint64_t rows = 0, groupsInRow = 0;        ///< what may be looked at by itself
};

/// Which weights are shown: all of the tensor, one row, or one group of a row.
enum class DensityPart { Tensor, Row, Group };

/// Step outline of W over a flat fill, levels of the grid as thin lines with their codes above. The axis is the weight
/// over the scale of its own group, so that the levels of all groups fall together, with the share of the squared error
/// below it; or the weight itself.
class DensityPlot : public PlotFrame {
    Q_OBJECT

public:
    enum class Axis { Scaled, Weight };

    explicit DensityPlot(QWidget* parent = nullptr);
    ~DensityPlot() override;

    void show(const DensityView& view);
    using QWidget::show;
    void setLogY(bool on);
    [[nodiscard]] bool isLogY() const;
    /// What the user wants; without a grid the axis is the weight all the same.
    void setAxis(Axis axis);
    /// What is drawn.
    [[nodiscard]] Axis axis() const;
    /// The part looked at, as the session has it.
    void setPart(DensityPart part, std::uint64_t row, std::uint64_t group);

    /// What is drawn now, for tests: bins in view, weights in them, and the visible range.
    [[nodiscard]] std::size_t binCount() const;
    [[nodiscard]] std::uint64_t countInView() const;
    [[nodiscard]] std::uint64_t countOutsideView() const;
    [[nodiscard]] std::pair<double, double> visibleRange() const;
    [[nodiscard]] int levelCount() const;
    /// Per cent of the squared error of the weights shown that lies in the bins in view; nothing without the lower rect.
    [[nodiscard]] std::optional<double> errorShareInView() const;
    /// "rounding 92.6 %", "clipping 7.4 %" as written beside the lower rect.
    [[nodiscard]] QStringList errorLabels() const;

    [[nodiscard]] QString dataAsCsv() const override;
    [[nodiscard]] QString dataUnits() const override;
    void resetZoom() override;

signals:
    void partChosen(DensityPart part, quint64 row, quint64 group);

protected:
    void seriesToggled(Series series, bool visible) override;
    void applyLook() override;
    void setXRange(double lower, double upper) override;
    void setYRange(double lower, double upper) override;
    [[nodiscard]] Extent dataExtent() const override;
    void cursorMoved(const QPointF& position) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    struct Parts;
    void buildRects();
    void buildItems();
    void buildHeader();
    void refreshHeader();
    void showNothing();
    void choosePart();
    void chooseLayout();
    void layOut();
    void rebin();
    void fillErrors();
    void fitY();
    void placeReferences();
    void placeClip();
    void placeCentre();
    void placeErrorLabels();
    [[nodiscard]] QStringList readoutAt(double x) const;

    std::unique_ptr<Parts> m;
};

}  // namespace sigmascope::ui
