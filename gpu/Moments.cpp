// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/Moments.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace sigmascope::gpu {

namespace {

constexpr std::uint32_t kNone = 0xFFFFFFFFU;

}  // namespace

std::uint32_t orderedKey(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

float floatOfKey(std::uint32_t key)
{
    return std::bit_cast<float>((key & 0x80000000U) != 0 ? key & 0x7FFFFFFFU : ~key);
}

std::optional<TensorStats> momentsOf(const MomentsRecord& record)
{
    TensorStats stats;
    stats.count = record.count;
    stats.nan = record.nanAndInf & 0xFFFFU;
    stats.inf = record.nanAndInf >> 16;
    stats.zeros = record.zerosAndSubnormals & 0xFFFFU;
    stats.subnormal = record.zerosAndSubnormals >> 16;
    stats.finite = stats.count - stats.nan - stats.inf;
    if (record.firstNonFinite != kNone)
        stats.firstNonFinite = record.firstNonFinite;
    if (stats.finite == 0)
        return stats;
    stats.min = static_cast<double>(floatOfKey(record.minKey)) + 0.0;  // -0 becomes 0
    stats.max = static_cast<double>(floatOfKey(record.maxKey)) + 0.0;
    if (stats.min == stats.max) {
        stats.mean = stats.min;
        return stats;
    }
    if (record.isTiny != 0)
        return std::nullopt;
    const auto& sums = record.powerSums;
    if (!std::all_of(sums.begin(), sums.end(), [](float s) { return std::isfinite(s); })
        || !std::isfinite(record.pivot))
        return std::nullopt;

    // Power sums about the pivot to central ones; shift = mean - pivot.
    const double n = static_cast<double>(stats.finite);
    const double s1 = sums[0], s2 = sums[1], s3 = sums[2], s4 = sums[3];
    const double shift = s1 / n;
    const double m2 = s2 - n * shift * shift;
    // The pivot is the mean but for rounding. Where that rounding is no longer small against the spread, the
    // subtractions here would magnify the sums' errors: at a tenth of the stddev by at most 1.4.
    if (!(n * shift * shift < 0.01 * s2) || !(m2 > 0))
        return std::nullopt;
    const double scale = std::ldexp(1.0, static_cast<int>(record.exponent) - 127);
    stats.mean = (static_cast<double>(record.pivot) + shift) * scale;
    stats.m2 = m2 * scale * scale;
    stats.m3 = (s3 - 3 * shift * s2 + 2 * n * shift * shift * shift) * scale * scale * scale;
    stats.m4 = (s4 - 4 * shift * s3 + 6 * shift * shift * s2 - 3 * n * shift * shift * shift * shift) * scale * scale
        * scale * scale;
    return stats;
}

OutlierLimits outlierLimits(const TensorStats& stats)
{
    // mean is within 1e-5 and stddev within 5e-6 of a stddev (the statistics' tolerance), so the limits are
    // within 4e-5 of it; 1e-4 leaves room.
    const double reach = 6 * stats.stddev();
    const double doubt = 1e-4 * stats.stddev();
    const auto key = [](double value) {
        constexpr double kMost = std::numeric_limits<float>::max();
        return orderedKey(static_cast<float>(std::clamp(value, -kMost, kMost)));
    };
    OutlierLimits limits{};
    // One step outward or inward, because the doubles were rounded to floats.
    limits.sureBelow = key(stats.mean - reach - doubt) - 1;
    limits.insideFrom = key(stats.mean - reach + doubt) + 1;
    limits.insideTo = key(stats.mean + reach - doubt) - 1;
    limits.sureAbove = key(stats.mean + reach + doubt) + 1;
    return limits;
}

bool OutlierLimits::maybeOutside(const TensorStats& part) const
{
    return orderedKey(static_cast<float>(part.min)) < insideFrom || orderedKey(static_cast<float>(part.max)) > insideTo;
}

}  // namespace sigmascope::gpu
