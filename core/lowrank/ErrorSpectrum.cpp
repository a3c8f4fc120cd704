// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/ErrorSpectrum.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sigmascope {

ErrorSpectrum::ErrorSpectrum(std::span<const double> sigma, double residualEnergy, double weightEnergy)
{
    assert(weightEnergy > 0 && residualEnergy >= 0);
    double captured = 0;
    for (std::size_t r = sigma.size(); r-- > 0;)
        captured += sigma[r] * sigma[r];
    m_errorAtRank.resize(sigma.size() + 1);
    // What no computed rank can remove, then the spectrum from its small end: the tail is what a high rank
    // leaves, and it must not drown. Rounding may push captured past the total.
    double left = std::max(0.0, residualEnergy - captured);
    m_errorAtRank[sigma.size()] = std::sqrt(left / weightEnergy);
    for (std::size_t r = sigma.size(); r-- > 0;) {
        left += sigma[r] * sigma[r];
        m_errorAtRank[r] = std::sqrt(left / weightEnergy);
    }
}

double ErrorSpectrum::errorAtRank(std::size_t rank) const
{
    return m_errorAtRank.empty() ? 0.0 : m_errorAtRank[std::min(rank, maxRank())];
}

double ErrorSpectrum::capturedAtRank(std::size_t rank) const
{
    const double whole = errorAtRank(0);
    if (whole <= 0)
        return 0;
    const double share = errorAtRank(rank) / whole;
    return std::max(0.0, 1.0 - share * share);
}

std::size_t ErrorSpectrum::rankForError(double target) const
{
    // Non-increasing, so the first value not above the target is found by halving.
    const auto found = std::partition_point(m_errorAtRank.begin(), m_errorAtRank.end(),
                                            [target](double error) { return error > target; });
    return std::min(static_cast<std::size_t>(found - m_errorAtRank.begin()), maxRank());
}

}  // namespace sigmascope
