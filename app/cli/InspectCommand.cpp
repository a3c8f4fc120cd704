// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/Composition.h"
#include "app/cli/Table.h"
#include "app/cli/TensorReport.h"
#include "app/cli/Terminal.h"
#include "app/cli/Verb.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/solve/Solver.h"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

class Inspect final : public Verb
{
public:
    explicit Inspect(CLI::App& root)
        : m_app(root.add_subcommand("inspect", "List tensors with exact statistics, histograms and spectra"))
    {
        m_app->add_option("MODEL", m_model, "safetensors or GGUF file, folder, or *.index.json")->required();
        m_app->add_option("--tensor", m_tensor, "Only the tensor of this name");
        auto* histogram = m_app->add_flag("--histogram", m_histogram, "Exact histogram over [min, max]");
        m_app->add_option("--bins", m_bins, "Bins of the histogram (default 64)")
            ->needs(histogram)
            ->check(CLI::Range(1, 65536));
        auto* spectrum = m_app
                             ->add_option("--spectrum", m_spectrum,
                                          "The K leading singular values, each to 1 %; all if K is large enough")
                             ->check(CLI::Range(1, 1 << 30));
        auto* grid
            = m_app->add_option("--grid", m_grid, "Spectrum of the error W - Q on this grid, e.g. q4_0, int3-g64")
                  ->needs(spectrum);
        m_app->add_option("--solver", m_solver, "That chooses the codes: nearest (default), clip-search, imatrix, wide")->needs(grid);
        m_app->add_option("--calibration", m_calibration, "Spectrum under this imatrix' metric (GGUF or .dat)")
            ->needs(spectrum);
        m_app->add_flag("--strict", m_strict, "Refuse what is otherwise only warned of");
        m_app->add_flag("--json", m_json, "One JSON object instead of tables");
    }

    [[nodiscard]] const CLI::App& command() const override { return *m_app; }

    [[nodiscard]] Result<std::string> run(const std::stop_token& stop) override
    {
        InspectOptions options{.histogram = m_histogram, .bins = m_bins, .spectrumCount = m_spectrum};
        if (!m_grid.empty()) {
            const auto grid = findGrid(m_grid);
            if (!grid)
                return passOn(grid);
            options.grid = *grid;
        }
        if (!m_solver.empty()) {
            options.solver = findSolver(m_solver);
            if (options.solver == nullptr) {
                std::string known;
                for (const Solver& solver : solvers())
                    known += (known.empty() ? "" : ", ") + std::string(solver.id);
                return fail(ErrorCode::InvalidOption, "no solver '" + escaped(m_solver) + "'; there are " + known);
            }
            if (!options.solver->accepts(*options.grid))
                return fail(ErrorCode::InvalidOption, "grid " + m_grid + " leaves solver '" + m_solver
                                                          + "' nothing to choose; nearest: solver 'nearest'");
        }
        Progress progress(stop);
        const JobContext job = progress.job();
        const auto checkpoint = Checkpoint::open(m_model, {.strict = m_strict, .coded = &codedFormats()}, job);
        if (!checkpoint)
            return passOn(checkpoint);
        Imatrix imatrix;
        if (!m_calibration.empty()) {
            auto read = readImatrix(m_calibration);
            if (!read)
                return passOn(read);
            imatrix = std::move(*read);
            options.calibration = &imatrix;
        }
        const auto reports = inspected(**checkpoint, options, job);
        progress.clear();
        if (!reports)
            return passOn(reports);
        printWarnings(**checkpoint);
        for (const TensorReport& report : *reports) {
            if (report.problem)
                printWarning(report.problem->detail);
        }
        return m_json ? json(**checkpoint, *reports, options) : tables(**checkpoint, *reports);
    }

private:
    [[nodiscard]] Result<std::vector<TensorReport>>
    inspected(const Checkpoint& checkpoint, const InspectOptions& options, const JobContext& job) const
    {
        const auto backend = makeBackend("cpu");
        if (!backend)
            return passOn(backend);
        std::vector<std::size_t> wanted;
        if (!m_tensor.empty()) {
            const auto found = checkpoint.find(m_tensor);
            if (!found)
                return fail(ErrorCode::MissingTensor, {.file = m_model, .tensor = m_tensor},
                            "there is no tensor of this name");
            wanted.push_back(*found);
        } else {
            for (std::size_t i = 0; i < checkpoint.tensors().size(); ++i)
                wanted.push_back(i);
        }
        std::vector<TensorReport> reports;
        reports.reserve(wanted.size());
        for (const std::size_t tensor : wanted) {
            if (job.cancelled())
                return cancelledError();
            job.report(static_cast<double>(reports.size()) / static_cast<double>(wanted.size()),
                       checkpoint.tensors()[tensor].name);
            auto report = inspectTensor(checkpoint, tensor, options, **backend, !m_tensor.empty(), {.stop = job.stop});
            if (!report)
                return passOn(report);
            reports.push_back(std::move(*report));
        }
        return reports;
    }

    static std::string json(const Checkpoint& checkpoint, const std::vector<TensorReport>& reports,
                            const InspectOptions& options)
    {
        Json object;
        object["tensors"] = Json::array();
        for (const TensorReport& report : reports)
            object["tensors"].push_back(toJson(report, options));
        object["warnings"] = warningsJson(checkpoint, reports);
        return dumpJson(object, 2) + '\n';
    }

    static std::string tables(const Checkpoint& checkpoint, const std::vector<TensorReport>& reports)
    {
        Table table({{"tensor", Align::Left},
                     {"shape", Align::Left},
                     {"type", Align::Left},
                     {"size"},
                     {"bits/w"},
                     {"min"},
                     {"max"},
                     {"mean"},
                     {"stddev"},
                     {"kurtosis"},
                     {"zeros"},
                     {"NaN"},
                     {"Inf"}});
        for (const TensorReport& report : reports)
            table.add(row(report));
        std::string text = table.toString();
        text += fmt::format("{} tensors, {} weights, {} in {} file{}. Statistics are exact, over finite values.\n",
                            checkpoint.tensors().size(), grouped(checkpoint.totalElements()),
                            formatBytes(checkpoint.totalBytes()), checkpoint.shardCount(),
                            checkpoint.shardCount() == 1 ? "" : "s");
        text += notesText(reports);
        for (const TensorReport& report : reports)
            text += histogramText(report) + spectrumText(report);
        return text;
    }

    /// With scales, zero points and all else that is stored for the tensor.
    static std::string bitsText(const TensorInfo& tensor)
    {
        const auto bits = storedBits(tensor);
        return bits ? fmt::format("{:.3f}", *bits) : "–";
    }

    static std::vector<std::string> row(const TensorReport& report)
    {
        const TensorInfo& tensor = *report.tensor;
        std::vector<std::string> cells{escaped(tensor.name), toString(tensor.shape),
                                       escaped(tensor.typeName()),
                                       formatBytes(tensor.bytes), bitsText(tensor)};
        if (!report.stats) {
            cells.resize(13, "–");
            return cells;
        }
        const TensorStats& stats = *report.stats;
        const bool finite = stats.finite > 0;
        const auto cell = [&](double value) { return shortNumber(finite ? std::optional(value) : std::nullopt); };
        cells.insert(cells.end(),
                     {cell(stats.min), cell(stats.max), cell(stats.mean), cell(stats.stddev()),
                      shortNumber(stats.kurtosis()), grouped(stats.zeros), grouped(stats.nan), grouped(stats.inf)});
        return cells;
    }

    CLI::App* m_app;
    std::string m_model;
    std::string m_tensor;
    std::string m_grid;
    std::string m_solver;
    std::string m_calibration;
    std::size_t m_bins = 64;
    std::size_t m_spectrum = 0;
    bool m_histogram = false;
    bool m_strict = false;
    bool m_json = false;
};

} // namespace

std::unique_ptr<Verb> makeInspect(CLI::App& root)
{
    return std::make_unique<Inspect>(root);
}

} // namespace sigmascope::cli
