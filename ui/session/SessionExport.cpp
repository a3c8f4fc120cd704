// SPDX-License-Identifier: GPL-3.0-or-later
// The exporting half of Session: what the plan is made for, and how large a GGUF of it is.

#include "core/export/GgufPlanner.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

namespace sigmascope::ui {

/// The model prepared with another GGUF's keys and tokenizer.
struct Session::Template {
    std::shared_ptr<const Checkpoint> gguf;
    std::shared_ptr<const GgufPlanner> planner;
};

ExportRequest Session::exportRequest(const QString& output, bool overwrite) const
{
    return {.checkpoint = m_checkpoint,
            .plan = m_plan,
            .output = toPath(output),
            .templateGguf = m_template,
            .prepared = m_planner,
            .calibration = m_calibration.get(),
            .overwrite = overwrite};
}

void Session::refreshEstimate()
{
    m_estimate = m_planner ? m_planner->estimate(m_plan, m_calibration.get(), "model.gguf")
                           : Result<SizeEstimate>(tl::unexpected<Error>(
                               m_plannerError.value_or(Error{ErrorCode::NotFound, "no model is open"})));
}

void Session::setExportTarget(const std::string& id)
{
    if (id == m_plan.target || findExporter(id) == nullptr)
        return;
    m_plan.target = id;
    auto recipe = std::make_shared<RecipeState>(*m_recipe);
    recipe->recipe.target = id;
    m_recipe = std::move(recipe);
    emit exportTargetChanged();
}

void Session::importTemplate(const QString& path)
{
    if (!isOpen())
        return;
    m_templateJob.start(
        [path, checkpoint = m_checkpoint](const JobContext& job) -> Result<std::shared_ptr<Template>> {
            auto opened = Checkpoint::open(toPath(path), {}, job);
            if (!opened)
                return passOn(opened);
            auto planner = GgufPlanner::create(checkpoint, *opened);
            if (!planner)
                return passOn(planner);
            return std::make_shared<Template>(Template{std::move(*opened), std::move(*planner)});
        },
        [this](Result<std::shared_ptr<Template>> found) {
            if (!found) {
                emit templateRefused(textOf(found.error()));
                return;
            }
            m_planner = (*found)->planner;
            m_template = (*found)->gguf;
            m_plannerError.reset();
            refreshEstimate();
            emit templateChanged();
        });
}

void Session::dropTemplate()
{
    m_templateJob.cancel();
    if (!m_template)
        return;
    m_template.reset();
    m_planner = m_ownPlanner;
    m_plannerError = m_ownPlannerError;
    refreshEstimate();
    emit templateChanged();
}

}  // namespace sigmascope::ui
