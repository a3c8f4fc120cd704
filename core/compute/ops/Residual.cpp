// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/Residual.h"

#include "core/base/Parallel.h"
#include "core/compute/ops/GroupEncode.h"
#include "core/tensor/Blas.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>
#include <vector>

namespace sigmascope {

namespace {

/// Rows of E formed at a time, and columns of one product: fixed, whatever the thread count.
constexpr std::uint64_t kTileRows = 128;
constexpr std::uint64_t kTileCols = 128;

std::uint64_t rowsPerPart(std::uint64_t cols)
{
    return std::max<std::uint64_t>(1, kReductionChunk / std::max<std::uint64_t>(1, cols));
}

ErrorSums sumsOf(const ResidualSource& source, std::span<const float> scale, std::uint64_t first, std::uint64_t count)
{
    std::vector<float> residual(count * source.cols);
    residualRows(source, first, count, residual);
    ErrorSums sums;
    for (std::uint64_t i = 0; i < residual.size(); ++i) {
        const double s = scale.empty() ? 1.0 : static_cast<double>(scale[i % source.cols]);
        const double e = residual[i];
        const double w = source.weights[first * source.cols + i];
        sums.residual += e * e;
        sums.scaledResidual += e * s * e * s;
        sums.weight += w * w;
        sums.scaledWeight += w * s * w * s;
    }
    return sums;
}

class CpuProducts final : public MatrixProducts {
public:
    explicit CpuProducts(const ResidualSource& source) : m_source(source) {}

    Status timesRows(std::span<const float> panel, std::uint64_t vectors, std::span<float> out,
                     const JobContext& job) override
    {
        const std::uint64_t cols = m_source.cols;
        std::ranges::fill(out, 0.0F);
        return overTiles(job, [&](std::uint64_t first, std::uint64_t count, const std::vector<float>& tile) {
            parallelFor((cols + kTileCols - 1) / kTileCols, [&](std::size_t part) {
                const std::uint64_t col = part * kTileCols;
                blas::gemm(blas::Transpose::No, blas::Transpose::No, vectors, std::min(kTileCols, cols - col), count,
                           1.0F, panel.data() + first, m_source.rows, tile.data() + col, cols, 1.0F,
                           out.data() + col, cols);
            });
        });
    }
    Status timesCols(std::span<const float> panel, std::uint64_t vectors, std::span<float> out,
                     const JobContext& job) override
    {
        return overTiles(job, [&](std::uint64_t first, std::uint64_t count, const std::vector<float>& tile) {
            blas::gemm(blas::Transpose::No, blas::Transpose::Yes, vectors, count, m_source.cols, 1.0F, panel.data(),
                       m_source.cols, tile.data(), m_source.cols, 0.0F, out.data() + first, m_source.rows);
        });
    }
    Status gram(const PanelPair& panels, std::span<double> out, const JobContext& job) override
    {
        if (job.cancelled())
            return cancelledError();
        panelGram(panels, out);
        return {};
    }

private:
    template <class Body> Status overTiles(const JobContext& job, const Body& body) const
    {
        std::vector<float> tile;
        for (std::uint64_t first = 0; first < m_source.rows; first += kTileRows) {
            if (job.cancelled())
                return cancelledError();
            const std::uint64_t count = std::min(kTileRows, m_source.rows - first);
            tile.resize(count * m_source.cols);
            residualRows(m_source, first, count, tile);
            body(first, count, tile);
        }
        return {};
    }

    ResidualSource m_source;
};

Status decodable(const ResidualSource& source)
{
    if (source.format && source.format->block && !info(*source.format->block).decodable)
        return fail(ErrorCode::UnsupportedType,
                    fmt::format("codes of {} cannot be decoded by this version", source.format->id()));
    return {};
}

}  // namespace

void residualRows(const ResidualSource& source, std::uint64_t first, std::uint64_t count, std::span<float> out)
{
    assert(out.size() == count * source.cols);
    const auto weights = source.weights.subspan(first * source.cols, count * source.cols);
    if (!source.format) {
        std::ranges::copy(weights, out.begin());
        return;
    }
    const std::uint64_t rowBytes = source.format->rowBytes(source.cols);
    const auto codes = source.codes.subspan(first * rowBytes, count * rowBytes);
    if (source.format->block)
        decode(*source.format->block, codes, out);
    else
        decodeGroups(source.format->groups, codes, count, source.cols, out);
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = weights[i] - out[i];
}

double residualElement(const ResidualSource& source, std::uint64_t row, std::uint64_t col)
{
    const double weight = source.weights[row * source.cols + col];
    if (!source.format)
        return weight;
    const std::uint64_t rowBytes = source.format->rowBytes(source.cols);
    const auto codes = source.codes.subspan(row * rowBytes, rowBytes);
    if (!source.format->block)
        return static_cast<float>(weight) - decodedElement(source.format->groups, codes, source.cols, col);
    const DTypeInfo& type = info(*source.format->block);
    std::vector<float> block(type.blockElements);
    const std::uint64_t bytes = type.blockBits / 8;
    decode(*source.format->block, codes.subspan(col / block.size() * bytes, bytes), block);
    return static_cast<float>(weight) - block[col % block.size()];
}

Result<ErrorSums> residualSums(const ResidualSource& source, std::span<const float> scale, const JobContext& job)
{
    if (Status fits = decodable(source); !fits)
        return passOn(fits);
    const std::uint64_t step = rowsPerPart(source.cols);
    std::vector<ErrorSums> parts(static_cast<std::size_t>((source.rows + step - 1) / step));
    parallelFor(parts.size(), [&](std::size_t part) {
        if (!job.cancelled())
            parts[part] = sumsOf(source, scale, part * step, std::min(step, source.rows - part * step));
    });
    if (job.cancelled())
        return cancelledError();
    ErrorSums total;
    for (const ErrorSums& part : parts) {
        total.residual += part.residual;
        total.scaledResidual += part.scaledResidual;
        total.weight += part.weight;
        total.scaledWeight += part.scaledWeight;
    }
    return total;
}

Result<std::unique_ptr<MatrixProducts>> residualProducts(const ResidualSource& source)
{
    if (Status fits = decodable(source); !fits)
        return passOn(fits);
    return std::make_unique<CpuProducts>(source);
}

void panelGram(const PanelPair& panels, std::span<double> out)
{
    assert(out.size() == panels.rowsA * panels.rowsB);
    const std::vector<double> a(panels.a.begin(), panels.a.end());
    const std::vector<double> b(panels.b.begin(), panels.b.end());
    blas::gemm(blas::Transpose::No, blas::Transpose::Yes, panels.rowsA, panels.rowsB, panels.length, 1.0, a.data(),
               panels.length, b.data(), panels.length, 0.0, out.data(), panels.rowsB);
}

}  // namespace sigmascope
