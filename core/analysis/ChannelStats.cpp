// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/analysis/ChannelStats.h"

#include "core/base/Parallel.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cmath>
#include <iterator>
#include <mutex>
#include <optional>

namespace sigmascope {

namespace {

/// Column sums of so many runs of rows are kept apart and added in order; fewer where the rows are very long.
constexpr std::uint64_t kMostParts = 16;
constexpr std::uint64_t kMostPartialSums = 1U << 23U;
constexpr std::size_t kFewestForOutliers = 8;
constexpr double kOutlierRatio = 3, kOutlierDeviations = 5, kMadToSigma = 1.4826;

bool allFinite(std::span<const float> values)
{
    std::uint32_t bad = 0;
    for (const float value : values)
        bad |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(value) & 0x7F800000U) == 0x7F800000U);
    return bad == 0;
}

/// Column sums of one part for one of W, E, E S.
struct ColumnSums {
    std::vector<float> absMax;
    std::vector<double> squares;
    std::vector<std::uint32_t> skipped;  // empty until a value is not finite

    void reset(std::size_t cols)
    {
        absMax.assign(cols, 0);
        squares.assign(cols, 0);
    }
    void add(std::span<const float> row)
    {
        float* const top = absMax.data();
        double* const sum = squares.data();
        for (std::size_t j = 0; j < row.size(); ++j) {
            const float magnitude = std::fabs(row[j]);
            top[j] = magnitude > top[j] ? magnitude : top[j];
            sum[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
        }
    }
    void addFinite(std::span<const float> row)
    {
        if (skipped.empty())
            skipped.assign(absMax.size(), 0);
        for (std::size_t j = 0; j < row.size(); ++j) {
            if (!std::isfinite(row[j])) {
                ++skipped[j];
                continue;
            }
            absMax[j] = std::max(absMax[j], std::fabs(row[j]));
            squares[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
        }
    }
};

struct RowSum {
    double absMax = 0, squares = 0;
    std::uint64_t finite = 0;
};

/// In the order of the columns; eight running sums, so that the additions need not wait for each other.
RowSum sumOf(std::span<const float> row)
{
    double sums[8] = {};
    float top = 0;
    std::size_t j = 0;
    for (; j + 8 <= row.size(); j += 8)
        for (std::size_t k = 0; k < 8; ++k)
            sums[k] += static_cast<double>(row[j + k]) * static_cast<double>(row[j + k]);
    for (std::size_t k = 0; j < row.size(); ++j, ++k)
        sums[k] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
    for (const float value : row)
        top = std::max(top, std::fabs(value));
    return {top, ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])), row.size()};
}

RowSum sumOfFinite(std::span<const float> row)
{
    RowSum sum;
    for (const float value : row) {
        if (!std::isfinite(value))
            continue;
        sum.absMax = std::max(sum.absMax, std::fabs(static_cast<double>(value)));
        sum.squares += static_cast<double>(value) * static_cast<double>(value);
        ++sum.finite;
    }
    return sum;
}

/// A product of two floats is exact in double.
RowSum sumOfScaled(std::span<const float> row, std::span<const float> scale)
{
    RowSum sum{.finite = row.size()};
    for (std::size_t j = 0; j < row.size(); ++j) {
        const double value = static_cast<double>(row[j]) * static_cast<double>(scale[j]);
        sum.absMax = std::max(sum.absMax, std::fabs(value));
        sum.squares += value * value;
    }
    return sum;
}

void store(ChannelSeries& series, std::uint64_t channel, const RowSum& sum)
{
    series.absMax[channel] = sum.absMax;
    series.rms[channel] = sum.finite == 0 ? 0 : std::sqrt(sum.squares / static_cast<double>(sum.finite));
}

void allot(ChannelSeries& series, std::uint64_t channels)
{
    series.absMax.assign(channels, 0);
    series.rms.assign(channels, 0);
}

/// What one run of rows adds to the columns.
struct Part {
    ColumnSums w, e;
    std::uint64_t nonFinite = 0;
};

class ChannelPass {
public:
    ChannelPass(const MatrixRows& matrix, ChannelStats& stats, const JobContext& job)
        : m_matrix(matrix)
        , m_stats(stats)
        , m_job(job)
        , m_parts(std::clamp<std::uint64_t>(kMostPartialSums / matrix.cols, 1, std::min(kMostParts, matrix.rows)))
    {
    }

    Status run()
    {
        parallelFor(m_parts.size(), [this](std::size_t i) { visit(i); });
        if (m_error)
            return tl::unexpected<Error>(*m_error);
        if (m_job.cancelled())
            return cancelledError();
        finishColumns();
        return {};
    }

private:
    [[nodiscard]] bool hasStopped() const { return m_job.cancelled() || m_hasFailed; }

    void visit(std::size_t index)
    {
        Part& part = m_parts[index];
        part.w.reset(m_matrix.cols);
        if (m_matrix.residual)
            part.e.reset(m_matrix.cols);
        const std::uint64_t from = m_matrix.rows * index / m_parts.size();
        const std::uint64_t to = m_matrix.rows * (index + 1) / m_parts.size();
        const std::uint64_t step = std::clamp<std::uint64_t>(kRowsAtOnce / m_matrix.cols, 1, std::max<std::uint64_t>(to - from, 1));
        std::vector<float> weights(step * m_matrix.cols);
        std::vector<float> residual(m_matrix.residual ? weights.size() : 0);
        for (std::uint64_t row = from; row < to && !hasStopped(); row += step) {
            const std::uint64_t count = std::min(step, to - row);
            if (auto done = visitRows(part, row, std::span(weights).first(count * m_matrix.cols),
                                      std::span(residual).first(m_matrix.residual ? count * m_matrix.cols : 0));
                !done)
                return keep(done.error());
            m_job.report(static_cast<double>(m_done += count) / static_cast<double>(m_matrix.rows));
        }
    }

    Status visitRows(Part& part, std::uint64_t first, std::span<float> weights, std::span<float> residual)
    {
        if (auto read = m_matrix.weights(first, weights); !read)
            return read;
        if (!residual.empty())
            if (auto left = m_matrix.residual(weights, residual); !left)
                return left;
        const std::size_t cols = m_matrix.cols;
        for (std::size_t i = 0; i * cols < weights.size(); ++i) {
            const std::span<const float> row = weights.subspan(i * cols, cols);
            const bool isFinite = allFinite(row);
            const RowSum sum = isFinite ? sumOf(row) : sumOfFinite(row);
            part.nonFinite += cols - sum.finite;
            isFinite ? part.w.add(row) : part.w.addFinite(row);
            store(m_stats.outputs.w, first + i, sum);
            if (residual.empty())
                continue;
            const std::span<const float> left = residual.subspan(i * cols, cols);
            part.e.add(left);
            store(m_stats.outputs.e, first + i, sumOf(left));
            if (!m_matrix.scale.empty())
                store(m_stats.outputs.es, first + i, sumOfScaled(left, m_matrix.scale));
        }
        return {};
    }

    void keep(const Error& error)
    {
        const std::scoped_lock lock(m_mutex);
        if (!m_error)
            m_error = error;
        m_hasFailed = true;
    }

    void finishColumns()
    {
        for (const Part& part : m_parts)
            m_stats.nonFinite += part.nonFinite;
        for (std::size_t j = 0; j < m_matrix.cols; ++j) {
            store(m_stats.inputs.w, j, column(&Part::w, j));
            if (!m_matrix.residual)
                continue;
            const RowSum e = column(&Part::e, j);
            store(m_stats.inputs.e, j, e);
            if (m_matrix.scale.empty())
                continue;
            // One weight for the whole column: it scales what the column has.
            const auto scale = static_cast<double>(m_matrix.scale[j]);
            store(m_stats.inputs.es, j, {e.absMax * scale, e.squares * scale * scale, e.finite});
        }
    }

    [[nodiscard]] RowSum column(ColumnSums Part::*member, std::size_t j) const
    {
        RowSum sum{.finite = m_matrix.rows};
        for (const Part& part : m_parts) {
            const ColumnSums& own = part.*member;
            sum.absMax = std::max(sum.absMax, static_cast<double>(own.absMax[j]));
            sum.squares += own.squares[j];
            sum.finite -= own.skipped.empty() ? 0 : own.skipped[j];
        }
        return sum;
    }

    const MatrixRows& m_matrix;
    ChannelStats& m_stats;
    const JobContext& m_job;
    std::vector<Part> m_parts;
    std::atomic<std::uint64_t> m_done = 0;
    std::atomic<bool> m_hasFailed = false;
    std::mutex m_mutex;
    std::optional<Error> m_error;
};

double medianOf(std::vector<double>& values)
{
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

}  // namespace

Result<ChannelStats> channelStats(const MatrixRows& matrix, const JobContext& job)
{
    assert(matrix.rows >= 1 && matrix.cols >= 1 && matrix.weights);
    assert(matrix.scale.empty() || matrix.scale.size() == matrix.cols);
    ChannelStats stats{.rows = matrix.rows, .cols = matrix.cols, .inputs = {}, .outputs = {}};
    for (const auto& [side, channels] : {std::pair(&stats.inputs, matrix.cols), std::pair(&stats.outputs, matrix.rows)}) {
        allot(side->w, channels);
        if (!matrix.residual)
            continue;
        allot(side->e, channels);
        if (!matrix.scale.empty())
            allot(side->es, channels);
    }
    ChannelPass pass(matrix, stats, job);
    if (auto done = pass.run(); !done)
        return passOn(done);
    return stats;
}

std::vector<OutlierChannel> outlierChannels(std::span<const double> values)
{
    std::vector<double> positive;
    positive.reserve(values.size());
    std::ranges::copy_if(values, std::back_inserter(positive), [](double value) { return value > 0; });
    if (positive.size() < kFewestForOutliers)
        return {};
    const double median = medianOf(positive);
    for (double& value : positive)
        value = std::fabs(std::log(value / median));
    const double bound = std::max(kOutlierRatio * median, median * std::exp(kOutlierDeviations * kMadToSigma * medianOf(positive)));
    std::vector<OutlierChannel> outliers;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] > bound)
            outliers.push_back({i, values[i], values[i] / median});
    std::ranges::stable_sort(outliers, std::ranges::greater{}, &OutlierChannel::value);
    return outliers;
}

}  // namespace sigmascope
