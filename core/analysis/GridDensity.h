// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sigmascope {

/// A matrix beside what its grid made of it. Borrowed for the call.
struct CodedMatrix {
    /// Value of an element = offset + scale * level. A scale may be negative (Q4_0).
    struct Group {
        float scale = 0;
        float offset = 0;
    };
    std::span<const float> weights;   ///< [rows x cols] row-major, finite
    std::span<const float> restored;  ///< decoded codes, same shape
    std::uint64_t rows = 0, cols = 0;
    std::uint64_t groupLength = 1;    ///< elements of a row that share a scale; the last group of a row may be shorter
    std::span<const Group> groups;    ///< row by row, ceil(cols / groupLength) a row
};

/// Weights and squared errors over the position of each weight on the grid of its own group,
/// x = (w - offset) / scale: there the levels of all groups fall together on the grid's own (-8 … 7).
/// A weight whose group has scale 0 stands at 0.
struct GridDensity {
    double lower = 0;                    ///< left edge of the first bin: a multiple of the width
    double width = 1;                    ///< of a bin: a power of two
    std::vector<std::uint64_t> counts;   ///< weights a bin
    std::vector<double> errors;          ///< sum of (w - q)^2 a bin
    double min = 0, max = 0;             ///< smallest and largest position
    std::uint64_t elements = 0;
    double squaredError = 0;             ///< of all weights
    /// Of the weights more than half a step outside the outermost levels: what no rounding could have saved.
    double clippedError = 0;
    std::uint64_t below = 0, above = 0;  ///< how many they are
    double clipFrom = 0, clipTo = 0;     ///< the range between: outermost levels and half a step more
};

/// At most 65,536 bins, no narrower than 1/1024 of a step, so that any zoom re-bins without the matrix. Same bits on any
/// number of threads. Cancelled when stopped.
/// @param levels  values of the grid's codes over the scale, ascending, at least one.
/// @pre spans have the sizes their comments say; rows * cols >= 1.
[[nodiscard]] Result<GridDensity> gridDensity(const CodedMatrix& matrix, std::span<const double> levels,
                                              const JobContext& job);

/// Sums of neighbouring bins.
struct GridBins {
    double lower = 0, width = 1;
    std::vector<std::uint64_t> counts;
    std::vector<double> errors;
};
/// The bins that reach into [lower, upper], @p width wide: raised to the density's own width if narrower. What lies
/// outside is left out.
/// @pre lower < upper; width a power of two.
[[nodiscard]] GridBins rebinned(const GridDensity& density, double lower, double upper, double width);

}  // namespace sigmascope
