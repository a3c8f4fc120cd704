// SPDX-License-Identifier: GPL-3.0-or-later
//
// NormalFloat: levels at quantiles of the normal distribution, the outermost at -1 and 1, one of them 0
// (methods-grid §4.1; QLoRA). A coded row is [scales][codes]; value = scale * level, scale = amax of the group.
//
// "nf4-g64": one f16 per group. "nf4-g64-dq", scales coded once more, by rows, so that rows stay independent: one f32
// for every 256 groups of the row (their largest amax), then one byte q per group, scale = largest * q / 255; a group
// that is not all zeros has q >= 1. Codes are chosen after the scale is rounded; a weight half way between two levels
// takes the lower one. A scale that would round to 0 although the group is not 0 becomes 2^-24.

#include "core/base/Half.h"
#include "core/grid/RowGrid.h"
#include "core/grid/grids/Grids.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>

namespace sigmascope {

namespace {

/// As bitsandbytes has them.
constexpr std::array<float, 16> kNf4{-1.0F,
                                     -0.6961928009986877F,
                                     -0.5250730514526367F,
                                     -0.39491748809814453F,
                                     -0.28444138169288635F,
                                     -0.18477343022823334F,
                                     -0.09105003625154495F,
                                     0.0F,
                                     0.07958029955625534F,
                                     0.16093020141124725F,
                                     0.24611230194568634F,
                                     0.33791524171829224F,
                                     0.44070982933044434F,
                                     0.5626170039176941F,
                                     0.7229568362236023F,
                                     1.0F};
/// The same construction with eight levels; our addition.
constexpr std::array<float, 8> kNf3{-1.0F,       -0.4786292F, -0.2171418F, 0.0F,
                                    0.1609302F, 0.3379152F,  0.5626170F,  1.0F};
constexpr std::size_t kGroupsPerTop = 256;
constexpr double kTopCode = 255;

class NormalFloatGrid final : public RowGrid {
public:
    NormalFloatGrid(int bits, std::uint64_t group, bool doubleQuantized)
        : RowGrid(bits, group),
          m_doubleQuantized(doubleQuantized),
          m_levels(bits == 4 ? std::span<const float>(kNf4) : std::span<const float>(kNf3))
    {
        assert(bits == 3 || bits == 4);
        for (std::size_t i = 0; i + 1 < m_levels.size(); ++i)
            m_middles[i] = (static_cast<double>(m_levels[i]) + m_levels[i + 1]) / 2;
    }

    std::string id() const override
    {
        return fmt::format("nf{}-g{}{}", bits(), groupSize(), m_doubleQuantized ? "-dq" : "");
    }
    std::vector<double> levels() const override { return {m_levels.begin(), m_levels.end()}; }
    const ClipRange* clipRange() const override { return m_doubleQuantized ? nullptr : this; }

protected:
    Group fitted(std::span<const float> group, double reach) const override
    {
        double amax = 0;
        for (const float value : group)
            amax = std::max(amax, std::abs(static_cast<double>(value)));
        amax *= reach;
        if (m_doubleQuantized || amax == 0)
            return {amax, 0};
        return {std::max<double>(f16ToFloat(floatToF16(static_cast<float>(amax))), 0x1.0p-24), 0};
    }
    void settle(std::span<Group> row) const override
    {
        if (!m_doubleQuantized)
            return;
        for (std::size_t first = 0; first < row.size(); first += kGroupsPerTop) {
            const auto part = row.subspan(first, std::min(kGroupsPerTop, row.size() - first));
            const double top = topOf(part);
            for (Group& group : part)
                group = restored(top, codeOf(group.scale, top));
        }
    }
    void code(std::span<const float> weights, const Group& group, std::span<std::uint8_t> codes) const override
    {
        const double divisor = group.scale == 0 ? 1 : group.scale;
        const std::size_t middles = m_levels.size() - 1;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const double position = static_cast<double>(weights[i]) / divisor;
            unsigned above = 0;
            for (std::size_t m = 0; m < middles; ++m)
                above += position > m_middles[m] ? 1U : 0U;
            codes[i] = static_cast<std::uint8_t>(above);
        }
    }
    void restore(std::span<const std::uint8_t> codes, const Group& group, std::span<float> values) const override
    {
        std::array<float, 16> scaled{};
        for (std::size_t i = 0; i < m_levels.size(); ++i)
            scaled[i] = static_cast<float>(group.scale * static_cast<double>(m_levels[i])) + 0.0F;  // not -0
        for (std::size_t i = 0; i < codes.size(); ++i)
            values[i] = scaled[codes[i]];
    }
    std::size_t parameterBytes(std::size_t groups) const override
    {
        if (!m_doubleQuantized)
            return 2 * groups;
        return 4 * ((groups + kGroupsPerTop - 1) / kGroupsPerTop) + groups;
    }
    void store(std::span<const Group> groups, std::span<std::byte> out) const override;
    void load(std::span<const std::byte> in, std::span<Group> groups) const override;

private:
    /// Largest scale: settled scales have it too, since the largest one's code is 255.
    static double topOf(std::span<const Group> groups) { return std::ranges::max(groups, {}, &Group::scale).scale; }
    static int codeOf(double scale, double top)
    {
        return scale == 0 ? 0 : std::max(1, static_cast<int>(roundEven(scale / top * kTopCode)));
    }
    static Group restored(double top, int code) { return {top * code / kTopCode, 0}; }

    bool m_doubleQuantized;
    std::span<const float> m_levels;
    std::array<double, 15> m_middles{};
};

void NormalFloatGrid::store(std::span<const Group> groups, std::span<std::byte> out) const
{
    if (!m_doubleQuantized) {
        for (std::size_t g = 0; g < groups.size(); ++g) {
            const std::uint16_t bits = floatToF16(static_cast<float>(groups[g].scale));
            std::memcpy(out.data() + 2 * g, &bits, sizeof bits);
        }
        return;
    }
    std::byte* codes = out.data() + (out.size() - groups.size());
    for (std::size_t first = 0; first < groups.size(); first += kGroupsPerTop) {
        const auto part = groups.subspan(first, std::min(kGroupsPerTop, groups.size() - first));
        const double top = topOf(part);
        const auto stored = static_cast<float>(top);  // exact: the amax of floats
        std::memcpy(out.data() + 4 * (first / kGroupsPerTop), &stored, sizeof stored);
        for (std::size_t i = 0; i < part.size(); ++i)
            codes[first + i] = static_cast<std::byte>(codeOf(part[i].scale, top));
    }
}

void NormalFloatGrid::load(std::span<const std::byte> in, std::span<Group> groups) const
{
    if (!m_doubleQuantized) {
        for (std::size_t g = 0; g < groups.size(); ++g) {
            std::uint16_t bits = 0;
            std::memcpy(&bits, in.data() + 2 * g, sizeof bits);
            groups[g] = {f16ToFloat(bits), 0};
        }
        return;
    }
    const std::byte* codes = in.data() + (in.size() - groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
        float top = 0;
        std::memcpy(&top, in.data() + 4 * (g / kGroupsPerTop), sizeof top);
        groups[g] = restored(top, std::to_integer<int>(codes[g]));
    }
}

}  // namespace

std::unique_ptr<const Grid> makeNormalFloat(int bits, std::uint64_t group, bool doubleQuantized)
{
    return std::make_unique<NormalFloatGrid>(bits, group, doubleQuantized);
}

}  // namespace sigmascope
