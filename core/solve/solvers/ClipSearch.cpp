// SPDX-License-Identifier: GPL-3.0-or-later
//
// Clip search (the idea of GPTQ's and AWQ's range searches, methods-grid §2.1 and §3.3): each group of a row tries
// ranges from its own down to three tenths of it, and a little wider where the grid is lopsided, and keeps the one
// that leaves least of sum s_j^2 (w_j - q_j)^2, s being the metric's scale. First in steps of 1/20, then around the
// best in steps of 1/40, 1/80 and 1/160. Nearest's own codes stand where nothing is better, so that the result is never
// worse than nearest under this metric.

#include "core/base/Parallel.h"
#include "core/compute/ops/ClipReach.h"
#include "core/solve/CodeFormatOf.h"
#include "core/solve/solvers/Solvers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace sigmascope {

namespace {

constexpr double kStep = 0.05;
constexpr double kNarrowest = 0.3;
constexpr int kRefinements = 3;
/// A group that loses so many times what its best range leaves is not narrowed further: clipped weights only lose more.
constexpr double kHopeless = 8;

/// One row's groups and what they lose.
class RowSearch {
public:
    RowSearch(const SolveProblem& problem, std::span<const double> importance)
        : m_grid(*problem.grid), m_clip(*problem.grid->clipRange()), m_importance(importance),
          m_length(static_cast<std::size_t>(m_grid.groupSize() == 0 ? problem.cols : m_grid.groupSize())),
          m_stored(static_cast<std::size_t>(problem.cols)),
          m_reach((static_cast<std::size_t>(problem.cols) + m_length - 1) / m_length)
    {
    }

    /// @param coded  what nearest made of the row; replaced where a range is better
    /// @param found  ranges that a device has found, one a group; empty: they are searched here
    void improve(std::span<const float> row, std::span<const std::uint8_t> found, std::span<std::byte> coded)
    {
        m_grid.decode(coded, 1, row.size(), m_stored);
        bool isChanged = false;
        for (std::size_t g = 0; g < m_reach.size(); ++g) {
            const std::size_t begin = g * m_length;
            const std::size_t count = std::min(m_length, row.size() - begin);
            const auto importance = m_importance.empty() ? m_importance : m_importance.subspan(begin, count);
            const auto group = row.subspan(begin, count);
            const auto stored = std::span(m_stored).subspan(begin, count);
            m_reach[g] = found.empty() ? best(group, importance, stored) : checked(group, importance, stored, found[g]);
            isChanged = isChanged || m_reach[g] != 1;
        }
        if (isChanged)
            m_clip.recode(row, m_reach, coded);
    }

private:
    /// A device sums in float: its range must leave less in double too, or the group's own stands.
    [[nodiscard]] double checked(std::span<const float> group, std::span<const double> importance,
                                 std::span<const float> stored, std::uint8_t found) const
    {
        const double reach = static_cast<double>(found) / kReachParts;
        return found != kReachParts && m_clip.clippedError(group, importance, reach) < storedLoss(group, stored, importance)
            ? reach
            : 1.0;
    }

    [[nodiscard]] double best(std::span<const float> group, std::span<const double> importance,
                              std::span<const float> stored) const
    {
        double least = storedLoss(group, stored, importance);
        double reach = 1;
        if (least == 0)
            return reach;
        const auto attempt = [&](double candidate) {
            const double error = m_clip.clippedError(group, importance, candidate);
            if (error < least) {
                least = error;
                reach = candidate;
            }
            return error;
        };
        const double widest = m_clip.widestReach();
        for (int i = 1; 1 + i * kStep <= widest; ++i)
            attempt(1 + i * kStep);
        for (int i = 1; 1 - i * kStep >= kNarrowest - kStep / 2; ++i) {
            if (attempt(1 - i * kStep) > kHopeless * least)
                break;
        }
        double step = kStep;
        for (int i = 0; i < kRefinements; ++i) {
            step /= 2;
            const double centre = reach;
            for (const double candidate : {centre - step, centre + step}) {
                if (candidate <= widest && candidate != 1)
                    attempt(candidate);
            }
        }
        return reach;
    }

    const Grid& m_grid;
    const ClipRange& m_clip;
    std::span<const double> m_importance;
    std::size_t m_length;
    std::vector<float> m_stored;
    std::vector<double> m_reach;
};

std::vector<double> squares(const Metric* metric)
{
    std::vector<double> importance;
    if (metric == nullptr || metric->isPlain())
        return importance;
    importance.reserve(metric->scale.size());
    for (const float scale : metric->scale)
        importance.push_back(static_cast<double>(scale) * scale);
    return importance;
}

/// Of one row; empty if there are none.
std::span<const std::uint8_t> reachesOf(const std::vector<std::uint8_t>& all, std::uint64_t row, std::uint64_t rows)
{
    const std::size_t groups = all.size() / rows;
    return std::span(all).subspan(row * groups, groups);
}

/// True where the problem's device searches; the host otherwise, and the job is told.
bool searchesOnDevice(const SolveProblem& problem, const JobContext& job)
{
    ComputeBackend* backend = problem.backend;
    if (backend == nullptr || backend->device().kind == "cpu")
        return false;
    const auto format = codeFormatOf(*problem.grid);
    if (format && !format->block && backend->supports(Op::ClipSearch, DType::F16))
        return true;
    job.reportRan(id(Op::ClipSearch), "cpu",
                  fmt::format("{} has no clip search of {}", backend->device().id, problem.grid->id()));
    return false;
}

}  // namespace

bool canClip(const Grid& grid)
{
    return grid.clipRange() != nullptr;
}

Result<Solution> solveClipSearch(const SolveProblem& problem, const JobContext& job)
{
    assert(problem.grid != nullptr);
    if (!canClip(*problem.grid))
        return fail(ErrorCode::NotRepresentable,
                    fmt::format("grid {} leaves solver 'clip-search' no range to choose; nearest: solver 'nearest'",
                                problem.grid->id()));
    SolveProblem start = problem;
    const bool onDevice = searchesOnDevice(problem, job);
    if (!onDevice)
        start.backend = nullptr;  // the search is the host's: so is its start
    auto solution = solveNearest(start, job);
    if (!solution)
        return solution;
    Result<std::vector<std::uint8_t>> found;
    if (onDevice) {
        const auto scale = problem.metric == nullptr ? std::span<const float>() : std::span(problem.metric->scale);
        found = problem.backend->clipReaches(codeFormatOf(*problem.grid)->groups, problem.weights, problem.rows,
                                             problem.cols, scale, job);
        if (!found && found.error().code != ErrorCode::UnsupportedType)
            return passOn(found);
        if (!found)
            found = std::vector<std::uint8_t>();
    }

    const std::vector<double> importance = squares(problem.metric);
    assert(importance.empty() || importance.size() == problem.cols);
    constexpr std::uint64_t kElements = 16384;  // some ten milliseconds between two looks at the stop token
    const std::uint64_t step = std::max<std::uint64_t>(1, kElements / problem.cols);
    const std::size_t rowBytes = problem.grid->rowBytes(problem.cols);
    const std::span<std::byte> codes = solution->quantized.codes;
    parallelFor(static_cast<std::size_t>((problem.rows + step - 1) / step), [&](std::size_t task) {
        if (job.cancelled())
            return;
        RowSearch search(problem, importance);
        const std::uint64_t end = std::min(problem.rows, (task + 1) * step);
        for (std::uint64_t row = task * step; row < end; ++row)
            search.improve(problem.weights.subspan(row * problem.cols, problem.cols), reachesOf(*found, row, problem.rows),
                           codes.subspan(row * rowBytes, rowBytes));
    });
    if (job.cancelled())
        return cancelledError();
    return solution;
}

}  // namespace sigmascope
