// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/CodedBlock.h"
#include "core/grid/grids/Grids.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sigmascope {

namespace {

/// E2M1 with both signs; nothing is stored as -0.
std::vector<double> signedE2M1()
{
    return {-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6};
}

/// Blocks of 32 whose scale is a power of two (OCP Microscaling).
class Mxfp4 final : public CodedBlock {
public:
    Mxfp4()
        : CodedBlock(DType::MXFP4, 4, 32, signedE2M1())
    {
    }

private:
    /// A block of zeros has no scale, whatever its exponent.
    [[nodiscard]] float scaleOf(std::span<const std::byte> block, std::size_t) const override
    {
        if (std::ranges::all_of(block.subspan(1), [](std::byte pair) { return pair == std::byte{0}; }))
            return 0;
        return static_cast<float>(std::ldexp(1.0, std::to_integer<int>(block[0]) - 127));
    }
};

/// Blocks of 64 with an unsigned E4M3 as scale of every 16. (The scale of the whole tensor that NVIDIA's recipe has is
/// not in the blocks: 1.)
class Nvfp4 final : public CodedBlock {
public:
    Nvfp4()
        : CodedBlock(DType::NVFP4, 4, 16, signedE2M1())
    {
    }

private:
    [[nodiscard]] float scaleOf(std::span<const std::byte> block, std::size_t group) const override
    {
        const auto code = std::to_integer<int>(block[group]);
        if (code == 0x7F)
            return 0;
        const int exponent = (code >> 3) & 15;
        const int mantissa = code & 7;
        return static_cast<float>(exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10));
    }
};

}  // namespace

const Grid& microFloatGrid(DType type)
{
    static const Mxfp4 mxfp4;
    static const Nvfp4 nvfp4;
    assert(type == DType::MXFP4 || type == DType::NVFP4);
    return type == DType::NVFP4 ? static_cast<const Grid&>(nvfp4) : mxfp4;
}

}  // namespace sigmascope
