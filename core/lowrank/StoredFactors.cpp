// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/LowRank.h"

#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/compute/Kernels.h"
#include "core/grid/Grid.h"
#include "core/tensor/Blas.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <span>

namespace sigmascope {

namespace {

/// Sums run side by side, so that a processor can add without waiting for its last addition; fixed, as their order is.
constexpr std::size_t kLanes = 8;
/// Rows that are summed up before they join the others.
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

const Grid& blockGrid()
{
    static const Grid& grid = **findGrid("q8_0");
    return grid;
}

std::vector<std::byte> encoded(const MatrixF& values, FactorType type)
{
    std::vector<std::byte> out;
    if (type == FactorType::F16) {
        storeCodes<std::uint16_t>(values, floatToF16, out);
    } else if (type == FactorType::BF16) {
        storeCodes<std::uint16_t>(values, floatToBf16, out);
    } else if (type == FactorType::Q8_0) {
        const auto rows = static_cast<std::size_t>(values.rows());
        const auto cols = static_cast<std::size_t>(values.cols());
        out.resize(rows * blockGrid().rowBytes(cols));
        [[maybe_unused]] const Status done = blockGrid().encode(valuesOf(values), rows, cols, out);
        assert(done);  // finite, and no block beyond f16: dropUnstorable()
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
    if (type == FactorType::Q8_0) {
        blockGrid().decode(bytes, rows, cols, {out.data(), rows * cols});
        return out;
    }
    for (std::size_t i = 0; i < rows * cols; ++i) {
        std::uint16_t code = 0;
        std::memcpy(&code, bytes.data() + 2 * i, 2);
        out.data()[i] = type == FactorType::F16 ? f16ToFloat(code) : bf16ToFloat(code);
    }
    return out;
}

/// Largest code of Q8_0 and I8: a scale is the largest magnitude over it.
constexpr float kTopCode = 127;
constexpr float kLargestF16 = 65504;

/// Rank vectors that 8 bit cannot hold become zeros on both sides.
void dropUnstorable(MatrixF& left, MatrixF& right)
{
    for (Eigen::Index i = 0; i < right.rows(); ++i) {
        // A negated comparison: NaN goes too.
        const bool fits = left.col(i).cwiseAbs().maxCoeff() <= kTopCode * kLargestF16
                          && right.row(i).cwiseAbs().maxCoeff() <= kTopCode * kLargestF16;
        if (!fits) {
            left.col(i).setZero();
            right.row(i).setZero();
        }
    }
}

/// Where the elements of rank vector i lie: columns of L, rows of R.
enum class Side { Left, Right };

float& element(MatrixF& factor, Side side, Eigen::Index vector, Eigen::Index i)
{
    return side == Side::Left ? factor(i, vector) : factor(vector, i);
}

/// Codes of every element in the factor's own order, and the scales of its rank vectors.
void encodeI8(MatrixF factor, Side side, std::vector<std::byte>& codes, std::vector<std::byte>& scales)
{
    const Eigen::Index vectors = side == Side::Left ? factor.cols() : factor.rows();
    const Eigen::Index length = side == Side::Left ? factor.rows() : factor.cols();
    scales.resize(static_cast<std::size_t>(vectors) * 2);
    for (Eigen::Index v = 0; v < vectors; ++v) {
        float largest = 0;
        for (Eigen::Index i = 0; i < length; ++i)
            largest = std::max(largest, std::abs(element(factor, side, v, i)));
        // Rounded first: codes fit the scale that a reader will see.
        std::uint16_t half = floatToF16(largest / kTopCode);
        if (half == 0 && largest > 0)
            half = 1;
        const double scale = f16ToFloat(half);
        std::memcpy(scales.data() + 2 * v, &half, 2);
        for (Eigen::Index i = 0; i < length; ++i) {
            float& value = element(factor, side, v, i);
            const double code = scale == 0 ? 0.0 : std::nearbyint(static_cast<double>(value) / scale);
            value = static_cast<float>(std::clamp(code, -double{kTopCode}, double{kTopCode}));
        }
    }
    codes.resize(static_cast<std::size_t>(factor.size()));
    for (std::size_t i = 0; i < codes.size(); ++i)
        codes[i] = static_cast<std::byte>(static_cast<std::int8_t>(factor.data()[i]));
}

MatrixF decodedI8(std::span<const std::byte> codes, std::span<const std::byte> scales, Side side, std::size_t rows,
                  std::size_t cols)
{
    MatrixF out(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols));
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < cols; ++j) {
            std::uint16_t half = 0;
            std::memcpy(&half, scales.data() + 2 * (side == Side::Left ? j : i), 2);
            out.data()[i * cols + j] = f16ToFloat(half) * static_cast<float>(static_cast<std::int8_t>(codes[i * cols + j]));
        }
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

using Lanes = Eigen::Array<double, kLanes, 1>;

/// The squares of a row of W and of what a correction leaves of it, which is of more digits than the codes' own residual.
/// @param scale  null for the plain metric.
ReconstructionSums correctedRow(const float* weights, const double* residual, const float* scale, std::size_t cols)
{
    Lanes weight = Lanes::Zero(), left = Lanes::Zero(), scaledWeight = Lanes::Zero(), scaledLeft = Lanes::Zero();
    const auto add = [&](const float* w, const double* d, const float* s) {
        const Lanes value = Eigen::Map<const Eigen::Array<float, kLanes, 1>>(w).cast<double>();
        const Lanes rest = Eigen::Map<const Lanes>(d);
        weight += value * value;
        left += rest * rest;
        if (s != nullptr) {
            const Lanes by = Eigen::Map<const Eigen::Array<float, kLanes, 1>>(s).cast<double>();
            scaledWeight += (value * by) * (value * by);
            scaledLeft += (rest * by) * (rest * by);
        }
    };
    const std::size_t whole = cols - cols % kLanes;
    for (std::size_t j = 0; j < whole; j += kLanes)
        add(weights + j, residual + j, scale == nullptr ? nullptr : scale + j);
    if (whole < cols) {
        std::array<float, kLanes> w{}, s{};
        std::array<double, kLanes> d{};
        std::copy(weights + whole, weights + cols, w.begin());
        std::copy(residual + whole, residual + cols, d.begin());
        if (scale != nullptr)
            std::copy(scale + whole, scale + cols, s.begin());
        add(w.data(), d.data(), scale == nullptr ? nullptr : s.data());
    }
    return {weight.sum(), left.sum(), scaledWeight.sum(), scaledLeft.sum()};
}

double relative(double residual, double weight)
{
    return weight > 0 ? std::sqrt(residual / weight) : 0.0;
}

}  // namespace

MatrixF StoredFactors::decodedLeft() const
{
    return type == FactorType::I8 ? decodedI8(left, leftScales, Side::Left, rows, rank) : decoded(left, type, rows, rank);
}

MatrixF StoredFactors::decodedRight() const
{
    return type == FactorType::I8 ? decodedI8(right, rightScales, Side::Right, rank, cols) : decoded(right, type, rank, cols);
}

bool canStore(FactorType type, std::size_t cols, std::size_t rank)
{
    constexpr std::size_t kBlock = 32;
    return type != FactorType::Q8_0 || (cols % kBlock == 0 && rank % kBlock == 0);
}

std::size_t factorRowBytes(FactorType type, std::size_t values)
{
    return type == FactorType::Q8_0 ? blockGrid().rowBytes(values) : values * static_cast<std::size_t>(factorBits(type)) / 8;
}

std::size_t factorBytes(FactorType type, std::size_t rows, std::size_t cols, std::size_t rank)
{
    if (rank == 0)
        return 0;
    if (!canStore(type, cols, rank))
        type = FactorType::F16;
    const std::size_t scales = type == FactorType::I8 ? 2 * 2 * rank : 0;
    return rows * factorRowBytes(type, rank) + rank * factorRowBytes(type, cols) + scales;
}

int factorBits(FactorType type)
{
    switch (type) {
    case FactorType::F32: return 32;
    case FactorType::F16:
    case FactorType::BF16: return 16;
    case FactorType::Q8_0:
    case FactorType::I8: return 8;
    }
    return 16;
}

std::string_view factorName(FactorType type)
{
    switch (type) {
    case FactorType::F32:
        return "f32";
    case FactorType::F16:
        return "f16";
    case FactorType::BF16:
        return "bf16";
    case FactorType::Q8_0:
        return "q8_0";
    case FactorType::I8:
        return "i8";
    }
    return "";
}

StoredFactors storeFactors(const LowRankCorrection& correction, FactorType type, std::size_t rank)
{
    const auto wanted = static_cast<Eigen::Index>(std::max(rank, correction.rank()));
    MatrixF left = MatrixF::Zero(correction.left.rows(), wanted);
    MatrixF right = MatrixF::Zero(wanted, correction.right.cols());
    left.leftCols(correction.left.cols()) = correction.left;
    right.topRows(correction.right.rows()) = correction.right;
    for (Eigen::Index i = 0; i < correction.right.rows(); ++i) {
        const double d = balance(right, i);
        left.col(i) *= static_cast<float>(d);
        right.row(i) *= static_cast<float>(1.0 / d);
    }
    if (!canStore(type, static_cast<std::size_t>(right.cols()), static_cast<std::size_t>(wanted)))
        type = FactorType::F16;
    if (type == FactorType::F16 && (overflowsF16(left) || overflowsF16(right)))
        type = FactorType::BF16;
    StoredFactors out;
    out.type = type;
    out.rows = static_cast<std::size_t>(left.rows());
    out.cols = static_cast<std::size_t>(right.cols());
    out.rank = static_cast<std::size_t>(wanted);
    if (factorBits(type) == 8)
        dropUnstorable(left, right);
    if (type == FactorType::I8) {
        encodeI8(left, Side::Left, out.left, out.leftScales);
        encodeI8(right, Side::Right, out.right, out.rightScales);
        return out;
    }
    out.left = encoded(left, type);
    out.right = encoded(right, type);
    return out;
}

ReconstructionError ReconstructionSums::error(const Metric& metric) const
{
    ReconstructionError out;
    out.weightError = relative(residual, weight);
    if (!metric.isPlain())
        out.metricError = relative(scaledResidual, scaledWeight);
    return out;
}

ReconstructionSums& ReconstructionSums::operator+=(const ReconstructionSums& other)
{
    weight += other.weight;
    residual += other.residual;
    scaledWeight += other.scaledWeight;
    scaledResidual += other.scaledResidual;
    return *this;
}

void rowReconstruction(const ScaledMatrix& weights, std::span<const float> residual, std::span<ReconstructionSums> rows)
{
    const std::size_t cols = weights.cols;
    assert(rows.size() == weights.rows && residual.size() == rows.size() * cols && weights.values.size() == residual.size());
    const float* scale = weights.scale.empty() ? nullptr : weights.scale.data();
    for (std::size_t row = 0; row < rows.size(); ++row) {
        kernels::RowSquares squares{};
        kernelTable().rowSquares(weights.values.data() + row * cols, residual.data() + row * cols, scale, cols, &squares);
        rows[row] = {squares.weight, squares.residual, squares.scaledWeight, squares.scaledResidual};
    }
}

ReconstructionSums joined(std::span<const ReconstructionSums> rows)
{
    ReconstructionSums sums;
    for (std::size_t row = 0; row < rows.size(); row += kTileRows) {
        ReconstructionSums tile;
        for (const ReconstructionSums& part : rows.subspan(row, std::min(kTileRows, rows.size() - row)))
            tile += part;
        sums += tile;
    }
    return sums;
}

ReconstructionSums reconstructionSums(const ScaledMatrix& weights, const ScaledMatrix& residual,
                                      const StoredFactors* factors, const Metric& metric, const std::stop_token& stop)
{
    assert(weights.rows == residual.rows && weights.cols == residual.cols);
    assert(metric.isPlain() || metric.scale.size() == weights.cols);
    const bool corrected = factors != nullptr && factors->rank > 0;
    const MatrixD left = corrected ? MatrixD(factors->decodedLeft().cast<double>()) : MatrixD();
    const MatrixD right = corrected ? MatrixD(factors->decodedRight().cast<double>()) : MatrixD();
    const std::size_t cols = weights.cols;
    const float* scale = metric.isPlain() ? nullptr : metric.scale.data();
    std::vector<ReconstructionSums> rows(weights.rows);
    // A tile in double of a wide layer stays in the last-level cache.
    parallelFor((rows.size() + kTileRows - 1) / kTileRows, [&](std::size_t tile) {
        if (stop.stop_requested())
            return;
        const std::size_t row = tile * kTileRows;
        const auto own = std::span(rows).subspan(row, std::min(kTileRows, rows.size() - row));
        const auto w = weights.values.subspan(row * cols, own.size() * cols);
        const auto e = residual.values.subspan(row * cols, own.size() * cols);
        if (!corrected)
            return rowReconstruction({w, own.size(), cols, metric.scale}, e, own);
        MatrixD d = ConstMatrixMapF(e.data(), static_cast<Eigen::Index>(own.size()), static_cast<Eigen::Index>(cols))
                        .cast<double>();
        blas::gemm(blas::Transpose::No, blas::Transpose::No, own.size(), cols, factors->rank, -1.0,
                   left.data() + row * factors->rank, factors->rank, right.data(), cols, 1.0, d.data(), cols);
        for (std::size_t i = 0; i < own.size(); ++i)
            own[i] = correctedRow(w.data() + i * cols, d.data() + i * cols, scale, cols);
    });
    return joined(rows);
}

ReconstructionError reconstructionError(const ScaledMatrix& weights, const ScaledMatrix& residual,
                                        const StoredFactors* factors, const Metric& metric,
                                        const std::stop_token& stop)
{
    return reconstructionSums(weights, residual, factors, metric, stop).error(metric);
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
