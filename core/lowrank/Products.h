// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/base/Result.h"
#include "core/lowrank/Spectrum.h"
#include "core/tensor/Matrix.h"

#include <vector>

namespace sigmascope {

/// Products of thin panels with a matrix A S seen from its short side, which is where all bases here live.
/// Panels are kept transposed (one vector a row), as LAPACK and OpenBLAS like them. A S is never formed: the
/// thin panel is scaled instead.
///
/// Every product is multiplied by unit(), a power of two near 1 / ||A S||_F, so that neither tiny nor huge
/// matrices leave the range of float. Tiles do not depend on the thread count. The job is polled every tile.
class SideProducts {
public:
    /// @pre matrixEnergy == energy(matrix), finite and positive.
    SideProducts(const ScaledMatrix& matrix, double matrixEnergy, const JobContext& job);

    [[nodiscard]] std::size_t shortSide() const { return m_matrix.minSide(); }
    [[nodiscard]] std::size_t longSide() const;
    [[nodiscard]] double unit() const { return m_unit; }
    [[nodiscard]] int passes() const { return m_passes; }
    [[nodiscard]] const JobContext& job() const { return m_job; }
    /// True when products run on a device: the iterated routes are then taken whatever the size.
    [[nodiscard]] bool onDevice() const { return m_matrix.device != nullptr; }

    /// [vectors x shortSide] -> [vectors x longSide]. Cancelled.
    [[nodiscard]] Result<MatrixF> toLong(const MatrixF& panel);
    /// [vectors x longSide] -> [vectors x shortSide]. Cancelled.
    [[nodiscard]] Result<MatrixF> toShort(const MatrixF& panel);
    /// Images of a basis times the newest of them, [size x newest rows], in double (or what a device comes near to
    /// it). @param images [size x longSide], floats all of them.
    [[nodiscard]] Result<MatrixD> imageGram(std::span<const double> images, const MatrixF& newest);

private:
    [[nodiscard]] Result<MatrixF> timesRows(const MatrixF& panel);  ///< panel [v x rows] * A S, counted
    [[nodiscard]] Result<MatrixF> timesCols(const MatrixF& panel);  ///< panel [v x cols] * (A S)^T
    [[nodiscard]] bool rowsAreShort() const { return m_matrix.rows <= m_matrix.cols; }

    ScaledMatrix m_matrix;
    const JobContext& m_job;
    double m_unit = 1;
    int m_passes = 0;
};

/// unit * panel [vectors x rows] * A S, [vectors x cols]. Cancelled.
[[nodiscard]] Result<MatrixF> panelTimes(const MatrixF& panel, const ScaledMatrix& matrix, double unit,
                                         const JobContext& job);

/// Gram matrix of the short side, (A S)(A S)^T or its mirror, in double over fixed tiles. Cancelled.
[[nodiscard]] Result<MatrixD> shortSideGram(const ScaledMatrix& matrix, const JobContext& job);

/// NonFinite, naming the first bad element, if the matrix or its scale holds NaN or infinity, or a scale is
/// negative. Cancelled.
[[nodiscard]] Status checkFinite(const ScaledMatrix& matrix, const JobContext& job);

}  // namespace sigmascope
