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

#include "core/grid/RowGrid.h"
#include "core/grid/grids/Grids.h"

#include <fmt/format.h>

#include <algorithm>
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
    Group fitted(std::span<const float> group, double reach) const override
    {
        double amax = 0;
        for (const float value : group)
            amax = std::max(amax, std::abs(static_cast<double>(value)));
        amax *= reach;
        if (amax == 0)
            return {0, m_qmax};
        int exponent = 0;
        const double mantissa = std::frexp(amax, &exponent);  // amax = mantissa * 2^exponent, mantissa in [0.5, 1)
        if (m_blockFloat)
            return {stepOf(std::clamp(mantissa == 0.5 ? exponent - 1 : exponent, 1 - kBias, 128)), m_qmax};
        return {exponent - 1 <= -kBias ? 0 : stepOf(std::min(exponent - 1, kBias)), m_qmax};
    }
    void code(std::span<const float> weights, const Group& group, std::span<std::uint8_t> codes) const override
    {
        const double inverse = group.scale == 0 ? 0 : 1 / group.scale;  // exact: a power of two
        const double limit = m_qmax;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const double weight = isKept(weights[i]) ? static_cast<double>(weights[i]) : 0.0;
            const double nearest = std::clamp(roundEven(weight * inverse), -limit, limit);
            codes[i] = static_cast<std::uint8_t>(static_cast<int>(nearest) + m_qmax);
        }
    }
    void restore(std::span<const std::uint8_t> codes, const Group& group, std::span<float> values) const override
    {
        for (std::size_t i = 0; i < codes.size(); ++i)
            values[i] = static_cast<float>(group.scale * (codes[i] - m_qmax));
    }
    std::size_t parameterBytes(std::size_t groups) const override { return groups; }
    void store(std::span<const Group> groups, std::span<std::byte> out) const override
    {
        for (std::size_t g = 0; g < groups.size(); ++g)
            out[g] = static_cast<std::byte>(groups[g].scale == 0 ? 0 : std::ilogb(groups[g].scale) + shift() + kBias);
    }
    void load(std::span<const std::byte> in, std::span<Group> groups) const override
    {
        for (std::size_t g = 0; g < groups.size(); ++g) {
            const int byte = std::to_integer<int>(in[g]);
            groups[g] = {byte == 0 ? 0 : stepOf(byte - kBias), m_qmax};
        }
    }

private:
    /// Between the stored exponent and the step's.
    int shift() const { return m_blockFloat ? bits() - 1 : bits() - 2; }
    double stepOf(int exponent) const { return std::ldexp(1.0, exponent - shift()); }
    bool isKept(float value) const { return m_blockFloat || std::abs(value) >= std::numeric_limits<float>::min(); }

    bool m_blockFloat;
    int m_qmax;
};

}  // namespace

std::unique_ptr<const Grid> makeMxInt(int bits, std::uint64_t block, bool blockFloat)
{
    return std::make_unique<MxIntGrid>(bits, block, blockFloat);
}

}  // namespace sigmascope
