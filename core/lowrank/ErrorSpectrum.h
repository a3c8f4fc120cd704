// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace sigmascope {

/// Error left by the best rank-r correction of a residual E = W - Q, for every computed r,
/// under an input metric S: || (E - E_r) S ||_F / || W S ||_F   (Eckart-Young on E S).
///
/// Units: relative, dimensionless, >= 0. Non-increasing in r.
/// Cost: construction O(k); each query O(1), so it may be called on every mouse move.
class ErrorSpectrum {
public:
    ErrorSpectrum() = default;
    /// @param sigma           the k leading singular values of E S, sorted descending; may be empty.
    /// @param residualEnergy  || E S ||_F^2, the whole of it, computed separately.
    /// @param weightEnergy    || W S ||_F^2, strictly positive.
    ErrorSpectrum(std::span<const double> sigma, double residualEnergy, double weightEnergy);

    /// errorAtRank(0) is the uncorrected error. Past maxRank() the last value is an upper bound and is returned.
    [[nodiscard]] double errorAtRank(std::size_t rank) const;
    /// Share of the residual energy that rank r captures, 0..1.
    [[nodiscard]] double capturedAtRank(std::size_t rank) const;
    /// Smallest computed rank whose error is <= target; maxRank() if none is.
    [[nodiscard]] std::size_t rankForError(double target) const;
    [[nodiscard]] std::size_t maxRank() const { return m_errorAtRank.empty() ? 0 : m_errorAtRank.size() - 1; }
    [[nodiscard]] bool isEmpty() const { return m_errorAtRank.empty(); }

private:
    std::vector<double> m_errorAtRank;  // size maxRank() + 1, non-increasing
};

}  // namespace sigmascope
