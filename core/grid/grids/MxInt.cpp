// SPDX-License-Identifier: GPL-3.0-or-later
//
// MXINT: whole multiples of a power of two that a block of 16 or 32 consecutive elements of a row shares
// (methods-lowrank §3.1). A coded row is
//
//   [exponents][codes]
//
// exponents: one byte per block; codes: w bits per element, -qmax...qmax with qmax = 2^(w-1) - 1, stored plus qmax.
//
// As QERA ships it ("mxint"): E = floor(log2 amax), step = 2^(E - (w - 2)), byte = E + 127. Elements below the normal
// floats become 0.
// As LQER ships it ("bfp", block_fp): e = ceil(log2 amax) within [-126, 128], step = 2^(e - (w - 1)), byte = e + 127.
// (LQER's lowest exponent is -127, which only blocks of subnormal floats have; and its addition of 1e-9 is left out:
// 0 stays 0.) Byte 0 is a block of zeros.
//
// The two differ where amax is a power of two: then bfp clips it by one step. Otherwise both clip at most half a step
// above qmax. A step is exact in float, so what is stored is what is decoded.

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
#include <limits>

namespace sigmascope {

namespace {

constexpr int kBias = 127;

class MxIntGrid final : public RowGrid {
public:
    MxIntGrid(int bits, std::uint64_t block, bool blockFloat)
        : RowGrid(bits, block), m_blockFloat(blockFloat), m_qmax((1 << (bits - 1)) - 1)
    {
        assert(bits >= 2 && bits <= 8 && block > 0);
        m_zeros.fill(m_qmax);
    }

    std::string id() const override
    {
        return fmt::format("{}{}-b{}", m_blockFloat ? "bfp" : "mxint", bits(), groupSize());
    }
    std::vector<double> levels() const override
    {
        std::vector<double> values;
        for (int code = -m_qmax; code <= m_qmax; ++code)
            values.push_back(code);
        return values;
    }
    /// The next larger exponent: of use where the outermost weights are clipped.
    double widestReach() const override { return 2; }

protected:
    void fit(const Row& row, std::span<const double> reach, std::span<Group> groups) const override
    {
        std::array<float, kGroupsAtOnce> amax{};
        for (std::size_t first = 0; first < groups.size(); first += kGroupsAtOnce) {
            const std::size_t count = std::min(kGroupsAtOnce, groups.size() - first);
            const auto weights = row.part(first, count).weights;
            kernelTable().groupMagnitudes(weights.data(), weights.size(), row.length, amax.data());
            for (std::size_t g = 0; g < count; ++g)
                groups[first + g] = {scaleFor(reach.empty() ? amax[g] : amax[g] * reach[first + g]), m_qmax};
        }
    }
    void code(const Row& row, std::span<const Group> groups, std::span<std::uint8_t> codes) const override
    {
        if (!std::ranges::all_of(groups, [this](const Group& group) { return roundsSubnormals(group); })) {
            codeSmall(row, groups, codes);
            return;
        }
        std::array<double, kGroupsAtOnce> inverse{};
        for (std::size_t first = 0; first < groups.size(); first += kGroupsAtOnce) {
            const std::size_t count = std::min(kGroupsAtOnce, groups.size() - first);
            for (std::size_t g = 0; g < count; ++g)
                inverse[g] = inverseOf(groups[first + g]);
            const auto weights = row.part(first, count).weights;
            kernelTable().codeGroups(weights.data(), weights.size(), row.length, inverse.data(), m_zeros.data(),
                                     2 * m_qmax, codes.data() + first * row.length);
        }
    }
    void restore(std::span<const std::uint8_t> codes, std::size_t length, std::span<const Group> groups,
                 std::span<float> values) const override
    {
        std::array<float, kGroupsAtOnce> scale{};
        for (std::size_t first = 0; first < groups.size(); first += kGroupsAtOnce) {
            const std::size_t count = std::min(kGroupsAtOnce, groups.size() - first);
            for (std::size_t g = 0; g < count; ++g)
                scale[g] = static_cast<float>(groups[first + g].scale);
            const std::size_t begin = first * length;
            kernelTable().restoreGroups(codes.data() + begin, std::min(count * length, codes.size() - begin), length,
                                        scale.data(), m_zeros.data(), values.data() + begin);
        }
    }
    double lost(std::span<const float> group, std::span<const double> importance,
                const Group& parameters) const override
    {
        if (!roundsSubnormals(parameters))
            return RowGrid::lost(group, importance, parameters);
        return kernelTable().groupLoss(group.data(), importance.empty() ? nullptr : importance.data(), group.size(),
                                       static_cast<float>(parameters.scale), inverseOf(parameters), m_qmax, 2 * m_qmax);
    }
    std::size_t parameterBytes(std::size_t groups) const override { return groups; }
    void store(std::span<const Group> groups, std::span<std::byte> out) const override
    {
        for (std::size_t g = 0; g < groups.size(); ++g)
            out[g] = static_cast<std::byte>(groups[g].scale == 0 ? 0 : exponentOf(groups[g].scale) + shift() + kBias);
    }
    void load(std::span<const std::byte> in, std::span<Group> groups) const override
    {
        for (std::size_t g = 0; g < groups.size(); ++g) {
            const int byte = std::to_integer<int>(in[g]);
            // The largest exponent that encode() writes: a file may hold one more, and a step is to stay a float.
            groups[g] = {byte == 0 ? 0 : stepOf(std::min(byte - kBias, m_blockFloat ? kBias + 1 : kBias)), m_qmax};
        }
    }

private:
    /// Of a positive double: e with 2^e <= value < 2^(e + 1).
    static int exponentOf(double value)
    {
        const auto bits = static_cast<int>(std::bit_cast<std::uint64_t>(value) >> 52);
        return bits == 0 ? std::ilogb(value) : bits - 1023;
    }
    /// 2^exponent, within the normal doubles.
    static double powerOf(int exponent)
    {
        return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
    }
    /// Between the stored exponent and the step's.
    int shift() const { return m_blockFloat ? bits() - 1 : bits() - 2; }
    double stepOf(int exponent) const { return powerOf(exponent - shift()); }
    double scaleFor(double amax) const
    {
        if (amax == 0 || !std::isfinite(amax))
            return amax;
        const int exponent = exponentOf(amax);
        if (!m_blockFloat)
            return exponent <= -kBias ? 0 : stepOf(std::min(exponent, kBias));
        return stepOf(std::clamp(powerOf(exponent) == amax ? exponent : exponent + 1, 1 - kBias, 128));
    }
    static double inverseOf(const Group& group) { return group.scale == 0 ? 0 : 1 / group.scale; }

    /// True where elements below the normal floats are coded as 0 anyway, or may have codes.
    bool roundsSubnormals(const Group& group) const
    {
        return m_blockFloat || group.scale == 0 || group.scale >= 4.0 * std::numeric_limits<float>::min();
    }
    void codeSmall(const Row& row, std::span<const Group> groups, std::span<std::uint8_t> codes) const
    {
        const double limit = m_qmax;
        for (std::size_t i = 0; i < codes.size(); ++i) {
            const double weight = std::abs(row.weights[i]) >= std::numeric_limits<float>::min() ? row.weights[i] : 0.0F;
            const double nearest = roundEven(weight * inverseOf(groups[i / row.length]));
            codes[i] = static_cast<std::uint8_t>(static_cast<int>(std::clamp(nearest, -limit, limit)) + m_qmax);
        }
    }

    bool m_blockFloat;
    int m_qmax;
    std::array<std::int32_t, kGroupsAtOnce> m_zeros{};  ///< all m_qmax
};

}  // namespace

std::unique_ptr<const Grid> makeMxInt(int bits, std::uint64_t block, bool blockFloat)
{
    return std::make_unique<MxIntGrid>(bits, block, blockFloat);
}

}  // namespace sigmascope
