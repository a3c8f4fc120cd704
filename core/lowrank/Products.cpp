// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/Products.h"

#include "core/base/Parallel.h"
#include "core/compute/MatrixProducts.h"
#include "core/tensor/Blas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sigmascope {

namespace {

/// Rows or columns of A in one tile: a few milliseconds of work for a panel of 64 vectors.
constexpr std::size_t kTileLength = 128;
/// Of the f64 Gram: tile side, and how much of the long side is cast at a time.
constexpr std::size_t kGramTile = 256;
constexpr std::size_t kGramChunk = 1024;

/// Columns of the panel times the scale.
MatrixF scaledColumns(const MatrixF& panel, std::span<const float> scale)
{
    if (scale.empty())
        return panel;
    const Eigen::Map<const Eigen::RowVectorXf> row(scale.data(), static_cast<Eigen::Index>(scale.size()));
    return (panel.array().rowwise() * row.array()).matrix();
}

/// Part [begin, begin + length) of the long side in double, scaled, as [short side x length].
void castChunk(const ScaledMatrix& matrix, std::size_t begin, std::size_t length, MatrixD& out)
{
    const bool rowsAreShort = matrix.rows <= matrix.cols;
    parallelFor(matrix.minSide(), [&](std::size_t i) {
        double* target = out.row(static_cast<Eigen::Index>(i)).data();
        for (std::size_t j = 0; j < length; ++j) {
            const std::size_t row = rowsAreShort ? i : begin + j;
            const std::size_t col = rowsAreShort ? begin + j : i;
            const double scale = matrix.scale.empty() ? 1.0 : static_cast<double>(matrix.scale[col]);
            target[j] = scale * static_cast<double>(matrix.values[row * matrix.cols + col]);
        }
    });
}

}  // namespace

SideProducts::SideProducts(const ScaledMatrix& matrix, double matrixEnergy, const JobContext& job)
    : m_matrix(matrix)
    , m_job(job)
{
    // A float must hold the unit itself; outside that range the matrix is all subnormal or near overflow.
    const int exponent = std::clamp(-std::ilogb(std::sqrt(matrixEnergy)), -120, 120);
    m_unit = std::ldexp(1.0, exponent);
}

std::size_t SideProducts::longSide() const
{
    return rowsAreShort() ? m_matrix.cols : m_matrix.rows;
}

Result<MatrixF> SideProducts::toLong(const MatrixF& panel)
{
    return rowsAreShort() ? timesRows(panel) : timesCols(panel);
}

Result<MatrixF> SideProducts::toShort(const MatrixF& panel)
{
    return rowsAreShort() ? timesCols(panel) : timesRows(panel);
}

Result<MatrixF> SideProducts::timesRows(const MatrixF& panel)
{
    ++m_passes;
    return panelTimes(panel, m_matrix, m_unit, m_job);
}

Result<MatrixF> SideProducts::timesCols(const MatrixF& panel)
{
    if (m_job.cancelled())
        return cancelledError();
    const auto vectors = static_cast<std::size_t>(panel.rows());
    const std::size_t rows = m_matrix.rows;
    const std::size_t cols = m_matrix.cols;
    const MatrixF scaled = scaledColumns(panel, m_matrix.scale);
    MatrixF out(panel.rows(), static_cast<Eigen::Index>(rows));
    if (m_matrix.device != nullptr) {
        ++m_passes;
        const MatrixF panelInUnits = scaled * static_cast<float>(m_unit);
        if (Status done = m_matrix.device->timesCols(valuesOf(panelInUnits), vectors, valuesOf(out), m_job); !done)
            return passOn(done);
        return out;
    }
    parallelFor((rows + kTileLength - 1) / kTileLength, [&](std::size_t tile) {
        if (m_job.cancelled())
            return;
        const std::size_t row = tile * kTileLength;
        const std::size_t count = std::min(kTileLength, rows - row);
        blas::gemm(blas::Transpose::No, blas::Transpose::Yes, vectors, count, cols, static_cast<float>(m_unit),
                   scaled.data(), cols, m_matrix.values.data() + row * cols, cols, 0.0F, out.data() + row, rows);
    });
    if (m_job.cancelled())
        return cancelledError();
    ++m_passes;
    return out;
}

Result<MatrixD> SideProducts::imageGram(std::span<const double> images, const MatrixF& newest)
{
    if (m_job.cancelled())
        return cancelledError();
    const std::size_t length = longSide();
    const std::size_t size = images.size() / length;
    const auto added = static_cast<std::size_t>(newest.rows());
    MatrixD columns(static_cast<Eigen::Index>(size), newest.rows());
    if (m_matrix.device != nullptr) {
        const std::vector<float> all(images.begin(), images.end());
        const PanelPair panels{all, size, valuesOf(newest), added, length};
        if (Status done = m_matrix.device->gram(
                panels, {columns.data(), static_cast<std::size_t>(columns.size())}, m_job);
            !done)
            return passOn(done);
        return columns;
    }
    blas::gemm(blas::Transpose::No, blas::Transpose::Yes, size, added, length, 1.0, images.data(), length,
               images.data() + (size - added) * length, length, 0.0, columns.data(), added, m_job.stop);
    if (m_job.cancelled())
        return cancelledError();
    return columns;
}

Result<MatrixF> panelTimes(const MatrixF& panel, const ScaledMatrix& matrix, double unit, const JobContext& job)
{
    if (job.cancelled())
        return cancelledError();
    const auto vectors = static_cast<std::size_t>(panel.rows());
    const std::size_t cols = matrix.cols;
    MatrixF out(panel.rows(), static_cast<Eigen::Index>(cols));
    if (matrix.device != nullptr) {
        // The unit goes in first: a device may flush products that are subnormal before it.
        const MatrixF panelInUnits = panel * static_cast<float>(unit);
        if (Status done = matrix.device->timesRows(valuesOf(panelInUnits), vectors, valuesOf(out), job); !done)
            return passOn(done);
        return scaledColumns(out, matrix.scale);
    }
    parallelFor((cols + kTileLength - 1) / kTileLength, [&](std::size_t tile) {
        if (job.cancelled())
            return;
        const std::size_t col = tile * kTileLength;
        const std::size_t count = std::min(kTileLength, cols - col);
        blas::gemm(blas::Transpose::No, blas::Transpose::No, vectors, count, matrix.rows, static_cast<float>(unit),
                   panel.data(), matrix.rows, matrix.values.data() + col, cols, 0.0F, out.data() + col, cols);
    });
    if (job.cancelled())
        return cancelledError();
    if (matrix.scale.empty())
        return out;
    return scaledColumns(out, matrix.scale);
}

Result<MatrixD> shortSideGram(const ScaledMatrix& matrix, const JobContext& job)
{
    const std::size_t side = matrix.minSide();
    const std::size_t length = std::max(matrix.rows, matrix.cols);
    const auto eigenSide = static_cast<Eigen::Index>(side);
    MatrixD gram = MatrixD::Zero(eigenSide, eigenSide);
    MatrixD chunk(eigenSide, static_cast<Eigen::Index>(std::min(length, kGramChunk)));
    const auto stride = static_cast<std::size_t>(chunk.cols());
    const std::size_t tiles = (side + kGramTile - 1) / kGramTile;
    for (std::size_t begin = 0; begin < length; begin += kGramChunk) {
        const std::size_t count = std::min(kGramChunk, length - begin);
        castChunk(matrix, begin, count, chunk);
        parallelFor(tiles * tiles, [&](std::size_t index) {
            const std::size_t i = index / tiles * kGramTile;
            const std::size_t j = index % tiles * kGramTile;
            if (j > i || job.cancelled())
                return;
            blas::gemm(blas::Transpose::No, blas::Transpose::Yes, std::min(kGramTile, side - i),
                       std::min(kGramTile, side - j), count, 1.0, chunk.data() + i * stride, stride,
                       chunk.data() + j * stride, stride, 1.0, gram.data() + i * side + j, side);
        });
        if (job.cancelled())
            return cancelledError();
    }
    for (Eigen::Index i = 0; i < eigenSide; ++i)
        for (Eigen::Index j = i + 1; j < eigenSide; ++j)
            gram(i, j) = gram(j, i);
    return gram;
}

Status checkFinite(const ScaledMatrix& matrix, const JobContext& job)
{
    assert(matrix.values.size() == matrix.rows * matrix.cols);
    assert(matrix.scale.empty() || matrix.scale.size() == matrix.cols);
    for (std::size_t j = 0; j < matrix.scale.size(); ++j)
        if (!std::isfinite(matrix.scale[j]) || matrix.scale[j] < 0)
            return fail(
                ErrorCode::NonFinite,
                fmt::format("scale of column {}: expected finite and not negative, found {}", j, matrix.scale[j]));
    const double sum = energy(matrix, job.stop);
    if (job.cancelled())
        return cancelledError();
    if (std::isfinite(sum))
        return {};
    for (std::size_t i = 0; i < matrix.values.size(); ++i)
        if (!std::isfinite(matrix.values[i]))
            return fail(ErrorCode::NonFinite, fmt::format("row {}, column {}: expected a finite value, found {}",
                                                          i / matrix.cols, i % matrix.cols, matrix.values[i]));
    return fail(ErrorCode::NonFinite, "the sum of squares overflows");
}

}  // namespace sigmascope
