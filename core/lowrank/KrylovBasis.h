// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/lowrank/Products.h"
#include "core/tensor/Matrix.h"

#include <cstdint>
#include <vector>

namespace sigmascope {

/// Ritz pairs of H = (A S)(A S)^T, or its mirror when columns are the short side, on a basis.
struct RitzPairs {
    std::vector<double> squares;     ///< Ritz values theta of H, descending, in units of the products (see unit())
    MatrixF vectors;                 ///< [count x shortSide], orthonormal rows
    std::vector<double> residuals;   ///< || H u - theta u ||, as the recurrence tells it
};

/// Block Krylov basis K = [Y, H Y, H^2 Y, …] of the short side with full re-orthogonalisation
/// (methods-lowrank §7.3), for Rayleigh-Ritz on all blocks. K^T H K comes from the images of the basis on the
/// long side in double, so squares below f32 resolution of the largest are not lost.
///
/// Memory: 4 (short + 2 long) bytes a column, more or less.
class KrylovBasis {
public:
    /// Starts from @p block Gaussian vectors of the stream @p seed. @pre block <= shortSide.
    [[nodiscard]] static Result<KrylovBasis> start(SideProducts& products, std::size_t block, std::uint64_t seed);

    /// Starts over from the given orthonormal rows [block x shortSide].
    [[nodiscard]] static Result<KrylovBasis> from(SideProducts& products, MatrixF panel);

    [[nodiscard]] std::size_t size() const { return m_size; }
    [[nodiscard]] bool spansAll() const;

    /// Appends the next block, orthonormal to all before it. Does nothing once the basis spans everything.
    [[nodiscard]] Status extend();

    /// The @p count leading pairs of the basis as it is. Computes the next block's direction first, whose
    /// size is the residual (one product, used by the next extend()).
    [[nodiscard]] Result<RitzPairs> ritz(std::size_t count);

    /// The same without residuals and without the product they need.
    [[nodiscard]] Result<RitzPairs> ritzWithoutResiduals(std::size_t count) const;

    /// [block x shortSide]
    [[nodiscard]] MatrixF newestBlock() const;

    /// All Ritz values, squared, descending; without products.
    [[nodiscard]] Result<std::vector<double>> ritzValues() const;

private:
    explicit KrylovBasis(SideProducts& products) : m_products(&products) {}

    [[nodiscard]] Status append(MatrixF panel);
    [[nodiscard]] Status prepareNext();
    void projectOut(MatrixF& panel) const;
    /// Coefficients of the leading pairs go to @p leading, [count x size].
    [[nodiscard]] Result<RitzPairs> pairsOf(std::size_t count, MatrixD& leading) const;

    SideProducts* m_products;
    std::size_t m_size = 0;
    std::vector<float> m_basis;    ///< [size x shortSide]
    std::vector<double> m_images;  ///< [size x longSide]: the basis times A S
    MatrixF m_lastImage;           ///< of the newest block
    MatrixD m_gram;                ///< K^T H K
    MatrixF m_next;                ///< next block, orthonormal; empty until prepared
    MatrixF m_coupling;            ///< R of H Y_last^T = K^T(...) + next^T R, [block x block], upper triangle
};

/// || H u_i - theta_i u_i || and theta_i of the given rows, measured by two fresh products; theta is the
/// Rayleigh quotient in double.
struct MeasuredPairs {
    std::vector<double> squares;
    std::vector<double> residuals;
};
[[nodiscard]] Result<MeasuredPairs> measure(SideProducts& products, const MatrixF& vectors);

}  // namespace sigmascope
