// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/MatrixRows.h"
#include "core/base/Job.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sigmascope {

/// What a heat map shows of each element: its magnitude in W, in E = W - Q, or in E S.
enum class HeatQuantity { W, E, ES };

/// Cells of a level of detail: one cell holds 2^levelY rows by 2^levelX columns. Coordinates count cells.
struct HeatWindow {
    int levelX = 0, levelY = 0;
    std::uint64_t x = 0, y = 0;
    std::uint64_t width = 0, height = 0;

    friend bool operator==(const HeatWindow&, const HeatWindow&) = default;
};

/// Largest magnitude of each cell of a window, row-major. NaN where a cell holds a NaN, else Inf where it holds one.
struct HeatMap {
    HeatWindow window;
    std::vector<float> values;

    [[nodiscard]] float at(std::uint64_t x, std::uint64_t y) const { return values[y * window.width + x]; }
};

/// Cells along one side at a level.
[[nodiscard]] std::uint64_t cellsAt(std::uint64_t length, int level);
/// The coarsest window a whole side needs to have at most @p most cells.
[[nodiscard]] int levelFor(std::uint64_t length, std::uint64_t most);
/// All of a matrix at the finest levels with at most @p most cells a side.
[[nodiscard]] HeatWindow overviewOf(std::uint64_t rows, std::uint64_t cols, std::uint64_t most);

/// Reads only the rows under the window, 1 MiB of floats a thread at a time. The same on any number of threads.
/// Errors of the reader are passed on; Cancelled when stopped.
/// @pre the window lies within the cells of its levels; the matrix has a residual for E, and a scale for E S.
[[nodiscard]] Result<HeatMap> heatMap(const MatrixRows& matrix, HeatQuantity quantity, const HeatWindow& window,
                                      const JobContext& job);
/// A coarser window out of a finer map that covers it, without the matrix.
/// @pre levels of the window >= those of the map, and its cells lie within the map.
[[nodiscard]] HeatMap pooled(const HeatMap& fine, const HeatWindow& window);

/// Value that a share of the finite, positive cells does not exceed; 0 if there is none. O(cells).
[[nodiscard]] double quantileOf(const HeatMap& map, double share);
/// Largest finite cell; 0 if there is none.
[[nodiscard]] double largestOf(const HeatMap& map);

}  // namespace sigmascope
