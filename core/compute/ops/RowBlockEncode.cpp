// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/RowBlockEncode.h"

#include "core/base/Parallel.h"
#include "core/compute/ops/BlockEncode.h"
#include "core/compute/ops/Importances.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cassert>

namespace sigmascope {

namespace {

using kernels::SearchTable;
using RowBlockEncoder = unsigned (*)(const float*, std::size_t, const float*, std::uint8_t*);

constexpr std::uint64_t kRowBlock = 32;

RowBlockEncoder rowBlockEncoderOf(DType type, const SearchTable& table)
{
    switch (type) {
    case DType::Q4_0:
        return table.encodeQ4_0;
    case DType::Q4_1:
        return table.encodeQ4_1;
    case DType::Q5_0:
        return table.encodeQ5_0;
    case DType::Q5_1:
        return table.encodeQ5_1;
    default:
        return nullptr;
    }
}

}  // namespace

bool hasRowBlockSearch(DType type)
{
    return rowBlockEncoderOf(type, kernels::kKernelsSearchScalar) != nullptr;
}

Result<std::string> encodeRowBlocks(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                    std::span<const float> importance, std::span<std::byte> out, const JobContext& job,
                                    const kernels::KernelTable& table)
{
    const RowBlockEncoder encode = rowBlockEncoderOf(type, searchTableOf(table));
    if (encode == nullptr)
        return fail(ErrorCode::UnsupportedType,
                    fmt::format("{} has no search weighted by importances", info(type).name));
    if (cols % kRowBlock != 0 || cols == 0)
        return fail(ErrorCode::ShapeMismatch,
                    fmt::format("rows of {} values do not fill whole {} blocks of 32", cols, info(type).name));
    assert(weights.size() == rows * cols && importance.size() == cols);
    const std::uint64_t blocks = cols / kRowBlock;
    const std::size_t rowBytes = static_cast<std::size_t>(blocks) * (info(type).blockBits / 8);
    assert(out.size() == rows * rowBytes);

    const Importances importances = usableImportances(importance, kRowBlock);
    const std::uint64_t perTask = std::max<std::uint64_t>(1, kReductionChunk / cols);
    std::atomic<bool> hasNonFinite{false};
    std::atomic<bool> hasOverflow{false};
    std::atomic<std::uint64_t> unweighed{0};
    parallelFor(static_cast<std::size_t>((rows + perTask - 1) / perTask), [&](std::size_t task) {
        for (std::uint64_t row = task * perTask; row < std::min(rows, (task + 1) * perTask); ++row) {
            if (job.cancelled() || hasNonFinite)
                return;
            const auto values = weights.subspan(row * cols, cols);
            const auto to = out.subspan(row * rowBytes, rowBytes);
            const unsigned trouble = encode(values.data(), static_cast<std::size_t>(blocks), importances.values.data(),
                                            reinterpret_cast<std::uint8_t*>(to.data()));
            if ((trouble & kernels::kNonFiniteInput) != 0)
                hasNonFinite = true;
            if (trouble != kernels::kScaleOverflow)
                continue;
            unweighed += blocks;
            if (!encodeBlocks(type, values, 1, cols, to, {}, table))
                hasOverflow = true;
        }
    });
    if (job.cancelled())
        return cancelledError();
    if (hasNonFinite)
        return passOn(nonFiniteWeights(weights, cols));
    if (hasOverflow)  // once more as a whole: the error then names the row and the columns
        return passOn(encodeBlocks(type, weights, rows, cols, out, job, table));
    return importances.inWords(unweighed, rows * blocks);
}

}  // namespace sigmascope
