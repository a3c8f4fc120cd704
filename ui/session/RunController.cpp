// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/RunController.h"

#include "ui/session/ReportFile.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QCoreApplication>

#include <algorithm>

namespace sigmascope::ui {

RunController::RunController(Session& session, QObject* parent)
    : QObject(parent)
    , m_session(session)
{
    m_fetch.setInterval(33);
    connect(&m_fetch, &QTimer::timeout, this, &RunController::fetchLayers);
    connect(&session, &Session::closed, this, [this] {
        cancel();
        m_lastResult.reset();
        m_layers.clear();
    });
}

void RunController::start(const QString& output, bool overwrite, Unfinished unfinished)
{
    start(m_session.exportRequest(output, overwrite), unfinished, {});
}

void RunController::start(ExportRequest request, Unfinished unfinished, std::vector<std::size_t> order)
{
    Q_ASSERT(m_session.isOpen() && !isRunning());
    m_layers.clear();
    m_lastResult.reset();
    m_fraction = 0;
    m_clock.start();
    m_queue = std::make_shared<WorkQueue>();
    if (!order.empty())
        m_queue->setOrder(std::move(order));
    m_isPaused = false;
    m_request = request;
    m_plan = request.plan;
    m_session.markRun(m_plan);
    m_checkpoint = request.checkpoint;
    m_calibration = m_session.calibration();
    m_session.setBusy(true);
    m_arrivals = std::make_shared<Arrivals>();
    m_fetch.start();
    m_job.start(
        [unfinished, arrivals = m_arrivals, queue = m_queue, request = std::move(request), backend = m_session.backend(), calibration = m_session.calibration()](
            const JobContext& job) -> Result<RunResult> {
            const ExporterRow* exporter = findExporter(request.plan.target);
            if (exporter == nullptr)
                return fail(ErrorCode::NotRepresentable, "no exporter for target '" + request.plan.target + "'");
            RunOptions options;
            options.unfinished = unfinished;
            options.queue = queue;
            options.onLayers = [&arrivals](std::span<const std::size_t> tensors) { arrivals->add(Layers(tensors.begin(), tensors.end())); };
            options.onStage = [&arrivals](RunStage stage, std::optional<std::size_t> tensor) { arrivals->add(Stage{stage, tensor}); };
            options.onFailure = [&arrivals](std::size_t tensor, const Error& error) { arrivals->add(Failure{tensor, error}); };
            options.onLayer = [&arrivals](const TensorResult& result) { arrivals->add(result); };
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

void RunController::pause()
{
    if (!isRunning() || m_isPaused)
        return;
    m_isPaused = true;
    m_queue->pause();
    emit pausedChanged(true);
}

void RunController::resume()
{
    if (!m_isPaused)
        return;
    m_isPaused = false;
    m_queue->resume();
    emit pausedChanged(false);
}

void RunController::setOrder(std::vector<std::size_t> tensors)
{
    if (isRunning())
        m_queue->setOrder(std::move(tensors));
}

void RunController::retry(std::size_t tensor)
{
    if (isRunning())
        m_queue->retry(tensor);
}

double RunController::elapsed() const
{
    return m_queue ? std::max(0.0, static_cast<double>(m_clock.elapsed()) / 1000 - m_queue->waited().count()) : 0;
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
    return isRunning() ? timeLeft(m_fraction, elapsed()) : QString();
}

void RunController::record(const TensorResult& result)
{
    // Of another model or calibration, or of a layer that could not run as planned: no measurement of this plan.
    const LayerPlan& plan = m_plan.layers[result.tensor];
    const bool ranAsPlanned = (result.method == "keep") == plan.keep && (plan.keep || result.rank == plan.rank);
    // A copy of decoded values is rounded once more: its errors and bits are not the plan's.
    const ExporterRow* exporter = findExporter(m_plan.target);
    const bool isOfThePlan = exporter != nullptr && exporter->holdsCodes;
    if (m_session.checkpoint() == m_checkpoint && m_session.calibration() == m_calibration && ranAsPlanned && isOfThePlan)
        m_session.recordResult(result, plan);
}

/// Takes over what has arrived, for as long as a frame may take; the rest waits for the next turn.
void RunController::fetchLayers()
{
    constexpr qint64 kPatience = 6;  // ms
    QElapsedTimer clock;
    clock.start();
    std::vector<Arrival> arrived;
    {
        const std::scoped_lock lock(m_arrivals->mutex);
        arrived.swap(m_arrivals->news);
    }
    std::size_t taken = 0;
    while (taken < arrived.size() && (clock.elapsed() < kPatience || !isRunning()))
        take(std::move(arrived[taken++]));
    if (taken == arrived.size())
        return;
    const std::scoped_lock lock(m_arrivals->mutex);
    m_arrivals->news.insert(m_arrivals->news.begin(), std::make_move_iterator(arrived.begin() + static_cast<std::ptrdiff_t>(taken)),
                               std::make_move_iterator(arrived.end()));
}

void RunController::take(Arrival arrival)
{
    if (const auto* layers = std::get_if<Layers>(&arrival))
        emit layersKnown(*layers);
    else if (const auto* stage = std::get_if<Stage>(&arrival))
        emit stageChanged(stage->stage, stage->tensor);
    else if (const auto* failure = std::get_if<Failure>(&arrival))
        emit layerFailed(failure->tensor, textOf(failure->error));
    else if (auto* finished = std::get_if<TensorResult>(&arrival)) {
        const TensorResult result = m_layers.emplace_back(std::move(*finished));
        record(result);
        emit layerFinished(result);
    }
}

void RunController::ended(Result<RunResult> result)
{
    m_fetch.stop();
    fetchLayers();
    m_session.setBusy(false);
    m_isPaused = false;
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
    emit finished();
}

}  // namespace sigmascope::ui
