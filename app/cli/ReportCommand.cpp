// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Terminal.h"
#include "app/cli/Verb.h"
#include "core/base/AtomicFile.h"
#include "core/base/Digits.h"
#include "core/base/Json.h"
#include "core/checkpoint/ModelTopology.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/project/ProjectFile.h"
#include "core/project/Report.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <span>
#include <unordered_map>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

/// Layers whose plan was changed after they were measured.
std::size_t plannedOtherwise(const ProjectFile& project)
{
    std::unordered_map<std::string_view, const LayerPlan*> now;
    for (std::size_t i = 0; i < project.tensors.size(); ++i)
        now.emplace(project.tensors[i], &project.plan.layers[i]);
    return static_cast<std::size_t>(std::ranges::count_if(project.results, [&](const ProjectFile::MeasuredLayer& layer) {
        const auto found = now.find(layer.result.name);
        if (found == now.end())
            return true;
        LayerPlan ran = layer.plan;
        ran.pinned = found->second->pinned; // neither a pin nor a preset's name is stored in a model
        ran.preset = found->second->preset;
        return ran != *found->second;
    }));
}

class Report final : public Verb
{
public:
    explicit Report(CLI::App& root)
        : m_app(root.add_subcommand("report", "Write a session's results as one HTML page"))
    {
        m_app->add_option("PROJECT", m_project, "Session file of the studio (.sgms)")->required();
        m_app->add_option("-o,--output", m_output, "Page to write: plots, tables, recipe; nothing is fetched")->required();
        m_app->add_flag("--json", m_json, "One JSON object instead of a line");
    }

    [[nodiscard]] const CLI::App& command() const override { return *m_app; }

    [[nodiscard]] Result<std::string> run(const std::stop_token& stop) override
    {
        Progress progress(stop);
        const auto project = loadProject(m_project);
        if (!project)
            return passOn(project);
        if (project->results.empty())
            return fail(ErrorCode::NotFound, {.file = m_project}, "the session has no results: expected measured layers of a run, found none");
        const auto input = inputOf(*project, progress.job());
        progress.clear();
        if (!input)
            return passOn(input);
        const std::string page = htmlReport(*input);
        if (const Status written = write(*project, page); !written)
            return passOn(written);
        return m_json ? json(*project, page.size())
                      : fmt::format("Report: {}, {} tensors, {} bytes\n", escaped(m_output), project->results.size(), grouped(page.size()));
    }

private:
    [[nodiscard]] Result<ReportInput> inputOf(const ProjectFile& project, const JobContext& job) const
    {
        ReportInput input{.model = project.checkpoint.filename().string(), .run = {}};
        for (const ProjectFile::MeasuredLayer& layer : project.results)
            input.run.tensors.push_back(layer.result);
        input.facts = {{"Model", project.checkpoint.filename().string()},
                       {"Calibration", project.calibration.empty() ? "the one beside the model, or none" : project.calibration.filename().string()},
                       {"Session", std::filesystem::path(m_project).filename().string()},
                       {"Saved by", "Sigmascope " + project.program},
                       {"Target", project.plan.target},
                       {"Seed", std::to_string(project.plan.seed)}};
        if (const std::size_t stale = plannedOtherwise(project); stale > 0)
            input.facts.emplace_back("Changed since", fmt::format("{} of {} tensors are planned otherwise now than when they were measured; "
                                                                  "the figures are those of then",
                                                                  stale, project.results.size()));
        // Only headers are read. A model that is gone leaves out the rules of single tensors, no figure.
        const auto checkpoint = Checkpoint::open(project.checkpoint, {.coded = &codedFormats()}, job);
        if (!checkpoint && checkpoint.error().code == ErrorCode::Cancelled)
            return passOn(checkpoint);
        const bool isSame = checkpoint && structureOf(**checkpoint) == project.fingerprint;
        if (isSame) {
            const ModelTopology topology(**checkpoint);
            const auto recipe = project.recipe ? recipeOf(project.plan, **checkpoint, topology, *project.recipe)
                                               : Result<Recipe>(recipeOf(project.plan, **checkpoint, topology));
            if (!recipe)
                return passOn(recipe);
            input.recipe = dumpJson(toJson(*recipe), 2);
        } else {
            printWarning(fmt::format("{}: {}; the report is made from the session alone, without its recipe",
                                     escaped(project.checkpoint.string()),
                                     checkpoint ? std::string("another model than the session was saved with") : checkpoint.error().detail));
        }
        return input;
    }

    [[nodiscard]] Status write(const ProjectFile& project, const std::string& page) const
    {
        const std::filesystem::path target(m_output);
        for (const std::filesystem::path& input : {std::filesystem::path(m_project), project.checkpoint, project.calibration})
            if (!input.empty() && isSameFile(input, target))
                return fail(ErrorCode::OutputIsInput, {.file = m_output}, "the report would replace an input");
        auto file = AtomicFile::create(target, page.size(), true);
        if (!file)
            return passOn(file);
        if (Status written = (*file)->write(std::as_bytes(std::span(page))); !written)
            return written;
        return (*file)->commit();
    }

    [[nodiscard]] std::string json(const ProjectFile& project, std::size_t bytes) const
    {
        Json object;
        object["report"] = m_output;
        object["bytes"] = bytes;
        object["tensors"] = project.results.size();
        object["planned_otherwise"] = plannedOtherwise(project);
        return dumpJson(object, 2) + '\n';
    }

    CLI::App* m_app;
    std::string m_project;
    std::string m_output;
    bool m_json = false;
};

} // namespace

std::unique_ptr<Verb> makeReport(CLI::App& root)
{
    return std::make_unique<Report>(root);
}

} // namespace sigmascope::cli
