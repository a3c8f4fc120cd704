// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/tensor/Matrix.h"

#include <vector>

namespace sigmascope {

// LAPACK cannot be interrupted. What takes it longer than some milliseconds runs on a thread of its own, on matrices
// moved there: a cancelled job returns at once, and the result is dropped (runAbandonable).

struct SymmetricEigen {
    std::vector<double> values;  ///< ascending
    MatrixD vectors;             ///< as columns; empty if not wanted
};

/// Of a symmetric matrix. NotConverged, NonFinite, Cancelled.
[[nodiscard]] Result<SymmetricEigen> symmetricEigen(MatrixD matrix, bool withVectors, const JobContext& job);

struct OrthonormalRows {
    MatrixF rows;
    MatrixF triangle;  ///< R of panel^T = Q R, [n x n]; empty if not wanted
};

/// Of a panel with no more rows than columns; rows that vanish become orthonormal fill. NonFinite, Cancelled.
[[nodiscard]] Result<OrthonormalRows> orthonormalRows(MatrixF panel, bool withTriangle, const JobContext& job);

}  // namespace sigmascope
