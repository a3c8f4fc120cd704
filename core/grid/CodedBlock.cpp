// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/CodedBlock.h"

#include "core/base/Half.h"
#include "core/compute/ops/LevelEncode.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <cassert>
#include <cctype>
#include <cstring>
#include <utility>

namespace sigmascope {

CodedBlock::CodedBlock(DType type, int bits, std::uint64_t group, std::vector<double> levels)
    : m_type(type)
    , m_bits(bits)
    , m_group(group)
    , m_levels(std::move(levels))
{
    assert(std::ranges::is_sorted(m_levels) && info(type).blockElements % group == 0);
}

std::string CodedBlock::id() const
{
    std::string name(info(m_type).name);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return name;
}

bool CodedBlock::accepts(std::uint64_t cols) const
{
    return cols > 0 && cols % info(m_type).blockElements == 0;
}

std::size_t CodedBlock::rowBytes(std::uint64_t cols) const
{
    assert(accepts(cols));
    return static_cast<std::size_t>(cols / info(m_type).blockElements * (info(m_type).blockBits / 8));
}

Status CodedBlock::encode(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                          std::span<std::byte> out) const
{
    const auto coded = encodeLevels(m_type, weights, rows, cols, {}, out, JobContext{});
    return coded ? Status() : passOn(coded);
}

void CodedBlock::decode(std::span<const std::byte> codes, [[maybe_unused]] std::uint64_t rows,
                        [[maybe_unused]] std::uint64_t cols, std::span<float> out) const
{
    assert(codes.size() == rows * rowBytes(cols) && out.size() == rows * cols);
    sigmascope::decode(m_type, codes, out);
}

const ImportanceSearch* CodedBlock::importanceSearch() const
{
    return weighsImportance(m_type) ? this : nullptr;
}

Result<std::string> CodedBlock::encodeWeighted(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                               std::span<const float> importance, std::span<std::byte> out,
                                               const JobContext& job) const
{
    return encodeLevels(m_type, weights, rows, cols, importance, out, job);
}

std::vector<Grid::GroupScale> CodedBlock::groupScales(std::span<const std::byte> codes, std::uint64_t rows,
                                                      std::uint64_t cols) const
{
    assert(codes.size() == rows * rowBytes(cols));
    const std::size_t blockBytes = info(m_type).blockBits / 8;
    std::vector<GroupScale> scales;
    scales.reserve(static_cast<std::size_t>(rows * cols / m_group));
    for (std::size_t at = 0; at < codes.size(); at += blockBytes) {
        for (std::size_t group = 0; group < info(m_type).blockElements / m_group; ++group)
            scales.push_back({scaleOf(codes.subspan(at, blockBytes), group), 0});
    }
    return scales;
}

float halfAt(std::span<const std::byte> block, std::size_t at)
{
    std::uint16_t half = 0;
    std::memcpy(&half, block.data() + at, sizeof(half));
    return f16ToFloat(half);
}

}  // namespace sigmascope
