// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Planning.h"

#include "app/cli/Terminal.h"
#include "core/base/MappedFile.h"
#include "core/lowrank/CodedMatrices.h"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

Result<Recipe> fileRecipe(const std::string& path)
{
    const auto file = MappedFile::open(path);
    if (!file)
        return passOn(file);
    const auto bytes = (*file)->bytes();
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (const Status same = (*file)->checkUnchanged(); !same)
        return passOn(same);
    return parseRecipe(text, path);
}

} // namespace

void PlanInputs::declare(CLI::App& command)
{
    command.add_option("MODEL", model, "safetensors or GGUF file, folder, or *.index.json")->required();
    auto* source = command.add_option_group("source", "What to do, one of");
    source->add_option("--preset", preset, "Method and bits in one word, e.g. l2qer-w4; see the verb methods");
    source->add_option("--recipe", recipe, "JSON recipe with rules by tensor name");
    source->require_option(1);
    command.add_option("--calibration", calibration, "Importance matrix of activations (imatrix, GGUF or .dat)");
    command.add_option("--template", templateGguf, "GGUF of the same model to take metadata and tokenizer from");
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
    auto recipe = inputs.preset.empty() ? fileRecipe(inputs.recipe) : recipeFromPreset(inputs.preset, inputs.target);
    if (!recipe)
        return passOn(recipe);
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
    auto resolved = resolve(model.recipe, *model.checkpoint, *model.topology);
    if (!resolved)
        return passOn(resolved);
    model.resolved = std::move(*resolved);
    printWarnings(*model.checkpoint);
    return model;
}

} // namespace sigmascope::cli
