// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/RowStream.h"

#include "core/base/Job.h"
#include "core/export/GgufSource.h"
#include "core/tensor/Blas.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

namespace sigmascope {

namespace {

constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << 20;

/// Walks rows in output order, in chunks; gathers them when they change places.
template <class OnChunk>
Status forEachChunk(const StoredRows& rows, std::uint64_t widestRow, const OnChunk& onChunk)
{
    if (rows.rows == 0 || rows.bytes.empty())
        return {};
    const auto rowBytes = static_cast<std::size_t>(rows.bytes.size() / rows.rows);
    assert(rowBytes * rows.rows == rows.bytes.size());
    const std::uint64_t step = std::clamp<std::uint64_t>(kChunkBytes / std::max<std::uint64_t>(widestRow, 1), 1, rows.rows);
    std::vector<std::byte> gathered;
    for (std::uint64_t first = 0; first < rows.rows; first += step) {
        if (rows.stop.stop_requested())
            return cancelledError();
        const std::uint64_t count = std::min(step, rows.rows - first);
        std::span<const std::byte> chunk = rows.bytes.subspan(static_cast<std::size_t>(first) * rowBytes,
                                                              static_cast<std::size_t>(count) * rowBytes);
        if (rows.heads != 0) {
            gathered.resize(chunk.size());
            for (std::uint64_t i = 0; i < count; ++i)
                std::memcpy(gathered.data() + i * rowBytes,
                            rows.bytes.data() + sourceRow(first + i, rows.rows, rows.heads) * rowBytes, rowBytes);
            chunk = gathered;
        }
        if (Status status = onChunk(chunk, first, count); !status)
            return status;
    }
    return {};
}

}  // namespace

Status writeRows(GgufWriter& writer, const StoredRows& rows)
{
    const std::uint64_t rowBytes = rows.rows == 0 ? 0 : rows.bytes.size() / rows.rows;
    return forEachChunk(rows, rowBytes, [&](std::span<const std::byte> chunk, std::uint64_t, std::uint64_t) { return writer.append(chunk); });
}

Status writeRowsAsFloat(GgufWriter& writer, const StoredRows& rows, const StoredFactors* factors)
{
    const bool folds = factors != nullptr && factors->rank > 0;
    const MatrixF left = folds ? factors->decodedLeft() : MatrixF();
    const MatrixF right = folds ? factors->decodedRight() : MatrixF();
    const auto cols = static_cast<std::size_t>(rows.cols);
    std::vector<float> values;
    MatrixF part;
    return forEachChunk(rows, 4 * rows.cols, [&](std::span<const std::byte> chunk, std::uint64_t first, std::uint64_t count) {
        values.resize(static_cast<std::size_t>(count) * cols);
        rows.decode(chunk, count, values);
        if (folds) {
            part.resize(static_cast<Eigen::Index>(count), left.cols());
            for (std::uint64_t i = 0; i < count; ++i)
                part.row(static_cast<Eigen::Index>(i)) =
                    left.row(static_cast<Eigen::Index>(sourceRow(first + i, rows.rows, rows.heads)));
            const auto rank = static_cast<std::size_t>(left.cols());
            blas::gemm(blas::Transpose::No, blas::Transpose::No, static_cast<std::size_t>(count), cols, rank, 1.0F, part.data(), rank,
                       right.data(), cols, 1.0F, values.data(), cols);
        }
        return writer.append(std::as_bytes(std::span(values)));
    });
}

}  // namespace sigmascope
