// SPDX-License-Identifier: GPL-3.0-or-later
// The recipe half of Session: rules, presets, recipe files, and the moves of a gesture on many layers.

#include "core/base/AtomicFile.h"
#include "core/base/MappedFile.h"
#include "core/plan/TargetGrids.h"
#include "core/plan/TypeOverrides.h"
#include "ui/session/PlanCommands.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace sigmascope::ui {

namespace {

constexpr int kFewestBits = 2, kMostBits = 8;

Result<Recipe> readRecipe(const std::filesystem::path& path)
{
    const auto file = MappedFile::open(path);
    if (!file)
        return passOn(file);
    const auto bytes = (*file)->bytes();
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (const Status same = (*file)->checkUnchanged(); !same)
        return passOn(same);
    return parseRecipe(text, path.string());
}

Status writeRecipe(const std::filesystem::path& path, const Recipe& recipe)
{
    const std::string text = dumpJson(toJson(recipe), 2) + '\n';
    auto file = AtomicFile::create(path, text.size(), true);  // the file dialog has asked
    if (!file)
        return passOn(file);
    if (Status written = (*file)->write(std::as_bytes(std::span(text))); !written)
        return written;
    return (*file)->commit();
}

/// Grids a layer can be given, by width: of its own family first, then the target's own, or the types that GGUF carries.
std::map<int, const Grid*> gridsFor(const LayerPlan& plan, std::uint64_t cols, const std::string& target)
{
    std::map<int, const Grid*> grids;
    const bool isPacked = needsFusedAlike(target);
    const auto offer = [&](const GridFamily& family, bool isOwn) {
        for (const int bits : family.bits) {
            const auto grid = gridOf(family.id, bits);
            const bool isCarried = grid
                && (isPacked ? checkRepresentable(target, **grid).has_value() : isOwn || (*grid)->ggufType().has_value());
            if (isCarried && (*grid)->accepts(cols))
                grids.emplace(bits, *grid);
        }
    };
    if (const auto current = findGrid(plan.grid))
        offer(familyOf(**current), true);
    for (int bits = kFewestBits; isPacked && bits <= kMostBits; ++bits) {
        if (const auto own = ownGrid(target, bits, {}))
            if (const Grid* fitting = gridForRows(target, **own, cols))
                grids.emplace(bits, fitting);
    }
    for (const GridFamily& family : gridFamilies()) {
        if (!isPacked)
            offer(family, false);
    }
    return grids;
}

std::uint64_t colsOf(const TensorInfo& tensor)
{
    return tensor.shape.empty() ? 1 : tensor.shape.back();
}

/// The same answer for layers of one grid and row length, looked up once.
class GridTable {
public:
    explicit GridTable(std::string target)
        : m_target(std::move(target))
    {
    }
    const std::map<int, const Grid*>& of(const LayerPlan& plan, std::uint64_t cols)
    {
        const auto key = std::pair(plan.grid, cols);
        auto found = m_grids.find(key);
        if (found == m_grids.end())
            found = m_grids.emplace(key, gridsFor(plan, cols, m_target)).first;
        return found->second;
    }

private:
    std::string m_target;
    std::map<std::pair<std::string, std::uint64_t>, std::map<int, const Grid*>> m_grids;
};

int bitsOf(const LayerPlan& plan)
{
    const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
    return plan.keep || !grid ? 16 : (*grid)->bits();
}

/// Gives a layer another width. A kept one wakes.
void setWidth(LayerPlan& plan, const Grid& grid)
{
    if (!plan.keep && plan.grid == grid.id())
        return;
    plan.keep = false;
    plan.grid = grid.id();
    plan.preset.clear();
    settleSolver(plan);
}

/// Nearest of the widths, the wider of two equally near.
const Grid* nearestGrid(const std::map<int, const Grid*>& grids, int bits)
{
    const Grid* best = nullptr;
    for (const auto& [width, grid] : grids) {
        if (best == nullptr || std::abs(width - bits) <= std::abs(best->bits() - bits))
            best = grid;
    }
    return best;
}

}  // namespace

Result<std::shared_ptr<const RecipeState>> resolveRecipe(Recipe recipe, const Checkpoint& checkpoint,
                                                         const ModelTopology& topology, bool isCalibrated)
{
    auto state = std::make_shared<RecipeState>();
    auto resolved = resolve(recipe, checkpoint, topology, isCalibrated);
    if (!resolved)
        return passOn(resolved);
    auto rules = decidingRules(recipe, checkpoint);
    if (!rules)
        return passOn(rules);
    state->recipe = std::move(recipe);
    state->resolved = std::move(*resolved);
    auto types = decidingTypes(state->recipe, checkpoint);
    if (!types)
        return passOn(types);
    state->rule = std::move(*rules);
    state->type = std::move(*types);
    return state;
}

void Session::useRecipe(const std::shared_ptr<const RecipeState>& state)
{
    m_recipe = state;
    if (state->recipe.target != m_plan.target) {  // made for another one: that is no undo step
        auto kept = std::make_shared<RecipeState>(*state);
        kept->recipe.target = m_plan.target;
        m_recipe = std::move(kept);
    }
    m_plan.seed = state->recipe.seed;
    emit recipeChanged();
}

void Session::refreshFallbacks()
{
    m_fallbacks.clear();
    // What the recipe could not do still holds where its answer has not been overruled by hand.
    for (const Fallback& fallback : m_recipe->resolved.fallbacks) {
        LayerPlan asked = m_recipe->resolved.plan.layers[fallback.tensor];
        asked.pinned = layer(fallback.tensor).pinned;
        if (asked == layer(fallback.tensor))
            m_fallbacks.push_back(fallback);
    }
    for (Fallback& fallback : metricFallbacks(*m_checkpoint, m_plan, m_calibration.get()))
        m_fallbacks.push_back(std::move(fallback));
}

void Session::startRecipe(Recipe recipe, const QString& text, RecipeReach reach)
{
    m_recipeJob.start(
        [recipe = std::move(recipe), checkpoint = m_checkpoint, topology = m_topology,
         isCalibrated = m_calibration != nullptr](const JobContext&) {
            return resolveRecipe(recipe, *checkpoint, *topology, isCalibrated);
        },
        [this, text, reach](Result<std::shared_ptr<const RecipeState>> state) {
            if (state)
                pushRecipe(*state, text, reach);
            else
                emit recipeRefused(textOf(state.error()));
        });
}

void Session::pushRecipe(const std::shared_ptr<const RecipeState>& state, const QString& text, RecipeReach reach)
{
    std::vector<EditLayersCommand::Change> changes;
    const std::vector<LayerPlan>& wanted = state->resolved.plan.layers;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        LayerPlan after = wanted[i];
        if (reach != RecipeReach::All) {
            // What was set by hand elsewhere stays; so does every pinned layer.
            const bool isUntouched = reach == RecipeReach::Changed && after == m_recipe->resolved.plan.layers[i];
            if (layer(i).pinned || isUntouched)
                continue;
            after.pinned = false;
        }
        if (after != layer(i))
            changes.push_back({i, layer(i), std::move(after)});
    }
    const bool isPreset = reach != RecipeReach::Changed;
    m_undo.push(new ApplyRecipeCommand({m_recipe, state}, std::move(changes), text,
                                       [this](const std::shared_ptr<const RecipeState>& used, const auto& plans) {
                                           useRecipe(used);
                                           refreshFallbacks();
                                           applyPlans(plans);
                                       }));
    if (isPreset) {
        m_planAtRecipe = m_plan;
        emit baselineChanged();
    }
}

void Session::applyPreset(const QString& id)
{
    const auto preset = recipeFromPreset(id.toStdString(), m_plan.target);
    if (!isOpen() || !preset) {
        if (!preset)
            emit recipeRefused(textOf(preset.error()));
        return;
    }
    Recipe recipe = m_recipe->recipe;
    recipe.defaults = preset->defaults;
    const Preset* known = findPreset(id.toStdString());
    const QString title
        = known == nullptr ? id : titleOf(*known);
    startRecipe(std::move(recipe), tr("Apply %1").arg(title), RecipeReach::Unpinned);
}

void Session::setRules(std::vector<RecipeRule> rules, const QString& text)
{
    if (!isOpen())
        return;
    Recipe recipe = m_recipe->recipe;
    recipe.rules = std::move(rules);
    startRecipe(std::move(recipe), text, RecipeReach::Changed);
}

void Session::setTypes(std::vector<TypeOverride> types, const QString& text)
{
    if (!isOpen())
        return;
    Recipe recipe = m_recipe->recipe;
    recipe.types = std::move(types);
    startRecipe(std::move(recipe), text, RecipeReach::Changed);
}

void Session::adoptPlan(const QuantizationPlan& plan, const QString& text)
{
    if (!isOpen() || plan.layers.size() != m_plan.layers.size())
        return;
    std::vector<EditLayersCommand::Change> changes;
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
        if (plan.layers[i] != layer(i))
            changes.push_back({i, layer(i), plan.layers[i]});
    }
    if (!changes.empty())
        m_undo.push(new EditLayersCommand(std::move(changes), 0, text, [this](const auto& plans) { applyPlans(plans); }));
}

void Session::openRecipe(const QString& path)
{
    if (!isOpen())
        return;
    m_recipeJob.start(
        [path, checkpoint = m_checkpoint, topology = m_topology,
         isCalibrated = m_calibration != nullptr](const JobContext&) -> Result<std::shared_ptr<const RecipeState>> {
            auto recipe = readRecipe(toPath(path));
            if (!recipe)
                return passOn(recipe);
            return resolveRecipe(std::move(*recipe), *checkpoint, *topology, isCalibrated);
        },
        [this](Result<std::shared_ptr<const RecipeState>> state) {
            if (!state) {
                emit messageRaised(textOf(state.error()));
                return;
            }
            setExportTarget((*state)->recipe.target);
            pushRecipe(*state, tr("Open recipe"), RecipeReach::All);
        });
}

void Session::saveRecipe(const QString& path)
{
    if (!isOpen())
        return;
    m_saveJob.start(
        [path, plan = m_plan, base = m_recipe, checkpoint = m_checkpoint,
         topology = m_topology](const JobContext&) -> Result<QString> {
            // Rules that another target was asked for may have no answer for this one: the plan itself has.
            const auto recipe = recipeOf(plan, *checkpoint, *topology, base->recipe);
            if (const Status written
                = writeRecipe(toPath(path), recipe ? *recipe : recipeOf(plan, *checkpoint, *topology));
                !written)
                return passOn(written);
            return path;
        },
        [this](Result<QString> saved) {
            if (saved)
                emit recipeSaved(*saved);
            else
                emit messageRaised(textOf(saved.error()));
        });
}

const QuantizationPlan* Session::planSince(Since since) const
{
    switch (since) {
    case Since::Opening: return &m_planAtOpening;
    case Since::Recipe: return m_planAtRecipe ? &*m_planAtRecipe : nullptr;
    case Since::Run: return m_planAtRun ? &*m_planAtRun : nullptr;
    }
    return nullptr;
}

void Session::markRun(const QuantizationPlan& plan)
{
    m_planAtRun = plan;
    emit baselineChanged();
}

void Session::setTarget(std::optional<Bytes> bytes)
{
    if (bytes == m_target)
        return;
    m_target = bytes;
    emit targetChanged();
}

void Session::setContext(std::uint64_t tokens)
{
    if (tokens == m_context)
        return;
    m_context = tokens;
    emit targetChanged();
}

std::optional<Bytes> Session::memoryNeeded() const
{
    return m_estimate ? memoryNeeded(*m_estimate) : std::nullopt;
}

std::optional<Bytes> Session::memoryNeeded(const SizeEstimate& sizes) const
{
    if (!isOpen() || !m_kv)
        return std::nullopt;
    const auto cache = kvCacheBytes(*m_kv, m_context);
    if (!cache)
        return std::nullopt;
    return *cache + sizes.codes + sizes.kept + sizes.factors;
}

std::vector<int> Session::widthsOf(std::size_t index) const
{
    std::vector<int> widths;
    if (!isPlannable(index))
        return widths;
    for (const auto& [bits, grid] : gridsFor(layer(index), colsOf(tensor(index)), m_plan.target))
        widths.push_back(bits);
    return widths;
}

bool Session::canCorrect(std::size_t index) const
{
    // Adapters correct plain matrices; a look-up table is read row by row and has no product to correct.
    return isPlannable(index) && tensor(index).shape.size() == 2 && topology().place(index).role != Role::Embedding;
}

void Session::pushMove(const LayerPlans& before, const QString& text, quint64 gesture,
                       const std::function<void(std::size_t, LayerPlan&)>& change)
{
    std::vector<EditLayersCommand::Change> changes;
    bool isAny = false;
    for (const auto& [index, plan] : before) {
        if (!isPlannable(index))
            continue;
        LayerPlan after = plan;
        change(index, after);
        isAny = isAny || after != layer(index);
        if (gesture != 0 || after != layer(index))
            changes.push_back({index, layer(index), std::move(after)});
    }
    if (isAny)
        m_undo.push(
            new EditLayersCommand(std::move(changes), gesture, text, [this](const auto& plans) { applyPlans(plans); }));
}

void Session::moveBits(const LayerPlans& before, int by, quint64 gesture)
{
    GridTable table(m_plan.target);
    const QString text = by == 0 ? tr("Change bits")
        : by > 0                 ? tr("Raise bits by %1").arg(by)
                                 : tr("Lower bits by %1").arg(-by);
    pushMove(before, text, gesture, [&, this](std::size_t index, LayerPlan& plan) {
        const bool isInTheHand = index == before.front().first;
        if (by == 0 || !isPlannable(index) || (plan.keep && !isInTheHand))
            return;
        if (const Grid* grid = nearestGrid(table.of(plan, colsOf(tensor(index))), bitsOf(plan) + by))
            setWidth(plan, *grid);
    });
}

void Session::moveRank(const LayerPlans& before, double octaves, int multiple, quint64 gesture)
{
    const QString text = octaves < 0 ? tr("Lower rank") : tr("Raise rank");
    pushMove(before, text, gesture, [&, this](std::size_t index, LayerPlan& plan) {
        if (octaves == 0 || plan.keep || !canCorrect(index))
            return;
        const double wanted = std::exp2(std::log2(1.0 + plan.rank) + octaves) - 1;
        const int rounded = multiple * static_cast<int>(std::lround(std::min(wanted, 1e6) / multiple));
        plan.rank = static_cast<std::uint32_t>(std::clamp(rounded, 0, maxRank(index)));
    });
}

void Session::stepBits(const std::vector<std::size_t>& tensors, int direction, quint64 gesture)
{
    GridTable table(m_plan.target);
    pushMove(plansOf(tensors), direction > 0 ? tr("Raise bits") : tr("Lower bits"), gesture,
             [&, this](std::size_t index, LayerPlan& plan) {
                 if (!isPlannable(index) || (plan.keep && (direction > 0 || index != tensors.front())))
                     return;
                 const auto& grids = table.of(plan, colsOf(tensor(index)));
                 const int bits = bitsOf(plan);
                 const auto next = direction > 0 ? grids.upper_bound(bits) : grids.lower_bound(bits);
                 if (direction > 0 ? next != grids.end() : next != grids.begin())
                     setWidth(plan, *(direction > 0 ? next : std::prev(next))->second);
             });
}

void Session::chooseBits(const std::vector<std::size_t>& tensors, int bits)
{
    GridTable table(m_plan.target);
    pushMove(plansOf(tensors), tr("Set bits to %1").arg(bits), 0, [&, this](std::size_t index, LayerPlan& plan) {
        const auto& grids = table.of(plan, colsOf(tensor(index)));
        if (const auto found = grids.find(bits); found != grids.end() && isPlannable(index))
            setWidth(plan, *found->second);
    });
}

void Session::stepRank(const std::vector<std::size_t>& tensors, int by, quint64 gesture)
{
    pushMove(plansOf(tensors), by > 0 ? tr("Raise rank by %1").arg(by) : tr("Lower rank by %1").arg(-by), gesture,
             [&, this](std::size_t index, LayerPlan& plan) {
                 if (!plan.keep && canCorrect(index))
                     plan.rank
                         = static_cast<std::uint32_t>(std::clamp(static_cast<int>(plan.rank) + by, 0, maxRank(index)));
             });
}

void Session::putBack(const std::vector<std::size_t>& tensors, Since since)
{
    const QuantizationPlan* earlier = planSince(since);
    if (earlier == nullptr)
        return;
    pushMove(plansOf(tensors), tr("Put back"), 0,
             [&](std::size_t index, LayerPlan& plan) { plan = earlier->layers[index]; });
}

}  // namespace sigmascope::ui
