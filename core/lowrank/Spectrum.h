// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/base/Result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sigmascope {

class MatrixProducts;

/// A dense matrix A diag(scale), [rows x cols] row-major, never formed: columns are scaled on the fly.
/// Borrowed. An empty scale means A itself.
struct ScaledMatrix {
    std::span<const float> values{};
    std::size_t rows = 0, cols = 0;
    std::span<const float> scale{};
    MatrixProducts* device = nullptr;  ///< where products with A run; null: here, by BLAS

    [[nodiscard]] std::size_t minSide() const { return rows < cols ? rows : cols; }
};

/// || A diag(scale) ||_F^2, in double over fixed chunks. Worth nothing once @p stop is requested.
[[nodiscard]] double energy(const ScaledMatrix& matrix, const std::stop_token& stop = {});

/// Singular values of one matrix, descending, and what is not known of the rest.
struct Spectrum {
    std::vector<double> values;      ///< leading ones; all of them when complete
    std::size_t total = 0;           ///< min(rows, cols)
    double totalEnergy = 0;          ///< ||A S||_F^2, exact
    double captured = 0;             ///< sum of values^2
    /// totalEnergy - captured, exact (Frobenius identity): the energy of the values not computed.
    double unresolvedEnergy = 0;
    /// Values below it are under the numerical resolution of the route taken. Gram: sigma_1 sqrt(n eps_f64);
    /// iterated: ||A S||_F eps_f32 / (2 tolerance), where products in f32 stop telling a value to the tolerance.
    double floor = 0;
    /// Leading values whose triplet residual ||A^T u - sigma v|| certifies the asked tolerance; equals values.size()
    /// when the request was met. Iterated values under `floor` count as met, the floor marks them; of a full
    /// spectrum those above `floor` are counted.
    std::size_t certified = 0;
    double tolerance = 0;            ///< asked, relative, on every value
    bool complete = false;           ///< all values computed
    /// Ritz values are never above the true ones: an incomplete spectrum is a lower bound.
    bool lowerBound = false;
    /// Largest singular value pure noise of the same energy would have: tau (sqrt m + sqrt n), tau^2 = ||A||^2 / mn
    /// (Marchenko-Pastur). 0 for a scaled matrix, where i.i.d. noise is no reference.
    double noiseEdge = 0;
    int passes = 0;                  ///< products with A or its transpose
};

struct SpectrumOptions {
    std::size_t count = 64;
    double tolerance = 0.01;         ///< relative, on every value
    std::uint64_t seed = 0;
    int maxPasses = 200;
    /// Short sides up to this are solved whole: the f64 Gram costs less than finding out how far to iterate.
    std::size_t exactSide = 1024;
};

/// The `count` leading values by block Krylov with full re-orthogonalisation, iterated until every triplet's
/// residual certifies the tolerance (methods-lowrank §7.3; subspace iteration misses white spectra).
/// Matrices of min side <= exactSide are solved whole. NonFinite if the matrix or scale is not finite; Cancelled.
[[nodiscard]] Result<Spectrum> leadingSpectrum(const ScaledMatrix& matrix, const SpectrumOptions& options,
                                               const JobContext& job = {});

/// All values by the f64 Gram of the short side; values under `floor` are not resolved.
[[nodiscard]] Result<Spectrum> fullSpectrum(const ScaledMatrix& matrix, const JobContext& job = {});

/// Marchenko-Pastur edge of i.i.d. noise with the matrix' energy: sqrt(E / mn) (sqrt m + sqrt n).
[[nodiscard]] double marchenkoPasturEdge(double energy, std::size_t rows, std::size_t cols);

}  // namespace sigmascope
