// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/calibration/Imatrix.h"
#include "core/checkpoint/ModelTopology.h"
#include "core/export/Exporter.h"
#include "core/plan/Plan.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI
{
class App;
}

namespace sigmascope::cli
{

/// What `plan` and `quantize` start from, as typed.
struct PlanInputs {
    std::string model;
    std::string preset;
    std::string recipe;
    std::string calibration;
    std::string templateGguf;
    std::string target = "gguf";  ///< of a preset; a recipe names its own
    /// One --tensor-type or one file of them, in the order they were typed.
    struct TensorTypes {
        std::string text;
        bool isFile = false;
    };
    std::vector<TensorTypes> tensorTypes;
    bool nearest = false;  ///< what the target lacks becomes what comes closest

    /// MODEL, --preset | --recipe (exactly one), --tensor-type, --tensor-type-file, --calibration, --template, --nearest.
    void declare(CLI::App& command);
};

/// Everything read and resolved; nothing computed yet.
struct PlannedModel {
    std::shared_ptr<const Checkpoint> checkpoint;
    std::shared_ptr<const Checkpoint> templateGguf; ///< may be null
    std::optional<Imatrix> calibration;
    std::optional<ModelTopology> topology;
    Recipe recipe;
    ResolvedPlan resolved;

    [[nodiscard]] const Imatrix* imatrix() const { return calibration ? &*calibration : nullptr; }
    [[nodiscard]] ExportRequest request(std::string output) const;
};

/// InvalidOption for an unknown preset (exit 2); errors of files name the file.
[[nodiscard]] Result<PlannedModel> planModel(const PlanInputs& inputs, const JobContext& job);

/// A name that the target takes, for files that are not written: where no name was typed, or where it is not asked about.
[[nodiscard]] std::string placeholderFor(const Checkpoint& checkpoint, std::string_view target);

/// What the target makes of the plan, before anything is computed or written. A plan that it cannot carry becomes the nearest
/// that it can where that was asked for, in the model and in @p request, and every change is among the fallbacks; else
/// NotRepresentable with all that stands against it and what the nearest plan would change.
[[nodiscard]] Status fitToTarget(PlannedModel& model, ExportRequest& request, bool takesNearest);

} // namespace sigmascope::cli
