// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"
#include "ui/session/RecipeState.h"

#include <QUndoCommand>

#include <cstddef>
#include <functional>
#include <vector>

namespace sigmascope::ui {

/// Another grid may leave the solver nothing to choose: the plan then says what a run does, nearest codes.
void settleSolver(LayerPlan& plan);

/// Puts new plans on some layers. Holds values only; the commands of one gesture (a drag, a held key, typing
/// in one field) merge into one undo step, and a gesture that ends where it began leaves none.
class EditLayersCommand : public QUndoCommand {
public:
    struct Change {
        std::size_t tensor = 0;
        LayerPlan before;
        LayerPlan after;
    };
    using Apply = std::function<void(const std::vector<std::pair<std::size_t, LayerPlan>>&)>;

    /// @param gesture  0 never merges.
    EditLayersCommand(std::vector<Change> changes, quint64 gesture, const QString& text, Apply apply);

    void undo() override;
    void redo() override;
    [[nodiscard]] int id() const override;
    bool mergeWith(const QUndoCommand* other) override;

private:
    std::vector<Change> m_changes;
    quint64 m_gesture;
    Apply m_apply;
};

/// Another recipe, and the plans of the layers that it changes. Never merges.
class ApplyRecipeCommand : public QUndoCommand {
public:
    struct States {
        std::shared_ptr<const RecipeState> before, after;
    };
    using Apply = std::function<void(const std::shared_ptr<const RecipeState>&,
                                     const std::vector<std::pair<std::size_t, LayerPlan>>&)>;

    ApplyRecipeCommand(States states, std::vector<EditLayersCommand::Change> changes, const QString& text, Apply apply);

    void undo() override;
    void redo() override;

private:
    States m_states;
    std::vector<EditLayersCommand::Change> m_changes;
    Apply m_apply;
};

}  // namespace sigmascope::ui
