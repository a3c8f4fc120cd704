// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/HeatMap.h"
#include "ui/plots/PlotFrame.h"

#include <array>
#include <memory>
#include <optional>
#include <vector>

namespace sigmascope::ui {

/// One matrix as a picture, coarse at first.
struct HeatView {
    std::uint64_t rows = 0, cols = 0;
    HeatQuantity quantity = HeatQuantity::W;
    std::shared_ptr<const HeatMap> overview;  ///< all of the matrix, never null
    std::array<bool, 3> has{true, false, false};
    std::array<QString, 3> reasons;  ///< why a quantity is absent
};

/// Magnitude of each element of W, E or E·S. From far a cell is the largest of its elements, from near each element is
/// a square of its own; only the tiles in view are asked for. Row 0 is at the top.
class HeatMapPlot : public PlotFrame {
    Q_OBJECT

public:
    using Tile = std::shared_ptr<const HeatMap>;
    static constexpr std::uint64_t kTile = 256;  ///< cells a side

    explicit HeatMapPlot(QWidget* parent = nullptr);
    ~HeatMapPlot() override;

    void show(const HeatView& view);
    using QWidget::show;
    /// What can be chosen, before the picture is there.
    void setQuantities(HeatQuantity quantity, const std::array<bool, 3>& has, const std::array<QString, 3>& reasons);
    void addTiles(const std::vector<Tile>& tiles);
    void setLog(bool on);
    [[nodiscard]] bool isLog() const;

    /// What is drawn now, for tests: the level of detail, tiles in view that are there, and the range of the colours.
    [[nodiscard]] std::pair<int, int> level() const;
    [[nodiscard]] int tilesDrawn() const;
    [[nodiscard]] int tilesMissing() const;
    [[nodiscard]] std::pair<double, double> colourRange() const;
    /// Row and column of the first element under the cursor.
    [[nodiscard]] std::optional<std::pair<std::uint64_t, std::uint64_t>> cursorElement() const;
    [[nodiscard]] QString readout() const;
    /// Middle of an element, in pixels of the canvas.
    [[nodiscard]] QPoint positionOf(std::uint64_t row, std::uint64_t column) const;
    /// Visible columns and rows: from, to.
    [[nodiscard]] std::pair<double, double> visibleColumns() const;
    [[nodiscard]] std::pair<double, double> visibleRows() const;

    [[nodiscard]] QString dataAsCsv() const override;
    void resetZoom() override;

signals:
    void quantityChosen(sigmascope::HeatQuantity quantity);
    /// Tiles in view at the level of detail that the zoom asks for; in tiles, not cells.
    void tilesWanted(const sigmascope::HeatWindow& tiles);

protected:
    void seriesToggled(Series series, bool visible) override;
    void applyLook() override;
    void setXRange(double lower, double upper) override;
    void setYRange(double lower, double upper) override;
    [[nodiscard]] Extent dataExtent() const override;
    void cursorMoved(const QPointF& position) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    struct Parts;
    void buildPlot();
    void buildHeader();
    void layOut();
    void askForTiles();
    void chooseColours();
    void zoomBoth(const QPointF& at, double factor, bool horizontal, bool vertical);
    void moveCursor(int dx, int dy);
    void placeCursor();
    [[nodiscard]] QString readoutAt(const QPoint& cell) const;

    std::unique_ptr<Parts> m;
};

}  // namespace sigmascope::ui
