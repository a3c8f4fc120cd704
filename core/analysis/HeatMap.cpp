// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/analysis/HeatMap.h"

#include "core/base/Parallel.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <iterator>
#include <mutex>
#include <optional>
#include <span>

namespace sigmascope {

namespace {

/// The larger; a NaN stays.
void raise(float& cell, float value)
{
    if (value > cell || std::isnan(value))
        cell = std::isnan(cell) ? cell : value;
}

/// One row of the matrix into one row of cells. Columns [from, …) of the matrix fall into cells of 2^level.
void poolRow(std::span<const float> row, std::span<const float> scale, int level, std::span<float> cells)
{
    const std::size_t step = std::size_t{1} << static_cast<unsigned>(level);
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
        const std::size_t from = cell * step, to = std::min(row.size(), from + step);
        float top = cells[cell];
        for (std::size_t j = from; j < to; ++j)
            raise(top, std::fabs(scale.empty() ? row[j] : row[j] * scale[j]));
        cells[cell] = top;
    }
}

/// Runs of cell rows, read a few matrix rows at a time.
class HeatPass {
public:
    HeatPass(const MatrixRows& matrix, HeatQuantity quantity, const HeatWindow& window, const JobContext& job)
        : m_matrix(matrix)
        , m_quantity(quantity)
        , m_window(window)
        , m_job(job)
    {
        m_map.window = window;
        m_map.values.assign(static_cast<std::size_t>(window.width * window.height), 0.0F);
    }

    Result<HeatMap> run()
    {
        // A run holds about one reading; its cell rows are its own.
        const std::uint64_t rowsPerCell = std::uint64_t{1} << static_cast<unsigned>(m_window.levelY);
        m_cellsPerRun = std::max<std::uint64_t>(1, kRowsAtOnce / m_matrix.cols / rowsPerCell);
        const std::uint64_t runs = (m_window.height + m_cellsPerRun - 1) / m_cellsPerRun;
        parallelFor(static_cast<std::size_t>(runs), [this, runs](std::size_t run) {
            if (m_job.cancelled() || m_hasFailed)
                return;
            if (auto done = visit(run); !done)
                keep(done.error());
            m_job.report(static_cast<double>(++m_done) / static_cast<double>(runs));
        });
        if (m_error)
            return tl::unexpected<Error>(*m_error);
        if (m_job.cancelled())
            return cancelledError();
        return std::move(m_map);
    }

private:
    Status visit(std::uint64_t run)
    {
        const auto level = static_cast<unsigned>(m_window.levelY);
        const std::uint64_t first = run * m_cellsPerRun, last = std::min(m_window.height, first + m_cellsPerRun);
        const std::uint64_t from = (m_window.y + first) << level;
        const std::uint64_t to = std::min(m_matrix.rows, (m_window.y + last) << level);
        const std::uint64_t step = std::clamp<std::uint64_t>(kRowsAtOnce / m_matrix.cols, 1, to - from);
        std::vector<float> weights(step * m_matrix.cols);
        std::vector<float> residual(m_quantity == HeatQuantity::W ? 0 : weights.size());
        for (std::uint64_t row = from; row < to && !m_job.cancelled(); row += step) {
            const std::uint64_t count = std::min(step, to - row);
            if (auto done = visitRows(row, std::span(weights).first(count * m_matrix.cols), residual); !done)
                return done;
        }
        return {};
    }

    Status visitRows(std::uint64_t first, std::span<float> weights, std::span<float> residual)
    {
        if (auto read = m_matrix.weights(first, weights); !read)
            return read;
        std::span<const float> values = weights;
        if (m_quantity != HeatQuantity::W) {
            if (auto left = m_matrix.residual(weights, residual.first(weights.size())); !left)
                return left;
            values = residual.first(weights.size());
        }
        const std::uint64_t from = m_window.x << static_cast<unsigned>(m_window.levelX);
        const std::uint64_t to
            = std::min(m_matrix.cols, (m_window.x + m_window.width) << static_cast<unsigned>(m_window.levelX));
        const std::span<const float> scale = m_quantity == HeatQuantity::ES
            ? std::span<const float>(m_matrix.scale).subspan(from, to - from)
            : std::span<const float>();
        for (std::uint64_t i = 0; i * m_matrix.cols < values.size(); ++i) {
            const std::uint64_t y = ((first + i) >> static_cast<unsigned>(m_window.levelY)) - m_window.y;
            poolRow(values.subspan(i * m_matrix.cols + from, to - from), scale, m_window.levelX,
                    std::span(m_map.values).subspan(y * m_window.width, m_window.width));
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

    const MatrixRows& m_matrix;
    HeatQuantity m_quantity;
    HeatWindow m_window;
    const JobContext& m_job;
    HeatMap m_map;
    std::uint64_t m_cellsPerRun = 1;
    std::atomic<std::uint64_t> m_done = 0;
    std::atomic<bool> m_hasFailed = false;
    std::mutex m_mutex;
    std::optional<Error> m_error;
};

}  // namespace

std::uint64_t cellsAt(std::uint64_t length, int level)
{
    const auto shift = static_cast<unsigned>(level);
    return (length >> shift) + ((length & ((std::uint64_t{1} << shift) - 1)) != 0 ? 1 : 0);
}

int levelFor(std::uint64_t length, std::uint64_t most)
{
    int level = 0;
    while (cellsAt(length, level) > most)
        ++level;
    return level;
}

HeatWindow overviewOf(std::uint64_t rows, std::uint64_t cols, std::uint64_t most)
{
    HeatWindow window{.levelX = levelFor(cols, most), .levelY = levelFor(rows, most)};
    window.width = cellsAt(cols, window.levelX);
    window.height = cellsAt(rows, window.levelY);
    return window;
}

Result<HeatMap> heatMap(const MatrixRows& matrix, HeatQuantity quantity, const HeatWindow& window, const JobContext& job)
{
    assert(window.x + window.width <= cellsAt(matrix.cols, window.levelX));
    assert(window.y + window.height <= cellsAt(matrix.rows, window.levelY));
    assert(quantity == HeatQuantity::W || matrix.residual);
    assert(quantity != HeatQuantity::ES || matrix.scale.size() == matrix.cols);
    return HeatPass(matrix, quantity, window, job).run();
}

HeatMap pooled(const HeatMap& fine, const HeatWindow& window)
{
    assert(window.levelX >= fine.window.levelX && window.levelY >= fine.window.levelY);
    const auto dx = static_cast<unsigned>(window.levelX - fine.window.levelX);
    const auto dy = static_cast<unsigned>(window.levelY - fine.window.levelY);
    HeatMap map{.window = window, .values = std::vector<float>(window.width * window.height, 0.0F)};
    const std::uint64_t left = (window.x << dx) - fine.window.x, top = (window.y << dy) - fine.window.y;
    const std::uint64_t right = std::min(fine.window.width, left + (window.width << dx));
    const std::uint64_t bottom = std::min(fine.window.height, top + (window.height << dy));
    for (std::uint64_t y = top; y < bottom; ++y)
        for (std::uint64_t x = left; x < right; ++x)
            raise(map.values[((y - top) >> dy) * window.width + ((x - left) >> dx)], fine.at(x, y));
    return map;
}

double quantileOf(const HeatMap& map, double share)
{
    std::vector<float> values;
    values.reserve(map.values.size());
    std::ranges::copy_if(map.values, std::back_inserter(values), [](float v) { return v > 0 && std::isfinite(v); });
    if (values.empty())
        return 0;
    const auto at = values.begin()
        + static_cast<std::ptrdiff_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(values.size() - 1));
    std::ranges::nth_element(values, at);
    return static_cast<double>(*at);
}

double largestOf(const HeatMap& map)
{
    float largest = 0;
    for (const float value : map.values)
        if (std::isfinite(value))
            largest = std::max(largest, value);
    return static_cast<double>(largest);
}

}  // namespace sigmascope
