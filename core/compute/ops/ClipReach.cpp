// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/ClipReach.h"

#include "core/base/Parallel.h"
#include "core/base/Rounding.h"
#include "core/compute/ops/GroupEncode.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sigmascope {

namespace {

constexpr int kStep = 8;
constexpr int kNarrowest = 48;
constexpr double kHopeless = 8;

}  // namespace

double clippedLoss(const GroupFormat& format, std::span<const float> group, std::span<const float> scale, int reach)
{
    float low = 0;
    float high = 0;
    for (const float value : group) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
    const double part = static_cast<double>(reach) / kReachParts;
    const GroupParameters parameters = groupParameters(format, low * part, high * part);
    if (!std::isfinite(parameters.scale))
        return std::numeric_limits<double>::infinity();
    const double step = parameters.scale;
    const double divisor = step == 0 ? 1 : step;
    double sum = 0;
    for (std::size_t i = 0; i < group.size(); ++i) {
        const double value = group[i];
        const double code = std::clamp<double>(roundEven(value / divisor) + parameters.zero, 0, format.topCode());
        const double lost = value - step * (code - parameters.zero);
        const double s = scale.empty() ? 1.0 : static_cast<double>(scale[i]);
        sum += s * s * (lost * lost);
    }
    return sum;
}

int bestReach(const GroupFormat& format, std::span<const float> group, std::span<const float> scale)
{
    int best = kReachParts;
    double least = clippedLoss(format, group, scale, best);
    if (least == 0)
        return best;
    const auto attempt = [&](int reach) {
        const double loss = clippedLoss(format, group, scale, reach);
        if (loss < least) {
            least = loss;
            best = reach;
        }
        return loss;
    };
    for (int reach = kReachParts - kStep; reach >= kNarrowest; reach -= kStep)
        if (attempt(reach) > kHopeless * least)
            break;
    for (int step = kStep / 2; step > 0; step /= 2) {
        const int centre = best;
        for (const int reach : {centre - step, centre + step})
            if (reach < kReachParts)
                attempt(reach);
    }
    return best;
}

Result<std::vector<std::uint8_t>> clipReaches(const GroupFormat& format, std::span<const float> weights,
                                              std::uint64_t rows, std::uint64_t cols, std::span<const float> scale,
                                              const JobContext& job)
{
    const std::uint64_t groups = format.groups(cols);
    const std::uint64_t length = format.groupLength(cols);
    std::vector<std::uint8_t> reaches(rows * groups);
    parallelFor(static_cast<std::size_t>(rows), [&](std::size_t row) {
        if (job.cancelled())
            return;
        for (std::uint64_t g = 0; g < groups; ++g) {
            const std::uint64_t begin = g * length;
            const std::uint64_t count = std::min(length, cols - begin);
            reaches[row * groups + g] = static_cast<std::uint8_t>(
                bestReach(format, weights.subspan(row * cols + begin, count),
                          scale.empty() ? scale : scale.subspan(begin, count)));
        }
    });
    if (job.cancelled())
        return cancelledError();
    return reaches;
}

}  // namespace sigmascope
