// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/calibration/Imatrix.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// Which statistic stands on the diagonal of S.
enum class MetricKind {
    Plain,          ///< S = I: LQER
    DiagonalRms,    ///< s_j = sqrt(mean x_j^2): the default, = an imatrix
    DiagonalLqer,   ///< LQER's own: sqrt-free mean |x| clamped at 1e-4 and centred by sqrt(min max). From an
                    ///< imatrix only the RMS is known, so mean|x| = RMS * sqrt(2/pi) is assumed and said.
};

[[nodiscard]] std::string_view id(MetricKind kind);
[[nodiscard]] std::optional<MetricKind> metricFromId(std::string_view id);

/// The input metric of one matrix: err(D) = || D diag(scale) ||_F. An empty scale is the plain metric.
/// Invariant: every scale is finite and >= 0, not all 0.
struct Metric {
    MetricKind kind = MetricKind::Plain;
    std::vector<float> scale{};   ///< [cols], or empty
    /// What an imatrix says, its bits untouched: mean x_j^2 [matrices x cols], experts apart; empty if it says nothing of
    /// this tensor, or another statistic was asked.
    std::vector<float> meanSquares{};
    double tokens = 0;
    std::string note{};           ///< why it is plain although a diagonal was asked; empty if it is as asked

    [[nodiscard]] bool isPlain() const { return scale.empty(); }
};

/// The metric asked for, from calibration; plain with a note when @p imatrix is null or has no usable entry.
[[nodiscard]] Metric metricFor(MetricKind kind, const Imatrix* imatrix, std::string_view tensorName, std::uint64_t cols);

/// LQER's published statistic from batches of activations [tokens x n] each: elementwise max over batches
/// of mean |x|, clamped at 1e-4, divided by sqrt(min * max) (methods-lowrank §2.4).
[[nodiscard]] std::vector<double> lqerScale(const std::vector<std::vector<double>>& batches, std::size_t n);

}  // namespace sigmascope
