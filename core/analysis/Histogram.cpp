// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/analysis/Histogram.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sigmascope {

namespace {

/// Equal-width bins, each closed below and open above, the last one closed.
class Bins {
public:
    Bins(double min, double max, std::size_t count) : m_min(min), m_max(max), m_count(count) {}

    /// @pre min <= value <= max, min < max.
    [[nodiscard]] std::size_t of(double value) const
    {
        // Halved first: max - min itself may overflow.
        const double position = (0.5 * value - 0.5 * m_min) / (0.5 * m_max - 0.5 * m_min);
        auto bin = std::min(static_cast<std::size_t>(position * static_cast<double>(m_count)), m_count - 1);
        // The division may round across an edge; the edges as drawn decide.
        while (bin > 0 && value < lowerEdge(bin))
            --bin;
        while (bin + 1 < m_count && value >= lowerEdge(bin + 1))
            ++bin;
        return bin;
    }

private:
    [[nodiscard]] double lowerEdge(std::size_t bin) const
    {
        const double share = static_cast<double>(bin) / static_cast<double>(m_count);
        return m_min * (1 - share) + m_max * share;
    }

    double m_min, m_max;
    std::size_t m_count;
};

/// Where the values of a code that was truncated toward zero end.
double outerEdge(DType codeType, std::uint32_t code, double value)
{
    const float next = codeValue(codeType, code + 1);  // one magnitude up, same sign
    return std::isfinite(next) && std::signbit(next) == std::signbit(static_cast<float>(value)) ? next : value;
}

}  // namespace

Histogram binned(const CodeCounts& codes, double min, double max, std::size_t bins)
{
    assert(bins >= 1 && min <= max && std::isfinite(min) && std::isfinite(max));
    Histogram histogram;
    histogram.min = min;
    histogram.max = max;
    histogram.exact = codes.exactCodes;
    histogram.counts.assign(min < max ? bins : 1, 0);
    const Bins layout(min, max, histogram.counts.size());
    for (std::size_t code = 0; code < codes.counts.size(); ++code) {
        const std::uint64_t count = codes.counts[code];
        if (count == 0)
            continue;
        const double value = codeValue(codes.codeType, static_cast<std::uint32_t>(code));
        if (!std::isfinite(value)) {
            histogram.nonFinite += count;
            continue;
        }
        // A truncated code stands for the values from it to the next one away from zero: where that interval reaches
        // into the range, its values are counted there.
        const double outer = codes.exactCodes ? value : outerEdge(codes.codeType, static_cast<std::uint32_t>(code), value);
        const double nearest = std::clamp(std::clamp(value, min, max), std::min(value, outer), std::max(value, outer));
        if (nearest < min)
            histogram.below += count;
        else if (nearest > max)
            histogram.above += count;
        else
            histogram.counts[min < max ? layout.of(nearest) : 0] += count;
    }
    return histogram;
}

}  // namespace sigmascope
