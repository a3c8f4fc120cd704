// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/plots/PlotFrame.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace sigmascope::ui {

/// Two runs, or two models, layer by layer in depth order. What is not known is NaN.
struct CompareView {
    std::vector<QString> layers;                     ///< names as read out
    std::vector<double> a, b;                        ///< relative errors; b empty: one curve, the difference of two models
    std::vector<double> change;                      ///< b / a − 1; empty with b
    std::vector<std::pair<int, QString>> groups;     ///< first layer of each block and its label, ascending
    QString nameA, nameB;
    QString axis;                                    ///< what a and b are, with %
};

/// Per-layer error of A (solid, the run looked at) against B (dash-dot, the run compared with), on a log axis; below, how
/// much B's error is above or under A's.
class ComparePlot : public PlotFrame {
    Q_OBJECT

public:
    explicit ComparePlot(QWidget* parent = nullptr);
    ~ComparePlot() override;

    /// Shows the curves; a sentence instead where there is nothing that could be drawn.
    void show(const CompareView& view);
    using QWidget::show;
    void setLogY(bool on);
    [[nodiscard]] bool isLogY() const;
    /// Moves the cursor to a layer and brings it into view.
    void goTo(int layer);

    /// What is drawn now, for tests.
    [[nodiscard]] int pointsOfA() const;
    [[nodiscard]] int pointsOfB() const;
    [[nodiscard]] std::optional<int> cursorLayer() const;
    [[nodiscard]] QString readout() const;
    [[nodiscard]] bool hasLower() const;
    /// Where a layer stands, in pixels of the canvas.
    [[nodiscard]] QPoint positionOf(int layer) const;

    [[nodiscard]] QString dataAsCsv() const override;
    [[nodiscard]] QString dataUnits() const override;
    void resetZoom() override;

signals:
    /// A click on a layer's place.
    void layerClicked(int layer);

protected:
    void seriesToggled(Series series, bool visible) override;
    void applyLook() override;
    void setXRange(double lower, double upper) override;
    void setYRange(double lower, double upper) override;
    [[nodiscard]] Extent dataExtent() const override;
    void cursorMoved(const QPointF& position) override;
    void clicked(const QPointF& position) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    struct Parts;
    void buildHeader();
    void buildRects();
    void refreshHeader();
    void chooseLayout();
    void layOut();
    void fillCurves();
    void fitY();
    void placeCursor();
    [[nodiscard]] std::optional<int> layerAt(const QPointF& position) const;
    [[nodiscard]] QString readoutAt(std::size_t layer) const;

    std::unique_ptr<Parts> m;
};

}  // namespace sigmascope::ui
