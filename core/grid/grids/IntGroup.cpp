// SPDX-License-Identifier: GPL-3.0-or-later
//
// INT codes with one scale per group of a row. A coded row is
//
//   [scales][zero points][codes]
//
// scales: one per group, little-endian, f16, f32 or f64; zero points (asymmetric only): one code of b bits per
// group, packed (BitPacking.h); codes: b bits per element, packed. Each part is filled up to whole bytes. The
// last group of a row is short where the group does not divide it.
//
// Symmetric: codes -qmax...qmax with qmax = 2^(b-1) - 1, stored plus qmax; scale = amax / qmax.
// Asymmetric: codes 0...2^b - 1 over a range that includes 0; scale = (hi - lo) / (2^b - 1), zero = round(-lo / scale).
// The scale is rounded to its storage first, so codes fit the value that a reader will see. What encode leaves:
//
//   |w - decoded| <= scale / 2 + |scale as stored - scale as computed| * (number of codes - 1)
//
// the second term being what a scale that was rounded down cuts off. A group of zeros has scale 0 and decodes to
// zeros. A scale that would round to 0 although the group is not 0 becomes the smallest one that the storage has
// (f16: 2^-24): every code then stays within half a step.

#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/grid/BitPacking.h"
#include "core/grid/FiniteCheck.h"
#include "core/grid/grids/Grids.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

namespace sigmascope {

namespace {

/// Nearest integer, ties to even, for |value| < 2^51; a call of nearbyint per element costs five times as much.
double roundEven(double value)
{
    constexpr double kShift = 0x1.8p52;
    return (value + kShift) - kShift;
}

std::size_t scaleBytes(ScaleType type)
{
    switch (type) {
    case ScaleType::F16: return 2;
    case ScaleType::F32: return 4;
    case ScaleType::F64: return 8;
    }
    return 8;
}

std::string_view scaleSuffix(ScaleType type)
{
    switch (type) {
    case ScaleType::F16: return "";
    case ScaleType::F32: return "-f32";
    case ScaleType::F64: return "-f64";
    }
    return "";
}

/// @p scale as its storage will give it back; infinite if it does not fit.
double roundedScale(ScaleType type, double scale)
{
    if (scale == 0)
        return 0;
    switch (type) {
    case ScaleType::F16:
        return std::max<double>(f16ToFloat(floatToF16(static_cast<float>(scale))), 0x1.0p-24);
    case ScaleType::F32:
        return std::max<double>(static_cast<float>(scale), std::numeric_limits<float>::denorm_min());
    case ScaleType::F64:
        return scale;
    }
    return scale;
}

void storeScale(ScaleType type, double scale, std::byte* out)
{
    if (type == ScaleType::F16) {
        const std::uint16_t bits = floatToF16(static_cast<float>(scale));
        std::memcpy(out, &bits, sizeof bits);
    } else if (type == ScaleType::F32) {
        const auto value = static_cast<float>(scale);
        std::memcpy(out, &value, sizeof value);
    } else {
        std::memcpy(out, &scale, sizeof scale);
    }
}

double loadScale(ScaleType type, const std::byte* in)
{
    if (type == ScaleType::F16) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, in, sizeof bits);
        return f16ToFloat(bits);
    }
    if (type == ScaleType::F32) {
        float value = 0;
        std::memcpy(&value, in, sizeof value);
        return value;
    }
    double value = 0;
    std::memcpy(&value, in, sizeof value);
    return value;
}

class IntGroupGrid final : public Grid {
public:
    explicit IntGroupGrid(const IntGroupOptions& options) : m_options(options)
    {
        assert(options.bits >= 2 && options.bits <= 8);
        m_topCode = options.asymmetric ? (1 << options.bits) - 1 : (1 << options.bits) - 2;
    }

    std::string id() const override
    {
        return fmt::format("int{}-{}{}{}", m_options.bits,
                           m_options.group == 0 ? "row" : fmt::format("g{}", m_options.group),
                           m_options.asymmetric ? "-asym" : "", scaleSuffix(m_options.scale));
    }
    int bits() const override { return m_options.bits; }
    std::uint64_t groupSize() const override { return m_options.group; }
    bool accepts(std::uint64_t cols) const override { return cols > 0; }
    std::optional<DType> ggufType() const override { return std::nullopt; }
    std::size_t rowBytes(std::uint64_t cols) const override
    {
        return codesAt(cols) + packedBytes(cols, m_options.bits);
    }

    Status encode(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                  std::span<std::byte> out) const override;
    void decode(std::span<const std::byte> codes, std::uint64_t rows, std::uint64_t cols,
                std::span<float> out) const override;
    std::vector<double> levels() const override;
    std::vector<GroupScale> groupScales(std::span<const std::byte> codes, std::uint64_t rows,
                                        std::uint64_t cols) const override;

private:
    struct GroupParameters {
        double scale = 0;
        int zero = 0;  ///< code of the value 0: the zero point, or qmax
    };
    struct Scratch {
        std::vector<std::uint8_t> zeros;
        std::vector<std::uint8_t> codes;
    };

    std::uint64_t groupLength(std::uint64_t cols) const { return m_options.group == 0 ? cols : m_options.group; }
    std::uint64_t groupCount(std::uint64_t cols) const
    {
        return (cols + groupLength(cols) - 1) / groupLength(cols);
    }
    std::size_t zerosAt(std::uint64_t cols) const { return groupCount(cols) * scaleBytes(m_options.scale); }
    std::size_t codesAt(std::uint64_t cols) const
    {
        return zerosAt(cols) + (m_options.asymmetric ? packedBytes(groupCount(cols), m_options.bits) : 0);
    }
    std::size_t rowsPerChunk(std::uint64_t cols) const
    {
        return std::max<std::size_t>(1, static_cast<std::size_t>(kReductionChunk / cols));
    }
    Scratch scratchFor(std::uint64_t cols) const
    {
        return {std::vector<std::uint8_t>(groupCount(cols)), std::vector<std::uint8_t>(cols)};
    }

    GroupParameters parametersOf(std::span<const float> group) const;
    /// First column of a group whose scale does not fit its storage.
    std::optional<std::uint64_t> encodeRow(std::span<const float> row, std::span<std::byte> out, Scratch& scratch) const;
    void decodeRow(std::span<const std::byte> coded, std::span<float> row, Scratch& scratch) const;
    template <class Body>
    void forEachRow(std::uint64_t rows, std::uint64_t cols, const Body& body) const;

    IntGroupOptions m_options;
    int m_topCode = 0;
};

IntGroupGrid::GroupParameters IntGroupGrid::parametersOf(std::span<const float> group) const
{
    float low = 0;
    float high = 0;
    for (const float value : group) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
    if (!m_options.asymmetric) {
        const int qmax = m_topCode / 2;
        return {roundedScale(m_options.scale, static_cast<double>(std::max(high, -low)) / qmax), qmax};
    }
    const double range = static_cast<double>(high) - low;
    const double scale = roundedScale(m_options.scale, range / m_topCode);
    if (scale == 0 || !std::isfinite(scale))
        return {scale, 0};
    const double zero = roundEven(-static_cast<double>(low) / scale);
    return {scale, static_cast<int>(std::clamp<double>(zero, 0, m_topCode))};
}

std::optional<std::uint64_t> IntGroupGrid::encodeRow(std::span<const float> row, std::span<std::byte> out,
                                                     Scratch& scratch) const
{
    const std::uint64_t length = groupLength(row.size());
    const std::size_t groups = groupCount(row.size());
    for (std::size_t g = 0; g < groups; ++g) {
        const std::size_t begin = g * length;
        const auto group = row.subspan(begin, std::min<std::size_t>(length, row.size() - begin));
        const GroupParameters parameters = parametersOf(group);
        if (!std::isfinite(parameters.scale))
            return begin;
        storeScale(m_options.scale, parameters.scale, out.data() + g * scaleBytes(m_options.scale));
        scratch.zeros[g] = static_cast<std::uint8_t>(parameters.zero);
        const double divisor = parameters.scale == 0 ? 1 : parameters.scale;
        for (std::size_t i = 0; i < group.size(); ++i) {
            const double code = roundEven(static_cast<double>(group[i]) / divisor) + parameters.zero;
            scratch.codes[begin + i] = static_cast<std::uint8_t>(std::clamp<double>(code, 0, m_topCode));
        }
    }
    if (m_options.asymmetric)
        packBits(scratch.zeros, m_options.bits, out.subspan(zerosAt(row.size()), packedBytes(groups, m_options.bits)));
    packBits(scratch.codes, m_options.bits, out.subspan(codesAt(row.size())));
    return std::nullopt;
}

void IntGroupGrid::decodeRow(std::span<const std::byte> coded, std::span<float> row, Scratch& scratch) const
{
    const std::uint64_t length = groupLength(row.size());
    const std::size_t groups = groupCount(row.size());
    if (m_options.asymmetric)
        unpackBits(coded.subspan(zerosAt(row.size()), packedBytes(groups, m_options.bits)), m_options.bits, scratch.zeros);
    else
        std::ranges::fill(scratch.zeros, static_cast<std::uint8_t>(m_topCode / 2));
    unpackBits(coded.subspan(codesAt(row.size())), m_options.bits, scratch.codes);
    // qmax times a scale that was rounded up can pass the largest float by half a unit in its last place.
    constexpr double kLargest = std::numeric_limits<float>::max();
    for (std::size_t g = 0; g < groups; ++g) {
        const double scale = loadScale(m_options.scale, coded.data() + g * scaleBytes(m_options.scale));
        const int zero = scratch.zeros[g];
        const std::size_t end = std::min<std::size_t>((g + 1) * length, row.size());
        for (std::size_t i = g * length; i < end; ++i)
            row[i] = static_cast<float>(std::clamp(scale * (scratch.codes[i] - zero), -kLargest, kLargest));
    }
}

template <class Body>
void IntGroupGrid::forEachRow(std::uint64_t rows, std::uint64_t cols, const Body& body) const
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

Status IntGroupGrid::encode(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
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
        const auto misfit = encodeRow(weights.subspan(row * cols, cols), out.subspan(row * coded, coded), scratch);
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

void IntGroupGrid::decode(std::span<const std::byte> codes, std::uint64_t rows, std::uint64_t cols,
                          std::span<float> out) const
{
    assert(codes.size() == rows * rowBytes(cols) && out.size() == rows * cols);
    const std::size_t coded = rowBytes(cols);
    forEachRow(rows, cols, [&](std::size_t row, std::size_t, Scratch& scratch) {
        decodeRow(codes.subspan(row * coded, coded), out.subspan(row * cols, cols), scratch);
    });
}

std::vector<double> IntGroupGrid::levels() const
{
    std::vector<double> values(static_cast<std::size_t>(m_topCode) + 1);
    const int first = m_options.asymmetric ? 0 : -m_topCode / 2;
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = first + static_cast<int>(i);
    return values;
}

std::vector<Grid::GroupScale> IntGroupGrid::groupScales(std::span<const std::byte> codes, std::uint64_t rows,
                                                        std::uint64_t cols) const
{
    const std::size_t coded = rowBytes(cols);
    const std::size_t groups = groupCount(cols);
    std::vector<GroupScale> scales(rows * groups);
    std::vector<std::uint8_t> zeros(groups, 0);
    for (std::size_t row = 0; row < rows; ++row) {
        const auto line = codes.subspan(row * coded, coded);
        if (m_options.asymmetric)
            unpackBits(line.subspan(zerosAt(cols), packedBytes(groups, m_options.bits)), m_options.bits, zeros);
        for (std::size_t g = 0; g < groups; ++g) {
            const double scale = loadScale(m_options.scale, line.data() + g * scaleBytes(m_options.scale));
            scales[row * groups + g] = {static_cast<float>(scale), static_cast<float>(-scale * zeros[g])};
        }
    }
    return scales;
}

}  // namespace

std::unique_ptr<const Grid> makeIntGroup(const IntGroupOptions& options)
{
    return std::make_unique<IntGroupGrid>(options);
}

}  // namespace sigmascope
