// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/Spectrum.h"

#include "core/base/Parallel.h"
#include "core/lowrank/Decompositions.h"
#include "core/lowrank/KrylovBasis.h"
#include "core/lowrank/Products.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sigmascope {

namespace {

/// Solved whole are also requests for a good part of all values, where a Krylov basis would grow to most of the space anyway.
constexpr std::size_t kExactShare = 8;
/// Vectors a block. Small blocks reach a higher polynomial degree for the same work (a white 4096 x 11008 error,
/// 64 values to 1 %: 92, 115, 161 GFLOP with blocks of 16, 32, 64); below 32 products become bandwidth-bound.
constexpr std::size_t kBlock = 32;
/// Growth of the basis between two looks at the residuals.
constexpr double kLookGrowth = 1.2;

/// What a triplet says about the true value. With A^T u = sigma v exactly and r = ||A v - sigma u||, the vector u
/// has the residual s = sigma r for A A^T, so an eigenvalue lies within s of sigma^2 (Weinstein), hence a
/// singular value within r / (1 + sqrt(1 - r / sigma)) of sigma: about r / 2, and never more than r.
/// Ritz values never exceed the values they stand for (Cauchy), so the error is one-sided.
/// That this value is the i-th is what the Gaussian start makes all but certain, and no residual can prove.
bool certifies(double square, double residual, double tolerance, double floor)
{
    const double sigma = std::sqrt(std::max(0.0, square));
    if (sigma <= floor)
        return true;  // f32 products cannot tell it from zero; it is marked by the floor instead
    const double r = residual / sigma;
    const double bound = r / (1.0 + std::sqrt(std::max(0.0, 1.0 - r / sigma)));
    return bound <= tolerance * sigma;
}

bool allCertified(const std::vector<double>& squares, const std::vector<double>& residuals, double tolerance,
                  double floor)
{
    for (std::size_t i = 0; i < squares.size(); ++i)
        if (!certifies(squares[i], residuals[i], tolerance, floor))
            return false;
    return true;
}

/// Products round at eps ||A S||_F; a value must stand this far above it for a residual to tell it to tolerance.
double krylovFloor(double matrixEnergy, double tolerance)
{
    return std::sqrt(matrixEnergy) * static_cast<double>(std::numeric_limits<float>::epsilon())
        * std::max(1.0, 0.5 / tolerance);
}

Spectrum describe(const ScaledMatrix& matrix, double matrixEnergy, double tolerance)
{
    Spectrum spectrum;
    spectrum.total = matrix.minSide();
    spectrum.totalEnergy = matrixEnergy;
    spectrum.tolerance = tolerance;
    if (matrix.scale.empty())
        spectrum.noiseEdge = marchenkoPasturEdge(matrixEnergy, matrix.rows, matrix.cols);
    return spectrum;
}

/// Fills in what follows from the values.
void settle(Spectrum& spectrum)
{
    double captured = 0;
    for (std::size_t i = spectrum.values.size(); i-- > 0;)
        captured += spectrum.values[i] * spectrum.values[i];
    spectrum.captured = std::min(captured, spectrum.totalEnergy);
    spectrum.complete = spectrum.values.size() == spectrum.total;
    spectrum.unresolvedEnergy = spectrum.complete ? 0.0 : spectrum.totalEnergy - spectrum.captured;
}

Result<Spectrum> wholeSpectrum(const ScaledMatrix& matrix, Spectrum spectrum, const JobContext& job)
{
    auto gram = shortSideGram(matrix, job);
    if (!gram)
        return passOn(gram);
    const std::size_t side = matrix.minSide();
    const auto eigen = symmetricEigen(std::move(*gram), false, job);
    if (!eigen)
        return passOn(eigen);
    for (std::size_t i = side; i-- > 0;)
        spectrum.values.push_back(std::sqrt(std::max(0.0, eigen->values[i])));
    // Eigenvalues of the Gram are right to about n eps sigma_1^2, so values are to its root.
    const double relative = std::sqrt(static_cast<double>(side) * std::numeric_limits<double>::epsilon());
    spectrum.floor = spectrum.values.empty() ? 0.0 : spectrum.values.front() * relative;
    spectrum.certified = static_cast<std::size_t>(
        std::count_if(spectrum.values.begin(), spectrum.values.end(), [&](double v) { return v >= spectrum.floor; }));
    spectrum.passes = 1;
    settle(spectrum);
    return spectrum;
}

/// Iterates until the residuals say yes and a fresh measurement agrees, or nothing more can be done.
Result<MeasuredPairs> iterate(SideProducts& products, std::size_t count, double floor, const SpectrumOptions& options)
{
    auto basis = KrylovBasis::start(products, std::min(kBlock, products.shortSide()), options.seed);
    if (!basis)
        return passOn(basis);
    std::size_t nextLook = std::min(2 * count, products.shortSide());
    for (;;) {
        const bool outOfPasses = products.passes() + 3 > options.maxPasses && basis->size() >= count;
        if (basis->size() >= nextLook || basis->spansAll() || outOfPasses) {
            const auto pairs = basis->ritz(count);
            if (!pairs)
                return passOn(pairs);
            if (outOfPasses || basis->spansAll()
                || allCertified(pairs->squares, pairs->residuals, options.tolerance, floor)) {
                auto measured = measure(products, pairs->vectors);
                if (!measured || outOfPasses || basis->spansAll()
                    || allCertified(measured->squares, measured->residuals, options.tolerance, floor))
                    return measured;
            }
            nextLook = static_cast<std::size_t>(std::ceil(kLookGrowth * static_cast<double>(basis->size())));
        }
        if (Status done = basis->extend(); !done)
            return passOn(done);
    }
}

}  // namespace

double energy(const ScaledMatrix& matrix, const std::stop_token& stop)
{
    // Chunks of whole rows, at least kReductionChunk elements, combined in order.
    if (matrix.rows == 0 || matrix.cols == 0)
        return 0;
    const std::size_t rowsPerChunk = std::max<std::size_t>(1, kReductionChunk / matrix.cols);
    const std::size_t chunks = (matrix.rows + rowsPerChunk - 1) / rowsPerChunk;
    std::vector<double> partial(chunks, 0.0);
    parallelFor(chunks, [&](std::size_t chunk) {
        if (stop.stop_requested())
            return;
        const std::size_t end = std::min(matrix.rows, (chunk + 1) * rowsPerChunk);
        double sum = 0;
        for (std::size_t i = chunk * rowsPerChunk; i < end; ++i) {
            const float* row = matrix.values.data() + i * matrix.cols;
            double rowSum = 0;
            for (std::size_t j = 0; j < matrix.cols; ++j) {
                const double scale = matrix.scale.empty() ? 1.0 : static_cast<double>(matrix.scale[j]);
                const double value = static_cast<double>(row[j]) * scale;
                rowSum += value * value;
            }
            sum += rowSum;
        }
        partial[chunk] = sum;
    });
    double total = 0;
    for (const double part : partial)
        total += part;
    return total;
}

double marchenkoPasturEdge(double energy, std::size_t rows, std::size_t cols)
{
    if (rows == 0 || cols == 0)
        return 0;
    const double m = static_cast<double>(rows);
    const double n = static_cast<double>(cols);
    return std::sqrt(energy / (m * n)) * (std::sqrt(m) + std::sqrt(n));
}

Result<Spectrum> leadingSpectrum(const ScaledMatrix& matrix, const SpectrumOptions& options, const JobContext& job)
{
    if (Status finite = checkFinite(matrix, job); !finite)
        return passOn(finite);
    const std::size_t side = matrix.minSide();
    const std::size_t count = std::min(options.count, side);
    const double matrixEnergy = energy(matrix, job.stop);
    if (job.cancelled())
        return cancelledError();
    Spectrum spectrum = describe(matrix, matrixEnergy, options.tolerance);
    if (count == 0)
        return spectrum;
    if (matrixEnergy == 0) {
        spectrum.values.assign(side, 0.0);
        spectrum.certified = side;
        settle(spectrum);
        return spectrum;
    }
    if (side <= options.exactSide || count * kExactShare > side)
        return wholeSpectrum(matrix, std::move(spectrum), job);

    SideProducts products(matrix, matrixEnergy, job);
    const double unit = products.unit();
    spectrum.floor = krylovFloor(matrixEnergy, options.tolerance);
    auto found = iterate(products, count, spectrum.floor * unit, options);
    if (!found)
        return passOn(found);
    while (spectrum.certified < count
           && certifies(found->squares[spectrum.certified], found->residuals[spectrum.certified], options.tolerance,
                        spectrum.floor * unit))
        ++spectrum.certified;
    for (const double square : found->squares)
        spectrum.values.push_back(std::sqrt(square) / unit);
    std::sort(spectrum.values.rbegin(), spectrum.values.rend());
    spectrum.lowerBound = true;
    spectrum.passes = products.passes();
    settle(spectrum);
    return spectrum;
}

Result<Spectrum> fullSpectrum(const ScaledMatrix& matrix, const JobContext& job)
{
    if (Status finite = checkFinite(matrix, job); !finite)
        return passOn(finite);
    const double matrixEnergy = energy(matrix, job.stop);
    if (job.cancelled())
        return cancelledError();
    return wholeSpectrum(matrix, describe(matrix, matrixEnergy, 0.0), job);
}

}  // namespace sigmascope
