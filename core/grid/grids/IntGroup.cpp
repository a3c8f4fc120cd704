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
#include "core/grid/BitPacking.h"
#include "core/grid/RowGrid.h"
#include "core/grid/grids/Grids.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

namespace sigmascope {

namespace {

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

class IntGroupGrid final : public RowGrid {
public:
    explicit IntGroupGrid(const IntGroupOptions& options)
        : RowGrid(options.bits, options.group),
          m_asymmetric(options.asymmetric),
          m_scale(options.scale),
          m_topCode(options.asymmetric ? (1 << options.bits) - 1 : (1 << options.bits) - 2)
    {
        assert(options.bits >= 2 && options.bits <= 8);
    }

    std::string id() const override
    {
        return fmt::format("int{}-{}{}{}", bits(), groupSize() == 0 ? "row" : fmt::format("g{}", groupSize()),
                           m_asymmetric ? "-asym" : "", scaleSuffix(m_scale));
    }
    std::vector<double> levels() const override
    {
        std::vector<double> values(static_cast<std::size_t>(m_topCode) + 1);
        const int first = m_asymmetric ? 0 : -m_topCode / 2;
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = first + static_cast<int>(i);
        return values;
    }

protected:
    Group fitted(std::span<const float> group, double reach) const override;
    void code(std::span<const float> weights, const Group& group, std::span<std::uint8_t> codes) const override;
    void restore(std::span<const std::uint8_t> codes, const Group& group, std::span<float> values) const override;
    std::size_t parameterBytes(std::size_t groups) const override
    {
        return groups * scaleBytes(m_scale) + (m_asymmetric ? packedBytes(groups, bits()) : 0);
    }
    void store(std::span<const Group> groups, std::span<std::byte> out) const override;
    void load(std::span<const std::byte> in, std::span<Group> groups) const override;
    float offsetOf(const Group& group) const override
    {
        return m_asymmetric ? static_cast<float>(-group.scale * group.zero) : 0.0F;
    }

private:
    bool m_asymmetric;
    ScaleType m_scale;
    int m_topCode;
};

RowGrid::Group IntGroupGrid::fitted(std::span<const float> group, double reach) const
{
    float low = 0;
    float high = 0;
    for (const float value : group) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
    if (!m_asymmetric) {
        const int qmax = m_topCode / 2;
        return {roundedScale(m_scale, static_cast<double>(std::max(high, -low)) * reach / qmax), qmax};
    }
    const double range = (static_cast<double>(high) - low) * reach;
    const double scale = roundedScale(m_scale, range / m_topCode);
    if (scale == 0 || !std::isfinite(scale))
        return {scale, 0};
    const double zero = roundEven(-static_cast<double>(low) * reach / scale);
    return {scale, static_cast<int>(std::clamp<double>(zero, 0, m_topCode))};
}

void IntGroupGrid::code(std::span<const float> weights, const Group& group, std::span<std::uint8_t> codes) const
{
    const double divisor = group.scale == 0 ? 1 : group.scale;
    const double top = m_topCode;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const double nearest = roundEven(static_cast<double>(weights[i]) / divisor) + group.zero;
        codes[i] = static_cast<std::uint8_t>(static_cast<int>(std::clamp(nearest, 0.0, top)));
    }
}

void IntGroupGrid::restore(std::span<const std::uint8_t> codes, const Group& group, std::span<float> values) const
{
    // qmax times a scale that was rounded up can pass the largest float by half a unit in its last place.
    constexpr double kLargest = std::numeric_limits<float>::max();
    for (std::size_t i = 0; i < codes.size(); ++i)
        values[i] = static_cast<float>(std::clamp(group.scale * (codes[i] - group.zero), -kLargest, kLargest));
}

void IntGroupGrid::store(std::span<const Group> groups, std::span<std::byte> out) const
{
    for (std::size_t g = 0; g < groups.size(); ++g)
        storeScale(m_scale, groups[g].scale, out.data() + g * scaleBytes(m_scale));
    if (!m_asymmetric)
        return;
    std::vector<std::uint8_t> zeros(groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g)
        zeros[g] = static_cast<std::uint8_t>(groups[g].zero);
    packBits(zeros, bits(), out.subspan(groups.size() * scaleBytes(m_scale)));
}

void IntGroupGrid::load(std::span<const std::byte> in, std::span<Group> groups) const
{
    for (std::size_t g = 0; g < groups.size(); ++g)
        groups[g] = {loadScale(m_scale, in.data() + g * scaleBytes(m_scale)), m_topCode / 2};
    if (!m_asymmetric)
        return;
    std::vector<std::uint8_t> zeros(groups.size());
    unpackBits(in.subspan(groups.size() * scaleBytes(m_scale)), bits(), zeros);
    for (std::size_t g = 0; g < groups.size(); ++g)
        groups[g].zero = zeros[g];
}

}  // namespace

std::unique_ptr<const Grid> makeIntGroup(const IntGroupOptions& options)
{
    return std::make_unique<IntGroupGrid>(options);
}

}  // namespace sigmascope
