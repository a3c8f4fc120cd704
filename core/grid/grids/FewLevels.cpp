// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/CodedBlock.h"
#include "core/grid/grids/Grids.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

namespace sigmascope {

namespace {

/// One f16 scale for the whole block, and one of two to four multiples of it.
class FewLevels final : public CodedBlock {
public:
    /// @param scaleAt  byte of a block where its scale is
    FewLevels(DType type, int bits, std::size_t scaleAt, std::vector<double> levels)
        : CodedBlock(type, bits, info(type).blockElements, std::move(levels))
        , m_scaleAt(scaleAt)
    {
    }

private:
    [[nodiscard]] float scaleOf(std::span<const std::byte> block, std::size_t) const override
    {
        return halfAt(block, m_scaleAt);
    }

    std::size_t m_scaleAt;
};

}  // namespace

const Grid& fewLevelGrid(DType type)
{
    // Base-3 digits of TQ1_0 take 1.6 bits; of Q2_0's levels the highest is never chosen.
    static const std::array grids{
        FewLevels(DType::TQ1_0, 2, 52, {-1, 0, 1}),
        FewLevels(DType::TQ2_0, 2, 64, {-1, 0, 1}),
        FewLevels(DType::Q1_0, 1, 0, {-1, 1}),
        FewLevels(DType::Q2_0, 2, 0, {-1, 0, 1, 2}),
    };
    const auto found = std::ranges::find(grids, type, [](const FewLevels& grid) { return *grid.ggufType(); });
    assert(found != grids.end() && "no grid of few levels of this type");
    return found != grids.end() ? *found : grids.front();
}

}  // namespace sigmascope
