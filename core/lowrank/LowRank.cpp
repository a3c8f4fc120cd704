// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/LowRank.h"

#include "core/base/Random.h"
#include "core/lowrank/Decompositions.h"
#include "core/lowrank/KrylovBasis.h"
#include "core/lowrank/Products.h"

#include <algorithm>
#include <cmath>

namespace sigmascope {

namespace {

/// Short sides up to this are solved whole in double, and up to the second one (seconds) where an iterated basis
/// would have to span most of the space anyway.
constexpr std::size_t kExactSide = 512;
constexpr std::size_t kAffordableSide = 2048;
/// Columns a Krylov basis may have; wider blocks keep only the newest one (plain subspace iteration).
constexpr std::size_t kMaxBasis = 1280;
/// Iteration stops when a step adds less than this share of the total energy (methods-lowrank §7.2).
constexpr double kWorthwhile = 1e-3;

/// Leading singular directions on the short side, one a row, and what they are worth.
struct Directions {
    MatrixF vectors;
    std::vector<double> values;  ///< Ritz values of A S, descending
};

Directions fromPairs(RitzPairs pairs, std::size_t rank, double unit)
{
    Directions out;
    for (const double square : pairs.squares)
        out.values.push_back(std::sqrt(std::max(0.0, square)) / unit);
    pairs.vectors.conservativeResize(static_cast<Eigen::Index>(rank), Eigen::NoChange);
    out.vectors = std::move(pairs.vectors);
    return out;
}

Result<Directions> exactDirections(const ScaledMatrix& residual, std::size_t rank, const JobContext& job)
{
    auto gram = shortSideGram(residual, job);
    if (!gram)
        return passOn(gram);
    const std::size_t side = residual.minSide();
    const auto eigen = symmetricEigen(std::move(*gram), true, job);
    if (!eigen)
        return passOn(eigen);
    Directions out;
    const auto wanted = static_cast<Eigen::Index>(rank);
    out.vectors = eigen->vectors.rightCols(wanted).rowwise().reverse().transpose().cast<float>();
    for (std::size_t i = side; i-- > side - rank;)
        out.values.push_back(std::sqrt(std::max(0.0, eigen->values[i])));
    return out;
}

double leadingSum(const std::vector<double>& squares, std::size_t rank)
{
    double sum = 0;
    for (std::size_t i = std::min(rank, squares.size()); i-- > 0;)
        sum += squares[i];
    return sum;
}

/// Orthonormal rows of panel * H, by way of the long side: no direction is squared before it is orthonormalised.
Result<MatrixF> powerStep(SideProducts& products, const MatrixF& panel)
{
    auto image = products.toLong(panel);
    if (!image)
        return passOn(image);
    const auto along = orthonormalRows(std::move(*image), false, products.job());
    if (!along)
        return passOn(along);
    auto back = products.toShort(along->rows);
    if (!back)
        return passOn(back);
    auto across = orthonormalRows(std::move(*back), false, products.job());
    if (!across)
        return passOn(across);
    return std::move(across->rows);
}

/// Whether all blocks of a Krylov basis may be kept.
bool basisFits(std::size_t rank, const LowRankOptions& options, std::size_t side)
{
    const auto steps = static_cast<std::size_t>(std::max(0, options.powerIterations));
    return (rank + options.oversample) * (steps + 1) <= std::min(kMaxBasis, side);
}

/// Block Krylov while the basis is small (never worse than subspace iteration for the same products, and much
/// better on flat spectra), subspace iteration otherwise. Both stop early once a step adds next to nothing.
Result<Directions> iteratedDirections(SideProducts& products, std::size_t rank, const LowRankOptions& options,
                                      double total)
{
    const std::size_t block = std::min(rank + options.oversample, products.shortSide());
    auto basis = KrylovBasis::start(products, block, options.seed);
    if (!basis)
        return passOn(basis);
    const double worthwhile = kWorthwhile * total * products.unit() * products.unit();
    // A device has no solver for whole matrices: small ones, which are solved whole here, are iterated until the basis
    // spans everything or a step adds next to nothing.
    const bool isSmall = products.onDevice() && products.shortSide() <= kExactSide;
    const auto steps = isSmall ? (products.shortSide() + block - 1) / block
                               : static_cast<std::size_t>(std::max(0, options.powerIterations));
    const bool krylov = isSmall || basisFits(rank, options, products.shortSide());
    MatrixF panel;
    double before = -1;
    for (std::size_t step = 0; step < steps; ++step) {
        const auto squares = basis->ritzValues();
        if (!squares)
            return passOn(squares);
        const double captured = leadingSum(*squares, rank);
        if (before >= 0 && captured - before < worthwhile)
            break;
        before = captured;
        if (krylov) {
            if (Status done = basis->extend(); !done)
                return passOn(done);
            continue;
        }
        auto next = powerStep(products, panel.size() == 0 ? basis->newestBlock() : panel);
        if (!next)
            return passOn(next);
        panel = *next;
        basis = KrylovBasis::from(products, std::move(*next));
        if (!basis)
            return passOn(basis);
    }
    auto pairs = basis->ritzWithoutResiduals(std::min(block, basis->size()));
    if (!pairs)
        return passOn(pairs);
    return fromPairs(std::move(*pairs), rank, products.unit());
}

/// L^T with orthonormal rows, [rank x rows].
Result<MatrixF> leftRows(SideProducts& products, const ScaledMatrix& residual, MatrixF vectors)
{
    if (residual.rows > residual.cols) {
        auto image = products.toLong(vectors);
        if (!image)
            return passOn(image);
        vectors = std::move(*image);
    }
    auto orthonormal = orthonormalRows(std::move(vectors), false, products.job());
    if (!orthonormal)
        return passOn(orthonormal);
    vectors = std::move(orthonormal->rows);
    for (Eigen::Index i = 0; i < vectors.rows(); ++i) {
        Eigen::Index largest = 0;
        vectors.row(i).cwiseAbs().maxCoeff(&largest);
        if (vectors(i, largest) < 0)
            vectors.row(i) = -vectors.row(i);
    }
    return vectors;
}

}  // namespace

Result<LowRankCorrection> lowRank(const ScaledMatrix& residual, std::size_t rank, const LowRankOptions& options,
                                  const JobContext& job)
{
    if (Status finite = checkFinite(residual, job); !finite)
        return passOn(finite);
    const std::size_t side = residual.minSide();
    rank = std::min(rank, side);
    LowRankCorrection out;
    out.total = energy(residual, job.stop);
    if (job.cancelled())
        return cancelledError();
    out.tail = out.total;
    if (rank == 0 || out.total == 0) {
        out.left.resize(static_cast<Eigen::Index>(residual.rows), 0);
        out.right.resize(0, static_cast<Eigen::Index>(residual.cols));
        return out;
    }
    SideProducts products(residual, out.total, job);
    const bool exact = !products.onDevice()
        && (side <= kExactSide || rank + options.oversample >= side
            || (side <= kAffordableSide && !basisFits(rank, options, side)));
    auto found = exact ? exactDirections(residual, rank, job) : iteratedDirections(products, rank, options, out.total);
    if (!found)
        return passOn(found);
    const auto left = leftRows(products, residual, std::move(found->vectors));
    if (!left)
        return passOn(left);
    const ScaledMatrix unscaled{residual.values, residual.rows, residual.cols, {}, residual.device};
    auto right = panelTimes(*left, unscaled, 1.0, job);
    if (!right)
        return passOn(right);
    out.left = left->transpose();
    out.right = std::move(*right);
    out.ritzValues = std::move(found->values);
    // ||A - U U^T A||^2 = ||A||^2 - ||U^T A||^2 for any orthonormal U: measured on the R that is returned.
    out.captured = std::min(out.total, energy({{out.right.data(), static_cast<std::size_t>(out.right.size())},
                                               rank, residual.cols, residual.scale}));
    out.tail = out.total - out.captured;
    return out;
}

}  // namespace sigmascope
