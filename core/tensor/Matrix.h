// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The one door to Eigen. Products of any size that matters go through core/tensor/Blas.h, whose tiles do
// not depend on the thread count; Eigen serves storage, small solves and readable formulas.

#include <Eigen/Core>

#include <cstddef>
#include <span>

namespace sigmascope {

using MatrixF = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixD = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using VectorF = Eigen::VectorXf;
using VectorD = Eigen::VectorXd;
using ConstMatrixMapF = Eigen::Map<const MatrixF>;
using MatrixMapF = Eigen::Map<MatrixF>;

/// Row after row.
[[nodiscard]] inline std::span<const float> valuesOf(const MatrixF& matrix)
{
    return {matrix.data(), static_cast<std::size_t>(matrix.size())};
}
[[nodiscard]] inline std::span<float> valuesOf(MatrixF& matrix)
{
    return {matrix.data(), static_cast<std::size_t>(matrix.size())};
}

}  // namespace sigmascope
