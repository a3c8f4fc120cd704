// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/Plan.h"

#include "core/base/Parallel.h"
#include "core/plan/NameMatcher.h"
#include "core/plan/RecipeRules.h"
#include "core/plan/TargetGrids.h"
#include "core/plan/TypeOverrides.h"
#include "core/solve/Solver.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

namespace sigmascope {

namespace {

std::uint64_t colsOf(const TensorInfo& tensor)
{
    return tensor.shape.empty() ? 1 : tensor.shape.back();
}

bool isInteger(DType dtype)
{
    return dtype >= DType::I64 && dtype <= DType::Bool;
}

/// Why a tensor is no matrix that any grid could hold; nothing if it is one.
std::optional<std::string> whyUnfit(const TensorInfo& tensor)
{
    const DTypeInfo& type = info(tensor.dtype);
    if (tensor.state == TensorState::Truncated)
        return "its data end past the file";
    if (tensor.state == TensorState::Missing)
        return "its shard is missing";
    if (tensor.elements() == 0)
        return "it has no elements";
    if (!type.decodable)
        return fmt::format("{} cannot be decoded in this version", escaped(tensor.typeName()));
    if (isInteger(tensor.dtype))
        return fmt::format("{} holds no weights", type.name);
    if (tensor.shape.size() < 2)
        return "it has one dimension: runtimes read norms and biases unquantized";
    return std::nullopt;
}

/// What becomes of rows that the grid cannot hold (formats.md §2.5), and what it costs. Norms and 1-D tensors apart,
/// a kept tensor keeps its type; only F64, which runtimes do not compute with, is stored as F32.
std::string rowFallback(const TensorInfo& tensor, const Grid& grid)
{
    const DTypeInfo& type = info(tensor.dtype == DType::F64 ? DType::F32 : tensor.dtype);
    if (!grid.ggufType())
        return fmt::format("rows of {} do not fit {}: {} instead", colsOf(tensor), grid.id(), type.name);
    const DTypeInfo& block = info(*grid.ggufType());
    const auto bits = [](const DTypeInfo& of) { return static_cast<double>(of.blockBits) / of.blockElements; };
    return fmt::format("row length {} is no multiple of {}: {} instead of {}, {:+} bits per weight", colsOf(tensor),
                       block.blockElements, type.name, grid.id(), bits(type) - bits(block));
}

double bitsOf(const Grid& grid, std::uint64_t cols)
{
    return 8.0 * static_cast<double>(grid.rowBytes(cols)) / static_cast<double>(cols);
}

/// One tensor's plan from what was asked of it; what could not be done is added to @p fallbacks.
Result<LayerPlan> fitted(const Intent& intent, std::string_view target, std::size_t index, const TensorInfo& tensor, const TensorPlace& place,
                         std::vector<Fallback>& fallbacks)
{
    LayerPlan layer;
    if (const auto reason = whyUnfit(tensor)) {
        fallbacks.push_back({index, "kept as it is: " + *reason});
        return layer;
    }
    const Grid* grid = intent.grid;
    if (!grid->accepts(colsOf(tensor))) {
        grid = gridForOddRows(*intent.grid, colsOf(tensor));
        if (grid == nullptr) {
            fallbacks.push_back({index, rowFallback(tensor, *intent.grid)});
            return layer;
        }
        const DTypeInfo& asked = info(*intent.grid->ggufType());
        fallbacks.push_back({index, fmt::format("row length {} is no multiple of {}: {} instead of {}, {:+.4g} bits per weight", colsOf(tensor),
                                                asked.blockElements, grid->id(), intent.grid->id(),
                                                bitsOf(*grid, colsOf(tensor)) - static_cast<double>(asked.blockBits) / asked.blockElements)});
    }
    if (const Grid* whole = gridForRows(target, *grid, colsOf(tensor)); whole != nullptr && whole != grid) {
        fallbacks.push_back({index, fmt::format("row length {} is no multiple of {}: {} instead of {}, {:+.4g} bits per weight", colsOf(tensor),
                                                grid->groupSize(), whole->id(), grid->id(),
                                                bitsOf(*whole, colsOf(tensor)) - bitsOf(*grid, colsOf(tensor)))});
        grid = whole;
    }
    layer = {.keep = false, .preset = intent.preset, .grid = grid->id(), .rank = intent.rank,
             .factors = intent.factors, .metric = intent.metric, .solver = intent.solver};
    if (layer.rank == 0)
        return layer;
    const std::uint64_t cols = colsOf(tensor);
    const std::uint64_t rows = tensor.elements() / cols;
    const std::uint64_t most = std::min(rows, cols);
    if (tensor.shape.size() > 2 || place.role == Role::Embedding) {
        fallbacks.push_back({index, fmt::format("rank 0 instead of {}: adapters correct plain matrices only, {}", layer.rank,
                                                tensor.shape.size() > 2 ? "this tensor is a stack of them"
                                                                        : "this is a look-up table")});
        layer.rank = 0;
    } else if (layer.rank > most && intent.rankAsked) {
        return fail(ErrorCode::InvalidRecipe, Where{.file = {}, .tensor = tensor.name},
                    fmt::format("rank {} is over min(rows, cols) = {} of shape {}", layer.rank, most, toString(tensor.shape)));
    } else if (layer.rank > most) {
        fallbacks.push_back({index, fmt::format("rank {} instead of the preset's {}: min(rows, cols) of shape {}", most,
                                                layer.rank, toString(tensor.shape))});
        layer.rank = static_cast<std::uint32_t>(most);
    }
    if (layer.rank > 0 && !canStore(layer.factors, cols, layer.rank)) {
        fallbacks.push_back({index, fmt::format("factors in F16 instead of Q8_0, {:+.4g} bits per weight: rank {} and rows of {} "
                                                "are not both multiples of 32", 7.5 * layer.rank * static_cast<double>(rows + cols)
                                                                                    / static_cast<double>(rows * cols),
                                                layer.rank, cols)});
        layer.factors = FactorType::F16;
    }
    return layer;
}

/// Rule that decides each tensor; SIZE_MAX for the default, and for what no rule and not the default covers.
struct Coverage {
    std::vector<std::size_t> rule;
    std::vector<char> byDefault;
};

constexpr std::size_t kNames = 256;  ///< a task's share of the names

/// Index of the first rule found in each name, SIZE_MAX for none.
Result<std::vector<std::size_t>> rulesFor(const Recipe& recipe, const Checkpoint& checkpoint)
{
    std::vector<std::string> patterns;
    patterns.reserve(recipe.rules.size() + 1);
    for (const RecipeRule& rule : recipe.rules)
        patterns.push_back(rule.match);
    const auto rules = NameMatcher::compile(patterns);
    if (!rules)
        return passOn(rules);
    const std::size_t count = checkpoint.tensors().size();
    std::vector<std::size_t> found(count, SIZE_MAX);
    parallelFor((count + kNames - 1) / kNames, [&](std::size_t chunk) {
        for (std::size_t i = chunk * kNames; i < std::min(count, (chunk + 1) * kNames); ++i)
            found[i] = rules->firstMatch(checkpoint.tensors()[i].name).value_or(SIZE_MAX);
    });
    return found;
}

/// @param isMixed  the default names its tensors itself, embedding and output among them
Result<Coverage> coverageOf(const Recipe& recipe, const Checkpoint& checkpoint, const ModelTopology& topology, bool isMixed)
{
    auto rules = rulesFor(recipe, checkpoint);
    if (!rules)
        return passOn(rules);
    const bool narrowed = !recipe.defaults.match.empty();
    const auto defaults = NameMatcher::compile(narrowed ? std::vector{recipe.defaults.match} : std::vector<std::string>{});
    if (!defaults)
        return passOn(defaults);

    const std::size_t count = checkpoint.tensors().size();
    Coverage coverage{std::move(*rules), std::vector<char>(count, 0)};
    parallelFor((count + kNames - 1) / kNames, [&](std::size_t chunk) {
        for (std::size_t i = chunk * kNames; i < std::min(count, (chunk + 1) * kNames); ++i) {
            const std::string& name = checkpoint.tensors()[i].name;
            coverage.byDefault[i] = (isMixed || topology.isQuantizable(i)) && (!narrowed || defaults->firstMatch(name)) ? 1 : 0;
        }
    });
    return coverage;
}

/// What is asked of a tensor whose type is given by hand. @param covered  by a rule or the default.
Result<Intent> byHand(Intent intent, const Grid& grid, bool covered)
{
    const Preset* preset = findPreset(intent.preset);
    if (preset == nullptr || !preset->mix)
        intent.preset.clear();
    intent.grid = &grid;
    intent.mix.reset();
    if (!covered)  // the type alone was asked for
        intent.rank = 0;
    const Solver* solver = findSolver(intent.solver);
    if (solver != nullptr && !solver->accepts(grid))
        return fail(ErrorCode::NotRepresentable, fmt::format("solver '{}' has nothing to choose on grid '{}', which is its type by hand; "
                                                             "nearest: solver 'nearest'",
                                                             intent.solver, grid.id()));
    return intent;
}

/// Grids of the mixtures that rules ask for, each found once.
class Mixes {
public:
    /// @param byHand  types that are not the mixtures' to choose, null for the others; may be empty.
    Mixes(const Checkpoint& checkpoint, const ModelTopology& topology, const std::vector<const Grid*>& byHand, bool isCalibrated)
        : m_checkpoint(checkpoint), m_topology(topology), m_byHand(byHand), m_isCalibrated(isCalibrated)
    {
    }

    [[nodiscard]] const Grid* gridOf(GgufMix mix, std::size_t tensor)
    {
        auto it = m_grids.find(mix);
        if (it == m_grids.end())
            it = m_grids.emplace(mix, mixedGrids(mix, m_checkpoint, m_topology, m_byHand, m_isCalibrated)).first;
        return it->second[tensor];
    }

private:
    const Checkpoint& m_checkpoint;
    const ModelTopology& m_topology;
    const std::vector<const Grid*>& m_byHand;
    bool m_isCalibrated;
    std::map<GgufMix, std::vector<const Grid*>> m_grids;
};

/// Where the target has one scheme for all layers and some rows were too odd for it: all of that grid become as they are.
void makeUniform(ResolvedPlan& resolved, const Checkpoint& checkpoint)
{
    std::map<std::string, std::uint64_t> groups;  // by grid, of those that are there
    for (const LayerPlan& layer : resolved.plan.layers) {
        const auto grid = layer.keep ? Result<const Grid*>(nullptr) : findGrid(layer.grid);
        if (grid && *grid != nullptr)
            groups[layer.grid] = (*grid)->groupSize() == 0 ? UINT64_MAX : (*grid)->groupSize();
    }
    if (groups.size() < 2)
        return;
    // One for the row fits every row; else the narrowest divides what the others do.
    const auto row = std::ranges::find(groups, UINT64_MAX, &std::pair<const std::string, std::uint64_t>::second);
    const std::string narrowest = row != groups.end() ? row->first
                                                      : std::ranges::min_element(groups, {}, &std::pair<const std::string, std::uint64_t>::second)->first;
    const Grid& common = **findGrid(narrowest);
    for (std::size_t i = 0; i < resolved.plan.layers.size(); ++i) {
        LayerPlan& layer = resolved.plan.layers[i];
        if (layer.keep || layer.grid == narrowest)
            continue;
        const std::uint64_t cols = colsOf(checkpoint.tensors()[i]);
        resolved.fallbacks.push_back({i, fmt::format("{} instead of {}, {:+.4g} bits per weight: {} has one scheme for all layers, and some rows need it",
                                                     narrowest, layer.grid, bitsOf(common, cols) - bitsOf(**findGrid(layer.grid), cols),
                                                     resolved.plan.target)});
        layer.grid = narrowest;
    }
}

}  // namespace

Result<ResolvedPlan> resolve(const Recipe& recipe, const Checkpoint& checkpoint, const ModelTopology& topology, bool isCalibrated)
{
    const auto intents = intentsOf(recipe);
    if (!intents)
        return passOn(intents);
    const auto coverage = coverageOf(recipe, checkpoint, topology, intents->back().mix.has_value());
    if (!coverage)
        return passOn(coverage);

    if (Status types = checkTypeOverrides(recipe); !types)
        return passOn(types);
    const auto types = overriddenGrids(recipe, checkpoint);
    if (!types)
        return passOn(types);

    ResolvedPlan resolved;
    Mixes mixes(checkpoint, topology, *types, isCalibrated);
    resolved.plan.target = recipe.target;
    resolved.plan.seed = recipe.seed;
    resolved.plan.layers.resize(checkpoint.tensors().size());
    bool hasOddRows = false;
    const std::unordered_set<std::string_view> pins(recipe.pins.begin(), recipe.pins.end());
    for (std::size_t i = 0; i < resolved.plan.layers.size(); ++i) {
        const TensorInfo& tensor = checkpoint.tensors()[i];
        const std::size_t rule = coverage->rule[i];
        const bool ruled = rule != SIZE_MAX;
        const Intent& intent = ruled ? (*intents)[rule] : intents->back();
        const bool covered = ruled ? !recipe.rules[rule].skip : coverage->byDefault[i] != 0 && !recipe.defaults.skip;
        const Grid* type = types->empty() ? nullptr : (*types)[i];
        if (type != nullptr || (covered && intent.grid != nullptr)) {
            Intent own = intent;
            if (type != nullptr) {
                auto typed = byHand(intent, *type, covered);
                if (!typed)
                    return fail(typed.error().code, Where{checkpoint.path().string(), tensor.name, {}}, typed.error().detail);
                own = std::move(*typed);
            } else if (intent.mix) {
                own.grid = mixes.gridOf(*intent.mix, i);
            }
            if (own.grid != nullptr) {
                const std::size_t before = resolved.fallbacks.size();
                auto layer = fitted(own, recipe.target, i, tensor, topology.place(i), resolved.fallbacks);
                if (!layer)
                    return fail(layer.error().code, escaped(checkpoint.path().native()) + ": " + layer.error().detail);
                hasOddRows = hasOddRows || (!layer->keep && layer->grid != own.grid->id());
                resolved.plan.layers[i] = std::move(*layer);
                for (std::size_t k = before; k < resolved.fallbacks.size(); ++k)
                    resolved.fallbacks[k].asked = own.grid->id();
            }
        }
        resolved.plan.layers[i].pinned = pins.contains(tensor.name);
    }
    if (hasOddRows && needsOneScheme(recipe.target))
        makeUniform(resolved, checkpoint);
    return resolved;
}

Result<std::vector<std::size_t>> decidingRules(const Recipe& recipe, const Checkpoint& checkpoint)
{
    return rulesFor(recipe, checkpoint);
}

std::string methodOf(const LayerPlan& layer, const Metric& metric)
{
    if (layer.keep)
        return "keep";
    // Without importances llama-quantize's encoder is the nearest code, and nothing else has run.
    const bool isNearest = layer.solver == "nearest" || (layer.solver == "imatrix" && metric.isPlain());
    if (layer.rank == 0)
        return isNearest ? "rtn" : layer.solver;
    const std::string correction = metric.isPlain() ? "lqer" : "l2qer";
    return isNearest ? correction : layer.solver + "+" + correction;
}

bool usesMetric(const LayerPlan& layer)
{
    if (layer.keep || layer.metric == MetricKind::Plain)
        return false;
    const Solver* solver = findSolver(layer.solver);
    return layer.rank > 0 || (solver != nullptr && solver->usesMetric);
}

}  // namespace sigmascope
