// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The one door to Eigen. Products of any size that matters go through core/tensor/Blas.h, whose tiles do
// not depend on the thread count; Eigen serves storage, small solves and readable formulas.

#include <Eigen/Core>

namespace sigmascope {

using MatrixF = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixD = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using VectorF = Eigen::VectorXf;
using VectorD = Eigen::VectorXd;
using ConstMatrixMapF = Eigen::Map<const MatrixF>;
using MatrixMapF = Eigen::Map<MatrixF>;

}  // namespace sigmascope
