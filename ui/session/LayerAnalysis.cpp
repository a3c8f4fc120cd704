// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/LayerAnalysis.h"

#include "core/base/Random.h"
#include "core/solve/Solver.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace sigmascope::ui {

namespace {

/// Value below which half of the finite elements lie, by walking the codes in the order of their values.
double medianOf(const CodeCounts& codes)
{
    std::vector<std::pair<float, std::uint64_t>> values;
    std::uint64_t total = 0;
    for (std::uint32_t code = 0; code < codes.counts.size(); ++code) {
        const float value = codeValue(codes.codeType, code);
        if (codes.counts[code] == 0 || !std::isfinite(value))
            continue;
        values.emplace_back(value, codes.counts[code]);
        total += codes.counts[code];
    }
    std::ranges::sort(values);
    std::uint64_t seen = 0;
    for (const auto& [value, count] : values) {
        seen += count;
        if (2 * seen >= total)
            return value;
    }
    return 0;
}

float medianBy(std::vector<Grid::GroupScale>& groups, float Grid::GroupScale::*member)
{
    const auto middle = groups.begin() + static_cast<std::ptrdiff_t>(groups.size() / 2);
    std::ranges::nth_element(groups, middle, {}, member);
    return (*middle).*member;
}

/// Rows of a layer beside what its grid made of them.
struct CodedRows {
    std::vector<float> weights, restored;
    QuantizedTensor quantized;
    std::vector<Grid::GroupScale> groups;

    /// A part of them: whole rows, or within one row some of its groups.
    [[nodiscard]] Result<GridDensity> density(std::uint64_t firstGroup, std::uint64_t groupCount, const JobContext& job) const;
};

Result<CodedRows> codeRows(std::vector<float> weights, std::uint64_t cols, const Grid& grid, const Metric& metric,
                           const Solver& solver, ComputeBackend& backend, const JobContext& job)
{
    CodedRows coded;
    coded.weights = std::move(weights);
    const std::uint64_t rows = coded.weights.size() / cols;
    auto solution = solver.solve({coded.weights, rows, cols, &grid, &metric, &backend}, job);
    if (!solution)
        return passOn(solution);
    coded.quantized = std::move(solution->quantized);
    coded.restored.resize(coded.weights.size());
    grid.decode(coded.quantized.codes, rows, cols, coded.restored);
    coded.groups = grid.groupScales(coded.quantized.codes, rows, cols);
    return coded;
}

Result<GridDensity> CodedRows::density(std::uint64_t firstGroup, std::uint64_t groupCount, const JobContext& job) const
{
    const std::uint64_t cols = quantized.cols;
    const std::uint64_t length = quantized.grid->groupSize() == 0 ? cols : quantized.grid->groupSize();
    const std::uint64_t perRow = groupsInRow(*quantized.grid, cols);
    const bool isWhole = groupCount == groups.size();
    const std::uint64_t from = firstGroup * length;
    const std::uint64_t count = isWhole ? weights.size() : std::min(cols, (firstGroup + groupCount) * length) - from;
    std::vector<CodedMatrix::Group> scales;
    scales.reserve(groupCount);
    for (const Grid::GroupScale& group : std::span(groups).subspan(firstGroup, groupCount))
        scales.push_back({group.scale, group.offset});
    const CodedMatrix matrix{std::span(weights).subspan(from, count), std::span(restored).subspan(from, count),
                             isWhole ? groups.size() / perRow : 1,    isWhole ? cols : count,
                             length,                                  scales};
    return gridDensity(matrix, quantized.grid->levels(), job);
}

Status describeGrid(LayerPreview& preview, const CodedRows& coded, const JobContext& job)
{
    preview.bitsPerWeight = coded.quantized.bitsPerWeight();
    preview.levels = coded.quantized.grid->levels();
    preview.groups = coded.groups.size();
    if (coded.groups.empty() || preview.levels.empty())
        return {};
    std::vector<Grid::GroupScale> groups = coded.groups;
    preview.medianScale = std::fabs(medianBy(groups, &Grid::GroupScale::scale));
    preview.medianOffset = medianBy(groups, &Grid::GroupScale::offset);
    // A grid whose scales are not one a group has no common axis to stand on.
    if (coded.groups.size() != preview.rows * groupsInRow(*coded.quantized.grid, preview.cols))
        return {};
    auto density = coded.density(0, coded.groups.size(), job);
    if (!density)
        return passOn(density);
    preview.density = std::make_shared<const GridDensity>(std::move(*density));
    return {};
}

/// Spectra of the residual under both metrics, and the error left at every rank.
Status describeResidual(LayerPreview& preview, const std::vector<float>& weights, const std::vector<float>& residual,
                        const SpectrumOptions& options, const JobContext& job)
{
    const auto rows = static_cast<std::size_t>(preview.rows);
    const auto cols = static_cast<std::size_t>(preview.cols);
    auto plain = leadingSpectrum({residual, rows, cols, {}}, options, job);
    if (!plain)
        return passOn(plain);
    preview.e = std::move(*plain);
    if (preview.w.totalEnergy > 0)  // of a matrix of zeros there is no relative error
        preview.weightError = ErrorSpectrum(preview.e.values, preview.e.totalEnergy, preview.w.totalEnergy);
    if (preview.metric.isPlain())
        return {};
    auto weighted = leadingSpectrum({residual, rows, cols, preview.metric.scale}, options, job);
    if (!weighted)
        return passOn(weighted);
    preview.es = std::move(*weighted);
    const double weightEnergy = energy({weights, rows, cols, preview.metric.scale});
    if (weightEnergy > 0)
        preview.outputError = ErrorSpectrum(preview.es->values, preview.es->totalEnergy, weightEnergy);
    return {};
}

}  // namespace

Result<ValueAnalysis> analyseValues(const Checkpoint& checkpoint, std::size_t tensor, ComputeBackend& backend,
                                    const JobContext& job)
{
    const auto view = checkpoint.view(tensor);
    if (!view)
        return passOn(view);
    if (!info(view->dtype).decodable)
        return fail(ErrorCode::UnsupportedType,
                    Where{checkpoint.path().string(), checkpoint.tensors()[tensor].name, {}},
                    std::string(info(view->dtype).name) + " is listed and copied, its values cannot be looked at yet");
    ValueAnalysis analysis;
    auto stats = backend.statistics(*view, job);
    if (!stats)
        return passOn(stats);
    analysis.stats = *stats;
    analysis.device = backend.deviceFor(Op::Statistics, view->dtype);
    auto codes = codeCounts(*view, job);
    if (!codes)
        return passOn(codes);
    if (auto same = checkpoint.checkUnchanged(tensor); !same)
        return passOn(same);
    analysis.outliers = codes->exactCodes ? outliersFrom(*codes, analysis.stats) : analysis.stats.outliers;
    analysis.median = medianOf(*codes);
    analysis.codes = std::make_shared<const CodeCounts>(std::move(*codes));
    return analysis;
}

Result<LayerPreview> previewLayer(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                                  const Imatrix* calibration, const Spectrum* spectrumOfW, std::uint64_t seed,
                                  ComputeBackend& backend, const JobContext& job)
{
    const auto begin = std::chrono::steady_clock::now();
    const auto view = checkpoint.view(tensor);
    if (!view)
        return passOn(view);
    const std::string& name = checkpoint.tensors()[tensor].name;
    LayerPreview preview;
    preview.rows = view->rows();
    preview.cols = view->cols();
    preview.metricKind = plan.metric;
    preview.solver = plan.solver;
    std::vector<float> weights(view->elements());
    if (auto decoded = decodeRows(*view, 0, preview.rows, weights); !decoded)
        return passOn(decoded);
    const auto rows = static_cast<std::size_t>(preview.rows);
    const auto cols = static_cast<std::size_t>(preview.cols);
    const SpectrumOptions options{.count = kShownValues, .seed = seedFor(seed, name)};
    if (spectrumOfW != nullptr) {
        preview.w = *spectrumOfW;
    } else {
        auto spectrum = leadingSpectrum({weights, rows, cols, {}}, options, job);
        if (!spectrum)
            return passOn(spectrum);
        preview.w = std::move(*spectrum);
    }
    if (!plan.keep) {
        const auto grid = findGrid(plan.grid);
        if (!grid)
            return passOn(grid);
        preview.grid = plan.grid;
        preview.metric = metricFor(plan.metric, calibration, name, preview.cols);
        auto coded = codeRows(std::move(weights), preview.cols, **grid, preview.metric, solverFor(plan.solver, **grid), backend, job);
        if (!coded)
            return passOn(coded);
        if (auto described = describeGrid(preview, *coded, job); !described)
            return passOn(described);
        std::vector<float> residual = std::move(coded->restored);
        for (std::size_t i = 0; i < residual.size(); ++i)
            residual[i] = coded->weights[i] - residual[i];
        if (auto described = describeResidual(preview, coded->weights, residual, options, job); !described)
            return passOn(described);
    }
    if (auto same = checkpoint.checkUnchanged(tensor); !same)
        return passOn(same);
    preview.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return preview;
}

std::uint64_t groupsInRow(const Grid& grid, std::uint64_t cols)
{
    const std::uint64_t length = grid.groupSize() == 0 ? cols : grid.groupSize();
    return length == 0 ? 0 : (cols + length - 1) / length;
}

Result<GridDensity> densityOf(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                              const Imatrix* calibration, const DensityScope& scope, ComputeBackend& backend,
                              const JobContext& job)
{
    const auto view = checkpoint.view(tensor);
    if (!view)
        return passOn(view);
    const auto grid = findGrid(plan.grid);
    if (!grid)
        return passOn(grid);
    std::vector<float> weights(static_cast<std::size_t>(view->cols()));
    if (auto decoded = decodeRows(*view, scope.row, 1, weights); !decoded)
        return passOn(decoded);
    const Metric metric = metricFor(plan.metric, calibration, checkpoint.tensors()[tensor].name, view->cols());
    const auto coded = codeRows(std::move(weights), view->cols(), **grid, metric, solverFor(plan.solver, **grid), backend, job);
    if (!coded)
        return passOn(coded);
    if (auto same = checkpoint.checkUnchanged(tensor); !same)
        return passOn(same);
    if (coded->groups.size() != groupsInRow(**grid, view->cols()))
        return fail(ErrorCode::InvalidOption, plan.grid + " has no groups");
    return scope.kind == DensityScope::Kind::Group ? coded->density(scope.group, 1, job)
                                                   : coded->density(0, coded->groups.size(), job);
}

}  // namespace sigmascope::ui
