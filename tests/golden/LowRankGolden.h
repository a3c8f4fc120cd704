// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The matrices, statistics and formats behind the golden numbers of the low-rank methods, in double and from
// SplitMix64 alone, so that any language can draw them again (methods-lowrank §14).

#include "core/base/Random.h"
#include "core/tensor/Matrix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace sigmascope::golden {

inline constexpr Eigen::Index kRows = 96;
inline constexpr Eigen::Index kCols = 128;
inline constexpr Eigen::Index kTokens = 512;

inline MatrixD gauss(std::uint64_t seed, Eigen::Index rows, Eigen::Index cols, double deviation = 1.0)
{
    MatrixD out(rows, cols);
    fillNormal(seed, std::span<double>(out.data(), static_cast<std::size_t>(out.size())), deviation);
    return out;
}

/// WG: plain noise.
inline MatrixD gaussianWeights()
{
    return gauss(101, kRows, kCols, 0.02);
}

/// WH: heavy tails and four loud columns.
inline MatrixD heavyWeights()
{
    MatrixD out = (gauss(102, kRows, kCols, 0.02).array() * (0.6 * gauss(103, kRows, kCols).array()).exp()).matrix();
    for (const Eigen::Index column : {5, 37, 64, 101})
        out.col(column) *= 6.0;
    return out;
}

/// WL: noise over three strong directions.
inline MatrixD structuredWeights()
{
    const MatrixD strong = 0.08 * gauss(105, kRows, 3) * gauss(106, 3, kCols) / std::sqrt(3.0);
    return gauss(104, kRows, kCols, 0.02) + strong;
}

/// X: correlated activations with log-normal channel scales, [512 x 128].
inline MatrixD activations(std::uint64_t seed = 201)
{
    const MatrixD channel = gauss(202, 1, kCols).array().exp().matrix();
    const MatrixD mix
        = MatrixD::Identity(kCols, kCols) + 0.5 * gauss(203, kCols, kCols) / std::sqrt(static_cast<double>(kCols));
    MatrixD out = gauss(seed, kTokens, kCols) * mix;
    out.array().rowwise() *= channel.row(0).array();
    return out;
}

/// Four batches of 128 tokens, row-major.
inline std::vector<std::vector<double>> batches(const MatrixD& x)
{
    std::vector<std::vector<double>> out;
    const auto size = static_cast<std::size_t>(x.size()) / 4;
    for (std::size_t i = 0; i < 4; ++i)
        out.emplace_back(x.data() + i * size, x.data() + (i + 1) * size);
    return out;
}

inline std::vector<double> rmsScale(const MatrixD& x)
{
    std::vector<double> out;
    for (Eigen::Index j = 0; j < x.cols(); ++j)
        out.push_back(std::sqrt(x.col(j).squaredNorm() / static_cast<double>(x.rows())));
    return out;
}

inline MatrixD gram(const MatrixD& x)
{
    return x.transpose() * x / static_cast<double>(x.rows());
}

/// Symmetric INT in double with its scale in double: codes ±(2^(bits-1) - 1), ties to even.
inline MatrixD integerSymmetric(const MatrixD& w, int bits, Eigen::Index group)
{
    const double top = std::exp2(bits - 1) - 1;
    MatrixD out(w.rows(), w.cols());
    for (Eigen::Index i = 0; i < w.rows(); ++i)
        for (Eigen::Index g = 0; g < w.cols(); g += group) {
            const auto block = w.row(i).segment(g, std::min(group, w.cols() - g)).array();
            const double largest = block.abs().maxCoeff();
            const double scale = largest > 0 ? largest / top : 1.0;
            for (Eigen::Index j = 0; j < block.size(); ++j)
                out(i, g + j) = std::clamp(std::nearbyint(block(j) / scale), -top, top) * scale;
        }
    return out;
}

/// MXINT: one power of two a block, 2^(floor(log2 max) - (width - 2)), magnitudes clamped, ties to even.
inline MatrixD mxint(const MatrixD& w, int width, Eigen::Index blockSize)
{
    const double top = std::exp2(width - 1) - 1;
    MatrixD out(w.rows(), w.cols());
    for (Eigen::Index i = 0; i < w.rows(); ++i)
        for (Eigen::Index g = 0; g < w.cols(); g += blockSize) {
            const auto block = w.row(i).segment(g, std::min(blockSize, w.cols() - g)).array();
            const double largest = block.abs().maxCoeff();
            const double step = std::ldexp(1.0, (largest > 0 ? std::ilogb(largest) : -126) - (width - 2));
            for (Eigen::Index j = 0; j < block.size(); ++j)
                out(i, g + j)
                    = std::copysign(std::min(std::nearbyint(std::abs(block(j)) / step), top) * step, block(j));
        }
    return out;
}

inline MatrixD scaled(MatrixD matrix, std::span<const double> scale)
{
    if (!scale.empty())
        matrix.array().rowwise() *= Eigen::Map<const Eigen::RowVectorXd>(scale.data(), matrix.cols()).array();
    return matrix;
}

/// || D S ||_F^2
inline double error(const MatrixD& d, std::span<const double> scale = {})
{
    return scaled(d, scale).squaredNorm();
}

/// tr(D G D^T)
inline double gramError(const MatrixD& d, const MatrixD& g)
{
    return (d * g).cwiseProduct(d).sum();
}

inline std::vector<float> toFloat(const MatrixD& matrix)
{
    const MatrixF out = matrix.cast<float>();
    return {out.data(), out.data() + out.size()};
}

inline std::vector<float> toFloat(std::span<const double> values)
{
    std::vector<float> out;
    for (const double value : values)
        out.push_back(static_cast<float>(value));
    return out;
}

/// A wider error for the iterated routes, whose short side must exceed what is solved whole: int4 of Gaussian
/// weights, groups of 64; white to within a percent.
inline std::vector<float> wideError(Eigen::Index rows, Eigen::Index cols)
{
    const MatrixD w = gauss(301, rows, cols, 0.02);
    return toFloat(w - integerSymmetric(w, 4, 64));
}

/// Log-normal channel scales with eight loud ones.
inline std::vector<float> wideScale(Eigen::Index cols)
{
    MatrixD s = gauss(302, 1, cols).array().exp().matrix();
    for (Eigen::Index i = 0; i < 8; ++i)
        s(0, (1237 * i + 5) % cols) *= 30.0;
    return toFloat(s);
}

}  // namespace sigmascope::golden
