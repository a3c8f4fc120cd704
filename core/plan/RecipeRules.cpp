// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/RecipeRules.h"

#include "core/plan/TargetGrids.h"
#include "core/solve/Solver.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace sigmascope {

namespace {

constexpr int kNarrowest = 2;
constexpr int kWidest = 8;

tl::unexpected<Error> invalid(std::string detail)
{
    return fail(ErrorCode::InvalidRecipe, std::move(detail));
}

std::string_view methodOf(const Intent& intent)
{
    if (intent.rank == 0)
        return "rtn";
    return intent.metric == MetricKind::Plain ? "lqer" : "l2qer";
}

/// The grid a rule names, by grid id, or by family id and a width: its own, or else the inherited one.
Result<const Grid*> namedGrid(const RecipeRule& rule, const Intent& base)
{
    const auto grid = findGrid(*rule.grid);
    if (grid) {
        if (rule.bits && *rule.bits != (*grid)->bits())
            return invalid(fmt::format("grid '{}' has {} bits, 'bits' says {}", *rule.grid, (*grid)->bits(), *rule.bits));
        return *grid;
    }
    bool isFamily = false;
    for (const GridFamily& family : gridFamilies())
        isFamily = isFamily || family.id == *rule.grid;
    if (!isFamily)
        return invalid(grid.error().detail);
    if (!rule.bits && base.grid == nullptr)
        return invalid(fmt::format("grid family '{}' needs 'bits'", *rule.grid));
    const auto ofFamily = gridOf(*rule.grid, rule.bits.value_or(base.grid == nullptr ? 0 : base.grid->bits()));
    if (!ofFamily)
        return invalid(ofFamily.error().detail);
    return *ofFamily;
}

/// The inherited family at the width asked, else the target's own grid of it.
Result<const Grid*> gridOfWidth(const RecipeRule& rule, const Intent& base, std::string_view target)
{
    if (base.grid != nullptr) {
        if (const auto same = gridOf(familyOf(*base.grid).id, *rule.bits))
            return *same;
    }
    return ownGrid(target, *rule.bits, methodOf(base));
}

std::string lowerCase(std::string_view text)
{
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lower;
}

Result<Intent> fromPreset(std::string_view presetId, std::string_view target)
{
    const Preset* preset = findPreset(presetId);
    if (preset == nullptr) {
        const auto known = recipeFromPreset(presetId, target);
        const ErrorCode code = known.error().code;
        return fail(code == ErrorCode::InvalidOption ? ErrorCode::InvalidRecipe : code, known.error().detail);
    }
    if (preset->mix && target != "gguf")
        return passOn(recipeFromPreset(presetId, target));
    const auto grid = preset->mix ? findGrid(lowerCase(info(baseTypeOf(*preset->mix)).name))
                                  : ownGrid(target, preset->bits, presetId.substr(0, presetId.rfind('-')));
    if (!grid)
        return passOn(grid);
    return Intent{.grid = *grid, .preset = std::string(presetId), .rank = preset->rank, .metric = preset->metric,
                  .solver = std::string(preset->solver), .mix = preset->mix};
}

/// By name or by width, or as it was; null where nothing is asked for. @pre rule.bits is in range.
Result<const Grid*> askedGrid(const RecipeRule& rule, const Intent& base, std::string_view target)
{
    if (rule.grid)
        return namedGrid(rule, base);
    return rule.bits ? gridOfWidth(rule, base, target) : Result<const Grid*>(base.grid);
}

/// Scales of a row count for nothing in a long one.
double bitsOfLongRows(const Grid& grid)
{
    constexpr std::uint64_t kLong = 65536;
    return 8.0 * static_cast<double>(grid.rowBytes(kLong)) / static_cast<double>(kLong);
}

Status applyGrid(const RecipeRule& rule, Intent& intent, std::string_view target)
{
    if (rule.bits && (*rule.bits < kNarrowest || *rule.bits > kWidest))
        return invalid(fmt::format("{} bits are out of range, {} to {}", *rule.bits, kNarrowest, kWidest));
    if (!rule.bits && !rule.grid)
        return {};
    const auto grid = askedGrid(rule, intent, target);
    if (!grid)
        return passOn(grid);
    if (Status carried = checkRepresentable(target, **grid); !carried)
        return carried;
    // A preset fixes the width: what is given another one by hand no longer is that preset, and a rule that names
    // its grid without a preset does not mean the inherited one.
    const Preset* preset = findPreset(intent.preset);
    if (!rule.preset || preset == nullptr || (preset->bits != (*grid)->bits() && !preset->mix))
        intent.preset.clear();
    intent.grid = *grid;
    intent.mix.reset();
    return {};
}

/// How the target stores factors of a width; nothing for other widths.
std::optional<FactorType> factorTypeOf(int bits, std::string_view target)
{
    switch (bits) {
    case 8: return target == "gguf" ? FactorType::Q8_0 : FactorType::I8;
    case 16: return FactorType::F16;
    case 32: return FactorType::F32;
    default: return std::nullopt;
    }
}

Status checkSolver(const Intent& intent)
{
    const Solver* solver = findSolver(intent.solver);
    if (intent.grid == nullptr || solver == nullptr || solver->accepts(*intent.grid))
        return {};
    return fail(ErrorCode::NotRepresentable, fmt::format("solver '{}' has nothing to choose on grid '{}'; nearest: solver 'nearest'",
                                                         intent.solver, intent.grid->id()));
}

Status applyOptions(const RecipeRule& rule, Intent& intent, std::string_view target)
{
    if (rule.rank) {
        intent.rank = *rule.rank;
        intent.rankAsked = true;
    }
    if (rule.factorBits) {
        const auto type = factorTypeOf(*rule.factorBits, target);
        if (!type)
            return invalid(fmt::format("factor_bits {}: expected 8, 16 or 32", *rule.factorBits));
        intent.factors = *type;
    }
    if (rule.solver && findSolver(*rule.solver) == nullptr) {
        std::string known;
        for (const Solver& solver : solvers())
            known += (known.empty() ? "" : ", ") + std::string(solver.id);
        return invalid(fmt::format("no solver '{}'; expected {}", escaped(*rule.solver), known));
    }
    if (rule.solver)
        intent.solver = *rule.solver;
    if (rule.metric) {
        const auto metric = metricFromId(*rule.metric);
        if (!metric)
            return invalid(fmt::format("no metric '{}'; expected plain, rms or lqer", escaped(*rule.metric)));
        intent.metric = *metric;
    }
    return {};
}

}  // namespace

Result<Intent> applied(const RecipeRule& rule, Intent base, std::string_view target)
{
    Intent intent = std::move(base);
    if (rule.preset) {
        auto preset = fromPreset(*rule.preset, target);
        if (!preset)
            return preset;
        intent = std::move(*preset);
    }
    // Options first: the width's error names the nearest plan by the method that they make.
    if (Status options = applyOptions(rule, intent, target); !options)
        return passOn(options);
    if (Status grid = applyGrid(rule, intent, target); !grid)
        return passOn(grid);
    if (Status solver = checkSolver(intent); !solver)
        return passOn(solver);
    return intent;
}

std::vector<std::string> givenWay(RecipeRule& rule, const Intent& base, std::string_view target)
{
    std::vector<std::string> changes;
    const auto change = [&changes](std::string_view what, const auto& to, const auto& from) {
        changes.push_back(fmt::format("{}{} instead of {}", what, to, from));
    };
    Intent inherited = base;
    if (rule.preset) {
        if (std::string nearest = nearestPreset(*rule.preset, target); !nearest.empty() && nearest != *rule.preset) {
            change("preset ", nearest, escaped(*rule.preset));
            rule.preset = std::move(nearest);
        }
        auto preset = fromPreset(*rule.preset, target);
        if (!preset)
            return changes;
        inherited = std::move(*preset);
    }
    if (rule.bits && (*rule.bits < kNarrowest || *rule.bits > kWidest))
        return changes;
    auto grid = askedGrid(rule, inherited, target);
    if (!grid && !rule.grid && grid.error().code == ErrorCode::NotRepresentable) {
        const int bits = nearestBits(target, *rule.bits);
        change("", fmt::format("{} bits", bits), *rule.bits);
        rule.bits = bits;
        grid = askedGrid(rule, inherited, target);
    }
    if (!grid || *grid == nullptr)
        return changes;
    if (const Grid* nearest = nearestGrid(target, **grid); nearest != nullptr && nearest != *grid) {
        changes.push_back(fmt::format("{} instead of {}, {:+.4g} bits per weight", nearest->id(), (*grid)->id(),
                                      bitsOfLongRows(*nearest) - bitsOfLongRows(**grid)));
        rule.grid = nearest->id();
        rule.bits.reset();
        grid = nearest;
    }
    const std::string& asked = rule.solver ? *rule.solver : inherited.solver;
    if (const Solver* solver = findSolver(asked); solver != nullptr && !solver->accepts(**grid)) {
        change("solver ", "nearest", asked);
        rule.solver = "nearest";
    }
    return changes;
}

std::string ruleName(std::size_t index, const RecipeRule& rule)
{
    return fmt::format("rules[{}] '{}'", index, escaped(rule.match, 80));
}

Result<std::vector<Intent>> intentsOf(const Recipe& recipe)
{
    if (Status target = checkTarget(recipe.target); !target)
        return passOn(target);
    const auto defaults = applied(recipe.defaults, {}, recipe.target);
    if (!defaults)
        return fail(defaults.error().code, "default: " + defaults.error().detail);
    std::vector<Intent> intents;
    intents.reserve(recipe.rules.size() + 1);
    for (std::size_t i = 0; i < recipe.rules.size(); ++i) {
        const RecipeRule& rule = recipe.rules[i];
        auto intent = applied(rule, *defaults, recipe.target);
        const std::string where = ruleName(i, rule) + ": ";
        if (!intent)
            return fail(intent.error().code, where + intent.error().detail);
        if (!rule.skip && intent->grid == nullptr)
            return invalid(where + "neither it nor the default gives a preset, bits or a grid");
        intents.push_back(std::move(*intent));
    }
    intents.push_back(*defaults);
    return intents;
}

}  // namespace sigmascope
