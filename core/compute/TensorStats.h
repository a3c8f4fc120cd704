// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

namespace sigmascope {

/// Exact moments and counts of one tensor. Extremes and moments are over finite values; the variance is
/// the population's; kurtosis = m4 / m2^2 (3 for a Gaussian), nothing when the variance is 0.
/// Reduced in double over chunks of kReductionChunk in index order: same bits on any thread count.
struct TensorStats {
    std::uint64_t count = 0;    ///< all elements
    std::uint64_t finite = 0;
    std::uint64_t zeros = 0;    ///< +0 and -0
    std::uint64_t nan = 0;
    std::uint64_t inf = 0;      ///< both signs
    std::uint64_t subnormal = 0;///< of the stored type
    std::uint64_t outliers = 0; ///< |x - mean| > 6 stddev; counted in a second pass or from code counts
    std::optional<std::uint64_t> firstNonFinite{};  ///< element index
    double min = 0, max = 0;    ///< 0 when finite == 0
    double mean = 0;
    double m2 = 0, m3 = 0, m4 = 0;  ///< central sums: sum (x - mean)^k over finite values

    [[nodiscard]] double variance() const { return finite == 0 ? 0 : m2 / static_cast<double>(finite); }
    [[nodiscard]] double stddev() const { return std::sqrt(variance()); }
    [[nodiscard]] std::optional<double> kurtosis() const
    {
        if (finite == 0 || !(m2 > 0))
            return std::nullopt;
        return m4 * static_cast<double>(finite) / (m2 * m2);
    }
    /// Frobenius norm squared of the finite values.
    [[nodiscard]] double energy() const { return m2 + static_cast<double>(finite) * mean * mean; }
    /// Largest finite magnitude.
    [[nodiscard]] double absmax() const { return std::fmax(std::fabs(min), std::fabs(max)); }
};

/// Joins two disjoint parts (Pébay 2008); order of calls fixes the bits. `b` follows `a` in the tensor, and
/// b.firstNonFinite counts from b's own first element (a.count is added here).
[[nodiscard]] TensorStats merged(const TensorStats& a, const TensorStats& b);

}  // namespace sigmascope
