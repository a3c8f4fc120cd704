// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/Composition.h"
#include "app/cli/Notes.h"
#include "app/cli/OrNull.h"
#include "app/cli/Planning.h"
#include "app/cli/Table.h"
#include "app/cli/Terminal.h"
#include "app/cli/Verb.h"
#include "core/base/Parallel.h"
#include "core/project/Pipeline.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

std::string json(const RunResult& run)
{
    Json object;
    object["tensors"] = Json::array();
    for (const TensorResult& result : run.tensors) {
        Json tensor;
        tensor["name"] = result.name;
        tensor["preset"] = orNull(result.preset);
        tensor["grid"] = result.grid;
        tensor["method"] = result.method;
        tensor["bits_per_weight"] = result.bitsPerWeight;
        tensor["rank"] = result.rank;
        tensor["weight_rel_error"] = orNull(result.weightError);
        tensor["metric_rel_error"] = orNull(result.metricError);
        tensor["search_gain"] = orNull(result.searchGain);
        tensor["seconds"] = result.seconds;
        tensor["device"] = orNull(result.device);
        tensor["fallback"] = orNull(result.fallback);
        object["tensors"].push_back(std::move(tensor));
    }
    Json totals;
    totals["estimated_bytes"] = run.estimate.total;
    totals["written_bytes"] = run.writtenBytes;
    totals["bits_per_weight"] = run.elements == 0
        ? Json()
        : Json(8.0 * static_cast<double>(run.writtenBytes) / static_cast<double>(run.elements));
    totals["seconds"] = run.seconds;
    object["totals"] = std::move(totals);
    object["outputs"] = Json::array();
    for (const OutputFile& output : run.outputs) {
        Json file;
        file["path"] = output.path.string();
        file["kind"] = output.kind;
        file["bytes"] = output.bytes;
        object["outputs"].push_back(std::move(file));
    }
    object["notes"] = Json::array();  // what the files leave out, and why
    for (const std::string& note : run.estimate.notes)
        object["notes"].push_back(note);
    return dumpJson(object, 2) + '\n';
}

Table layerTable(const RunResult& run)
{
    Table table({{"tensor", Align::Left},
                 {"method", Align::Left},
                 {"grid", Align::Left},
                 {"rank"},
                 {"bits/w"},
                 {"paper bits"},
                 {"error, rank 0"},
                 {"error"},
                 {"metric error, rank 0"},
                 {"metric error"},
                 {"s"},
                 {"device", Align::Left}});
    for (const TensorResult& result : run.tensors) {
        const std::string device = result.device.empty() ? "–" : result.device;
        table.add({escaped(result.name), result.method, result.grid, fmt::format("{}", result.rank),
                   fmt::format("{:.3f}", result.bitsPerWeight), fmt::format("{:.3f}", result.publishedBits),
                   percent(result.weightErrorRank0), percent(result.weightError), percent(result.metricErrorRank0),
                   percent(result.metricError), fmt::format("{:.2f}", result.seconds),
                   result.resumed ? device + ", earlier run" : device});
    }
    return table;
}

/// What a search beyond the formats' own gained, tensor by tensor; empty if none ran.
std::string searchGains(const RunResult& run)
{
    double least = 1;
    double most = 0;
    std::size_t count = 0;
    for (const TensorResult& result : run.tensors) {
        if (!result.searchGain)
            continue;
        least = std::min(least, *result.searchGain);
        most = std::max(most, *result.searchGain);
        ++count;
    }
    return count == 0 ? std::string()
                      : fmt::format("Wider search: error before correction {:.1f} to {:.1f} % below ggml's own search, in {} "
                                    "tensors.\n",
                                    100 * least, 100 * most, count);
}

std::string tables(const RunResult& run, const ExporterRow& exporter)
{
    std::string text = layerTable(run).toString();
    text += "Errors are measured on what is stored, after every rounding: error = ‖W−Ŵ‖/‖W‖, metric error =\n"
            "‖(W−Ŵ)S‖/‖WS‖ with S from the calibration (– without one); rank 0 = the same codes without correction.\n"
            "bits/w counts codes, scales and factors over the tensor's weights; \"paper bits\" divides by mn + k(m+n),\n"
            "as LQER's tables do.\n";
    text += searchGains(run);
    if (const auto resumed = std::ranges::count_if(run.tensors, &TensorResult::resumed); resumed > 0)
        text += fmt::format("Resumed: {} of {} tensors were finished by the run that was cut short; their seconds are of "
                            "that run.\n",
                            resumed, run.tensors.size());
    std::vector<PlanNote> notes;
    for (const TensorResult& result : run.tensors) {
        if (!result.fallback.empty())
            notes.emplace_back(result.name, result.fallback);
    }
    if (!notes.empty())
        text += "\nNot as asked for:\n" + linesOf(notes);
    text += fmt::format(
        "\nWritten {} bytes = {} (estimated {}), {:.4f} bits per weight with everything, in {:.1f} s\n",
        grouped(run.writtenBytes), formatBytes(run.writtenBytes), grouped(run.estimate.total),
        run.elements == 0 ? 0.0 : 8.0 * static_cast<double>(run.writtenBytes) / static_cast<double>(run.elements),
        run.seconds);
    text += fmt::format("  codes and scales {}, kept tensors {}, factors {}, headers and padding {}\n",
                        grouped(run.estimate.codes), grouped(run.estimate.kept), grouped(run.estimate.factors),
                        grouped(run.estimate.overhead));
    for (const OutputFile& output : run.outputs)
        text += fmt::format("  {}: {} ({} bytes)\n", output.kind, escaped(output.path.string(), 4096),
                            grouped(output.bytes));
    return text + fmt::format("Load it with: {}\n", exporter.loadCommand(run.estimate));
}

class Quantize final : public Verb
{
public:
    explicit Quantize(CLI::App& root)
        : m_app(root.add_subcommand("quantize", "Quantize a model and write it for a runtime"))
    {
        m_inputs.declare(*m_app);
        std::vector<std::string> targets;
        for (const ExporterRow& row : exporters())
            targets.emplace_back(row.id);
        m_app->add_option("--to", m_target, "Runtime's format")->required()->check(CLI::IsMember(targets));
        m_app->add_option("-o,--output", m_output,
                          "Model to write. gguf: a file, the adapter lies beside it as NAME-lora.gguf. Others: a folder; the\n"
                          "adapter of compressed-tensors, gptq and awq lies in lora inside. bf16, research: one file if the\n"
                          "name ends in .safetensors")
            ->required();
        m_app->add_option("--split-max-size", m_splitMaxBytes,
                          "Largest file of a model, e.g. 5GB or 500MB. gguf: NAME-00001-of-0000N.gguf, else one file;\n"
                          "folders of safetensors: 5GB unless said otherwise")
            ->transform(CLI::AsSizeValue(true))
            ->check(CLI::PositiveNumber);
        m_app->add_option("--split-max-tensors", m_splitMaxTensors, "Most tensors in one file of a gguf model in several")
            ->check(CLI::PositiveNumber);
        m_app->add_option("--device", m_device, "auto, cpu, vulkan or vulkan:N (default auto)");
        m_app->add_option("--threads", m_threads, "CPU threads (default: all); results do not depend on it")
            ->check(CLI::Range(1, 1024));
        m_app->add_flag("--refuse-fallback", m_refuseFallback,
                        "Fail before anything is written if a tensor cannot become what was asked for")
            ->excludes(m_app->get_option("--nearest"));
        m_app->add_flag("--resume", m_resume,
                        "Continue a run that was cut short, to the same bytes; without one, begin. Model, recipe,\n"
                        "calibration and device must be what they were");
        m_app->add_flag("--overwrite", m_overwrite, "Replace existing files, once the new ones are complete");
        m_app->add_flag("--json", m_json, "One JSON object instead of tables");
    }

    [[nodiscard]] const CLI::App& command() const override { return *m_app; }

    [[nodiscard]] Result<std::string> run(const std::stop_token& stop) override
    {
        if (m_target != "gguf" && m_splitMaxTensors != 0)
            return fail(ErrorCode::InvalidOption, fmt::format("--split-max-tensors is for gguf, not {}", m_target));
        if (m_threads > 0)
            setThreadCount(m_threads);
        const auto backend = makeBackend(m_device);
        if (!backend)
            return passOn(backend);
        Progress progress(stop);
        m_inputs.target = m_target;
        while (m_output.size() > 1 && m_output.ends_with('/'))  // of a folder
            m_output.pop_back();
        auto model = planModel(m_inputs, progress.job());
        if (!model)
            return passOn(model);
        if (model->recipe.target != m_target)
            return fail(
                ErrorCode::InvalidOption,
                fmt::format("--to {} contradicts the recipe's target {}", m_target, escaped(model->recipe.target)));
        const ExporterRow& exporter = *findExporter(m_target);
        ExportRequest request = model->request(m_output);
        request.overwrite = m_overwrite;
        if (m_target == "gguf") {
            request.ggufMaxBytes = m_splitMaxBytes.value_or(0);
            request.ggufMaxTensors = m_splitMaxTensors;
        } else if (m_splitMaxBytes) {
            request.splitMaxBytes = *m_splitMaxBytes;
        }
        if (const Status fits = fitToTarget(*model, request, m_inputs.nearest); !fits)
            return passOn(fits);
        RunOptions options{.known = model->resolved.fallbacks,
                           .refuseFallback = m_refuseFallback,
                           .unfinished = m_resume ? Unfinished::Resume : Unfinished::Refuse};
        options.onTimeLeft = [&progress](std::optional<double> seconds) { progress.setTimeLeft(seconds); };
        auto result = quantize(request, exporter, **backend, options, progress.job());
        progress.clear();
        if (!result)
            return tl::unexpected<Error>(withWayOn(std::move(result).error()));
        for (const std::string& message : (*backend)->diagnostics())
            printWarning(message);
        for (const std::string& note : result->estimate.notes)
            printWarning(note);
        return m_json ? json(*result) : tables(*result, exporter);
    }

private:
    /// What can be done about a run that is not finished, in the command line's own words.
    [[nodiscard]] Error withWayOn(Error error) const
    {
        std::error_code ignored;
        const bool isFolder = m_target == "gguf" && std::filesystem::is_directory(m_output, ignored);  // never replaced
        if (error.code == ErrorCode::WouldOverwrite)
            error.detail += isFolder ? " as a folder; a file's name is expected" : " (add --overwrite to replace it)";
        const auto unfinished = unfinishedRunAt(m_output);
        if (!unfinished || !*unfinished)
            return error;
        const std::string journal = escaped((*unfinished)->journal.string(), 4096);
        if (error.code == ErrorCode::UnfinishedRun)
            error.detail += " (add --resume to continue)";
        else if (error.code == ErrorCode::JournalMismatch)
            error.detail += fmt::format("; remove {} to begin anew", journal);
        else
            error.detail += "; add --resume to continue";
        return error;
    }

    CLI::App* m_app;
    PlanInputs m_inputs;
    std::string m_target;
    std::string m_output;
    std::string m_device = "auto";
    std::optional<Bytes> m_splitMaxBytes;
    std::uint32_t m_splitMaxTensors = 0;
    int m_threads = 0;
    bool m_refuseFallback = false;
    bool m_overwrite = false;
    bool m_resume = false;
    bool m_json = false;
};

} // namespace

std::unique_ptr<Verb> makeQuantize(CLI::App& root)
{
    return std::make_unique<Quantize>(root);
}

} // namespace sigmascope::cli
