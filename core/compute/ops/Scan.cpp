// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/Scan.h"

#include "core/base/Parallel.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <vector>

namespace sigmascope {

namespace {

using kernels::BlockScan;
using kernels::kBlockElements;
using kernels::KernelTable;

BlockScan blockScan(DType type, std::span<const std::byte> bytes, std::size_t count, const KernelTable& table)
{
    BlockScan block;
    switch (type) {
    case DType::F32: table.scanF32(bytes.data(), count, &block); return block;
    case DType::F16: table.scanF16(bytes.data(), count, &block); return block;
    case DType::BF16: table.scanBf16(bytes.data(), count, &block); return block;
    default: break;
    }
    std::array<float, kBlockElements> values;
    decode(type, bytes, std::span(values).first(count));
    table.scanF32(values.data(), count, &block);
    return block;
}

ScanSums chunkScan(const TensorView& view, std::uint64_t first, std::uint64_t count, const KernelTable& table)
{
    const DTypeInfo& type = info(view.dtype);
    const std::uint64_t blockBytes = type.blockBits / 8;
    ScanSums sums;
    for (std::uint64_t at = 0; at < count; at += kBlockElements) {
        const std::uint64_t n = std::min<std::uint64_t>(kBlockElements, count - at);
        const auto bytes = view.bytes.subspan((first + at) / type.blockElements * blockBytes, n / type.blockElements * blockBytes);
        const BlockScan block = blockScan(view.dtype, bytes, static_cast<std::size_t>(n), table);
        sums = joined(sums, {n, block.finite, block.min, block.max, block.sum, block.sumOfSquares});
    }
    return sums;
}

}  // namespace

ScanSums joined(const ScanSums& a, const ScanSums& b)
{
    ScanSums sums = a;
    sums.count += b.count;
    sums.finite += b.finite;
    sums.sum += b.sum;
    sums.sumOfSquares += b.sumOfSquares;
    if (b.finite != 0) {
        sums.min = a.finite == 0 ? b.min : std::min(a.min, b.min);
        sums.max = a.finite == 0 ? b.max : std::max(a.max, b.max);
    }
    return sums;
}

Result<ScanSums> scan(const TensorView& view, const JobContext& job, const KernelTable& table)
{
    if (!info(view.dtype).decodable)
        return fail(ErrorCode::UnsupportedType,
                    fmt::format("{} values cannot be decoded by this version", info(view.dtype).name));
    const std::uint64_t elements = view.elements();
    std::vector<ScanSums> parts(static_cast<std::size_t>((elements + kReductionChunk - 1) / kReductionChunk));
    parallelFor(parts.size(), [&](std::size_t chunk) {
        const std::uint64_t first = static_cast<std::uint64_t>(chunk) * kReductionChunk;
        if (!job.cancelled())
            parts[chunk] = chunkScan(view, first, std::min<std::uint64_t>(kReductionChunk, elements - first), table);
    });
    if (job.cancelled())
        return cancelledError();
    ScanSums total;
    for (const ScanSums& part : parts)
        total = joined(total, part);
    return total;
}

}  // namespace sigmascope
