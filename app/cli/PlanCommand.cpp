// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/Composition.h"
#include "app/cli/Notes.h"
#include "app/cli/OrNull.h"
#include "app/cli/Planning.h"
#include "app/cli/Table.h"
#include "app/cli/Terminal.h"
#include "app/cli/Verb.h"
#include "core/base/AtomicFile.h"
#include "core/export/KeptForm.h"
#include "core/project/Pipeline.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <span>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

/// One line of the resolved table: exact, before anything is computed.
struct PlannedTensor {
    std::string name;
    std::string preset;
    std::string grid;
    std::string method;
    double bitsPerWeight = 0;
    std::uint32_t rank = 0;
    Bytes bytes = 0;
    std::string fallback;
};

std::string lowerCase(std::string_view text)
{
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    return lower;
}

/// As a run would find it in the files of @p exporter; null: of a target that is none.
PlannedTensor plannedTensor(const Checkpoint& checkpoint, std::size_t index, const LayerPlan& plan,
                            const Imatrix* calibration, const ExporterRow* exporter)
{
    const TensorInfo& tensor = checkpoint.tensors()[index];
    PlannedTensor row{.name = tensor.name, .preset = plan.keep ? "" : plan.preset};
    const std::uint64_t elements = tensor.elements();
    if (plan.keep) {
        const KeptForm stored = keptForm(exporter == nullptr ? "gguf" : exporter->id, checkpoint, index);
        row.grid = lowerCase(info(stored.type).name);
        row.method = "keep";
        row.bytes = stored.bytes;
    } else if (const auto grid = findGrid(plan.grid)) {
        const std::uint64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
        const std::uint64_t rows = cols == 0 ? 0 : elements / cols;
        row.grid = plan.grid;
        row.method = methodOf(plan, metricFor(plan.metric, calibration, tensor.name, cols));
        row.rank = plan.rank;
        const bool isDecoded = exporter != nullptr && !exporter->holdsCodes;
        row.bytes = isDecoded ? checkedByteSize(DType::BF16, tensor.shape).value_or(0)
                              : rows * (*grid)->rowBytes(cols) + factorBytes(plan.factors, rows, cols, plan.rank);
    }
    row.bitsPerWeight = elements == 0 ? 0 : 8.0 * static_cast<double>(row.bytes) / static_cast<double>(elements);
    return row;
}

class PlanVerb final : public Verb
{
public:
    explicit PlanVerb(CLI::App& root)
        : m_app(root.add_subcommand("plan", "Resolve a preset or recipe for a model, with exact sizes"))
    {
        m_inputs.declare(*m_app);
        std::vector<std::string> targets;
        for (const ExporterRow& row : exporters())
            targets.emplace_back(row.id);
        m_app->add_option("--to", m_target, "Runtime's format (default gguf, or the recipe's)")
            ->check(CLI::IsMember(targets));
        m_app->add_option("-o,--output", m_output, "Recipe to write: one rule per tensor that differs from the default")
            ->required();
        m_app->add_flag("--json", m_json, "One JSON object instead of a table");
    }

    [[nodiscard]] const CLI::App& command() const override { return *m_app; }

    [[nodiscard]] Result<std::string> run(const std::stop_token& stop) override
    {
        Progress progress(stop);
        const JobContext job = progress.job();
        m_inputs.target = m_target.empty() ? m_inputs.target : m_target;
        auto model = planModel(m_inputs, job);
        if (!model)
            return passOn(model);
        if (!m_target.empty() && model->recipe.target != m_target)
            return fail(ErrorCode::InvalidOption, fmt::format("--to {} contradicts the recipe's target {}", m_target,
                                                              escaped(model->recipe.target)));
        ExportRequest request = unnamedRequest(*model);
        const Status fits = fitToTarget(*model, request, m_inputs.nearest);
        const Status looked = look(*model, job);
        progress.clear();
        if (!looked)
            return passOn(looked);
        request.plan = model->resolved.plan;
        const auto size = fits ? findExporter(request.plan.target)->estimate(request) : Result<SizeEstimate>(passOn(fits));
        if (!size)
            printWarning("file sizes are not known: " + size.error().detail);
        for (const std::string& note : size ? size->notes : std::vector<std::string>{})
            printWarning(note);
        if (const Status written = writeRecipe(*model); !written)
            return passOn(written);
        const std::vector<PlannedTensor> rows = plannedRows(*model);
        const SizeEstimate* estimate = size ? &*size : nullptr;
        return m_json ? json(rows, estimate, model->checkpoint->totalElements())
                      : table(rows, estimate, model->checkpoint->totalElements());
    }

private:
    /// What would be written if the output had a name: nothing is.
    [[nodiscard]] static ExportRequest unnamedRequest(const PlannedModel& model)
    {
        ExportRequest request = model.request(placeholderFor(*model.checkpoint, model.resolved.plan.target));
        request.overwrite = true;
        return request;
    }

    /// The same look at the values as before a run, so that a plan and its run agree.
    [[nodiscard]] static Status look(PlannedModel& model, const JobContext& job)
    {
        const auto backend = makeBackend("cpu");
        if (!backend)
            return passOn(backend);
        auto looked = preflight(*model.checkpoint, model.resolved.plan, **backend, job);
        if (!looked)
            return passOn(looked);
        model.resolved.plan = std::move(looked->plan);
        auto& known = model.resolved.fallbacks;
        known.insert(known.end(), looked->fallbacks.begin(), looked->fallbacks.end());
        const auto plain = metricFallbacks(*model.checkpoint, model.resolved.plan, model.imatrix());
        known.insert(known.end(), plain.begin(), plain.end());
        return {};
    }

    [[nodiscard]] Status writeRecipe(const PlannedModel& model) const
    {
        const std::filesystem::path target(m_output);
        std::vector<std::filesystem::path> inputs{m_inputs.model, m_inputs.recipe, m_inputs.calibration,
                                                  m_inputs.templateGguf};
        for (std::size_t i = 0; i < model.checkpoint->shardCount(); ++i) {
            if (const MappedFile* shard = model.checkpoint->shard(i))
                inputs.push_back(shard->path());
        }
        if (std::ranges::any_of(inputs, [&](const auto& input) { return !input.empty() && isSameFile(input, target); }))
            return fail(ErrorCode::OutputIsInput, {.file = m_output}, "the recipe would replace an input");
        const std::string text
            = dumpJson(toJson(recipeOf(model.resolved.plan, *model.checkpoint, *model.topology)), 2) + '\n';
        auto file = AtomicFile::create(target, text.size(), true);
        if (!file)
            return passOn(file);
        if (Status written = (*file)->write(std::as_bytes(std::span(text))); !written)
            return written;
        return (*file)->commit();
    }

    [[nodiscard]] static std::vector<PlannedTensor> plannedRows(const PlannedModel& model)
    {
        const QuantizationPlan& plan = model.resolved.plan;
        const ExporterRow* exporter = findExporter(plan.target);
        std::vector<PlannedTensor> rows;
        for (std::size_t i = 0; i < plan.layers.size(); ++i)
            rows.push_back(plannedTensor(*model.checkpoint, i, plan.layers[i], model.imatrix(), exporter));
        for (const Fallback& fallback : model.resolved.fallbacks) {
            std::string& text = rows[fallback.tensor].fallback;
            text += (text.empty() ? "" : "; ") + fallback.detail;
        }
        return rows;
    }

    [[nodiscard]] std::string json(const std::vector<PlannedTensor>& rows, const SizeEstimate* size,
                                   std::uint64_t elements) const
    {
        Json object;
        object["tensors"] = Json::array();
        for (const PlannedTensor& row : rows) {
            Json tensor;
            tensor["name"] = row.name;
            tensor["preset"] = orNull(row.preset);
            tensor["grid"] = row.grid;
            tensor["method"] = row.method;
            tensor["bits_per_weight"] = row.bitsPerWeight;
            tensor["rank"] = row.rank;
            tensor["bytes"] = row.bytes;
            tensor["fallback"] = orNull(row.fallback);
            object["tensors"].push_back(std::move(tensor));
        }
        Json totals;
        totals["estimated_bytes"] = size ? Json(size->total) : Json();
        totals["bits_per_weight"] = size ? Json(size->bitsPerWeight(elements)) : Json();
        totals["codes_bytes"] = size ? Json(size->codes) : Json();
        totals["kept_bytes"] = size ? Json(size->kept) : Json();
        totals["factors_bytes"] = size ? Json(size->factors) : Json();
        totals["overhead_bytes"] = size ? Json(size->overhead) : Json();
        object["totals"] = std::move(totals);
        object["outputs"] = Json::array();
        for (const OutputFile& output : size ? size->outputs : std::vector<OutputFile>{}) {
            Json file;
            file["path"] = Json();
            file["kind"] = output.kind;
            file["bytes"] = output.bytes;
            object["outputs"].push_back(std::move(file));
        }
        object["notes"] = Json::array();  // what the files leave out, and why
        for (const std::string& note : size ? size->notes : std::vector<std::string>{})
            object["notes"].push_back(note);
        object["recipe"] = m_output;
        return dumpJson(object, 2) + '\n';
    }

    [[nodiscard]] std::string table(const std::vector<PlannedTensor>& rows, const SizeEstimate* size,
                                    std::uint64_t elements) const
    {
        Table table(
            {{"tensor", Align::Left}, {"method", Align::Left}, {"grid", Align::Left}, {"bits/w"}, {"rank"}, {"bytes"}});
        std::vector<PlanNote> notes;
        for (const PlannedTensor& row : rows) {
            table.add({escaped(row.name), row.method, row.grid, fmt::format("{:.3f}", row.bitsPerWeight),
                       fmt::format("{}", row.rank), grouped(row.bytes)});
            if (!row.fallback.empty())
                notes.emplace_back(row.name, row.fallback);
        }
        std::string text = table.toString();
        if (!notes.empty())
            text += "\nNot as asked for:\n" + linesOf(notes);
        if (size != nullptr) {
            // An adapter for PEFT names the model's folder.
            text += fmt::format("\nFiles ({}): {} bytes = {}, {:.4f} bits per weight with everything\n",
                                size->adapterRank > 0 ? "exact for the name \"model\"" : "exact", grouped(size->total),
                                formatBytes(size->total), size->bitsPerWeight(elements));
            for (const OutputFile& output : size->outputs)
                text += fmt::format("  {}: {} bytes\n", output.kind, grouped(output.bytes));
            text += fmt::format("  codes and scales {}, kept tensors {}, factors {}, headers and padding {}\n",
                                grouped(size->codes), grouped(size->kept), grouped(size->factors),
                                grouped(size->overhead));
        }
        return text + fmt::format("Recipe: {}\n", escaped(m_output));
    }

    CLI::App* m_app;
    PlanInputs m_inputs;
    std::string m_target;
    std::string m_output;
    bool m_json = false;
};

} // namespace

std::unique_ptr<Verb> makePlan(CLI::App& root)
{
    return std::make_unique<PlanVerb>(root);
}

} // namespace sigmascope::cli
