// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/MatrixRows.h"
#include "core/base/Job.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sigmascope {

/// Largest magnitude and root of the mean square of each channel, over its finite values; 0 where it has none.
struct ChannelSeries {
    std::vector<double> absMax, rms;

    [[nodiscard]] bool isEmpty() const { return absMax.empty(); }
};

/// The channels of one side of a matrix. E and E S are empty where there is no grid or no metric.
struct ChannelSide {
    ChannelSeries w, e, es;
};

struct ChannelStats {
    std::uint64_t rows = 0, cols = 0;
    ChannelSide inputs;               ///< one a column
    ChannelSide outputs;              ///< one a row
    std::uint64_t nonFinite = 0;      ///< weights left out
};

/// In one pass over the rows. Largest magnitudes are exact; squares are summed in double, in an order that depends on
/// the shape alone: same bits on any number of threads. Holds 8 MiB of rows a thread and at most 16 partial sums a column.
/// Errors of the reader are passed on (NonFinite from a grid that meets NaN). Cancelled when stopped.
/// @pre rows and cols >= 1; scale is empty or [cols].
[[nodiscard]] Result<ChannelStats> channelStats(const MatrixRows& matrix, const JobContext& job);

/// A channel far above its fellows.
struct OutlierChannel {
    std::uint64_t channel = 0;
    double value = 0;
    double ratio = 0;  ///< to the median of the channels that are not 0
};

/// Channels whose value is at least three times the median and whose logarithm lies more than five robust standard
/// deviations (1.4826 times the median absolute deviation) above the median's. Channels of 0 are left out of both.
/// Largest first, of equals the lower channel; none among fewer than eight channels.
[[nodiscard]] std::vector<OutlierChannel> outlierChannels(std::span<const double> values);

}  // namespace sigmascope
