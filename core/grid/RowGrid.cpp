// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/RowGrid.h"

#include "core/base/Parallel.h"
#include "core/compute/Kernels.h"
#include "core/grid/BitPacking.h"
#include "core/grid/FiniteCheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace sigmascope {

namespace {

std::size_t rowsPerChunk(std::uint64_t cols)
{
    return std::max<std::size_t>(1, static_cast<std::size_t>(kReductionChunk / cols));
}

}  // namespace

double storedLoss(std::span<const float> weights, std::span<const float> stored, std::span<const double> importance)
{
    assert(weights.size() == stored.size() && (importance.empty() || importance.size() == weights.size()));
    return kernelTable().storedLoss(weights.data(), stored.data(), importance.empty() ? nullptr : importance.data(),
                                    weights.size());
}

std::size_t RowGrid::rowBytes(std::uint64_t cols) const
{
    return parameterBytes(groupCount(cols)) + packedBytes(cols, m_bits);
}

std::optional<std::uint64_t> RowGrid::encodeRow(std::span<const float> row, std::span<const double> reach,
                                                std::span<std::byte> out, Scratch& scratch) const
{
    const Row groups{row, groupLength(row.size())};
    fit(groups, reach, scratch.groups);
    const auto misfit = std::ranges::find_if(scratch.groups, [](const Group& group) { return !std::isfinite(group.scale); });
    if (misfit != scratch.groups.end())
        return static_cast<std::uint64_t>(misfit - scratch.groups.begin()) * groups.length;
    settle(scratch.groups);
    code(groups, scratch.groups, scratch.codes);
    const std::size_t parameters = parameterBytes(scratch.groups.size());
    store(scratch.groups, out.first(parameters));
    packBits(scratch.codes, m_bits, out.subspan(parameters));
    return std::nullopt;
}

void RowGrid::decodeRow(std::span<const std::byte> coded, std::span<float> row, Scratch& scratch) const
{
    const std::size_t parameters = parameterBytes(scratch.groups.size());
    load(coded.first(parameters), scratch.groups);
    unpackBits(coded.subspan(parameters), m_bits, scratch.codes);
    restore(scratch.codes, groupLength(row.size()), scratch.groups, row);
}

template <class Body> void RowGrid::forEachRow(std::uint64_t rows, std::uint64_t cols, const Body& body) const
{
    const std::size_t perChunk = rowsPerChunk(cols);
    const std::size_t chunks = (static_cast<std::size_t>(rows) + perChunk - 1) / perChunk;
    parallelFor(chunks, [&](std::size_t chunk) {
        Scratch scratch = scratchFor(cols);
        const std::size_t end = std::min<std::size_t>((chunk + 1) * perChunk, rows);
        for (std::size_t row = chunk * perChunk; row < end; ++row)
            body(row, chunk, scratch);
    });
}

Status RowGrid::encode(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                       std::span<std::byte> out) const
{
    assert(weights.size() == rows * cols && out.size() == rows * rowBytes(cols));
    struct Misfit {
        std::size_t row = 0;
        std::uint64_t column = 0;
    };
    const std::size_t coded = rowBytes(cols);
    const std::size_t perChunk = rowsPerChunk(cols);
    std::vector<std::optional<Misfit>> misfits((rows + perChunk - 1) / perChunk);
    forEachRow(rows, cols, [&](std::size_t row, std::size_t chunk, Scratch& scratch) {
        const auto misfit = encodeRow(weights.subspan(row * cols, cols), {}, out.subspan(row * coded, coded), scratch);
        if (misfit && !misfits[chunk])
            misfits[chunk] = Misfit{row, *misfit};
    });
    const auto first = std::ranges::find_if(misfits, [](const auto& misfit) { return misfit.has_value(); });
    if (first == misfits.end())
        return {};
    // Weights that are not finite give no scale either: rows are read once while all is well.
    if (Status finite = checkFinite(weights, cols); !finite)
        return finite;
    return fail(ErrorCode::ScaleOutOfRange,
                fmt::format("row {}, column {}: the scale of this group of {} is over 65504 and does not fit f16",
                            (*first)->row, (*first)->column, id()));
}

void RowGrid::decode(std::span<const std::byte> codes, std::uint64_t rows, std::uint64_t cols, std::span<float> out) const
{
    assert(codes.size() == rows * rowBytes(cols) && out.size() == rows * cols);
    const std::size_t coded = rowBytes(cols);
    forEachRow(rows, cols, [&](std::size_t row, std::size_t, Scratch& scratch) {
        decodeRow(codes.subspan(row * coded, coded), out.subspan(row * cols, cols), scratch);
    });
}

std::vector<Grid::GroupScale> RowGrid::groupScales(std::span<const std::byte> codes, std::uint64_t rows,
                                                   std::uint64_t cols) const
{
    const std::size_t coded = rowBytes(cols);
    const std::size_t groups = groupCount(cols);
    std::vector<GroupScale> scales(rows * groups);
    std::vector<Group> line(groups);
    for (std::size_t row = 0; row < rows; ++row) {
        load(codes.subspan(row * coded, parameterBytes(groups)), line);
        for (std::size_t g = 0; g < groups; ++g)
            scales[row * groups + g] = {static_cast<float>(line[g].scale), offsetOf(line[g])};
    }
    return scales;
}

double RowGrid::clippedError(std::span<const float> group, std::span<const double> importance, double reach) const
{
    Group parameters;
    fit({group, group.size()}, {&reach, 1}, {&parameters, 1});
    if (!std::isfinite(parameters.scale))
        return std::numeric_limits<double>::infinity();
    return lost(group, importance, parameters);
}

double RowGrid::lost(std::span<const float> group, std::span<const double> importance, const Group& parameters) const
{
    std::vector<std::uint8_t> codes(group.size());
    std::vector<float> values(group.size());
    code({group, group.size()}, {&parameters, 1}, codes);
    restore(codes, group.size(), {&parameters, 1}, values);
    return storedLoss(group, values, importance);
}

void RowGrid::recode(std::span<const float> row, std::span<const double> reach, std::span<std::byte> coded) const
{
    assert(clipRange() != nullptr && reach.size() == groupCount(row.size()));
    Scratch scratch = scratchFor(row.size());
    [[maybe_unused]] const auto misfit = encodeRow(row, reach, coded, scratch);
    assert(!misfit);
}

}  // namespace sigmascope
