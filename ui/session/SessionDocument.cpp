// SPDX-License-Identifier: GPL-3.0-or-later
// The saved half of Session: what a session file keeps of it, and what comes back.

#include "core/project/ProjectFile.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QFileInfo>

#include <utility>

namespace sigmascope::ui {

ProjectFile Session::snapshot() const
{
    ProjectFile project;
    project.checkpoint = toPath(QFileInfo(m_path).absoluteFilePath());
    if (m_calibration)
        project.calibration = std::filesystem::absolute(m_calibration->path);
    project.plan = m_plan;
    project.recipe = m_recipe->recipe;
    for (const TensorInfo& tensor : m_checkpoint->tensors())
        project.tensors.push_back(tensor.name);
    for (std::size_t i = 0; i < m_plan.layers.size(); ++i) {
        if (const auto found = m_measured.find(i); found != m_measured.end())
            project.results.push_back({found->second.result, found->second.plan});
    }
    return project;
}

std::size_t Session::restore(const ProjectFile& project, std::shared_ptr<const Imatrix> calibration)
{
    if (calibration) {
        m_calibration = std::move(calibration);
        m_previews.clear();
        m_unsurveyable.clear();
        emit calibrationChanged();
    }
    m_undo.clear();
    setExportTarget(project.plan.target);
    m_plan.seed = project.plan.seed;
    std::vector<std::pair<std::size_t, LayerPlan>> plans;
    std::size_t lost = 0;
    for (std::size_t i = 0; i < project.tensors.size(); ++i) {
        const auto index = m_checkpoint->find(project.tensors[i]);
        const LayerPlan& plan = project.plan.layers[i];
        if (index && (plan.keep || isPlannable(*index)))
            plans.emplace_back(*index, plan);
        else
            ++lost;
    }
    m_measured.clear();
    std::vector<std::size_t> measured;
    for (const auto& [result, plan] : project.results) {
        const auto index = m_checkpoint->find(result.name);
        if (!index)
            continue;
        MeasuredLayer layer{result, plan};
        layer.result.tensor = *index;
        m_measured.insert_or_assign(*index, std::move(layer));
        measured.push_back(*index);
    }
    for (const auto& [index, plan] : plans)
        m_plan.layers[index] = plan;
    m_planAtOpening = m_plan;
    refreshFallbacks();
    applyPlans(plans);
    emit baselineChanged();
    for (const std::size_t index : measured)
        emit analysisChanged(index);
    if (project.recipe)
        restoreRecipe(*project.recipe);
    return lost;
}

void Session::restoreRecipe(Recipe recipe)
{
    m_recipeJob.start(
        [recipe = std::move(recipe), checkpoint = m_checkpoint, topology = m_topology,
         isCalibrated = m_calibration != nullptr](const JobContext&) {
            return resolveRecipe(recipe, *checkpoint, *topology, isCalibrated);
        },
        [this](Result<std::shared_ptr<const RecipeState>> state) {
            if (!state) {  // a model that its rules do not fit any more: the plan alone is back
                emit messageRaised(textOf(state.error()));
                return;
            }
            // The plan has come back by itself; of the rules only what they say of it is new.
            m_recipe = *state;
            setExportTarget(m_recipe->recipe.target);
            refreshFallbacks();
            emit recipeChanged();  // not planChanged: nothing is to be saved
        });
}

}  // namespace sigmascope::ui
