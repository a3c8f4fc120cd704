// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Half.h"
#include "core/compute/ops/BlockEncode.h"
#include "core/grid/grids/Grids.h"
#include "core/tensor/Decode.h"

#include <array>
#include <cassert>
#include <cctype>
#include <cstring>

namespace sigmascope {

namespace {

constexpr std::uint64_t kBlock = 32;

/// One GGUF block type of 32 elements: the scale, for Q4_1 and Q5_1 the minimum, then the codes.
class GgufBlock final : public Grid {
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

    void decode(std::span<const std::byte> codes, std::uint64_t rows, std::uint64_t cols, std::span<float> out) const override
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

private:
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
