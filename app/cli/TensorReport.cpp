// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/TensorReport.h"

#include "app/cli/Table.h"
#include "core/calibration/Metric.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

tl::unexpected<Error> failIn(const Checkpoint& checkpoint, const TensorInfo& tensor, const Error& error)
{
    if (error.code == ErrorCode::Cancelled)
        return tl::unexpected<Error>(error);
    const MappedFile* file = tensor.shard < checkpoint.shardCount() ? checkpoint.shard(tensor.shard) : nullptr;
    return fail(error.code,
                {.file = (file == nullptr ? checkpoint.path() : file->path()).string(),
                 .tensor = tensor.name,
                 .offset = tensor.offset},
                error.detail);
}

Result<Histogram> histogramOf(const TensorView& view, const TensorStats& stats, std::size_t bins, const JobContext& job)
{
    const auto codes = codeCounts(view, job);
    if (!codes)
        return passOn(codes);
    return binned(*codes, stats.min, stats.max, bins);
}

/// E = W - Q in place of W.
Status subtractGrid(std::vector<float>& values, const TensorView& view, const InspectOptions& options,
                    const Metric& metric, ComputeBackend& backend, const JobContext& job)
{
    const Grid& grid = *options.grid;
    const Solver& solver = options.solver == nullptr ? *findSolver("nearest") : *options.solver;
    const std::uint64_t rows = view.rows();
    const std::uint64_t cols = view.cols();
    if (!grid.accepts(cols))
        return fail(ErrorCode::NotRepresentable, fmt::format("rows of {} values do not fit {}", cols, grid.id()));
    const auto solution = solver.solve(
        {.weights = values, .rows = rows, .cols = cols, .grid = &grid, .metric = &metric, .backend = &backend}, job);
    if (!solution)
        return passOn(solution);
    std::vector<float> row(cols);
    const std::size_t rowBytes = grid.rowBytes(cols);
    for (std::uint64_t i = 0; i < rows; ++i) {
        grid.decode(std::span(solution->quantized.codes).subspan(i * rowBytes, rowBytes), 1, cols, row);
        for (std::uint64_t j = 0; j < cols; ++j)
            values[i * cols + j] -= row[j];
    }
    return {};
}

Result<SpectrumReport> spectrumOf(const TensorView& view, std::string_view name, const InspectOptions& options,
                                  ComputeBackend& backend, const JobContext& job)
{
    const std::uint64_t rows = view.rows();
    const std::uint64_t cols = view.cols();
    std::vector<float> values(rows * cols);
    if (Status status = decodeRows(view, 0, rows, values); !status)
        return passOn(status);
    Metric metric;
    if (options.calibration != nullptr)
        metric = metricFor(MetricKind::DiagonalRms, options.calibration, name, cols);
    SpectrumReport report;
    report.metric = id(metric.isPlain() ? MetricKind::Plain : metric.kind);
    report.weightEnergy = energy({values, rows, cols, metric.scale});
    if (options.grid != nullptr) {
        report.grid = options.grid->id();
        if (options.solver != nullptr)
            report.solver = options.solver->id;
        if (Status status = subtractGrid(values, view, options, metric, backend, job); !status)
            return passOn(status);
    }
    const ScaledMatrix matrix{values, rows, cols, metric.scale};
    auto spectrum = options.spectrumCount >= matrix.minSide()
        ? fullSpectrum(matrix, job)
        : leadingSpectrum(matrix, {.count = options.spectrumCount}, job);
    if (!spectrum)
        return passOn(spectrum);
    report.spectrum = std::move(*spectrum);
    return report;
}

Status analyse(TensorReport& report, const TensorView& view, const InspectOptions& options, ComputeBackend& backend,
               const JobContext& job)
{
    const auto stats = backend.statistics(view, job);
    if (!stats)
        return passOn(stats);
    report.stats = *stats;
    auto notes = tensorNotes(view, *stats, job);
    if (!notes)
        return passOn(notes);
    report.notes = std::move(*notes);
    if (options.histogram && stats->finite > 0) {
        auto histogram = histogramOf(view, *stats, options.bins, job);
        if (!histogram)
            return passOn(histogram);
        report.histogram = std::move(*histogram);
    }
    if (options.spectrumCount == 0 || view.shape.size() < 2)
        return {};
    if (stats->finite != stats->count)
        return fail(ErrorCode::NonFinite,
                    fmt::format("non-finite values: {}, first at element {}: no spectrum", stats->count - stats->finite,
                                stats->firstNonFinite.value_or(0)));
    auto spectrum = spectrumOf(view, report.tensor->name, options, backend, job);
    if (!spectrum)
        return passOn(spectrum);
    report.spectrum = std::move(*spectrum);
    return {};
}

Json spectrumJson(const SpectrumReport& report)
{
    const Spectrum& spectrum = report.spectrum;
    Json json;
    json["grid"] = report.grid.empty() ? Json() : Json(report.grid);
    if (!report.solver.empty())
        json["solver"] = report.solver;
    json["metric"] = report.metric;
    json["of"] = report.grid.empty() ? "W" : "E";
    json["singular_values"] = spectrum.values;
    json["total_energy"] = spectrum.totalEnergy;
    json["captured"] = spectrum.captured;
    json["unresolved_energy"] = spectrum.unresolvedEnergy;
    json["lower_bound"] = spectrum.lowerBound;
    json["noise_edge"] = spectrum.noiseEdge > 0 ? Json(spectrum.noiseEdge) : Json();
    return json;
}

} // namespace

Result<TensorReport> inspectTensor(const Checkpoint& checkpoint, std::size_t tensor, const InspectOptions& options,
                                   ComputeBackend& backend, bool mustWork, const JobContext& job)
{
    TensorReport report{.tensor = &checkpoint.tensors()[tensor]};
    const auto view = checkpoint.view(tensor);
    if (!view) {
        if (mustWork)
            return passOn(view);
        report.problem = view.error();
        return report;
    }
    if (!info(view->dtype).decodable) {
        const Error error{ErrorCode::UnsupportedType,
                          fmt::format("{} is not decoded by this version: listed only", report.tensor->typeName())};
        if (mustWork && (options.histogram || options.spectrumCount > 0))
            return failIn(checkpoint, *report.tensor, error);
        report.problem = failIn(checkpoint, *report.tensor, error).value();
        return report;
    }
    if (const Status same = checkpoint.checkUnchanged(tensor); !same)
        return passOn(same);
    if (view->elements() == 0)
        report.notes.push_back(shapeNote(view->shape).value());
    const Status analysed = view->elements() == 0 ? Status() : analyse(report, *view, options, backend, job);
    // Asked first: zeros laid over vanished pages look like values.
    if (const Status same = checkpoint.checkUnchanged(tensor); !same)
        return passOn(same);
    if (!analysed) {
        const tl::unexpected<Error> error = failIn(checkpoint, *report.tensor, analysed.error());
        if (mustWork || error.value().code == ErrorCode::Cancelled)
            return error;
        report.problem = error.value();
    }
    return report;
}

std::optional<double> storedBits(const TensorInfo& tensor)
{
    const std::uint64_t elements = tensor.elements();
    if (elements == 0 || tensor.state == TensorState::Missing)
        return std::nullopt;
    return 8.0 * static_cast<double>(tensor.bytes) / static_cast<double>(elements);
}

Json toJson(const TensorReport& report, const InspectOptions& options)
{
    Json json;
    json["name"] = report.tensor->name;
    json["shape"] = report.tensor->shape;
    json["dtype"] = report.tensor->typeName();
    json["bytes"] = report.tensor->bytes;
    const auto bits = storedBits(*report.tensor);
    json["bits_per_weight"] = bits ? Json(*bits) : Json();
    const bool finite = report.stats && report.stats->finite > 0;
    const auto value = [&](bool exists, double number) { return exists ? Json(number) : Json(); };
    const TensorStats stats = report.stats.value_or(TensorStats{});
    json["min"] = value(finite, stats.min);
    json["max"] = value(finite, stats.max);
    json["mean"] = value(finite, stats.mean);
    json["stddev"] = value(finite, stats.stddev());
    json["kurtosis"] = stats.kurtosis() ? Json(*stats.kurtosis()) : Json();
    json["zeros"] = report.stats ? Json(stats.zeros) : Json();
    json["nan"] = report.stats ? Json(stats.nan) : Json();
    json["inf"] = report.stats ? Json(stats.inf) : Json();
    if (options.histogram) {
        Json histogram;
        if (report.histogram) {
            histogram["min"] = report.histogram->min;
            histogram["max"] = report.histogram->max;
            histogram["bins"] = report.histogram->counts.size();
            histogram["counts"] = report.histogram->counts;
        }
        json["histogram"] = std::move(histogram);
    }
    if (options.spectrumCount > 0)
        json["spectrum"] = report.spectrum ? spectrumJson(*report.spectrum) : Json();
    return json;
}

Json warningsJson(const Checkpoint& checkpoint, const std::vector<TensorReport>& reports)
{
    Json warnings = Json::array();
    const auto add = [&](Json tensor, std::string_view code, const std::string& text) {
        Json warning;
        warning["tensor"] = std::move(tensor);
        warning["code"] = code;
        warning["text"] = text;
        warnings.push_back(std::move(warning));
    };
    for (const CheckpointWarning& warning : checkpoint.warnings())
        add({}, id(warning.code), warning.detail);
    for (const TensorReport& report : reports) {
        for (const TensorNote& note : report.notes)
            add(report.tensor->name, id(note.kind), note.text);
        if (report.problem)
            add(report.tensor->name, id(report.problem->code), report.problem->detail);
    }
    return warnings;
}

std::string notesText(const std::vector<TensorReport>& reports)
{
    std::string text;
    for (const TensorReport& report : reports) {
        for (const TensorNote& note : report.notes)
            text += fmt::format("{}  {}: {}\n", text.empty() ? "Notes:\n" : "", escaped(report.tensor->name), note.text);
    }
    return text;
}

std::string histogramText(const TensorReport& report)
{
    if (!report.histogram)
        return {};
    const Histogram& histogram = *report.histogram;
    const std::size_t bins = histogram.counts.size();
    const double width = (histogram.max - histogram.min) / static_cast<double>(bins);
    const std::uint64_t most = std::ranges::max(histogram.counts);
    std::string text = fmt::format("\nDensity of {} (measured, {})\n", escaped(report.tensor->name),
                                   histogram.exact ? "every value counted" : "bin edges resolved to 1 part in 128");
    Table table({{"from"}, {"to"}, {"count"}, {"", Align::Left}});
    for (std::size_t i = 0; i < bins; ++i) {
        const double share = most == 0 ? 0 : static_cast<double>(histogram.counts[i]) / static_cast<double>(most);
        std::string bar;
        for (int at = 0; at < static_cast<int>(std::ceil(40 * share)); ++at)
            bar += "▇";
        table.add({shortNumber(histogram.min + width * static_cast<double>(i)),
                   shortNumber(histogram.min + width * static_cast<double>(i + 1)), grouped(histogram.counts[i]), bar});
    }
    return text + table.toString();
}

std::string spectrumText(const TensorReport& report)
{
    if (!report.spectrum)
        return {};
    const SpectrumReport& of = *report.spectrum;
    const Spectrum& spectrum = of.spectrum;
    std::string text = fmt::format("\nSingular values of {} of {}, metric {} (measured)\n",
                                   of.grid.empty() ? std::string("W") : "E = W − Q on " + of.grid,
                                   escaped(report.tensor->name), of.metric);
    Table table({{"i"},
                 {"sigma"},
                 {"energy up to i"},
                 {of.grid.empty() ? "rest / ‖WS‖" : "error left / ‖WS‖"},
                 {"", Align::Left}});
    double captured = 0;
    for (std::size_t i = 0; i < spectrum.values.size(); ++i) {
        const double value = spectrum.values[i];
        captured += value * value;
        const double left = std::sqrt(std::max(0.0, spectrum.totalEnergy - captured));
        table.add({fmt::format("{}", i + 1), shortNumber(value),
                   spectrum.totalEnergy > 0 ? percent(captured / spectrum.totalEnergy) : "–",
                   of.weightEnergy > 0 ? percent(left / std::sqrt(of.weightEnergy)) : "–",
                   value < spectrum.floor ? "under the numerical floor" : ""});
    }
    text += table.toString();
    text += fmt::format("{} of {} values; energy {}, of which {} not resolved{}", spectrum.values.size(),
                        spectrum.total, shortNumber(spectrum.totalEnergy), shortNumber(spectrum.unresolvedEnergy),
                        spectrum.lowerBound ? fmt::format(" (values are lower bounds, each certified to {})",
                                                          percent(spectrum.tolerance))
                                            : "");
    if (spectrum.noiseEdge > 0)
        text += fmt::format("; noise of this energy would end at {}", shortNumber(spectrum.noiseEdge));
    return text + '\n';
}

} // namespace sigmascope::cli
