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
#include "core/base/Rounding.h"
#include "core/compute/Kernels.h"
#include "core/grid/RowGrid.h"
#include "core/grid/grids/Grids.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
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
    void fit(const Row& row, std::span<const double> reach, std::span<Group> groups) const override
    {
        std::array<float, kGroupsAtOnce> amax{};
        for (std::size_t first = 0; first < groups.size(); first += kGroupsAtOnce) {
            const std::size_t count = std::min(kGroupsAtOnce, groups.size() - first);
            const auto weights = row.part(first, count).weights;
            kernelTable().groupMagnitudes(weights.data(), weights.size(), row.length, amax.data());
            for (std::size_t g = 0; g < count; ++g)
                groups[first + g] = {scaleFor(reach.empty() ? amax[g] : amax[g] * reach[first + g]), 0};
        }
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
    void code(const Row& row, std::span<const Group> groups, std::span<std::uint8_t> codes) const override
    {
        std::array<float, kGroupsAtOnce * 15> middles{};
        for (std::size_t first = 0; first < groups.size(); first += kGroupsAtOnce) {
            const std::size_t count = std::min(kGroupsAtOnce, groups.size() - first);
            for (std::size_t g = 0; g < count; ++g)
                scaleMiddles(groups[first + g], std::span(middles).subspan(g * middleCount(), middleCount()));
            const auto weights = row.part(first, count).weights;
            kernelTable().codeLevels(weights.data(), weights.size(), row.length, middles.data(), middleCount(),
                                     codes.data() + first * row.length);
        }
    }
    void restore(std::span<const std::uint8_t> codes, std::size_t length, std::span<const Group> groups,
                 std::span<float> values) const override
    {
        for (std::size_t g = 0; g < groups.size(); ++g) {
            const std::array<float, 16> scaled = scaledLevels(groups[g]);
            const std::size_t end = std::min((g + 1) * length, codes.size());
            for (std::size_t i = g * length; i < end; ++i)
                values[i] = scaled[codes[i]];
        }
    }
    double lost(std::span<const float> group, std::span<const double> importance,
                const Group& parameters) const override
    {
        std::array<float, 15> middles{};
        scaleMiddles(parameters, std::span(middles).first(middleCount()));
        return kernelTable().levelLoss(group.data(), importance.empty() ? nullptr : importance.data(), group.size(),
                                       middles.data(), scaledLevels(parameters).data(), middleCount());
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
    [[nodiscard]] std::size_t middleCount() const { return m_levels.size() - 1; }
    [[nodiscard]] double scaleFor(double amax) const
    {
        if (m_doubleQuantized || amax == 0)
            return amax;
        return std::max<double>(f16ToFloat(floatToF16(static_cast<float>(amax))), 0x1.0p-24);
    }
    /// The largest floats whose quotient by the scale is not above a middle: what weights are compared with instead of
    /// being divided. Floats are so much coarser than doubles that the nearest one to scale * middle is it, or the one
    /// before it.
    void scaleMiddles(const Group& group, std::span<float> out) const
    {
        const double divisor = group.scale == 0 ? 1 : group.scale;
        for (std::size_t m = 0; m < out.size(); ++m) {
            const auto nearest = static_cast<float>(divisor * m_middles[m]);
            const auto bits = std::bit_cast<std::int32_t>(nearest);
            // As an integer with the order of the float: less one is the float before it.
            const std::int32_t key = bits ^ ((bits >> 31) & 0x7FFFFFFF);
            const std::int32_t upTo = key - (static_cast<double>(nearest) / divisor > m_middles[m] ? 1 : 0);
            out[m] = std::bit_cast<float>(upTo ^ ((upTo >> 31) & 0x7FFFFFFF));
        }
    }
    [[nodiscard]] std::array<float, 16> scaledLevels(const Group& group) const
    {
        std::array<float, 16> scaled{};
        for (std::size_t i = 0; i < m_levels.size(); ++i)
            scaled[i] = static_cast<float>(group.scale * static_cast<double>(m_levels[i])) + 0.0F;  // not -0
        return scaled;
    }
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
