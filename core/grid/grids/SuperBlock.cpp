// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Half.h"
#include "core/compute/ops/SuperBlockEncode.h"
#include "core/grid/grids/Grids.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cctype>
#include <cstring>

namespace sigmascope {

namespace {

constexpr std::uint64_t kSuper = 256;

/// One GGUF type of super-blocks of 256 elements: runs of 16 or 32 whose scales, for some types minima too, are coded
/// relative to one or two f16 of the super-block. A run is a group: its scale is what both codes make of it.
class SuperBlock final : public Grid, public ImportanceSearch {
public:
    /// @param lowest, highest  codes that occur, as multiples of the run's scale
    SuperBlock(DType type, int bits, std::uint64_t run, int lowest, int highest)
        : m_type(type)
        , m_bits(bits)
        , m_run(run)
        , m_lowest(lowest)
        , m_highest(highest)
    {
    }

    [[nodiscard]] std::string id() const override
    {
        std::string name(info(m_type).name);
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        return name;
    }
    [[nodiscard]] int bits() const override { return m_bits; }
    [[nodiscard]] std::uint64_t groupSize() const override { return m_run; }
    [[nodiscard]] bool accepts(std::uint64_t cols) const override { return cols > 0 && cols % kSuper == 0; }
    [[nodiscard]] std::size_t rowBytes(std::uint64_t cols) const override
    {
        assert(accepts(cols));
        return static_cast<std::size_t>(cols / kSuper) * superBytes();
    }
    [[nodiscard]] std::optional<DType> ggufType() const override { return m_type; }

    [[nodiscard]] Status encode(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out) const override
    {
        const auto coded = encodeSuperBlocks(m_type, weights, rows, cols, {}, out, JobContext{});
        return coded ? Status() : passOn(coded);
    }
    [[nodiscard]] const ImportanceSearch* importanceSearch() const override { return this; }
    [[nodiscard]] Result<std::string> encodeWeighted(std::span<const float> weights, std::uint64_t rows,
                                                     std::uint64_t cols, std::span<const float> importance,
                                                     std::span<std::byte> out, const JobContext& job) const override
    {
        return encodeSuperBlocks(m_type, weights, rows, cols, importance, out, job);
    }

    void decode(std::span<const std::byte> codes, [[maybe_unused]] std::uint64_t rows,
                [[maybe_unused]] std::uint64_t cols,
                std::span<float> out) const override
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
        std::vector<GroupScale> scales;
        scales.reserve(static_cast<std::size_t>(rows * cols / m_run));
        for (std::size_t at = 0; at < codes.size(); at += superBytes()) {
            for (std::size_t run = 0; run < kSuper / m_run; ++run)
                scales.push_back(scaleOf(codes.subspan(at, superBytes()), run));
        }
        return scales;
    }

private:
    [[nodiscard]] std::size_t superBytes() const { return info(m_type).blockBits / 8; }

    /// Products as decode() makes them.
    [[nodiscard]] GroupScale scaleOf(std::span<const std::byte> block, std::size_t run) const
    {
        const auto byte = [&](std::size_t at) { return std::to_integer<unsigned>(block[at]); };
        const auto scaled = [](float common, unsigned code) { return common * static_cast<float>(code); };
        switch (m_type) {
        case DType::Q2_K:
            return {scaled(halfAt(block, 80), byte(run) & 15U), -scaled(halfAt(block, 82), byte(run) >> 4)};
        case DType::Q3_K: {
            const unsigned low = run < 8 ? byte(96 + run) & 15U : byte(88 + run) >> 4;
            const unsigned high = (byte(104 + run % 4) >> (2 * (run / 4))) & 3U;
            return {halfAt(block, 108) * static_cast<float>(static_cast<int>(low | high << 4) - 32), 0};
        }
        case DType::Q6_K:
            return {halfAt(block, 208) * static_cast<float>(static_cast<std::int8_t>(block[192 + run])), 0};
        default:
            break;
        }
        unsigned scale = byte(4 + run) & 63U;
        unsigned minimum = byte(8 + run) & 63U;
        if (run >= 4) {
            scale = (byte(8 + run) & 15U) | (byte(run) >> 6) << 4;
            minimum = byte(8 + run) >> 4 | (byte(4 + run) >> 6) << 4;
        }
        return {scaled(halfAt(block, 0), scale), -scaled(halfAt(block, 2), minimum)};
    }
    static float halfAt(std::span<const std::byte> bytes, std::size_t at)
    {
        std::uint16_t half = 0;
        std::memcpy(&half, bytes.data() + at, sizeof(half));
        return f16ToFloat(half);
    }

    DType m_type;
    int m_bits;
    std::uint64_t m_run;
    int m_lowest, m_highest;
};

}  // namespace

const Grid& superBlockGrid(DType type)
{
    static const std::array grids{
        SuperBlock(DType::Q2_K, 2, 16, 0, 3),    SuperBlock(DType::Q3_K, 3, 16, -4, 3),
        SuperBlock(DType::Q4_K, 4, 32, 0, 15),   SuperBlock(DType::Q5_K, 5, 32, 0, 31),
        SuperBlock(DType::Q6_K, 6, 16, -32, 31),
    };
    for (const SuperBlock& grid : grids) {
        if (grid.ggufType() == type)
            return grid;
    }
    assert(false && "no super-block grid of this type");
    return grids.front();
}

}  // namespace sigmascope
