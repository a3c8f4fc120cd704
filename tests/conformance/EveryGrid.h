// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Every row of the registry of grids, for tests that ask the same of all.

#include "core/grid/Grid.h"

#include <QTest>

#include <algorithm>
#include <string>
#include <vector>

Q_DECLARE_METATYPE(const sigmascope::Grid*)

namespace sigmascope::test {

/// A row length that every grid takes, blocks of 256 included.
inline constexpr std::uint64_t kEveryCols = 256;

/// Every family at every width, with each storage of its scales.
inline std::vector<const Grid*> everyGrid()
{
    std::vector<const Grid*> grids;
    for (const GridFamily& family : gridFamilies()) {
        for (const int bits : family.bits) {
            const Grid* grid = gridOf(family.id, bits).value();
            grids.push_back(grid);
            for (const char* storage : {"-f32", "-f64"}) {
                if (const auto other = findGrid(grid->id() + storage))
                    grids.push_back(*other);
            }
        }
    }
    return grids;
}

/// One row of test data a grid that @p applies to.
template <class Applies> void gridRows(const Applies& applies)
{
    QTest::addColumn<const Grid*>("grid");
    for (const Grid* grid : everyGrid()) {
        if (applies(*grid))
            QTest::newRow(grid->id().c_str()) << grid;
    }
}

inline void gridRows()
{
    gridRows([](const Grid&) { return true; });
}

inline std::vector<float> roundTrip(const Grid& grid, const std::vector<float>& weights, std::uint64_t rows = 1)
{
    const std::uint64_t cols = weights.size() / rows;
    std::vector<std::byte> codes(rows * grid.rowBytes(cols));
    if (const Status done = grid.encode(weights, rows, cols, codes); !done)
        qFatal("%s: %s", grid.id().c_str(), done.error().detail.c_str());
    std::vector<float> values(weights.size());
    grid.decode(codes, rows, cols, values);
    return values;
}

}  // namespace sigmascope::test
