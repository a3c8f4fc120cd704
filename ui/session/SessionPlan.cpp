// SPDX-License-Identifier: GPL-3.0-or-later
// The editing half of Session: every change of the plan goes through the undo stack.

#include "core/export/KeptForm.h"
#include "core/plan/TargetGrids.h"
#include "core/solve/Solver.h"
#include "ui/session/PlanCommands.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <algorithm>

namespace sigmascope::ui {

namespace {

/// The family's width nearest to the wanted one; the narrower of two equally near.
int nearestWidth(const GridFamily& family, int bits)
{
    return *std::ranges::min_element(family.bits, {}, [bits](int b) { return 2 * std::abs(b - bits) + (b > bits ? 1 : 0); });
}

const GridFamily* familyById(std::string_view id)
{
    const auto all = gridFamilies();
    const auto it = std::ranges::find(all, id, &GridFamily::id);
    return it == all.end() ? nullptr : &*it;
}

/// A kept tensor that is given a width, grid or rank joins the plan with the target's own 4-bit grid.
void wake(LayerPlan& plan, const std::string& target)
{
    if (!plan.keep)
        return;
    plan.keep = false;
    if (plan.grid.empty()) {
        const auto own = ownGrid(target, 4, {});
        plan.grid = own ? (*own)->id() : "q4_0";
    }
    plan.preset.clear();
}

/// Width for width, the grid that the target carries; nothing where it has none.
const Grid* gridForBits(const LayerPlan& plan, int bits, const std::string& target)
{
    const bool isPacked = needsFusedAlike(target);
    const auto current = findGrid(plan.grid);
    if (current) {
        const auto same = gridOf(familyOf(**current).id, bits);
        if (same && (!isPacked || checkRepresentable(target, **same)))
            return *same;
    }
    if (isPacked)
        return ownGrid(target, bits, {}).value_or(nullptr);
    for (const GridFamily& family : gridFamilies()) {
        const auto grid = gridOf(family.id, bits);
        if (grid && (*grid)->ggufType())
            return *grid;
    }
    return nullptr;
}

}  // namespace

void Session::edit(const std::vector<std::size_t>& tensors, const QString& text, const Edit& change, quint64 gesture)
{
    editEach(tensors, text, [&change](std::size_t, LayerPlan& plan) { change(plan); }, gesture);
}

void Session::editEach(const std::vector<std::size_t>& tensors, const QString& text,
                       const std::function<void(std::size_t, LayerPlan&)>& change, quint64 gesture)
{
    std::vector<EditLayersCommand::Change> changes;
    for (const std::size_t index : tensors) {
        if (!isPlannable(index))
            continue;
        LayerPlan after = layer(index);
        change(index, after);
        // A gesture keeps its unchanged layers: the next step of the drag must merge with this one.
        if (after != layer(index) || gesture != 0)
            changes.push_back({index, layer(index), std::move(after)});
    }
    const bool anything = std::ranges::any_of(changes, [](const auto& c) { return c.before != c.after; });
    if (!anything)
        return;
    // The stack is a member: no command outlives this session.
    m_undo.push(new EditLayersCommand(std::move(changes), gesture, text, [this](const auto& plans) { applyPlans(plans); }));
}

void Session::applyPlans(const std::vector<std::pair<std::size_t, LayerPlan>>& plans)
{
    std::vector<std::size_t> changed;
    bool isOtherCorrection = false;
    for (const auto& [index, plan] : plans) {
        LayerPlan& old = m_plan.layers[index];
        isOtherCorrection = isOtherCorrection || old.keep != plan.keep || old.metric != plan.metric || (old.rank == 0) != (plan.rank == 0);
        old = plan;
        changed.push_back(index);
    }
    // A drag that only moves ranks and widths leaves them as they are.
    if (isOtherCorrection)
        refreshFallbacks();
    refreshEstimate();
    emit planChanged(changed);
    if (m_current && std::ranges::find(changed, *m_current) != changed.end() && !isPreviewCurrent(*m_current))
        analyseCurrent();
    else
        surveyNext();
}

int Session::maxRank(std::size_t index) const
{
    const TensorInfo& t = tensor(index);
    const std::uint64_t cols = t.shape.empty() ? 1 : t.shape.back();
    const std::uint64_t rows = cols == 0 ? 0 : t.elements() / cols;
    return static_cast<int>(std::min({rows, cols, std::uint64_t{1} << 20U}));
}

void Session::setRank(const std::vector<std::size_t>& tensors, int rank, quint64 gesture)
{
    editRank(tensors, tr("Set rank to %1").arg(rank), [rank](int) { return rank; }, gesture);
}

void Session::changeRank(const std::vector<std::size_t>& tensors, int by, quint64 gesture)
{
    editRank(tensors, by > 0 ? tr("Raise rank by %1").arg(by) : tr("Lower rank by %1").arg(-by),
             [by](int before) { return before + by; }, gesture);
}

void Session::restore(const std::vector<std::pair<std::size_t, LayerPlan>>& plans, quint64 gesture)
{
    pushMove(plans, tr("Restore"), gesture, [](std::size_t, LayerPlan&) {});
}

std::vector<std::pair<std::size_t, LayerPlan>> Session::plansOf(const std::vector<std::size_t>& tensors) const
{
    std::vector<std::pair<std::size_t, LayerPlan>> plans;
    for (const std::size_t index : tensors)
        plans.emplace_back(index, layer(index));
    return plans;
}

void Session::editRank(const std::vector<std::size_t>& tensors, const QString& text, const std::function<int(int)>& wanted,
                       quint64 gesture)
{
    editEach(tensors, text,
             [this, &wanted](std::size_t index, LayerPlan& plan) {
                 const int rank = std::clamp(wanted(static_cast<int>(plan.rank)), 0, maxRank(index));
                 if (rank > 0)
                     wake(plan, m_plan.target);
                 plan.rank = static_cast<std::uint32_t>(rank);
             },
             gesture);
}

void Session::setFamily(const std::vector<std::size_t>& tensors, const QString& familyId)
{
    const GridFamily* family = familyById(familyId.toStdString());
    if (family == nullptr)
        return;
    edit(tensors, tr("Set grid to %1").arg(QString::fromUtf8(family->title.data(), static_cast<int>(family->title.size()))),
         [family, this](LayerPlan& plan) {
             const auto current = findGrid(plan.grid);
             const int width = nearestWidth(*family, current ? (*current)->bits() : 4);
             wake(plan, m_plan.target);
             plan.grid = (*gridOf(family->id, width))->id();
             plan.preset.clear();
             settleSolver(plan);
         });
}

void Session::setBits(const std::vector<std::size_t>& tensors, int bits)
{
    edit(tensors, tr("Set bits to %1").arg(bits), [bits, this](LayerPlan& plan) {
        const Grid* grid = gridForBits(plan, bits, m_plan.target);
        if (grid == nullptr)
            return;
        wake(plan, m_plan.target);
        plan.grid = grid->id();
        plan.preset.clear();
        settleSolver(plan);
    });
}

void Session::setPreset(const std::vector<std::size_t>& tensors, const QString& presetId)
{
    const Preset* preset = findPreset(presetId.toStdString());
    if (preset == nullptr || !isOpen())
        return;
    const Grid* own = preset->mix ? nullptr : gridForBits(LayerPlan{}, preset->bits, m_plan.target);
    const auto mixed = preset->mix ? mixedGrids(*preset->mix, *m_checkpoint, *m_topology) : std::vector<const Grid*>();
    if (!preset->mix && own == nullptr)
        return;
    editEach(tensors, tr("Apply %1").arg(titleOf(*preset)),
             [this, preset, own, &mixed](std::size_t index, LayerPlan& plan) {
                 const Grid* grid = preset->mix ? mixed[index] : own;
                 if (grid == nullptr)
                     return;  // the mixture leaves this tensor as it is
                 plan.keep = false;
                 plan.grid = grid->id();
                 plan.rank = std::min(preset->rank, static_cast<std::uint32_t>(maxRank(index)));
                 plan.metric = preset->metric;
                 plan.solver = solverFor(preset->solver, *grid).id;
                 plan.preset = preset->id;
             });
}

void Session::setPinned(const std::vector<std::size_t>& tensors, bool pinned)
{
    edit(tensors, pinned ? tr("Pin") : tr("Unpin"), [pinned](LayerPlan& plan) { plan.pinned = pinned; });
}

void Session::setKeep(const std::vector<std::size_t>& tensors, bool keep)
{
    edit(tensors, keep ? tr("Keep as it is") : tr("Quantize"), [keep, this](LayerPlan& plan) {
        if (!keep) {
            wake(plan, m_plan.target);
            return;
        }
        plan.keep = true;
        plan.rank = 0;
    });
}

void Session::setMetric(const std::vector<std::size_t>& tensors, MetricKind metric)
{
    edit(tensors, tr("Set metric to %1").arg(titleOf(metric)), [metric](LayerPlan& plan) {
        plan.metric = metric;
        plan.preset.clear();
    });
}

void Session::setFactors(const std::vector<std::size_t>& tensors, FactorType type)
{
    const int bits = factorBits(type);
    edit(tensors,
         bits == 8        ? tr("Store factors in 8 bit")
             : bits == 32 ? tr("Store factors in 32 bit")
                          : tr("Store factors in 16 bit"),
         [type](LayerPlan& plan) { plan.factors = type; });
}

void Session::setSolver(const std::vector<std::size_t>& tensors, const QString& id)
{
    const Solver* solver = findSolver(id.toStdString());
    if (solver == nullptr)
        return;
    const QString title = titleOf(*solver);
    edit(tensors, tr("Set solver to %1").arg(title), [solver](LayerPlan& plan) {
        const auto grid = findGrid(plan.grid);
        if (plan.keep || !grid || !solver->accepts(**grid) || plan.solver == solver->id)
            return;
        plan.solver = solver->id;
        plan.preset.clear();
    });
}

double Session::bytesPerRank(std::size_t index) const
{
    const TensorInfo& t = tensor(index);
    const std::uint64_t cols = t.shape.empty() ? 1 : t.shape.back();
    const std::uint64_t rows = cols == 0 ? 0 : t.elements() / cols;
    // Of a block's worth of ranks, so that blocks are shared out; where they do not fit, it is F16 that is stored.
    constexpr std::size_t kBlock = 32;
    const LayerPlan& plan = layer(index);
    const FactorType stored = canStore(plan.factors, cols, plan.rank) ? plan.factors : FactorType::F16;
    return static_cast<double>(sigmascope::factorBytes(stored, rows, cols, kBlock)) / kBlock;
}

Bytes Session::plannedBytes(std::size_t index) const
{
    return plannedBytes(index, layer(index));
}

Bytes Session::plannedBytes(std::size_t index, const LayerPlan& plan) const
{
    const TensorInfo& t = tensor(index);
    const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
    const Bytes kept = keptForm(m_plan.target, *m_checkpoint, index).bytes;
    if (plan.keep || !grid)
        return kept;
    const std::uint64_t cols = t.shape.empty() ? 1 : t.shape.back();
    if (cols == 0 || !(*grid)->accepts(cols))
        return kept;
    const Bytes codes = t.elements() / cols * (*grid)->rowBytes(cols);
    const std::uint64_t rows = t.elements() / cols;
    return codes + sigmascope::factorBytes(plan.factors, rows, cols, plan.rank);
}

double Session::plannedBits(std::size_t index) const
{
    const std::uint64_t elements = tensor(index).elements();
    return elements == 0 ? 0 : 8.0 * static_cast<double>(plannedBytes(index)) / static_cast<double>(elements);
}

}  // namespace sigmascope::ui
