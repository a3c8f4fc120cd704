// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/BlockEncode.h"

#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/compute/ops/LevelEncode.h"
#include "core/compute/ops/NonFinite.h"
#include "core/compute/ops/SuperBlockEncode.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <fmt/format.h>

namespace sigmascope {

namespace {

using kernels::KernelTable;
using BlockEncoder = unsigned (*)(const float*, std::size_t, std::uint8_t*);

constexpr std::uint64_t kBlock = 32;

BlockEncoder blockEncoderOf(DType type, const KernelTable& table)
{
    switch (type) {
    case DType::Q8_0: return table.encodeQ8_0;
    case DType::Q4_0: return table.encodeQ4_0;
    case DType::Q4_1: return table.encodeQ4_1;
    case DType::Q5_0: return table.encodeQ5_0;
    case DType::Q5_1: return table.encodeQ5_1;
    default: return nullptr;
    }
}

/// Finds the first block that the encoder complained of, by encoding blocks one at a time.
Status scaleOutOfRange(DType type, std::span<const float> weights, std::uint64_t cols, BlockEncoder encode)
{
    std::uint64_t block = 0;
    std::uint8_t scratch[kBlock * sizeof(float)];
    while ((block + 1) * kBlock < weights.size() && encode(weights.data() + block * kBlock, 1, scratch) == 0)
        ++block;
    const auto values = weights.subspan(block * kBlock, kBlock);
    const auto [low, high] = std::ranges::minmax(values);
    return fail(ErrorCode::ScaleOutOfRange,
                fmt::format("the scale of a {} block is beyond f16's 65504: values from {} to {} at row {}, columns {} to {}",
                            info(type).name, low, high, block * kBlock / cols, block * kBlock % cols,
                            block * kBlock % cols + kBlock - 1));
}

}  // namespace

bool hasBlockEncoder(DType type)
{
    return blockEncoderOf(type, kernels::kKernelsScalar) != nullptr || hasSuperBlockEncoder(type) || hasLevelEncoder(type);
}

Status encodeBlocks(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                    std::span<std::byte> out, const JobContext& job, const KernelTable& table)
{
    if (hasSuperBlockEncoder(type)) {
        const auto coded = encodeSuperBlocks(type, weights, rows, cols, {}, out, job, searchTableOf(table));
        return coded ? Status() : passOn(coded);
    }
    if (hasLevelEncoder(type)) {
        const auto coded = encodeLevels(type, weights, rows, cols, {}, out, job, blockTableOf(table));
        return coded ? Status() : passOn(coded);
    }
    const BlockEncoder encode = blockEncoderOf(type, table);
    if (encode == nullptr)
        return fail(ErrorCode::UnsupportedType, fmt::format("there is no encoder of {}", info(type).name));
    if (cols % kBlock != 0)
        return fail(ErrorCode::ShapeMismatch,
                    fmt::format("rows of {} values do not fill whole {} blocks of 32", cols, info(type).name));
    assert(weights.size() == rows * cols);
    const std::uint64_t blocks = rows * cols / kBlock;
    const std::uint64_t blockBytes = info(type).blockBits / 8;
    assert(out.size() == blocks * blockBytes);

    // Blocks are coded on their own, so tasks need not respect rows: long and short rows cut alike.
    constexpr std::uint64_t kTaskBlocks = kReductionChunk / kBlock;
    std::atomic<unsigned> trouble{0};
    parallelFor(static_cast<std::size_t>((blocks + kTaskBlocks - 1) / kTaskBlocks), [&](std::size_t task) {
        if (job.cancelled() || (trouble.load(std::memory_order_relaxed) & kernels::kNonFiniteInput) != 0)
            return;
        const std::uint64_t first = static_cast<std::uint64_t>(task) * kTaskBlocks;
        const auto n = static_cast<std::size_t>(std::min(kTaskBlocks, blocks - first));
        trouble |= encode(weights.data() + first * kBlock, n, reinterpret_cast<std::uint8_t*>(out.data() + first * blockBytes));
    });
    if (job.cancelled())
        return cancelledError();
    // A NaN explains a bad scale, so it is named first; a finite tensor can still have spoilt one.
    if ((trouble & kernels::kNonFiniteInput) != 0)
        return nonFinite(weights, cols);
    if ((trouble & kernels::kScaleOverflow) != 0)
        return scaleOutOfRange(type, weights, cols, encode);
    return {};
}

}  // namespace sigmascope
