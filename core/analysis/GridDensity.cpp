// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/analysis/GridDensity.h"

#include "core/base/Parallel.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>

namespace sigmascope {

namespace {

/// Rows are cut into so many parts whatever the number of threads: their sums are added in this order.
constexpr std::size_t kParts = 16;
constexpr double kMostBins = 65534;  // the edges may add one at either end
constexpr double kNarrowest = 1.0 / 1024;

std::uint64_t groupsPerRow(const CodedMatrix& m)
{
    return (m.cols + m.groupLength - 1) / m.groupLength;
}

double position(float weight, const CodedMatrix::Group& group)
{
    return group.scale == 0 ? 0.0 : (static_cast<double>(weight) - group.offset) / group.scale;
}

/// Calls visit(position, weight, restored) for the elements of one part of the rows; stops between rows.
template <class Visit>
void eachOf(const CodedMatrix& m, std::size_t part, const JobContext& job, const Visit& visit)
{
    const std::uint64_t perRow = groupsPerRow(m);
    const std::uint64_t from = m.rows * part / kParts, to = m.rows * (part + 1) / kParts;
    for (std::uint64_t row = from; row < to && !job.cancelled(); ++row) {
        for (std::uint64_t group = 0; group < perRow; ++group) {
            const CodedMatrix::Group& scale = m.groups[row * perRow + group];
            const std::uint64_t end = row * m.cols + std::min(m.cols, (group + 1) * m.groupLength);
            for (std::uint64_t i = row * m.cols + group * m.groupLength; i < end; ++i)
                visit(position(m.weights[i], scale), m.weights[i], m.restored[i]);
        }
    }
}

struct Extremes {
    double min = std::numeric_limits<double>::infinity();
    double max = -std::numeric_limits<double>::infinity();
};

Extremes extremesOf(const CodedMatrix& matrix, const JobContext& job)
{
    std::array<Extremes, kParts> parts;
    parallelFor(kParts, [&](std::size_t part) {
        Extremes& own = parts[part];
        eachOf(matrix, part, job, [&own](double x, float, float) {
            own.min = std::min(own.min, x);
            own.max = std::max(own.max, x);
        });
    });
    Extremes all;
    for (const Extremes& part : parts)
        all = {std::min(all.min, part.min), std::max(all.max, part.max)};
    return all;
}

/// Bins that hold [min, max], their edges multiples of a power of two.
void layBins(GridDensity& density)
{
    density.width = std::max(kNarrowest, std::exp2(std::ceil(std::log2((density.max - density.min) / kMostBins))));
    density.lower = std::floor(density.min / density.width) * density.width;
    // The largest value opens a bin of its own where it lies on an edge.
    const double bins = std::floor((density.max - density.lower) / density.width) + 1;
    density.counts.assign(static_cast<std::size_t>(bins), 0);
    density.errors.assign(static_cast<std::size_t>(bins), 0);
}

void layClip(GridDensity& density, std::span<const double> levels)
{
    const std::size_t n = levels.size();
    const double first = n > 1 ? (levels[1] - levels[0]) / 2 : 0.5;
    const double last = n > 1 ? (levels[n - 1] - levels[n - 2]) / 2 : 0.5;
    density.clipFrom = levels.front() - first;
    density.clipTo = levels.back() + last;
}

/// Counts one part into @p own, laid out as the whole.
void countPart(const CodedMatrix& matrix, std::size_t part, GridDensity& own, const JobContext& job)
{
    eachOf(matrix, part, job, [&own](double x, float weight, float restored) {
        const auto bin = static_cast<std::size_t>((x - own.lower) / own.width);
        const double error = static_cast<double>(weight) - restored;
        ++own.counts[bin];
        own.errors[bin] += error * error;
        own.squaredError += error * error;
        if (x < own.clipFrom || x > own.clipTo) {
            own.clippedError += error * error;
            ++(x < own.clipFrom ? own.below : own.above);
        }
    });
}

void add(GridDensity& sum, const GridDensity& part)
{
    for (std::size_t bin = 0; bin < sum.counts.size(); ++bin) {
        sum.counts[bin] += part.counts[bin];
        sum.errors[bin] += part.errors[bin];
    }
    sum.squaredError += part.squaredError;
    sum.clippedError += part.clippedError;
    sum.below += part.below;
    sum.above += part.above;
}

}  // namespace

Result<GridDensity> gridDensity(const CodedMatrix& matrix, std::span<const double> levels, const JobContext& job)
{
    assert(matrix.rows * matrix.cols >= 1 && matrix.groupLength >= 1 && !levels.empty());
    assert(matrix.weights.size() == matrix.rows * matrix.cols && matrix.restored.size() == matrix.weights.size());
    assert(matrix.groups.size() == matrix.rows * groupsPerRow(matrix));
    const Extremes extremes = extremesOf(matrix, job);
    if (job.cancelled())
        return cancelledError();
    GridDensity density;
    density.min = extremes.min;
    density.max = extremes.max;
    density.elements = matrix.weights.size();
    layBins(density);
    layClip(density, levels);
    std::array<GridDensity, kParts> parts;
    parallelFor(kParts, [&](std::size_t part) {
        parts[part] = density;
        countPart(matrix, part, parts[part], job);
    });
    if (job.cancelled())
        return cancelledError();
    for (const GridDensity& part : parts)
        add(density, part);
    return density;
}

GridBins rebinned(const GridDensity& density, double lower, double upper, double width)
{
    assert(lower < upper && width > 0);
    GridBins bins;
    bins.width = std::max(width, density.width);
    const double first = std::floor(lower / bins.width);
    const double count = std::max(1.0, std::ceil(upper / bins.width) - first);
    bins.lower = first * bins.width;
    bins.counts.assign(static_cast<std::size_t>(count), 0);
    bins.errors.assign(static_cast<std::size_t>(count), 0);
    for (std::size_t i = 0; i < density.counts.size(); ++i) {
        // Both widths are powers of two and all edges multiples of them: a fine bin lies within one coarse bin.
        const double left = density.lower + static_cast<double>(i) * density.width;
        const double bin = std::floor((left - bins.lower) / bins.width);
        if (bin < 0 || bin >= count)
            continue;
        bins.counts[static_cast<std::size_t>(bin)] += density.counts[i];
        bins.errors[static_cast<std::size_t>(bin)] += density.errors[i];
    }
    return bins;
}

}  // namespace sigmascope
