// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/ExactLowRank.h"

#include "core/tensor/Blas.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sigmascope {

namespace {

MatrixD product(blas::Transpose ta, blas::Transpose tb, const MatrixD& a, const MatrixD& b)
{
    const Eigen::Index m = ta == blas::Transpose::No ? a.rows() : a.cols();
    const Eigen::Index k = ta == blas::Transpose::No ? a.cols() : a.rows();
    const Eigen::Index n = tb == blas::Transpose::No ? b.cols() : b.rows();
    MatrixD out(m, n);
    blas::gemm(ta, tb, static_cast<std::size_t>(m), static_cast<std::size_t>(n), static_cast<std::size_t>(k), 1.0,
               a.data(), static_cast<std::size_t>(a.cols()), b.data(), static_cast<std::size_t>(b.cols()), 0.0,
               out.data(), static_cast<std::size_t>(n));
    return out;
}

/// From M = E G E^T, which is overwritten.
Result<ExactCorrection> fromWeightedGram(const MatrixD& residual, MatrixD weighted, std::size_t rank)
{
    const auto rows = static_cast<std::size_t>(residual.rows());
    ExactCorrection out;
    out.total = weighted.trace();
    std::vector<double> ascending(rows);
    if (Status done = blas::symmetricEigen(rows, weighted.data(), rows, ascending, true); !done)
        return passOn(done);
    for (std::size_t i = rows; i-- > 0;)
        out.squares.push_back(std::max(0.0, ascending[i]));
    const auto kept = static_cast<Eigen::Index>(std::min({rank, rows, static_cast<std::size_t>(residual.cols())}));
    out.left = weighted.rightCols(kept).rowwise().reverse();
    for (Eigen::Index i = 0; i < kept; ++i) {
        Eigen::Index largest = 0;
        out.left.col(i).cwiseAbs().maxCoeff(&largest);
        if (out.left(largest, i) < 0)
            out.left.col(i) = -out.left.col(i);
    }
    out.right = product(blas::Transpose::Yes, blas::Transpose::No, out.left, residual);
    return out;
}

}  // namespace

Result<ExactCorrection> lowRankGram(const MatrixD& residual, const MatrixD& gram, std::size_t rank)
{
    assert(gram.rows() == residual.cols() && gram.cols() == residual.cols());
    const MatrixD weighted = product(blas::Transpose::No, blas::Transpose::No, residual, gram);
    MatrixD m = product(blas::Transpose::No, blas::Transpose::Yes, weighted, residual);
    // Symmetric in exact arithmetic; the solver reads one triangle only.
    m = (0.5 * (m + m.transpose())).eval();
    return fromWeightedGram(residual, std::move(m), rank);
}

Result<ExactCorrection> lowRankExact(const MatrixD& residual, std::span<const double> scale, std::size_t rank)
{
    assert(scale.empty() || scale.size() == static_cast<std::size_t>(residual.cols()));
    MatrixD scaled = residual;
    if (!scale.empty())
        scaled.array().rowwise() *= Eigen::Map<const Eigen::RowVectorXd>(scale.data(), residual.cols()).array();
    const auto rows = static_cast<std::size_t>(residual.rows());
    const auto cols = static_cast<std::size_t>(residual.cols());
    MatrixD m(residual.rows(), residual.rows());
    blas::gram(rows, cols, scaled.data(), cols, m.data(), rows);
    return fromWeightedGram(residual, std::move(m), rank);
}

}  // namespace sigmascope
