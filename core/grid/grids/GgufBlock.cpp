// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Half.h"
#include "core/base/Rounding.h"
#include "core/compute/Kernels.h"
#include "core/compute/ops/BlockEncode.h"
#include "core/compute/ops/RowBlockEncode.h"
#include "core/grid/RowGrid.h"
#include "core/grid/grids/Grids.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cctype>
#include <cmath>
#include <cstring>
#include <limits>

namespace sigmascope {

namespace {

constexpr std::uint64_t kBlock = 32;

/// One GGUF block type of 32 elements: the scale, for Q4_1 and Q5_1 the minimum, then the codes. The range of a block
/// without a minimum can be clipped.
class GgufBlock final : public Grid, public ClipRange, public ImportanceSearch {
public:
    /// @param lowest, highest  codes that occur, as multiples of the scale
    GgufBlock(DType type, int bits, int lowest, int highest, bool hasMinimum)
        : m_type(type), m_bits(bits), m_lowest(lowest), m_highest(highest), m_hasMinimum(hasMinimum)
    {
    }

    [[nodiscard]] std::string id() const override
    {
        std::string name(info(m_type).name);
        for (char& c : name)
            c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        return name;
    }
    [[nodiscard]] int bits() const override { return m_bits; }
    [[nodiscard]] std::uint64_t groupSize() const override { return kBlock; }
    [[nodiscard]] bool accepts(std::uint64_t cols) const override { return cols % kBlock == 0; }
    [[nodiscard]] std::size_t rowBytes(std::uint64_t cols) const override
    {
        assert(accepts(cols));
        return static_cast<std::size_t>(cols / kBlock) * blockBytes();
    }
    [[nodiscard]] std::optional<DType> ggufType() const override { return m_type; }

    [[nodiscard]] Status encode(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out) const override
    {
        return encodeBlocks(m_type, weights, rows, cols, out, JobContext{});
    }

    void decode(std::span<const std::byte> codes, [[maybe_unused]] std::uint64_t rows,
                [[maybe_unused]] std::uint64_t cols, std::span<float> out) const override
    {
        assert(codes.size() == rows * rowBytes(cols) && out.size() == rows * cols);
        sigmascope::decode(m_type, codes, out);
    }

    [[nodiscard]] std::vector<double> levels() const override
    {
        std::vector<double> values;
        for (int code = m_lowest; code <= m_highest; ++code)
            values.push_back(code);
        return values;
    }

    [[nodiscard]] std::vector<GroupScale> groupScales(std::span<const std::byte> codes, std::uint64_t rows,
                                                      std::uint64_t cols) const override
    {
        assert(codes.size() == rows * rowBytes(cols));
        std::vector<GroupScale> scales(static_cast<std::size_t>(rows * cols / kBlock));
        for (std::size_t block = 0; block < scales.size(); ++block) {
            const auto at = codes.subspan(block * blockBytes());
            scales[block].scale = halfAt(at);
            scales[block].offset = m_hasMinimum ? halfAt(at.subspan(2)) : 0.0F;
        }
        return scales;
    }

    /// Q8_0 takes none, in ggml either.
    [[nodiscard]] const ImportanceSearch* importanceSearch() const override { return hasRowBlockSearch(m_type) ? this : nullptr; }
    [[nodiscard]] Result<std::string> encodeWeighted(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                                     std::span<const float> importance, std::span<std::byte> out,
                                                     const JobContext& job) const override
    {
        return encodeRowBlocks(m_type, weights, rows, cols, importance, out, job);
    }

    [[nodiscard]] const ClipRange* clipRange() const override { return m_hasMinimum ? nullptr : this; }
    [[nodiscard]] double clippedError(std::span<const float> group, std::span<const double> importance,
                                      double reach) const override
    {
        const float scale = clippedScale(group, reach);
        if (!std::isfinite(scale))
            return std::numeric_limits<double>::infinity();
        // nearestCode() times the scale, as decode() has it.
        return kernelTable().groupLoss(group.data(), importance.empty() ? nullptr : importance.data(), group.size(), scale,
                                       scale == 0 ? 0 : 1 / static_cast<double>(scale), -m_lowest, m_highest - m_lowest);
    }
    void recode(std::span<const float> row, std::span<const double> reach, std::span<std::byte> coded) const override
    {
        assert(!m_hasMinimum && reach.size() == row.size() / kBlock);
        for (std::size_t block = 0; block < reach.size(); ++block) {
            if (reach[block] != 1)
                storeBlock(row.subspan(block * kBlock, kBlock), reach[block], coded.subspan(block * blockBytes(), blockBytes()));
        }
    }
    /// Q4_0 and Q5_0 have one level more on the side of their largest weight.
    [[nodiscard]] double widestReach() const override
    {
        return m_lowest == -m_highest ? 1.0 : static_cast<double>(m_lowest) / -m_highest;
    }

private:
    /// The value of largest magnitude, or what is kept of it, takes the lowest code (Q8_0: the highest).
    [[nodiscard]] float clippedScale(std::span<const float> block, double reach) const
    {
        float low = 0;
        float high = 0;
        kernelTable().groupRanges(block.data(), block.size(), block.size(), &low, &high);
        // Of two that are equally far out the first counts.
        const float largest = high != -low ? (high > -low ? high : low)
                                           : *std::ranges::max_element(block, {}, [](float w) { return std::abs(w); });
        const double outermost = m_lowest == -m_highest ? m_highest : m_lowest;
        const double extreme = m_lowest == -m_highest ? std::abs(largest) : largest;
        return f16ToFloat(floatToF16(static_cast<float>(extreme * reach / outermost)));
    }
    [[nodiscard]] int nearestCode(float weight, float scale) const
    {
        if (scale == 0)
            return 0;
        return static_cast<int>(std::clamp<double>(roundEven(static_cast<double>(weight) / scale), m_lowest, m_highest));
    }
    void storeBlock(std::span<const float> weights, double reach, std::span<std::byte> out) const
    {
        const float scale = clippedScale(weights, reach);
        const std::uint16_t half = floatToF16(scale);
        std::array<unsigned, kBlock> codes{};
        std::uint32_t fifth = 0;
        for (std::size_t e = 0; e < kBlock; ++e) {
            // Q4_0 and Q5_0 store the code less the lowest one, Q8_0 the code itself.
            codes[e] = static_cast<unsigned>(nearestCode(weights[e], scale) - (m_bits == 8 ? 0 : m_lowest));
            fifth |= ((codes[e] >> 4) & 1U) << e;
        }
        std::memcpy(out.data(), &half, sizeof half);
        if (m_bits == 8) {
            for (std::size_t e = 0; e < kBlock; ++e)
                out[2 + e] = static_cast<std::byte>(codes[e] & 0xFFU);
            return;
        }
        if (m_bits == 5)
            std::memcpy(out.data() + 2, &fifth, sizeof fifth);
        const std::size_t nibbles = m_bits == 5 ? 6 : 2;
        for (std::size_t e = 0; e < kBlock / 2; ++e)
            out[nibbles + e] = static_cast<std::byte>((codes[e] & 15U) | (codes[e + kBlock / 2] & 15U) << 4);
    }
    [[nodiscard]] std::size_t blockBytes() const { return info(m_type).blockBits / 8; }
    static float halfAt(std::span<const std::byte> bytes)
    {
        std::uint16_t half = 0;
        std::memcpy(&half, bytes.data(), sizeof(half));
        return f16ToFloat(half);
    }

    DType m_type;
    int m_bits, m_lowest, m_highest;
    bool m_hasMinimum;
};

}  // namespace

const Grid& ggufBlockGrid(DType type)
{
    // Q8_0 has no code -128: its scale is amax / 127.
    static const std::array grids{
        GgufBlock(DType::Q8_0, 8, -127, 127, false), GgufBlock(DType::Q4_0, 4, -8, 7, false),
        GgufBlock(DType::Q4_1, 4, 0, 15, true),      GgufBlock(DType::Q5_0, 5, -16, 15, false),
        GgufBlock(DType::Q5_1, 5, 0, 31, true),
    };
    for (const GgufBlock& grid : grids) {
        if (grid.ggufType() == type)
            return grid;
    }
    assert(false && "no GGUF block grid of this type");
    return grids.front();
}

}  // namespace sigmascope
