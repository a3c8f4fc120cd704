// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only: what a HeatMapPlot is made of, shared by its two source files.

#include "ui/plots/HeatMapItems.h"
#include "ui/plots/HeatMapPlot.h"
#include "ui/widgets/SegmentedControl.h"

#include <QComboBox>

#include <algorithm>

namespace sigmascope::ui {

/// "|E·S|"
[[nodiscard]] QString nameOf(HeatQuantity quantity);

struct HeatMapPlot::Parts {
    HeatView view;
    QCPAxisRect* rect = nullptr;
    QCPColorScale* colours = nullptr;
    HeatItem* picture = nullptr;
    CellItem* cell = nullptr;
    SegmentedControl* quantities = nullptr;
    QComboBox* scale = nullptr;
    bool isLog = true;
    bool isFree = false;  ///< zoomed by hand
    HeatWindow wanted;  ///< tiles last asked for
    HeatQuantity shown = HeatQuantity::W;
    std::vector<std::pair<Tile, double>> tiles;  ///< of the wanted level, with the value that the ground may reach
    std::optional<QPoint> cursor;  ///< cell of the wanted level
    QString readout;

    [[nodiscard]] QCPAxis& x() const { return *rect->axis(QCPAxis::atBottom); }
    [[nodiscard]] QCPAxis& y() const { return *rect->axis(QCPAxis::atLeft); }
    [[nodiscard]] bool hasData() const { return view.overview != nullptr; }
    [[nodiscard]] const HeatMap* tileAt(std::uint64_t cellX, std::uint64_t cellY) const
    {
        for (const auto& [tile, ground] : tiles) {
            const HeatWindow& w = tile->window;
            if (cellX >= w.x && cellX < w.x + w.width && cellY >= w.y && cellY < w.y + w.height)
                return tile.get();
        }
        return nullptr;
    }
    /// Value of a cell of the wanted level; a coarser one while its tile is on its way.
    [[nodiscard]] float valueAt(const QPoint& at) const
    {
        const auto cx = static_cast<std::uint64_t>(at.x()), cy = static_cast<std::uint64_t>(at.y());
        if (const HeatMap* tile = tileAt(cx, cy))
            return tile->at(cx - tile->window.x, cy - tile->window.y);
        const HeatWindow& all = view.overview->window;
        const auto coarse = [](std::uint64_t fine, int from, int to, std::uint64_t end) {
            return std::min(end - 1, (fine << static_cast<unsigned>(from)) >> static_cast<unsigned>(to));
        };
        return view.overview->at(coarse(cx, wanted.levelX, all.levelX, all.width),
                                 coarse(cy, wanted.levelY, all.levelY, all.height));
    }
};

}  // namespace sigmascope::ui
