// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/LowRank.h"

#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/tensor/Blas.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <span>

namespace sigmascope {

namespace {

/// Rows a tile of the error measurement: a tile in double of a wide layer stays in the last-level cache.
constexpr std::size_t kTileRows = 32;

template <class Code>
void storeCodes(const MatrixF& values, Code (*round)(float), std::vector<std::byte>& out)
{
    out.resize(static_cast<std::size_t>(values.size()) * sizeof(Code));
    for (Eigen::Index i = 0; i < values.size(); ++i) {
        const Code code = round(values.data()[i]);
        std::memcpy(out.data() + static_cast<std::size_t>(i) * sizeof(Code), &code, sizeof(Code));
    }
}

std::vector<std::byte> encoded(const MatrixF& values, FactorType type)
{
    std::vector<std::byte> out;
    if (type == FactorType::F16) {
        storeCodes<std::uint16_t>(values, floatToF16, out);
    } else if (type == FactorType::BF16) {
        storeCodes<std::uint16_t>(values, floatToBf16, out);
    } else {
        out.resize(static_cast<std::size_t>(values.size()) * sizeof(float));
        if (!out.empty())
            std::memcpy(out.data(), values.data(), out.size());
    }
    return out;
}

MatrixF decoded(std::span<const std::byte> bytes, FactorType type, std::size_t rows, std::size_t cols)
{
    MatrixF out(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols));
    if (type == FactorType::F32) {
        if (!bytes.empty())
            std::memcpy(out.data(), bytes.data(), bytes.size());
        return out;
    }
    for (std::size_t i = 0; i < rows * cols; ++i) {
        std::uint16_t code = 0;
        std::memcpy(&code, bytes.data() + 2 * i, 2);
        out.data()[i] = type == FactorType::F16 ? f16ToFloat(code) : bf16ToFloat(code);
    }
    return out;
}

bool overflowsF16(const MatrixF& values)
{
    for (Eigen::Index i = 0; i < values.size(); ++i)
        if ((floatToF16(values.data()[i]) & 0x7FFFU) == 0x7C00U)
            return true;
    return false;
}

/// sqrt of the length of a row of R as a power of two; 1 for a row of zeros.
double balance(const MatrixF& right, Eigen::Index row)
{
    const double length = right.row(row).cast<double>().norm();
    return length > 0 && std::isfinite(length) ? std::exp2(std::nearbyint(0.5 * std::log2(length))) : 1.0;
}

struct TileError {
    double weight = 0, residual = 0, scaledWeight = 0, scaledResidual = 0;
};

void addSquares(const ScaledMatrix& weights, const MatrixD& left, std::size_t row, const Metric& metric,
                TileError& sums)
{
    const std::size_t cols = weights.cols;
    for (Eigen::Index i = 0; i < left.rows(); ++i) {
        const float* w = weights.values.data() + (row + static_cast<std::size_t>(i)) * cols;
        const double* d = left.row(i).data();
        TileError line;
        for (std::size_t j = 0; j < cols; ++j) {
            const double value = static_cast<double>(w[j]);
            const double scale = metric.isPlain() ? 1.0 : static_cast<double>(metric.scale[j]);
            line.weight += value * value;
            line.residual += d[j] * d[j];
            line.scaledWeight += (value * scale) * (value * scale);
            line.scaledResidual += (d[j] * scale) * (d[j] * scale);
        }
        sums.weight += line.weight;
        sums.residual += line.residual;
        sums.scaledWeight += line.scaledWeight;
        sums.scaledResidual += line.scaledResidual;
    }
}

double relative(double residual, double weight)
{
    return weight > 0 ? std::sqrt(residual / weight) : 0.0;
}

}  // namespace

MatrixF StoredFactors::decodedLeft() const
{
    return decoded(left, type, rows, rank);
}

MatrixF StoredFactors::decodedRight() const
{
    return decoded(right, type, rank, cols);
}

StoredFactors storeFactors(const LowRankCorrection& correction, FactorType type)
{
    MatrixF left = correction.left;
    MatrixF right = correction.right;
    for (Eigen::Index i = 0; i < right.rows(); ++i) {
        const double d = balance(right, i);
        left.col(i) *= static_cast<float>(d);
        right.row(i) *= static_cast<float>(1.0 / d);
    }
    if (type == FactorType::F16 && (overflowsF16(left) || overflowsF16(right)))
        type = FactorType::BF16;
    StoredFactors out;
    out.type = type;
    out.rows = static_cast<std::size_t>(left.rows());
    out.cols = static_cast<std::size_t>(right.cols());
    out.rank = correction.rank();
    out.left = encoded(left, type);
    out.right = encoded(right, type);
    return out;
}

ReconstructionError reconstructionError(const ScaledMatrix& weights, const ScaledMatrix& residual,
                                        const StoredFactors* factors, const Metric& metric)
{
    assert(weights.rows == residual.rows && weights.cols == residual.cols);
    assert(metric.isPlain() || metric.scale.size() == weights.cols);
    const bool corrected = factors != nullptr && factors->rank > 0;
    const MatrixD left = corrected ? MatrixD(factors->decodedLeft().cast<double>()) : MatrixD();
    const MatrixD right = corrected ? MatrixD(factors->decodedRight().cast<double>()) : MatrixD();
    const std::size_t rows = weights.rows;
    const std::size_t cols = weights.cols;
    std::vector<TileError> tiles((rows + kTileRows - 1) / kTileRows);
    parallelFor(tiles.size(), [&](std::size_t tile) {
        const std::size_t row = tile * kTileRows;
        const std::size_t count = std::min(kTileRows, rows - row);
        MatrixD d = ConstMatrixMapF(residual.values.data() + row * cols, static_cast<Eigen::Index>(count),
                                    static_cast<Eigen::Index>(cols))
                        .cast<double>();
        if (corrected)
            blas::gemm(blas::Transpose::No, blas::Transpose::No, count, cols, factors->rank, -1.0,
                       left.data() + row * factors->rank, factors->rank, right.data(), cols, 1.0, d.data(), cols);
        addSquares(weights, d, row, metric, tiles[tile]);
    });
    TileError sums;
    for (const TileError& tile : tiles) {
        sums.weight += tile.weight;
        sums.residual += tile.residual;
        sums.scaledWeight += tile.scaledWeight;
        sums.scaledResidual += tile.scaledResidual;
    }
    ReconstructionError out;
    out.weightError = relative(sums.residual, sums.weight);
    if (!metric.isPlain())
        out.metricError = relative(sums.scaledResidual, sums.scaledWeight);
    return out;
}

double honestBits(double codeBits, double factorBits, std::size_t rows, std::size_t cols, std::size_t rank)
{
    const double weights = static_cast<double>(rows) * static_cast<double>(cols);
    const double factors = static_cast<double>(rank) * static_cast<double>(rows + cols);
    return (weights * codeBits + factors * factorBits) / weights;
}

double publishedLqerBits(double codeBits, double factorBits, std::size_t rows, std::size_t cols, std::size_t rank)
{
    const double weights = static_cast<double>(rows) * static_cast<double>(cols);
    const double factors = static_cast<double>(rank) * static_cast<double>(rows + cols);
    return (weights * codeBits + factors * factorBits) / (weights + factors);
}

}  // namespace sigmascope
