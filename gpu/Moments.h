// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/TensorStats.h"

#include <array>
#include <cstdint>
#include <optional>

namespace sigmascope::gpu {

/// Elements of one record; 16-byte loads of every type divide it.
inline constexpr std::uint64_t kChunkElements = 16384;

/// What statistics.comp writes for one chunk.
struct MomentsRecord {
    std::uint32_t count;
    std::uint32_t nanAndInf;  ///< NaN in the low, infinities in the high half
    std::uint32_t zerosAndSubnormals;
    std::uint32_t firstNonFinite;  ///< index in the chunk; all ones if there is none
    std::uint32_t minKey, maxKey;  ///< orderedKey() of the finite extremes
    std::uint32_t exponent;  ///< biased; values were scaled by 2^(127 - exponent)
    float pivot;  ///< the sums are about it, scaled alike
    std::array<float, 4> powerSums;  ///< sum of d, d^2, d^3, d^4 over finite values
    std::uint32_t magic, chunk, isTiny, unused;
};
static_assert(sizeof(MomentsRecord) == 64);

/// What outliers.comp writes for one chunk.
struct OutliersRecord {
    std::uint32_t count, sure, unsure, magic;
};
static_assert(sizeof(OutliersRecord) == 16);

inline constexpr std::uint32_t kMomentsMagic = 0x53475354;
inline constexpr std::uint32_t kOutliersMagic = 0x53474F55;

/// Keys whose order is the order of the floats.
[[nodiscard]] std::uint32_t orderedKey(float value);
[[nodiscard]] float floatOfKey(std::uint32_t key);

/// Central moments of one chunk in double. Nothing when the float sums cannot be trusted and the host must go
/// over the chunk itself: values below 2^-100, a sum that is not finite, or a spread so far under the pivot's
/// distance from the mean that the difference would drown.
[[nodiscard]] std::optional<TensorStats> momentsOf(const MomentsRecord& record);

/// Limits of |x - mean| > 6 stddev as keys for outliers.comp: surely an outlier below `sureBelow` and above
/// `sureAbove`, surely none from `insideFrom` to `insideTo`; between these lies what float sums cannot decide.
struct OutlierLimits {
    std::uint32_t sureBelow, insideFrom, insideTo, sureAbove;

    /// False when the extremes of a part are surely no outliers.
    [[nodiscard]] bool maybeOutside(const TensorStats& part) const;
};
[[nodiscard]] OutlierLimits outlierLimits(const TensorStats& stats);

}  // namespace sigmascope::gpu
