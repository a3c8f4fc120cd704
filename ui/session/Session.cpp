// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/Session.h"

#include "core/export/GgufPlanner.h"
#include "core/lowrank/CodedMatrices.h"
#include "ui/session/Text.h"

#include <QFileInfo>

#include <algorithm>
#include <cmath>
#include <tuple>

namespace sigmascope::ui {

struct Session::Opened {
    std::shared_ptr<const Checkpoint> checkpoint;
    std::shared_ptr<const ModelTopology> topology;
    std::shared_ptr<const Imatrix> calibration;
    std::shared_ptr<const GgufPlanner> planner;
    std::optional<Error> plannerError;  // why this model cannot become a GGUF; it can still be looked at
    std::shared_ptr<const RecipeState> recipe;
    std::optional<KvShape> kv;
    QStringList messages;
};

namespace {

/// An imatrix lying beside the model is its calibration unless the user imports another.
std::shared_ptr<const Imatrix> calibrationBeside(const Checkpoint& checkpoint, QStringList& messages)
{
    for (const char* name : {"imatrix.gguf", "imatrix.dat"}) {
        const std::filesystem::path path = checkpoint.folder() / name;
        std::error_code ignored;
        if (!std::filesystem::exists(path, ignored))
            continue;
        auto imatrix = readImatrix(path);
        if (imatrix)
            return std::make_shared<const Imatrix>(std::move(*imatrix));
        messages << textOf(imatrix.error());
    }
    return nullptr;
}

/// The first file that is short or absent, in the checkpoint's own words.
QString incompleteText(const Checkpoint& checkpoint)
{
    for (const CheckpointWarning& warning : checkpoint.warnings()) {
        if (warning.code == ErrorCode::Truncated || warning.code == ErrorCode::MissingShard)
            return textOf(Error{warning.code, warning.detail});
    }
    return titleOf(ErrorCode::MissingShard);
}

Result<std::shared_ptr<const RecipeState>> initialPlan(const Checkpoint& checkpoint, const ModelTopology& topology, bool calibrated)
{
    // A low-rank correction without activations buys next to nothing on real layers: plain rounding is the start.
    const auto recipe = recipeFromPreset(calibrated ? "l2qer-w4" : "rtn-w4");
    if (!recipe)
        return passOn(recipe);
    return resolveRecipe(*recipe, checkpoint, topology, calibrated);
}

}  // namespace

Session::Session(BackendFactory makeBackend, std::vector<DeviceInfo> devices, QObject* parent)
    : QObject(parent)
    , m_makeBackend(std::move(makeBackend))
    , m_devices(std::move(devices))
    , m_backend(makeCpuBackend())
    , m_deviceId(QStringLiteral("cpu"))
    , m_estimate(fail(ErrorCode::NotFound, "no model is open"))
{
}

Session::~Session() = default;

void Session::open(const QString& path)
{
    emit openStarted(path);
    m_openJob.start(
        [path](const JobContext& job) -> Result<std::shared_ptr<Opened>> {
            auto opened = std::make_shared<Opened>();
            auto checkpoint = Checkpoint::open(toPath(path), {.coded = &codedFormats()}, job);
            if (!checkpoint)
                return passOn(checkpoint);
            opened->checkpoint = *checkpoint;
            opened->topology = std::make_shared<const ModelTopology>(*opened->checkpoint);
            opened->calibration = calibrationBeside(*opened->checkpoint, opened->messages);
            auto resolved = initialPlan(*opened->checkpoint, *opened->topology, opened->calibration != nullptr);
            if (!resolved)
                return passOn(resolved);
            opened->recipe = std::move(*resolved);
            if (const auto kv = kvShapeOf(*opened->checkpoint))
                opened->kv = *kv;
            auto planner = GgufPlanner::create(opened->checkpoint);
            if (planner)
                opened->planner = std::move(*planner);
            else
                opened->plannerError = planner.error();
            for (const CheckpointWarning& warning : opened->checkpoint->warnings().first(
                     std::min<std::size_t>(opened->checkpoint->warnings().size(), 20)))
                opened->messages << textOf(Error{warning.code, warning.detail});
            return opened;
        },
        [this, path](Result<std::shared_ptr<Opened>> result) {
            if (!result) {
                emit openFailed(path, textOf(result.error()), result.error().code == ErrorCode::Truncated);
                return;
            }
            m_path = path;
            adopt(std::move(**result));
        },
        [this, path](double fraction, const QString& what) { emit openProgress(path, fraction, what); });
}

void Session::cancelOpen()
{
    m_openJob.cancel();
}

void Session::adopt(Opened found)
{
    close();
    m_checkpoint = std::move(found.checkpoint);
    m_topology = std::move(found.topology);
    m_calibration = std::move(found.calibration);
    m_ownPlanner = std::move(found.planner);
    m_ownPlannerError = std::move(found.plannerError);
    m_planner = m_ownPlanner;
    m_plannerError = m_ownPlannerError;
    m_plan = found.recipe->resolved.plan;
    m_planAtOpening = m_plan;
    m_kv = found.kv;
    m_context = m_kv && m_kv->trainedContext > 0 ? std::min(m_kv->trainedContext, 8192U) : 4096;
    m_recipe = std::move(found.recipe);
    refreshFallbacks();
    refreshEstimate();
    emit recipeChanged();
    emit this->opened();
    for (const QString& message : found.messages)
        emit messageRaised(message);
    if (m_checkpoint->isIncomplete())
        emit openedIncomplete(incompleteText(*m_checkpoint));
    for (std::size_t i = 0; i < m_plan.layers.size(); ++i) {
        if (!m_plan.layers[i].keep && isPlannable(i)) {
            select({i}, i);
            break;
        }
    }
}

void Session::close()
{
    m_valuesJob.cancel();
    m_previewJob.cancel();
    m_surveyJob.cancel();
    m_scopeJob.cancel();
    m_scopedDensity.reset();
    m_scope = {};
    m_calibrationJob.cancel();
    m_recipeJob.cancel();
    m_templateJob.cancel();
    m_unsurveyable.clear();
    m_undo.clear();
    m_selection.clear();
    m_current.reset();
    m_values.clear();
    m_previews.clear();
    m_measured.clear();
    m_analysisError.reset();
    if (!m_checkpoint)
        return;
    m_checkpoint.reset();
    m_topology.reset();
    m_calibration.reset();
    m_planner.reset();
    m_ownPlanner.reset();
    m_template.reset();
    const bool wasForOther = m_plan.target != QuantizationPlan().target;
    m_plan = {};
    m_fallbacks.clear();
    m_recipe = std::make_shared<const RecipeState>();
    m_planAtRecipe.reset();
    m_planAtRun.reset();
    m_target.reset();
    m_kv.reset();
    emit closed();
    if (wasForOther)
        emit exportTargetChanged();
}

QString Session::name() const
{
    const QFileInfo file(m_path);
    return file.isDir() ? QFileInfo(file.absoluteFilePath()).fileName() : file.fileName();
}

void Session::importCalibration(const QString& path)
{
    m_calibrationJob.start(
        [path](const JobContext&) -> Result<std::shared_ptr<const Imatrix>> {
            auto imatrix = readImatrix(toPath(path));
            if (!imatrix)
                return passOn(imatrix);
            return std::make_shared<const Imatrix>(std::move(*imatrix));
        },
        [this](Result<std::shared_ptr<const Imatrix>> imatrix) {
            if (!imatrix) {
                emit messageRaised(textOf(imatrix.error()));
                return;
            }
            m_calibration = std::move(*imatrix);
            m_previews.clear();
            m_measured.clear();
            m_unsurveyable.clear();
            refreshFallbacks();
            refreshEstimate();
            emit calibrationChanged();
            analyseCurrent();
        });
}

bool Session::setDevice(const QString& device)
{
    auto backend = m_makeBackend(device.toStdString());
    if (!backend) {
        emit messageRaised(textOf(backend.error()));
        return false;
    }
    m_backend = std::move(*backend);
    m_deviceId = QString::fromStdString(m_backend->device().id);
    emit deviceChanged();
    if (isOpen())
        analyseCurrent();
    return true;
}

bool Session::isPlannable(std::size_t index) const
{
    const TensorInfo& t = tensor(index);
    return t.state == TensorState::Ok && info(t.dtype).decodable && t.shape.size() >= 2 && !topology().place(index).bias
        && t.elements() > 0;
}

void Session::select(std::vector<std::size_t> tensors, std::optional<std::size_t> current)
{
    if (tensors == m_selection && current == m_current)
        return;
    const bool sameCurrent = current == m_current;
    m_selection = std::move(tensors);
    m_current = current;
    emit selectionChanged();
    if (!sameCurrent)
        analyseCurrent();
}

}  // namespace sigmascope::ui
