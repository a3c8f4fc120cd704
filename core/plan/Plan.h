// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"
#include "core/base/Result.h"
#include "core/calibration/Metric.h"
#include "core/checkpoint/ModelTopology.h"
#include "core/grid/Grid.h"
#include "core/lowrank/LowRank.h"
#include "core/plan/GgufMix.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// Intent for one tensor.
struct LayerPlan {
    bool keep = true;               ///< stays as it is (dtype of the target's kept tensors)
    std::string preset{};           ///< id it came from, "" when edited past recognition
    std::string grid{};             ///< id of a Grid; empty when kept
    std::uint32_t rank = 0;
    FactorType factors = FactorType::F16;
    MetricKind metric = MetricKind::DiagonalRms;
    std::string solver = "nearest"; ///< id of a Solver
    bool pinned = false;

    friend bool operator==(const LayerPlan&, const LayerPlan&) = default;
};

/// Intent for every tensor of one checkpoint: index = tensor index. A value, cheap to copy.
struct QuantizationPlan {
    std::string target = "gguf";
    std::uint64_t seed = 0;
    std::vector<LayerPlan> layers;

    friend bool operator==(const QuantizationPlan&, const QuantizationPlan&) = default;
};

/// One rule of a recipe, or its default. Absent = inherit from the default.
struct RecipeRule {
    std::string match{};            ///< ECMAScript regex searched in the tensor's own name; empty in the default
    std::optional<std::string> preset{};
    std::optional<int> bits{};
    std::optional<std::string> grid{};  ///< a grid id ("int4-g128") or a family id ("int-g128") with bits
    std::optional<std::uint32_t> rank{};
    std::optional<int> factorBits{};    ///< 8, 16 or 32
    std::optional<std::string> solver{};///< "nearest", "clip-search"
    std::optional<std::string> metric{};
    bool skip = false;              ///< keep the tensor as it is
};

/// A type by hand for the tensors whose GGUF name a pattern is found in: llama-quantize's --tensor-type.
struct TypeOverride {
    std::string match{};  ///< ECMAScript regex, searched as it is
    std::string type{};   ///< of GGUF, in small letters: "q6_k"

    friend bool operator==(const TypeOverride&, const TypeOverride&) = default;
};

/// Portable plan: JSON, first matching rule wins, schema 1, unknown keys are errors (product.md).
/// Recipe + model + calibration => same bytes.
struct Recipe {
    std::uint64_t seed = 0;
    std::string target = "gguf";
    RecipeRule defaults{};
    std::vector<RecipeRule> rules;
    std::vector<std::string> pins;
    /// Before all rules, the first match wins, also when it gives the type that the tensor would have had. For "gguf" only,
    /// and only tensors that llama-quantize quantizes.
    std::vector<TypeOverride> types{};
};

[[nodiscard]] Result<Recipe> parseRecipe(std::string_view json, std::string_view file);
[[nodiscard]] Json toJson(const Recipe& recipe);
/// NotRepresentable, naming the nearest, where the target lacks the width or the method is not built yet.
[[nodiscard]] Result<Recipe> recipeFromPreset(std::string_view presetId, std::string_view target = "gguf");

/// A method as a named point of the axes.
struct Preset {
    std::string_view id;      ///< "l2qer-w4"
    std::string_view title;   ///< "L²QER, 4 bit"
    std::string_view source;  ///< paper or project
    std::string_view needs;   ///< "calibration" or ""
    int bits = 4;
    std::uint32_t rank = 0;
    MetricKind metric = MetricKind::Plain;
    std::string_view solver = "nearest";
    /// A GGUF type or mixture for every tensor that llama-quantize would code, embedding and output too; then `bits` are
    /// those of its base type. Nothing: the target's own grid of the width.
    std::optional<GgufMix> mix{};
};
/// Those that the target carries; all that name no GGUF type for "research".
[[nodiscard]] std::span<const Preset> presets(std::string_view target = "gguf");
[[nodiscard]] const Preset* findPreset(std::string_view id);
/// The id itself where the target carries the preset, else of the one that comes closest; llama-quantize's own words
/// ("Q4_K_M") and presets that are not built count too. Empty for any other word. What it returns, it returns for that.
[[nodiscard]] std::string nearestPreset(std::string_view presetId, std::string_view target = "gguf");

/// Something the plan could not do as asked, with its cost, known before the run.
struct Fallback {
    std::size_t tensor = 0;
    std::string detail;       ///< "row length 100 is no multiple of 32: F16 instead of q4_0, +11.5 bits per weight"
    std::string asked{};      ///< the grid that was asked for, where there was one
};

/// Applies a recipe to a checkpoint. Embeddings, output and norms are untouched unless a rule names them.
/// Widths the target lacks are NotRepresentable naming the nearest plan; ranks over min(rows, cols), group and
/// bits out of range InvalidRecipe. Fallbacks (formats.md §2.5) are applied and listed.
struct ResolvedPlan {
    QuantizationPlan plan;
    std::vector<Fallback> fallbacks;
};
/// @param isCalibrated  there will be an importance matrix, which mixtures of IQ4 ask for; without it they raise some layers.
[[nodiscard]] Result<ResolvedPlan> resolve(const Recipe& recipe, const Checkpoint& checkpoint, const ModelTopology& topology,
                                           bool isCalibrated = false);

/// The rule that decides each tensor: the first whose pattern is found in its name; SIZE_MAX where none is and the
/// default decides. InvalidRecipe for a pattern that is none.
[[nodiscard]] Result<std::vector<std::size_t>> decidingRules(const Recipe& recipe, const Checkpoint& checkpoint);

/// The recipe that reproduces a plan on this checkpoint: defaults of the most frequent layer plan, one rule
/// (exact, anchored name) per tensor that differs.
[[nodiscard]] Recipe recipeOf(const QuantizationPlan& plan, const Checkpoint& checkpoint, const ModelTopology& topology);

/// The same built on a recipe that the plan grew out of: @p base with its default and rules as they are, before them one
/// exact rule per tensor that was changed since, or has a type by hand, and the plan's pins. Fails as resolve(base) does.
[[nodiscard]] Result<Recipe> recipeOf(const QuantizationPlan& plan, const Checkpoint& checkpoint, const ModelTopology& topology,
                                      const Recipe& base);

/// The method that really runs for a layer: "rtn" or another solver's id; corrected, "lqer" or "l2qer", with the solver
/// before it unless that is nearest ("clip-search+l2qer"); "keep".
[[nodiscard]] std::string methodOf(const LayerPlan& layer, const Metric& metric);
/// True if a calibration changes what is stored for this layer.
[[nodiscard]] bool usesMetric(const LayerPlan& layer);

}  // namespace sigmascope
