// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/tensor/Matrix.h"

#include <cstddef>
#include <span>
#include <vector>

namespace sigmascope {

/// The closed form of methods-lowrank §2.3 in double, by the eigenvectors of M = E G E^T: L = U_k, R = U_k^T E.
/// Neither a root nor an inverse of G is taken, so dead channels and a singular G are harmless.
/// Cost: O(rows^2 (rows + cols)), with G also O(rows cols^2): for small matrices, and as the yardstick of lowRank().
struct ExactCorrection {
    MatrixD left;                 ///< [rows x rank], orthonormal columns, largest entry of each positive
    MatrixD right;                ///< [rank x cols]
    std::vector<double> squares;  ///< all squared singular values of E F, F F^T = G, descending, >= 0
    double total = 0;             ///< tr(E G E^T)
};

/// Full metric. @pre gram is symmetric positive semi-definite, [cols x cols]. Rank is clamped to min(rows, cols).
/// NonFinite, NotConverged.
[[nodiscard]] Result<ExactCorrection> lowRankGram(const MatrixD& residual, const MatrixD& gram, std::size_t rank);

/// Diagonal metric G = diag(scale^2), plain when @p scale is empty.
[[nodiscard]] Result<ExactCorrection> lowRankExact(const MatrixD& residual, std::span<const double> scale,
                                                   std::size_t rank);

}  // namespace sigmascope
