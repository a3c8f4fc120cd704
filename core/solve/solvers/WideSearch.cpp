// SPDX-License-Identifier: GPL-3.0-or-later
//
// A wider search than ggml's for its own block types, which any runtime decodes: many more starts, least squares and
// nearest codes in turn, and descent over the coded scales (quality.md §1), under the metric itself: the sum of
// s_j^2 (w_j - q_j)^2. ggml's own encoders, with importances and without, are two of the starts and stand where nothing
// is better, block by block: never worse than either, and the gain is told.

#include "core/base/Parallel.h"
#include "core/solve/solvers/Solvers.h"
#include "core/solve/solvers/WideBlockSearch.h"
#include "core/tensor/Decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

namespace sigmascope {

namespace {

/// Blocks of a task: some ten milliseconds between two looks at the stop token.
constexpr std::size_t kTaskElements = 16384;

struct WideTotals {
    double nearest = 0, weighted = 0, best = 0;
};

/// One matrix while it is searched.
class WideMatrix {
public:
    WideMatrix(const SolveProblem& problem, std::span<std::byte> nearest, std::span<const std::byte> weighted)
        : m_shape(*blockShapeOf(*problem.grid->ggufType()))
        , m_weights(problem.weights)
        , m_cols(problem.cols)
        , m_bytes(info(m_shape.type).blockBits / 8)
        , m_codes(nearest)
        , m_weighted(weighted)
    {
        if (problem.metric == nullptr || problem.metric->isPlain())
            return;
        for (const float scale : problem.metric->scale)
            m_importance.push_back(static_cast<double>(scale) * scale);
        assert(m_importance.size() == m_cols);
    }

    [[nodiscard]] std::size_t blocks() const { return m_weights.size() / m_shape.elements; }
    [[nodiscard]] std::size_t blocksPerTask() const { return kTaskElements / m_shape.elements; }

    [[nodiscard]] WideTotals improve(std::size_t first, std::size_t count)
    {
        WideBlockSearch search(m_shape);
        WideTotals totals;
        for (std::size_t block = first; block < first + count; ++block) {
            const WideTotals one = improveOne(search, block);
            totals.nearest += one.nearest;
            totals.weighted += one.weighted;
            totals.best += one.best;
        }
        return totals;
    }

private:
    [[nodiscard]] std::span<const double> importanceOf(std::size_t block) const
    {
        return m_importance.empty()
            ? std::span<const double>()
            : std::span(m_importance).subspan(block * m_shape.elements % m_cols, m_shape.elements);
    }
    /// What a stored block leaves, measured on what a decoder makes of it.
    [[nodiscard]] double lossOf(std::size_t block, std::span<const std::byte> stored) const
    {
        std::array<float, 256> values{};
        const auto decoded = std::span(values).first(m_shape.elements);
        decode(m_shape.type, stored, decoded);
        return storedLoss(m_weights.subspan(block * m_shape.elements, m_shape.elements), decoded, importanceOf(block));
    }

    [[nodiscard]] WideTotals improveOne(WideBlockSearch& search, std::size_t block)
    {
        const auto codes = m_codes.subspan(block * m_bytes, m_bytes);
        WideTotals totals;
        totals.nearest = totals.weighted = totals.best = lossOf(block, codes);
        const auto take = [&](std::span<const std::byte> stored) {
            const double loss = lossOf(block, stored);
            if (loss < totals.best) {
                totals.best = loss;
                std::ranges::copy(stored, codes.begin());
            }
            return loss;
        };
        if (!m_weighted.empty())
            totals.weighted = take(m_weighted.subspan(block * m_bytes, m_bytes));
        if (totals.best == 0 || !std::isfinite(totals.best))
            return totals;
        search.begin(m_weights.subspan(block * m_shape.elements, m_shape.elements), importanceOf(block));
        std::array<std::byte, 256> room{};
        const auto trial = std::span(room).first(m_bytes);
        BlockParts parts;
        readScales(m_shape, codes, parts);
        const auto refined = [&] {
            search.refine(parts);
            writeBlock(m_shape, parts, trial);
            take(trial);
        };
        if (parts.d != 0)
            refined();
        if (search.fresh(parts))
            refined();
        return totals;
    }

    BlockShape m_shape;
    std::span<const float> m_weights;
    std::uint64_t m_cols;
    std::size_t m_bytes;
    std::span<std::byte> m_codes;
    std::span<const std::byte> m_weighted;
    std::vector<double> m_importance;
};

}  // namespace

bool canSearchWider(const Grid& grid)
{
    return grid.ggufType() && blockShapeOf(*grid.ggufType()) != nullptr;
}

Result<Solution> solveWideSearch(const SolveProblem& problem, const JobContext& job)
{
    assert(problem.grid != nullptr);
    const Grid& grid = *problem.grid;
    if (!canSearchWider(grid))
        return fail(ErrorCode::NotRepresentable,
                    fmt::format("grid {} has no scales for solver 'wide'; nearest: solver 'nearest'", grid.id()));
    SolveProblem start = problem;
    start.backend = nullptr;  // the search is the host's: so are its starts
    const JobContext quiet{.stop = job.stop};
    auto solution = solveNearest(start, quiet);
    if (!solution)
        return solution;
    std::vector<std::byte> weighted;
    if (grid.importanceSearch() != nullptr && problem.metric != nullptr && !problem.metric->isPlain()) {
        auto byImportance = solveByImportance(start, quiet);
        if (!byImportance)
            return byImportance;
        weighted = std::move(byImportance->quantized.codes);  // its note tells of a start, not of the result
    }
    WideMatrix matrix(problem, solution->quantized.codes, weighted);
    const std::size_t step = matrix.blocksPerTask();
    std::vector<WideTotals> parts((matrix.blocks() + step - 1) / step);
    parallelFor(parts.size(), [&](std::size_t task) {
        if (!job.cancelled())
            parts[task] = matrix.improve(task * step, std::min(step, matrix.blocks() - task * step));
    });
    if (job.cancelled())
        return cancelledError();
    WideTotals totals;
    for (const WideTotals& part : parts) {
        totals.nearest += part.nearest;
        totals.weighted += part.weighted;
        totals.best += part.best;
    }
    const double theirs = std::min(totals.nearest, totals.weighted);
    solution->searchGain = theirs > 0 ? 1 - std::sqrt(totals.best / theirs) : 0.0;
    const bool isElsewhere = problem.backend != nullptr && problem.backend->device().kind != "cpu";
    job.reportRan(id(Op::Encode), solution->device,
                  isElsewhere ? fmt::format("{} has no wide search", problem.backend->device().id) : std::string());
    return solution;
}

}  // namespace sigmascope
