// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/RunController.h"

#include "ui/session/ReportFile.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QCoreApplication>

namespace sigmascope::ui {

RunController::RunController(Session& session, QObject* parent)
    : QObject(parent)
    , m_session(session)
{
    connect(&session, &Session::closed, this, [this] {
        cancel();
        m_lastResult.reset();
        m_layers.clear();
    });
}

void RunController::start(const QString& output, bool overwrite, Unfinished unfinished)
{
    Q_ASSERT(m_session.isOpen() && !isRunning());
    m_layers.clear();
    m_lastResult.reset();
    m_fraction = 0;
    m_clock.start();
    ExportRequest request = m_session.exportRequest(output, overwrite);
    m_plan = request.plan;
    m_session.markRun(m_plan);
    m_checkpoint = request.checkpoint;
    m_calibration = m_session.calibration();
    m_session.setBusy(true);
    m_job.start(
        [this, unfinished, request = std::move(request), backend = m_session.backend(), calibration = m_session.calibration()](
            const JobContext& job, const LatestJob<RunResult>::Post& post) -> Result<RunResult> {
            const ExporterRow* exporter = findExporter(request.plan.target);
            if (exporter == nullptr)
                return fail(ErrorCode::NotRepresentable, "no exporter for target '" + request.plan.target + "'");
            RunOptions options;
            options.unfinished = unfinished;
            options.onLayer = [this, &post](const TensorResult& result) { post([this, result] { layerArrived(result); }); };
            return quantize(request, *exporter, *backend, options, job);
        },
        [this](Result<RunResult> result) { ended(std::move(result)); },
        [this](double fraction, const QString& subject) {
            m_fraction = fraction;
            emit progressed(fraction, subject);
        });
    emit started();
}

void RunController::cancel()
{
    if (!isRunning())
        return;
    m_job.requestStop();
}

void RunController::saveReport(const QString& path)
{
    ReportInput input{.model = m_session.name().toStdString(), .run = *m_lastResult};
    input.facts = {{"Model", m_checkpoint->path().filename().string()},
                   {"Calibration", m_calibration ? m_calibration->path.filename().string() : "none: plain metric"},
                   {"Program", "Sigmascope " + QCoreApplication::applicationVersion().toStdString()},
                   {"Seed", std::to_string(m_plan.seed)}};
    m_reportJob.start(
        [input = std::move(input), path, plan = m_plan, checkpoint = m_checkpoint,
         base = m_session.recipe().recipe](const JobContext& job) -> Result<QString> {
            const auto recipe = recipeOf(plan, *checkpoint, ModelTopology(*checkpoint), base);
            if (!recipe)
                return passOn(recipe);
            ReportInput whole = input;
            whole.recipe = dumpJson(toJson(*recipe), 2);
            if (const Status written = writeReport(std::move(whole), toPath(path), job); !written)
                return passOn(written);
            return path;
        },
        [this](Result<QString> saved) {
            if (saved)
                emit reportSaved(*saved);
            else if (saved.error().code != ErrorCode::Cancelled)
                emit m_session.messageRaised(textOf(saved.error()));
        });
}

QString RunController::timeLeftText() const
{
    return isRunning() ? timeLeft(m_fraction, static_cast<double>(m_clock.elapsed()) / 1000) : QString();
}

void RunController::record(const TensorResult& result)
{
    // Of another model or calibration, or of a layer that could not run as planned: no measurement of this plan.
    const LayerPlan& plan = m_plan.layers[result.tensor];
    const bool ranAsPlanned = (result.method == "keep") == plan.keep && (plan.keep || result.rank == plan.rank);
    if (m_session.checkpoint() == m_checkpoint && m_session.calibration() == m_calibration && ranAsPlanned)
        m_session.recordResult(result, plan);
}

void RunController::layerArrived(const TensorResult& result)
{
    m_layers.push_back(result);
    record(result);
    emit layerFinished(result);
}

void RunController::ended(Result<RunResult> result)
{
    m_session.setBusy(false);
    if (!result && result.error().code == ErrorCode::Cancelled) {
        emit cancelled();
        return;
    }
    if (!result) {
        emit failed(textOf(result.error()));
        return;
    }
    m_fraction = 1;
    m_lastResult = std::move(*result);
    // Queued per-layer messages of the last moment may still be on their way; the result holds them all.
    m_layers = m_lastResult->tensors;
    for (const TensorResult& layer : m_lastResult->tensors)
        record(layer);
    emit finished();
}

}  // namespace sigmascope::ui
