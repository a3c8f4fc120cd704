// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/CodeCounts.h"
#include "ui/plots/PlotFrame.h"

#include <optional>
#include <utility>
#include <vector>

namespace sigmascope::ui {

/// One code of the grid at the weight it stands for.
struct DensityLevel {
    double weight = 0;
    int code = 0;
};

/// Distribution of one tensor's weights and the grid laid over it. Weight units throughout.
struct DensityView {
    std::shared_ptr<const CodeCounts> codes;        ///< never null; re-binned on zoom without touching the tensor
    double min = 0, max = 0;                        ///< smallest and largest finite weight
    std::uint64_t elements = 0;
    std::vector<DensityLevel> levels;               ///< of a typical group; may be empty (kept layers)
    QString levelsNote;                             ///< which group the levels are of: "group of median scale"
    std::optional<std::pair<double, double>> clip;  ///< range the codes reach
    std::optional<double> centre;                   ///< density centre (median)
    std::shared_ptr<const CodeCounts> after;        ///< distribution of Q + LR; null when not computed
};

/// Step outline of W over a flat fill, levels of the grid as thin lines with their codes above.
class DensityPlot : public PlotFrame {
    Q_OBJECT

public:
    explicit DensityPlot(QWidget* parent = nullptr);
    ~DensityPlot() override;

    void show(const DensityView& view);
    using QWidget::show;
    void setLogY(bool on);
    [[nodiscard]] bool isLogY() const;

    /// What is drawn now, for tests: bins in view, weights in them, and the visible range.
    [[nodiscard]] std::size_t binCount() const;
    [[nodiscard]] std::uint64_t countInView() const;
    [[nodiscard]] std::uint64_t countOutsideView() const;
    [[nodiscard]] std::pair<double, double> visibleRange() const;
    [[nodiscard]] int levelCount() const;

    [[nodiscard]] QString dataAsCsv() const override;
    void resetZoom() override;

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
    void build();
    void rebin();
    void layOut();
    void fitY();
    void placeReferences();

    std::unique_ptr<Parts> m;
};

}  // namespace sigmascope::ui
