// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/NameMatcher.h"
#include "core/plan/NearestRecipe.h"
#include "core/plan/Plan.h"
#include "core/plan/RecipeRules.h"
#include "core/plan/TargetGrids.h"
#include "core/plan/TypeOverrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>

namespace sigmascope {

namespace {

constexpr std::uint64_t kSchema = 1;

/// Reads one object; the first thing wrong is kept, the rest is then skipped.
class ObjectReader {
public:
    ObjectReader(const Json& object, std::string path) : m_object(object), m_path(std::move(path))
    {
        if (!object.is_object())
            refuse(m_path, "an object");
    }

    const std::optional<Error>& error() const { return m_error; }
    const Json* take(std::string_view key)
    {
        m_known.emplace_back(key);
        if (m_error || !m_object.is_object())
            return nullptr;
        const auto it = m_object.find(key);
        return it == m_object.end() ? nullptr : &*it;
    }
    void text(std::string_view key, std::optional<std::string>& out)
    {
        const Json* value = take(key);
        if (value == nullptr)
            return;
        if (!value->is_string())
            return refuse(at(key), "a string");
        out = value->get<std::string>();
    }
    void boolean(std::string_view key, bool& out)
    {
        const Json* value = take(key);
        if (value == nullptr)
            return;
        if (!value->is_boolean())
            return refuse(at(key), "true or false");
        out = value->get<bool>();
    }
    template <class Integer>
    void integer(std::string_view key, std::optional<Integer>& out)
    {
        const Json* value = take(key);
        if (value == nullptr)
            return;
        constexpr std::uint64_t kMost = std::numeric_limits<Integer>::max();
        if (!value->is_number_unsigned() || value->get<std::uint64_t>() > kMost)
            return refuse(at(key), fmt::format("a whole number from 0 to {}", kMost));
        out = static_cast<Integer>(value->get<std::uint64_t>());
    }
    void refuse(std::string_view where, std::string_view expected)
    {
        if (!m_error)
            m_error = Error{ErrorCode::InvalidRecipe, fmt::format("{}: expected {}", where, expected)};
    }
    /// Any key that nobody took.
    void finish()
    {
        if (m_error || !m_object.is_object())
            return;
        for (const auto& [key, value] : m_object.items()) {
            if (std::ranges::find(m_known, key) == m_known.end()) {
                m_error = Error{ErrorCode::InvalidRecipe, fmt::format("unknown key '{}'{}", escaped(key),
                                                                      m_path.empty() ? "" : " in " + m_path)};
                return;
            }
        }
    }
    std::string at(std::string_view key) const
    {
        return m_path.empty() ? std::string(key) : fmt::format("{}.{}", m_path, key);
    }

private:
    const Json& m_object;
    std::string m_path;
    std::vector<std::string> m_known;
    std::optional<Error> m_error;
};

Result<RecipeRule> ruleFrom(const Json& json, const std::string& path)
{
    RecipeRule rule;
    ObjectReader reader(json, path);
    std::optional<std::string> match;
    reader.text("match", match);
    reader.text("preset", rule.preset);
    reader.integer("bits", rule.bits);
    reader.text("grid", rule.grid);
    reader.integer("rank", rule.rank);
    reader.integer("factor_bits", rule.factorBits);
    reader.text("solver", rule.solver);
    reader.text("metric", rule.metric);
    reader.boolean("skip", rule.skip);
    reader.finish();
    if (reader.error())
        return tl::unexpected<Error>(*reader.error());
    rule.match = match.value_or("");
    return rule;
}

Status readRules(const Json& rules, Recipe& recipe)
{
    if (!rules.is_array())
        return fail(ErrorCode::InvalidRecipe, "rules: expected an array");
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const std::string path = fmt::format("rules[{}]", i);
        auto rule = ruleFrom(rules[i], path);
        if (!rule)
            return passOn(rule);
        if (rule->match.empty())
            return fail(ErrorCode::InvalidRecipe, path + ": has no match");
        recipe.rules.push_back(std::move(*rule));
    }
    return {};
}

Status readPins(const Json& pins, Recipe& recipe)
{
    if (!pins.is_array())
        return fail(ErrorCode::InvalidRecipe, "pins: expected an array");
    for (const Json& pin : pins) {
        if (!pin.is_string())
            return fail(ErrorCode::InvalidRecipe, "pins: expected tensor names");
        recipe.pins.push_back(pin.get<std::string>());
    }
    return {};
}

Status readTypes(const Json& types, Recipe& recipe)
{
    if (!types.is_array())
        return fail(ErrorCode::InvalidRecipe, "tensor_types: expected an array");
    for (std::size_t i = 0; i < types.size(); ++i) {
        ObjectReader reader(types[i], fmt::format("tensor_types[{}]", i));
        std::optional<std::string> match;
        std::optional<std::string> type;
        reader.text("match", match);
        reader.text("type", type);
        reader.finish();
        if (reader.error())
            return tl::unexpected<Error>(*reader.error());
        if (!match || match->empty() || !type)
            return fail(ErrorCode::InvalidRecipe, fmt::format("tensor_types[{}]: expected match and type", i));
        recipe.types.push_back({std::move(*match), std::move(*type)});
    }
    return {};
}

Result<Recipe> recipeFrom(const Json& json)
{
    Recipe recipe;
    ObjectReader reader(json, "");
    std::optional<std::uint64_t> schema;
    std::optional<std::uint64_t> seed;
    std::optional<std::string> target;
    reader.integer("schema", schema);
    reader.integer("seed", seed);
    reader.text("target", target);
    const Json* defaults = reader.take("default");
    const Json* rules = reader.take("rules");
    const Json* pins = reader.take("pins");
    const Json* types = reader.take("tensor_types");
    reader.finish();
    if (reader.error())
        return tl::unexpected<Error>(*reader.error());
    if (schema != kSchema)
        return fail(ErrorCode::InvalidRecipe, schema ? fmt::format("schema {}: expected {}", *schema, kSchema)
                                                     : fmt::format("schema: missing, expected {}", kSchema));
    recipe.seed = seed.value_or(0);
    recipe.target = target.value_or(recipe.target);
    if (defaults != nullptr) {
        auto rule = ruleFrom(*defaults, "default");
        if (!rule)
            return passOn(rule);
        recipe.defaults = std::move(*rule);
    }
    if (rules != nullptr) {
        if (Status read = readRules(*rules, recipe); !read)
            return passOn(read);
    }
    if (pins != nullptr) {
        if (Status read = readPins(*pins, recipe); !read)
            return passOn(read);
    }
    if (types != nullptr) {
        if (Status read = readTypes(*types, recipe); !read)
            return passOn(read);
    }
    return recipe;
}

/// Everything that is wrong with a recipe whatever the model, so that a file is refused when it is read.
Status checkMeaning(const Recipe& recipe)
{
    if (const auto intents = intentsOf(recipe); !intents)
        return passOn(intents);
    std::vector<std::string> patterns;
    patterns.reserve(recipe.rules.size() + 1);
    for (const RecipeRule& rule : recipe.rules)
        patterns.push_back(rule.match);
    if (!recipe.defaults.match.empty())
        patterns.push_back(recipe.defaults.match);
    if (const auto matcher = NameMatcher::compile(patterns); !matcher)
        return passOn(matcher);
    return checkTypeOverrides(recipe);
}

/// The recipe as it is written; what it means is not looked at.
Result<Recipe> readRecipe(std::string_view json, std::string_view file)
{
    const auto parsed = parseJson(json, file, {.depth = 16});
    if (!parsed)
        return fail(ErrorCode::InvalidRecipe, parsed.error().detail);
    auto recipe = recipeFrom(*parsed);
    if (!recipe)
        return fail(recipe.error().code, Where{.file = std::string(file)}, recipe.error().detail);
    return recipe;
}

/// The default first: rules inherit what it became. @pre checkTarget(target).
void letGiveWay(NearestRecipe& nearest)
{
    Recipe& recipe = nearest.recipe;
    const auto tell = [&nearest](const std::string& where, const std::vector<std::string>& changes) {
        for (const std::string& change : changes)
            nearest.changes.push_back(fmt::format("{}: {}", where, change));
    };
    tell("default", givenWay(recipe.defaults, {}, recipe.target));
    const auto defaults = applied(recipe.defaults, {}, recipe.target);
    for (std::size_t i = 0; defaults && i < recipe.rules.size(); ++i)
        tell(ruleName(i, recipe.rules[i]), givenWay(recipe.rules[i], *defaults, recipe.target));
}

Json toJson(const RecipeRule& rule)
{
    Json json = Json::object();
    const auto put = [&json](const char* key, const auto& value) {
        if (value)
            json[key] = *value;
    };
    if (!rule.match.empty())
        json["match"] = rule.match;
    put("preset", rule.preset);
    put("bits", rule.bits);
    put("grid", rule.grid);
    put("rank", rule.rank);
    put("factor_bits", rule.factorBits);
    put("solver", rule.solver);
    put("metric", rule.metric);
    if (rule.skip)
        json["skip"] = true;
    return json;
}

/// A layer's plan in full, so that nothing is inherited.
RecipeRule ruleOf(const LayerPlan& layer)
{
    RecipeRule rule;
    if (layer.keep) {
        rule.skip = true;
        return rule;
    }
    if (!layer.preset.empty())
        rule.preset = layer.preset;
    rule.grid = layer.grid;
    rule.rank = layer.rank;
    rule.factorBits = factorBits(layer.factors);
    rule.solver = layer.solver;
    rule.metric = id(layer.metric);
    return rule;
}

/// What a layer asks apart from its pin, in an order of its own.
auto keyOf(const LayerPlan& layer)
{
    return layer.keep ? std::tuple(true, std::string(), std::string(), 0U, 0, 0, std::string())
                      : std::tuple(false, layer.preset, layer.grid, layer.rank, static_cast<int>(layer.factors),
                                   static_cast<int>(layer.metric), layer.solver);
}

LayerPlan mostFrequent(const QuantizationPlan& plan, const ModelTopology& topology)
{
    std::map<decltype(keyOf(LayerPlan{})), std::pair<std::size_t, std::size_t>> counts;  // count, first tensor
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
        if (topology.isQuantizable(i))
            ++counts.try_emplace(keyOf(plan.layers[i]), 0, i).first->second.first;
    }
    std::size_t most = 0;
    std::size_t first = 0;
    for (const auto& [key, seen] : counts) {
        if (seen.first > most || (seen.first == most && seen.second < first))
            std::tie(most, first) = seen;
    }
    return most == 0 ? LayerPlan{} : plan.layers[first];
}

}  // namespace

Result<Recipe> parseRecipe(std::string_view json, std::string_view file)
{
    auto recipe = readRecipe(json, file);
    if (!recipe)
        return recipe;
    if (const Status meaning = checkMeaning(*recipe); !meaning)
        return fail(meaning.error().code, Where{.file = std::string(file)}, meaning.error().detail);
    return recipe;
}

Result<NearestRecipe> parseNearestRecipe(std::string_view json, std::string_view file)
{
    auto recipe = readRecipe(json, file);
    if (!recipe)
        return passOn(recipe);
    NearestRecipe nearest{.recipe = std::move(*recipe), .changes = {}};
    if (checkTarget(nearest.recipe.target))
        letGiveWay(nearest);
    if (const Status meaning = checkMeaning(nearest.recipe); !meaning)
        return fail(meaning.error().code, Where{.file = std::string(file)}, meaning.error().detail);
    return nearest;
}

Json toJson(const Recipe& recipe)
{
    Json json = Json::object();
    json["schema"] = kSchema;
    json["seed"] = recipe.seed;
    json["target"] = recipe.target;
    json["default"] = toJson(recipe.defaults);
    json["rules"] = Json::array();
    for (const RecipeRule& rule : recipe.rules)
        json["rules"].push_back(toJson(rule));
    json["pins"] = recipe.pins;
    for (const TypeOverride& type : recipe.types)
        json["tensor_types"].push_back(Json{{"match", type.match}, {"type", type.type}});
    return json;
}

Recipe recipeOf(const QuantizationPlan& plan, const Checkpoint& checkpoint, const ModelTopology& topology)
{
    Recipe recipe{.seed = plan.seed, .target = plan.target};
    const LayerPlan common = mostFrequent(plan, topology);
    recipe.defaults = ruleOf(common);
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
        const LayerPlan& layer = plan.layers[i];
        const std::string& name = checkpoint.tensors()[i].name;
        if (layer.pinned)
            recipe.pins.push_back(name);
        if (keyOf(layer) == keyOf(topology.isQuantizable(i) ? common : LayerPlan{}))
            continue;
        RecipeRule rule = ruleOf(layer);
        rule.match = exactPattern(name);
        recipe.rules.push_back(std::move(rule));
    }
    return recipe;
}

Result<Recipe> recipeOf(const QuantizationPlan& plan, const Checkpoint& checkpoint, const ModelTopology& topology,
                        const Recipe& base)
{
    // Types by hand stand before all rules: kept, they would undo what was changed since. They become exact rules too.
    Recipe rulesOnly = base;
    rulesOnly.types.clear();
    const auto resolved = resolve(rulesOnly, checkpoint, topology);
    if (!resolved)
        return passOn(resolved);
    // Some mixtures choose otherwise with a calibration. A recipe holds with and without one.
    const auto calibrated = resolve(rulesOnly, checkpoint, topology, true);
    if (!calibrated)
        return passOn(calibrated);
    Recipe recipe{.seed = plan.seed, .target = plan.target, .defaults = base.defaults};
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
        const LayerPlan& layer = plan.layers[i];
        const std::string& name = checkpoint.tensors()[i].name;
        if (layer.pinned)
            recipe.pins.push_back(name);
        if (keyOf(layer) == keyOf(resolved->plan.layers[i]) && keyOf(layer) == keyOf(calibrated->plan.layers[i]))
            continue;
        RecipeRule rule = ruleOf(layer);
        rule.match = exactPattern(name);
        recipe.rules.push_back(std::move(rule));
    }
    // The exact rules stand first: the first match wins. One of the base's for the same name can no longer be reached.
    std::set<std::string> exact;
    for (const RecipeRule& rule : recipe.rules)
        exact.insert(rule.match);
    for (const RecipeRule& rule : base.rules) {
        if (!exact.contains(rule.match))
            recipe.rules.push_back(rule);
    }
    return recipe;
}

}  // namespace sigmascope
