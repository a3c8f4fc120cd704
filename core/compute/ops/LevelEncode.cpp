// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/LevelEncode.h"

#include "core/base/Parallel.h"
#include "core/compute/ops/Importances.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>

namespace sigmascope {

namespace {

using kernels::BlockTable;
using LevelEncoder = unsigned (*)(const kernels::BlockRun&, std::uint8_t*);

/// Columns that share a scale in IQ4_NL and IQ4_XS.
constexpr std::uint64_t kRun = 32;

LevelEncoder levelEncoderOf(DType type, const BlockTable& table)
{
    switch (type) {
    case DType::MXFP4: return table.encodeMxfp4;
    case DType::NVFP4: return table.encodeNvfp4;
    case DType::TQ1_0: return table.encodeTq1_0;
    case DType::TQ2_0: return table.encodeTq2_0;
    case DType::Q1_0: return table.encodeQ1_0;
    case DType::Q2_0: return table.encodeQ2_0;
    case DType::IQ4_NL: return table.encodeIq4Nl;
    case DType::IQ4_XS: return table.encodeIq4Xs;
    default: return nullptr;
    }
}

/// Finds the first block whose scale does not fit by coding blocks one at a time.
Status scaleOutOfRange(DType type, std::span<const float> weights, std::uint64_t cols, LevelEncoder encode)
{
    const std::uint64_t length = info(type).blockElements;
    std::array<std::uint8_t, 256> scratch{};
    std::uint64_t block = 0;
    while ((block + 1) * length < weights.size()
           && (encode({weights.data() + block * length, 1, nullptr, 0, 1}, scratch.data()) & kernels::kScaleOverflow)
               == 0)
        ++block;
    const auto [low, high] = std::ranges::minmax(weights.subspan(block * length, length));
    return fail(
        ErrorCode::ScaleOutOfRange,
        fmt::format("the scale of a {} block is beyond f16's 65504: values from {} to {} at row {}, columns {} to {}",
                    info(type).name, low, high, block * length / cols, block * length % cols,
                    block * length % cols + length - 1));
}

}  // namespace

const BlockTable& blockTableOf(const kernels::KernelTable& table)
{
#if defined(__x86_64__)
    if (&table == &kernels::kKernelsAvx512)
        return kernels::kKernelsBlocksAvx512;
    if (&table == &kernels::kKernelsAvx2)
        return kernels::kKernelsBlocksAvx2;
#endif
    static_cast<void>(table);
    return kernels::kKernelsBlocksScalar;
}

bool hasLevelEncoder(DType type)
{
    return levelEncoderOf(type, kernels::kKernelsBlocksScalar) != nullptr;
}

bool weighsImportance(DType type)
{
    return type == DType::IQ4_NL || type == DType::IQ4_XS;
}

Result<std::string> encodeLevels(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                 std::span<const float> importance, std::span<std::byte> out, const JobContext& job,
                                 const BlockTable& table)
{
    const LevelEncoder encode = levelEncoderOf(type, table);
    if (encode == nullptr)
        return fail(ErrorCode::UnsupportedType, fmt::format("there is no encoder of {}", info(type).name));
    const std::uint64_t length = info(type).blockElements;
    const std::uint64_t bytes = info(type).blockBits / 8;
    if (cols % length != 0 || cols == 0)
        return fail(ErrorCode::ShapeMismatch,
                    fmt::format("rows of {} values do not fill whole {} blocks of {}", cols, info(type).name, length));
    assert(weights.size() == rows * cols && (importance.empty() || importance.size() == cols));
    const std::uint64_t blocks = rows * cols / length;
    const std::uint64_t perRow = cols / length;
    assert(out.size() == blocks * bytes);

    const Importances importances = usableImportances(weighsImportance(type) ? importance : std::span<const float>(), kRun);
    // Blocks are coded on their own, so tasks need not respect rows: long and short rows cut alike.
    const std::uint64_t taskBlocks = kReductionChunk / length;
    std::atomic<unsigned> trouble{0};
    parallelFor(static_cast<std::size_t>((blocks + taskBlocks - 1) / taskBlocks), [&](std::size_t task) {
        if (job.cancelled() || (trouble.load(std::memory_order_relaxed) & kernels::kNonFiniteInput) != 0)
            return;
        const std::uint64_t first = static_cast<std::uint64_t>(task) * taskBlocks;
        trouble
            |= encode({weights.data() + first * length, static_cast<std::size_t>(std::min(taskBlocks, blocks - first)),
                       importances.values.empty() ? nullptr : importances.values.data(),
                       static_cast<std::size_t>(first % perRow), static_cast<std::size_t>(perRow)},
                      reinterpret_cast<std::uint8_t*>(out.data() + first * bytes));
    });
    if (job.cancelled())
        return cancelledError();
    // A NaN explains a bad scale, so it is named first; a finite tensor can still have spoilt one.
    if ((trouble & kernels::kNonFiniteInput) != 0)
        return passOn(nonFiniteWeights(weights, cols));
    if ((trouble & kernels::kScaleOverflow) != 0)
        return passOn(scaleOutOfRange(type, weights, cols, encode));
    std::string note = importances.inWords(0, blocks);
    if ((trouble & kernels::kNoImportance) != 0)
        note += fmt::format("{}blocks whose weighted sums overflow are coded without the calibration",
                            note.empty() ? "" : "; ");
    return note;
}

}  // namespace sigmascope
