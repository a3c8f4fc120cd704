// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Planning.h"

#include "app/cli/Terminal.h"
#include "core/base/MappedFile.h"
#include "core/export/NearestPlan.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/plan/NearestRecipe.h"
#include "core/plan/TypeOverrides.h"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

Result<std::string> contentOf(const std::string& path)
{
    const auto file = MappedFile::open(path);
    if (!file)
        return passOn(file);
    const auto bytes = (*file)->bytes();
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (const Status same = (*file)->checkUnchanged(); !same)
        return passOn(same);
    return text;
}

/// The recipe; where that was asked for, with the nearest in place of what its target lacks.
Result<Recipe> fileRecipe(const PlanInputs& inputs)
{
    const auto text = contentOf(inputs.recipe);
    if (!text)
        return passOn(text);
    if (!inputs.nearest)
        return parseRecipe(*text, inputs.recipe);
    auto nearest = parseNearestRecipe(*text, inputs.recipe);
    if (!nearest)
        return passOn(nearest);
    for (const std::string& change : nearest->changes)
        printWarning(fmt::format("{}: {}", escaped(inputs.recipe, 4096), change));
    return std::move(nearest->recipe);
}

/// The preset; of one that the target lacks the nearest, where that was asked for.
Result<Recipe> presetRecipe(const PlanInputs& inputs)
{
    auto recipe = recipeFromPreset(inputs.preset, inputs.target);
    if (recipe || !inputs.nearest)
        return recipe;
    const std::string nearest = nearestPreset(inputs.preset, inputs.target);
    if (nearest.empty())
        return recipe;
    printWarning(fmt::format("preset {} instead of {}: {}", nearest, escaped(inputs.preset), recipe.error().detail));
    return recipeFromPreset(nearest, inputs.target);
}

/// Other formats that would take the plan as it is: "gguf, research". Empty for none, and where the plan's own would too
/// under another name: then the plan is not what is wrong.
std::string takersOf(const ExportRequest& request)
{
    std::string takers;
    for (const ExporterRow& exporter : exporters()) {
        ExportRequest other = request;
        other.plan.target = exporter.id;
        other.output = placeholderFor(*request.checkpoint, exporter.id);
        other.splitMaxBytes = ExportRequest().splitMaxBytes;
        if (!exporter.accepts(other).refusals.empty())
            continue;
        if (exporter.id == request.plan.target)
            return {};
        takers += (takers.empty() ? "" : ", ") + std::string(exporter.id);
    }
    return takers;
}

/// A refusal of a preset or recipe, with the way on.
tl::unexpected<Error> withNearest(Error error, const PlanInputs& inputs)
{
    if (error.code == ErrorCode::NotRepresentable && !inputs.nearest && error.detail.find("nearest: ") != std::string::npos)
        error.detail += " (taken with --nearest)";
    return tl::unexpected<Error>(std::move(error));
}

/// What was typed, before what the recipe has: the first match wins.
Status addTensorTypes(const std::vector<PlanInputs::TensorTypes>& typed, Recipe& recipe)
{
    if (!typed.empty() && recipe.target != "gguf")
        return fail(ErrorCode::InvalidOption, fmt::format("--tensor-type chooses types of GGUF, {} has none", escaped(recipe.target)));
    std::vector<TypeOverride> types;
    for (const PlanInputs::TensorTypes& source : typed) {
        if (!source.isFile) {
            auto type = parseTypeOverride(source.text);
            if (!type)
                return passOn(type);
            types.push_back(std::move(*type));
            continue;
        }
        const auto text = contentOf(source.text);
        if (!text)
            return passOn(text);
        const auto read = parseTypeOverrides(*text, source.text);
        if (!read)
            return passOn(read);
        types.insert(types.end(), read->begin(), read->end());
    }
    recipe.types.insert(recipe.types.begin(), types.begin(), types.end());
    return checkTypeOverrides(recipe);
}

} // namespace

void PlanInputs::declare(CLI::App& command)
{
    command.add_option("MODEL", model, "safetensors or GGUF file, folder, or *.index.json")->required();
    auto* source = command.add_option_group("source", "What to do, one of");
    source->add_option("--preset", preset, "Method and bits in one word, e.g. l2qer-w4; see the verb methods");
    source->add_option("--recipe", recipe, "JSON recipe with rules by tensor name");
    source->require_option(1);
    const auto addTypes = [this, &command](const char* name, bool isFile, const char* help) {
        command
            .add_option_function<std::string>(
                name, [this, isFile](const std::string& text) { tensorTypes.push_back({text, isFile}); }, help)
            ->trigger_on_parse();  // each where it stands: the first match wins
    };
    addTypes("--tensor-type", false,
             "REGEX=TYPE for tensors whose GGUF name the pattern is found in, as llama-quantize has it: small letters,\n"
             "before every rule, the first match wins; may be given more than once");
    addTypes("--tensor-type-file", true, "File of REGEX=TYPE, separated by white space");
    command.add_option("--calibration", calibration, "Importance matrix of activations (imatrix, GGUF or .dat)");
    command.add_option("--template", templateGguf, "For gguf: a GGUF of the same model to take metadata and tokenizer\nfrom");
    command.add_flag("--nearest", nearest,
                     "Take the nearest preset, recipe or plan that the format can carry where it lacks the one asked for, and\n"
                     "tell what changed");
}

std::string placeholderFor(const Checkpoint& checkpoint, std::string_view target)
{
    if (target == "gguf")
        return "model.gguf";
    return checkpoint.format() == CheckpointFormat::Gguf ? "model.safetensors" : "model";
}

ExportRequest PlannedModel::request(std::string output) const
{
    return {.checkpoint = checkpoint,
            .plan = resolved.plan,
            .output = std::move(output),
            .templateGguf = templateGguf,
            .calibration = imatrix()};
}

Result<PlannedModel> planModel(const PlanInputs& inputs, const JobContext& job)
{
    // What was typed first: a wrong word must not wait for a large model to open.
    auto recipe = inputs.preset.empty() ? fileRecipe(inputs) : presetRecipe(inputs);
    if (!recipe)
        return withNearest(std::move(recipe).error(), inputs);
    if (!inputs.templateGguf.empty() && recipe->target != "gguf")
        return fail(ErrorCode::InvalidOption, fmt::format("--template is for gguf, not {}", escaped(recipe->target)));
    if (const Status types = addTensorTypes(inputs.tensorTypes, *recipe); !types)
        return passOn(types);
    PlannedModel model{.recipe = std::move(*recipe)};
    auto checkpoint = Checkpoint::open(inputs.model, {.coded = &codedFormats()}, job);
    if (!checkpoint)
        return passOn(checkpoint);
    model.checkpoint = std::move(*checkpoint);
    if (!inputs.templateGguf.empty()) {
        auto opened = Checkpoint::open(inputs.templateGguf, {}, job);
        if (!opened)
            return passOn(opened);
        model.templateGguf = std::move(*opened);
    }
    if (!inputs.calibration.empty()) {
        auto imatrix = readImatrix(inputs.calibration);
        if (!imatrix)
            return passOn(imatrix);
        model.calibration = std::move(*imatrix);
    }
    model.topology.emplace(*model.checkpoint);
    auto resolved = resolve(model.recipe, *model.checkpoint, *model.topology, model.calibration.has_value());
    if (!resolved)
        return passOn(resolved);
    model.resolved = std::move(*resolved);
    printWarnings(*model.checkpoint);
    return model;
}

Status fitToTarget(PlannedModel& model, ExportRequest& request, bool takesNearest)
{
    const ExporterRow* exporter = findExporter(request.plan.target);
    if (exporter == nullptr)
        return fail(ErrorCode::InvalidRecipe, "unknown target " + escaped(request.plan.target));
    if (exporter->prepare != nullptr)
        exporter->prepare(request);
    const auto refusal = refusalOf(exporter->accepts(request));
    if (!refusal || refusal->code != ErrorCode::NotRepresentable)
        return refusal ? Status(tl::unexpected<Error>(*refusal)) : Status();
    Error error = *refusal;
    if (const std::string takers = takersOf(request); !takers.empty())
        error.detail += "\n  formats that carry this plan: " + takers;
    auto nearest = nearestPlan(*exporter, request);
    if (!nearest)
        return tl::unexpected<Error>(std::move(error));
    if (!takesNearest) {
        error.detail += fmt::format("\n  nearest plan that {} carries, taken with --nearest:", exporter->id);
        for (const std::string& line : summaryOf(*nearest, *model.checkpoint))
            error.detail += "\n    " + line;
        return tl::unexpected<Error>(std::move(error));
    }
    for (const PlanChange& change : nearest->changes) {
        const LayerPlan& asked = request.plan.layers[change.tensor];
        model.resolved.fallbacks.push_back(
            {change.tensor,
             fmt::format("{}: {}", wordsOf(change), change.reason.empty() ? "as its siblings" : change.reason),
             asked.keep ? std::string() : asked.grid});
    }
    model.resolved.plan = nearest->plan;
    request.plan = std::move(nearest->plan);
    return {};
}

} // namespace sigmascope::cli
