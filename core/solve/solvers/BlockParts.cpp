// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/solve/solvers/BlockParts.h"

#include "core/base/Half.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace sigmascope {

namespace {

constexpr std::array kBlockShapes{
    BlockShape{DType::Q4_0, 32, 32, -8, 7},
    BlockShape{DType::Q4_1, 32, 32, 0, 15, false, 1, 1, 1, 1},
    BlockShape{DType::Q5_0, 32, 32, -16, 15},
    BlockShape{DType::Q5_1, 32, 32, 0, 31, false, 1, 1, 1, 1},
    BlockShape{DType::Q8_0, 32, 32, -127, 127},
    BlockShape{DType::Q2_K, 256, 16, 0, 3, false, 0, 15, 0, 15},
    BlockShape{DType::Q3_K, 256, 16, -4, 3, false, -32, 31},
    BlockShape{DType::Q4_K, 256, 32, 0, 15, false, 0, 63, 0, 63},
    BlockShape{DType::Q5_K, 256, 32, 0, 31, false, 0, 63, 0, 63},
    BlockShape{DType::Q6_K, 256, 16, -32, 31, false, -128, 127},
    BlockShape{DType::IQ4_NL, 32, 32, 0, 15, true},
    BlockShape{DType::IQ4_XS, 256, 32, 0, 15, true, -32, 31},
};

unsigned byteOf(std::span<const std::byte> block, std::size_t at)
{
    return std::to_integer<unsigned>(block[at]);
}

float halfOf(std::span<const std::byte> block, std::size_t at)
{
    std::uint16_t half = 0;
    std::memcpy(&half, block.data() + at, sizeof half);
    return f16ToFloat(half);
}

/// Fills a block from its first byte to its last; what is said twice is joined.
class BlockWriter {
public:
    explicit BlockWriter(std::span<std::byte> block)
        : m_block(block)
    {
        std::ranges::fill(block, std::byte{0});
    }

    void half(std::size_t at, float value)
    {
        const std::uint16_t bits = floatToF16(value);
        std::memcpy(m_block.data() + at, &bits, sizeof bits);
    }
    void bits(std::size_t at, unsigned value, std::size_t shift = 0)
    {
        m_block[at] |= static_cast<std::byte>((value << shift) & 0xFFU);
    }

private:
    std::span<std::byte> m_block;
};

/// Six bits each of eight scales and eight minima in twelve bytes from 4 on.
void writeSixBits(const BlockParts& parts, BlockWriter& to)
{
    for (std::size_t j = 0; j < 8; ++j) {
        const auto scale = static_cast<unsigned>(parts.scale[j]);
        const auto minimum = static_cast<unsigned>(parts.minimum[j]);
        if (j < 4) {
            to.bits(4 + j, scale);
            to.bits(8 + j, minimum);
            continue;
        }
        to.bits(8 + j, scale & 15U);
        to.bits(8 + j, minimum & 15U, 4);
        to.bits(j, scale >> 4, 6);
        to.bits(4 + j, minimum >> 4, 6);
    }
}

void readSixBits(std::span<const std::byte> block, BlockParts& parts)
{
    for (std::size_t j = 0; j < 8; ++j) {
        unsigned scale = byteOf(block, 4 + j) & 63U;
        unsigned minimum = byteOf(block, 8 + j) & 63U;
        if (j >= 4) {
            scale = (byteOf(block, 8 + j) & 15U) | (byteOf(block, j) >> 6) << 4;
            minimum = byteOf(block, 8 + j) >> 4 | (byteOf(block, 4 + j) >> 6) << 4;
        }
        parts.scale[j] = static_cast<int>(scale);
        parts.minimum[j] = static_cast<int>(minimum);
    }
}

/// Two bits of element e of a super-block: 32 apart in a byte.
void twoBitsOf(std::size_t e, unsigned code, std::size_t at, BlockWriter& to)
{
    to.bits(at + 32 * (e / 128) + e % 32, code, 2 * (e % 128 / 32));
}

/// Nibbles of runs of 64 (Q4_K, Q5_K).
void nibbleOf(std::size_t e, unsigned code, std::size_t at, BlockWriter& to)
{
    to.bits(at + 32 * (e / 64) + e % 32, code & 15U, 4 * (e % 64 / 32));
}

/// Nibbles of one block of 32: the first half low.
void pairOf(std::size_t e, unsigned code, std::size_t at, BlockWriter& to)
{
    to.bits(at + e % 16, code & 15U, 4 * (e % 32 / 16));
}

void writeSmall(const BlockShape& shape, const BlockParts& parts, BlockWriter& to)
{
    const bool hasFifth = shape.type == DType::Q5_0 || shape.type == DType::Q5_1;
    to.half(0, parts.d);
    if (shape.hasMinimum())
        to.half(2, -parts.m);
    const std::size_t fifthAt = shape.hasMinimum() ? 4 : 2;
    for (std::size_t e = 0; e < 32; ++e) {
        const unsigned code = parts.code[e];
        if (shape.type == DType::Q8_0) {
            to.bits(2 + e, code - 127U);
            continue;
        }
        pairOf(e, code, fifthAt + (hasFifth ? 4 : 0), to);
        if (hasFifth)
            to.bits(fifthAt + e / 8, code >> 4, e % 8);
    }
}

void writeQ2K(const BlockParts& parts, BlockWriter& to)
{
    for (std::size_t j = 0; j < 16; ++j) {
        to.bits(j, static_cast<unsigned>(parts.scale[j]));
        to.bits(j, static_cast<unsigned>(parts.minimum[j]), 4);
    }
    for (std::size_t e = 0; e < 256; ++e)
        twoBitsOf(e, parts.code[e], 16, to);
    to.half(80, parts.d);
    to.half(82, parts.m);
}

void writeQ3K(const BlockParts& parts, BlockWriter& to)
{
    for (std::size_t e = 0; e < 256; ++e) {
        to.bits(e % 32, static_cast<unsigned>(parts.code[e]) >> 2, e / 32);
        twoBitsOf(e, parts.code[e] & 3U, 32, to);
    }
    for (std::size_t j = 0; j < 16; ++j) {
        const auto scale = static_cast<unsigned>(parts.scale[j] + 32);
        to.bits(96 + j % 8, scale & 15U, 4 * (j / 8));
        to.bits(104 + j % 4, scale >> 4, 2 * (j / 4));
    }
    to.half(108, parts.d);
}

void writeQ6K(const BlockParts& parts, BlockWriter& to)
{
    for (std::size_t e = 0; e < 256; ++e) {
        const std::size_t half = e / 128;
        const std::size_t quarter = e % 128 / 32;
        to.bits(64 * half + 32 * (quarter % 2) + e % 32, parts.code[e] & 15U, 4 * (quarter / 2));
        to.bits(128 + 32 * half + e % 32, static_cast<unsigned>(parts.code[e]) >> 4, 2 * quarter);
    }
    for (std::size_t j = 0; j < 16; ++j)
        to.bits(192 + j, static_cast<unsigned>(parts.scale[j]));
    to.half(208, parts.d);
}

void writeIq4Xs(const BlockParts& parts, BlockWriter& to)
{
    to.half(0, parts.d);
    for (std::size_t j = 0; j < 8; ++j) {
        const auto scale = static_cast<unsigned>(parts.scale[j] + 32);
        to.bits(4 + j / 2, scale & 15U, 4 * (j % 2));
        to.bits(2 + j / 4, scale >> 4, 2 * (j % 4));
        for (std::size_t e = 0; e < 32; ++e)
            pairOf(e, parts.code[32 * j + e], 8 + 16 * j, to);
    }
}

}  // namespace

const BlockShape* blockShapeOf(DType type)
{
    const auto found = std::ranges::find(kBlockShapes, type, &BlockShape::type);
    return found == kBlockShapes.end() ? nullptr : &*found;
}

void readScales(const BlockShape& shape, std::span<const std::byte> block, BlockParts& parts)
{
    parts.scale.fill(1);
    parts.minimum.fill(shape.minimumHigh > 0 ? 1 : 0);
    parts.m = 0;
    const std::size_t scaleAt = shape.type == DType::Q2_K ? 80
        : shape.type == DType::Q3_K                       ? 108
        : shape.type == DType::Q6_K                       ? 208
                                                          : 0;
    parts.d = halfOf(block, scaleAt);
    if (shape.hasMinimum())
        parts.m = shape.hasFreeMinimum() ? -halfOf(block, 2) : halfOf(block, scaleAt + 2);
    if (shape.type == DType::Q4_K || shape.type == DType::Q5_K)
        readSixBits(block, parts);
    for (std::size_t j = 0; j < shape.runs() && shape.elements == 256; ++j) {
        if (shape.type == DType::Q2_K) {
            parts.scale[j] = static_cast<int>(byteOf(block, j) & 15U);
            parts.minimum[j] = static_cast<int>(byteOf(block, j) >> 4);
        } else if (shape.type == DType::Q3_K) {
            const unsigned low = (byteOf(block, 96 + j % 8) >> (4 * (j / 8))) & 15U;
            const unsigned high = (byteOf(block, 104 + j % 4) >> (2 * (j / 4))) & 3U;
            parts.scale[j] = static_cast<int>(low | high << 4) - 32;
        } else if (shape.type == DType::Q6_K) {
            parts.scale[j] = int{static_cast<std::int8_t>(block[192 + j])};
        } else if (shape.type == DType::IQ4_XS) {
            const unsigned low = (byteOf(block, 4 + j / 2) >> (4 * (j % 2))) & 15U;
            const unsigned high = (byteOf(block, 2 + j / 4) >> (2 * (j % 4))) & 3U;
            parts.scale[j] = static_cast<int>(low | high << 4) - 32;
        }
    }
}

void writeBlock(const BlockShape& shape, const BlockParts& parts, std::span<std::byte> block)
{
    assert(block.size() == info(shape.type).blockBits / 8U);
    BlockWriter to(block);
    switch (shape.type) {
    case DType::Q2_K:
        return writeQ2K(parts, to);
    case DType::Q3_K:
        return writeQ3K(parts, to);
    case DType::Q6_K:
        return writeQ6K(parts, to);
    case DType::IQ4_XS:
        return writeIq4Xs(parts, to);
    case DType::IQ4_NL:
        to.half(0, parts.d);
        for (std::size_t e = 0; e < 32; ++e)
            pairOf(e, parts.code[e], 2, to);
        return;
    case DType::Q4_K:
    case DType::Q5_K:
        break;
    default:
        return writeSmall(shape, parts, to);
    }
    const bool hasFifth = shape.type == DType::Q5_K;
    to.half(0, parts.d);
    to.half(2, parts.m);
    writeSixBits(parts, to);
    for (std::size_t e = 0; e < 256; ++e) {
        nibbleOf(e, parts.code[e], hasFifth ? 48 : 16, to);
        if (hasFifth)
            to.bits(16 + e % 32, static_cast<unsigned>(parts.code[e]) >> 4, e / 32);
    }
}

}  // namespace sigmascope
