// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/calibration/Metric.h"
#include "core/lowrank/Spectrum.h"
#include "core/tensor/Matrix.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <vector>

namespace sigmascope {

struct LowRankOptions {
    std::size_t oversample = 16;
    int powerIterations = 3;      ///< q of methods-lowrank §7.2, with adaptive stop
    std::uint64_t seed = 0;
};

/// C = L R, the best rank-k part of a residual E under an input metric (error-first).
/// Inverse-free form (methods-lowrank §2.3): L = U_k orthonormal, R = U_k^T E; no division by the scale, so
/// dead channels are harmless. Sign fixed: the largest entry of each column of L is positive.
struct LowRankCorrection {
    MatrixF left;    ///< L, [rows x rank]
    MatrixF right;   ///< R, [rank x cols]
    std::vector<double> ritzValues;  ///< of E S, rank (+ oversample) of them, descending
    double total = 0;     ///< ||E S||_F^2
    double captured = 0;  ///< energy of U_k^T E S
    double tail = 0;      ///< total - captured, exactly what is left before any rounding of the factors

    [[nodiscard]] std::size_t rank() const { return static_cast<std::size_t>(left.cols()); }
};

/// @param residual  E, with the metric's scale in residual.scale.
/// Rank is clamped to min(rows, cols). E = 0 gives rank 0. Solved whole by the f64 Gram: full rank, min side <= 512,
/// and up to 2048 where (rank + oversample)(q + 1) vectors are more than the basis may hold. Otherwise block Krylov
/// with q steps, or subspace iteration where its basis would be too large.
/// Same seed, same bits on any thread count. NonFinite, Cancelled.
[[nodiscard]] Result<LowRankCorrection> lowRank(const ScaledMatrix& residual, std::size_t rank,
                                                const LowRankOptions& options, const JobContext& job = {});

/// How factors are stored. Balanced first: L' = L D, R' = D^-1 R with D_i = sqrt(||row_i R||), a power of two,
/// so that neither underflows; the product is unchanged but for rounding.
enum class FactorType {
    F32, F16, BF16,
    Q8_0,  ///< GGUF blocks along the rows of L and of R: rank and cols must be multiples of 32
    I8,    ///< one f16 scale per rank vector, a column of L or a row of R (methods-lowrank §12.2): value = scale * code
};

struct StoredFactors {
    FactorType type = FactorType::F16;
    std::size_t rows = 0, cols = 0, rank = 0;
    std::vector<std::byte> left;    ///< [rows x rank] row-major, of the type; I8: signed bytes from -127 to 127
    std::vector<std::byte> right;   ///< [rank x cols] row-major
    std::vector<std::byte> leftScales{};   ///< I8 only: [rank] f16, little-endian, one per column of L
    std::vector<std::byte> rightScales{};  ///< I8 only: [rank] f16, one per row of R
    /// As a reader will see them.
    [[nodiscard]] MatrixF decodedLeft() const;
    [[nodiscard]] MatrixF decodedRight() const;
    [[nodiscard]] std::size_t bytes() const
    {
        return left.size() + right.size() + leftScales.size() + rightScales.size();
    }
};

/// Rounds to the type; Q8_0 that its blocks do not fit becomes F16, F16 that would overflow BF16 (the result's type says
/// so). A rank vector of Q8_0 or I8 whose scale is beyond f16 is stored as zeros: less is corrected, and the measured
/// error says so.
/// @param rank  filled up to with vectors of zeros, for a layout that was promised more; not less than the correction's.
[[nodiscard]] StoredFactors storeFactors(const LowRankCorrection& correction, FactorType type, std::size_t rank = 0);

/// False for Q8_0 where rank or cols are no multiples of 32.
[[nodiscard]] bool canStore(FactorType type, std::size_t cols, std::size_t rank);
/// Bytes of a stored row of so many values, scales of I8 apart. @pre Q8_0: a multiple of 32.
[[nodiscard]] std::size_t factorRowBytes(FactorType type, std::size_t values);
/// Bytes of both factors with their scales: what storeFactors() will make.
[[nodiscard]] std::size_t factorBytes(FactorType type, std::size_t rows, std::size_t cols, std::size_t rank);
/// Width of a code: 8, 16 or 32, as recipes' factor_bits say.
[[nodiscard]] int factorBits(FactorType type);
/// The name in files: "f32", "f16", "bf16", "q8_0", "i8".
[[nodiscard]] std::string_view factorName(FactorType type);
inline constexpr FactorType kFactorTypes[] = {FactorType::F32, FactorType::F16, FactorType::BF16, FactorType::Q8_0,
                                              FactorType::I8};

/// Relative errors of what is stored, measured after every rounding, in double:
/// ||W - Q - L R||_F / ||W||_F, and the same with S on the right; `metricError` is absent for the plain metric.
struct ReconstructionError {
    double weightError = 0;
    std::optional<double> metricError{};
};

/// What the errors are made of.
struct ReconstructionSums {
    double weight = 0, residual = 0;              ///< squares of W and of W - Q - L R
    double scaledWeight = 0, scaledResidual = 0;  ///< the same with S on the right; 0 for the plain metric
    ReconstructionSums& operator+=(const ReconstructionSums& other);
    [[nodiscard]] ReconstructionError error(const Metric& metric) const;
};

/// Of each row by itself, without a correction: for a matrix that comes in pieces. On the calling thread.
/// @param weights  some rows of W with the metric's scale, empty for the plain one; @param residual  theirs of W - Q.
void rowReconstruction(const ScaledMatrix& weights, std::span<const float> residual, std::span<ReconstructionSums> rows);
/// Of all rows in their order: the bits of reconstructionSums().
[[nodiscard]] ReconstructionSums joined(std::span<const ReconstructionSums> rows);

/// @param residual values of W - Q; @param factors may be null (rank 0); @param weights W, for the denominators.
/// @param stop  ends the work early; the sums then mean nothing, so ask the token first.
[[nodiscard]] ReconstructionSums reconstructionSums(const ScaledMatrix& weights, const ScaledMatrix& residual,
                                                    const StoredFactors* factors, const Metric& metric,
                                                    const std::stop_token& stop = {});
/// What they come to.
[[nodiscard]] ReconstructionError reconstructionError(const ScaledMatrix& weights, const ScaledMatrix& residual,
                                                      const StoredFactors* factors, const Metric& metric,
                                                      const std::stop_token& stop = {});

/// Honest bits of a corrected matrix: (codes + factors) bits over rows * cols.
[[nodiscard]] double honestBits(double codeBits, double factorBits, std::size_t rows, std::size_t cols,
                                std::size_t rank);
/// As LQER's tables count: the same numerator over rows * cols + rank (rows + cols) (methods-lowrank §3.6).
/// @param codeBits and @param factorBits per stored value, overhead included.
[[nodiscard]] double publishedLqerBits(double codeBits, double factorBits, std::size_t rows, std::size_t cols,
                                       std::size_t rank);

}  // namespace sigmascope
