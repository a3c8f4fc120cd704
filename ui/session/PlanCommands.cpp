// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/PlanCommands.h"

#include "core/solve/Solver.h"

#include <algorithm>

namespace sigmascope::ui {

void settleSolver(LayerPlan& plan)
{
    if (const auto grid = findGrid(plan.grid))
        plan.solver = solverFor(plan.solver, **grid).id;
}

EditLayersCommand::EditLayersCommand(std::vector<Change> changes, quint64 gesture, const QString& text, Apply apply)
    : QUndoCommand(text)
    , m_changes(std::move(changes))
    , m_gesture(gesture)
    , m_apply(std::move(apply))
{
}

void EditLayersCommand::undo()
{
    std::vector<std::pair<std::size_t, LayerPlan>> plans;
    for (const Change& change : m_changes)
        plans.emplace_back(change.tensor, change.before);
    m_apply(plans);
}

void EditLayersCommand::redo()
{
    std::vector<std::pair<std::size_t, LayerPlan>> plans;
    for (const Change& change : m_changes)
        plans.emplace_back(change.tensor, change.after);
    m_apply(plans);
}

int EditLayersCommand::id() const
{
    return m_gesture == 0 ? -1 : 1;
}

bool EditLayersCommand::mergeWith(const QUndoCommand* other)
{
    const auto& next = static_cast<const EditLayersCommand&>(*other);
    const bool sameLayers = std::ranges::equal(m_changes, next.m_changes, {}, &Change::tensor, &Change::tensor);
    if (next.m_gesture != m_gesture || !sameLayers)
        return false;
    for (std::size_t i = 0; i < m_changes.size(); ++i)
        m_changes[i].after = next.m_changes[i].after;
    setText(next.text());
    setObsolete(std::ranges::all_of(m_changes, [](const Change& c) { return c.before == c.after; }));
    return true;
}

ApplyRecipeCommand::ApplyRecipeCommand(States states, std::vector<EditLayersCommand::Change> changes, const QString& text, Apply apply)
    : QUndoCommand(text)
    , m_states(std::move(states))
    , m_changes(std::move(changes))
    , m_apply(std::move(apply))
{
}

void ApplyRecipeCommand::undo()
{
    std::vector<std::pair<std::size_t, LayerPlan>> plans;
    for (const auto& change : m_changes)
        plans.emplace_back(change.tensor, change.before);
    m_apply(m_states.before, plans);
}

void ApplyRecipeCommand::redo()
{
    std::vector<std::pair<std::size_t, LayerPlan>> plans;
    for (const auto& change : m_changes)
        plans.emplace_back(change.tensor, change.after);
    m_apply(m_states.after, plans);
}

}  // namespace sigmascope::ui
