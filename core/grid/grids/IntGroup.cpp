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
#include "core/base/Rounding.h"
#include "core/compute/Kernels.h"
#include "core/grid/BitPacking.h"
#include "core/grid/RowGrid.h"
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
    void fit(const Row& row, std::span<const double> reach, std::span<Group> groups) const override;
    void code(const Row& row, std::span<const Group> groups, std::span<std::uint8_t> codes) const override;
    void restore(std::span<const std::uint8_t> codes, std::size_t length, std::span<const Group> groups,
                 std::span<float> values) const override;
    double lost(std::span<const float> group, std::span<const double> importance,
                const Group& parameters) const override;
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
    /// Kernels take scales that are floats, and far from overflow.
    [[nodiscard]] bool isForKernels(std::span<const Group> groups) const
    {
        return m_scale == ScaleType::F16
            || (m_scale == ScaleType::F32
                && std::ranges::all_of(groups, [](const Group& group) { return group.scale < 1e36; }));
    }
    [[nodiscard]] Group fromRange(float low, float high, double reach) const;
    void codePlainly(std::span<const float> weights, const Group& group, std::span<std::uint8_t> codes) const;

    bool m_asymmetric;
    ScaleType m_scale;
    int m_topCode;
};

/// The range includes 0.
RowGrid::Group IntGroupGrid::fromRange(float low, float high, double reach) const
{
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

void IntGroupGrid::fit(const Row& row, std::span<const double> reach, std::span<Group> groups) const
{
    std::array<float, kGroupsAtOnce> low{};
    std::array<float, kGroupsAtOnce> high{};
    for (std::size_t first = 0; first < groups.size(); first += kGroupsAtOnce) {
        const std::size_t count = std::min(kGroupsAtOnce, groups.size() - first);
        const auto weights = row.part(first, count).weights;
        if (m_asymmetric)
            kernelTable().groupRanges(weights.data(), weights.size(), row.length, low.data(), high.data());
        else
            kernelTable().groupMagnitudes(weights.data(), weights.size(), row.length, high.data());
        for (std::size_t g = 0; g < count; ++g)
            groups[first + g] = fromRange(low[g], high[g], reach.empty() ? 1.0 : reach[first + g]);
    }
}

/// The formula itself.
void IntGroupGrid::codePlainly(std::span<const float> weights, const Group& group, std::span<std::uint8_t> codes) const
{
    const double divisor = group.scale == 0 ? 1 : group.scale;
    const double top = m_topCode;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const double nearest = roundEven(static_cast<double>(weights[i]) / divisor) + group.zero;
        codes[i] = static_cast<std::uint8_t>(static_cast<int>(std::clamp(nearest, 0.0, top)));
    }
}

void IntGroupGrid::code(const Row& row, std::span<const Group> groups, std::span<std::uint8_t> codes) const
{
    if (!isForKernels(groups)) {
        for (std::size_t g = 0; g < groups.size(); ++g)
            codePlainly(row.group(g), groups[g], codes.subspan(g * row.length));
        return;
    }
    std::array<double, kGroupsAtOnce> inverse{};
    std::array<std::int32_t, kGroupsAtOnce> zero{};
    for (std::size_t first = 0; first < groups.size(); first += kGroupsAtOnce) {
        const std::size_t count = std::min(kGroupsAtOnce, groups.size() - first);
        for (std::size_t g = 0; g < count; ++g) {
            inverse[g] = groups[first + g].scale == 0 ? 0 : 1 / groups[first + g].scale;
            zero[g] = groups[first + g].zero;
        }
        const auto weights = row.part(first, count).weights;
        kernelTable().codeGroups(weights.data(), weights.size(), row.length, inverse.data(), zero.data(), m_topCode,
                                 codes.data() + first * row.length);
    }
}

void IntGroupGrid::restore(std::span<const std::uint8_t> codes, std::size_t length, std::span<const Group> groups,
                           std::span<float> values) const
{
    if (!isForKernels(groups)) {
        // qmax times a scale that was rounded up can pass the largest float by half a unit in its last place.
        constexpr double kLargest = std::numeric_limits<float>::max();
        for (std::size_t i = 0; i < codes.size(); ++i) {
            const Group& group = groups[i / length];
            values[i] = static_cast<float>(std::clamp(group.scale * (codes[i] - group.zero), -kLargest, kLargest));
        }
        return;
    }
    std::array<float, kGroupsAtOnce> scale{};
    std::array<std::int32_t, kGroupsAtOnce> zero{};
    for (std::size_t first = 0; first < groups.size(); first += kGroupsAtOnce) {
        const std::size_t count = std::min(kGroupsAtOnce, groups.size() - first);
        for (std::size_t g = 0; g < count; ++g) {
            scale[g] = static_cast<float>(groups[first + g].scale);
            zero[g] = groups[first + g].zero;
        }
        const std::size_t begin = first * length;
        kernelTable().restoreGroups(codes.data() + begin, std::min(count * length, codes.size() - begin), length,
                                    scale.data(), zero.data(), values.data() + begin);
    }
}

double IntGroupGrid::lost(std::span<const float> group, std::span<const double> importance,
                          const Group& parameters) const
{
    if (!isForKernels({&parameters, 1}))
        return RowGrid::lost(group, importance, parameters);
    return kernelTable().groupLoss(group.data(), importance.empty() ? nullptr : importance.data(), group.size(),
                                   static_cast<float>(parameters.scale),
                                   parameters.scale == 0 ? 0 : 1 / parameters.scale, parameters.zero, m_topCode);
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
