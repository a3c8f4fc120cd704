// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/RowGrid.h"

#include "core/base/Parallel.h"
#include "core/grid/BitPacking.h"
#include "core/grid/FiniteCheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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

std::size_t RowGrid::rowBytes(std::uint64_t cols) const
{
    return parameterBytes(groupCount(cols)) + packedBytes(cols, m_bits);
}

std::optional<std::uint64_t> RowGrid::encodeRow(std::span<const float> row, std::span<const double> reach,
                                                std::span<std::byte> out, Scratch& scratch) const
{
    const std::size_t length = groupLength(row.size());
    const auto part = [&](auto values, std::size_t g) {
        return values.subspan(g * length, std::min(length, row.size() - g * length));
    };
    for (std::size_t g = 0; g < scratch.groups.size(); ++g) {
        scratch.groups[g] = fitted(part(row, g), reach.empty() ? 1.0 : reach[g]);
        if (!std::isfinite(scratch.groups[g].scale))
            return g * length;
    }
    settle(scratch.groups);
    for (std::size_t g = 0; g < scratch.groups.size(); ++g)
        code(part(row, g), scratch.groups[g], part(std::span(scratch.codes), g));
    const std::size_t parameters = parameterBytes(scratch.groups.size());
    store(scratch.groups, out.first(parameters));
    packBits(scratch.codes, m_bits, out.subspan(parameters));
    return std::nullopt;
}

void RowGrid::decodeRow(std::span<const std::byte> coded, std::span<float> row, Scratch& scratch) const
{
    const std::size_t length = groupLength(row.size());
    const std::size_t parameters = parameterBytes(scratch.groups.size());
    load(coded.first(parameters), scratch.groups);
    unpackBits(coded.subspan(parameters), m_bits, scratch.codes);
    for (std::size_t g = 0; g < scratch.groups.size(); ++g) {
        const std::size_t begin = g * length;
        const std::size_t count = std::min(length, row.size() - begin);
        restore(std::span(scratch.codes).subspan(begin, count), scratch.groups[g], row.subspan(begin, count));
    }
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
    if (Status finite = checkFinite(weights, cols); !finite)
        return finite;
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
    const Group parameters = fitted(group, reach);
    if (!std::isfinite(parameters.scale))
        return std::numeric_limits<double>::infinity();
    constexpr std::size_t kPart = 256;
    std::array<std::uint8_t, kPart> codes;
    std::array<float, kPart> values;
    double sum = 0;
    for (std::size_t first = 0; first < group.size(); first += kPart) {
        const std::size_t count = std::min(kPart, group.size() - first);
        code(group.subspan(first, count), parameters, std::span(codes).first(count));
        restore(std::span(codes).first(count), parameters, std::span(values).first(count));
        for (std::size_t i = 0; i < count; ++i) {
            const double lost = static_cast<double>(group[first + i]) - values[i];
            sum += importance.empty() ? lost * lost : importance[first + i] * (lost * lost);
        }
    }
    return sum;
}

void RowGrid::recode(std::span<const float> row, std::span<const double> reach, std::span<std::byte> coded) const
{
    assert(clipRange() != nullptr && reach.size() == groupCount(row.size()));
    Scratch scratch = scratchFor(row.size());
    [[maybe_unused]] const auto misfit = encodeRow(row, reach, coded, scratch);
    assert(!misfit);
}

}  // namespace sigmascope
