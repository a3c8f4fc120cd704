// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/CodedBlock.h"
#include "core/grid/grids/Grids.h"

#include <cassert>

namespace sigmascope {

namespace {

/// IQ4_NL and IQ4_XS: sixteen levels, close together about 0, times a scale of either sign for every 32 elements.
class UnevenLevels final : public CodedBlock {
public:
    explicit UnevenLevels(DType type)
        : CodedBlock(type, 4, 32, {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113})
    {
    }

private:
    [[nodiscard]] float scaleOf(std::span<const std::byte> block, std::size_t group) const override
    {
        const float scale = halfAt(block, 0);
        if (type() == DType::IQ4_NL)
            return scale;
        const auto byte = [&](std::size_t at) { return std::to_integer<unsigned>(block[at]); };
        const unsigned low = (byte(4 + group / 2) >> (4 * (group % 2))) & 15U;
        const unsigned high = (byte(2 + group / 4) >> (2 * (group % 4))) & 3U;
        return scale * static_cast<float>(static_cast<int>(low | high << 4) - 32);
    }
};

}  // namespace

const Grid& unevenLevelGrid(DType type)
{
    static const UnevenLevels blocks(DType::IQ4_NL);
    static const UnevenLevels superBlocks(DType::IQ4_XS);
    assert(type == DType::IQ4_NL || type == DType::IQ4_XS);
    return type == DType::IQ4_XS ? superBlocks : blocks;
}

}  // namespace sigmascope
