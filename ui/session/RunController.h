// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/project/Pipeline.h"
#include "core/project/WorkQueue.h"
#include "ui/session/LatestJob.h"

#include <QElapsedTimer>
#include <QObject>
#include <QString>
#include <QTimer>

#include <memory>
#include <mutex>
#include <optional>
#include <variant>
#include <vector>

namespace sigmascope::ui {

class Session;

/// The one run at a time: works on a copy of the plan, so that editing goes on meanwhile. Each layer's result
/// is handed to the session as it finishes.
class RunController : public QObject {
    Q_OBJECT

public:
    explicit RunController(Session& session, QObject* parent = nullptr);

    /// @param unfinished  what to do with the journal of an earlier run beside the output.
    /// @pre a model is open and no run is under way.
    void start(const QString& output, bool overwrite, Unfinished unfinished = Unfinished::Resume);
    /// The same for any target. @param order  in which layers are wanted, those not named behind; may be empty.
    void start(ExportRequest request, Unfinished unfinished, std::vector<std::size_t> order);
    void cancel();
    [[nodiscard]] bool isRunning() const { return m_job.isRunning(); }

    // While a run is under way, else without effect; files do not depend on any of it.
    /// Waits once the layer that is being computed is done.
    void pause();
    void resume();
    [[nodiscard]] bool isPaused() const { return m_isPaused; }
    /// Waiting layers in the order in which they are wanted.
    void setOrder(std::vector<std::size_t> tensors);
    /// A layer that failed, behind all that still wait.
    void retry(std::size_t tensor);
    /// Of the run under way, or the last one.
    [[nodiscard]] const ExportRequest& request() const { return m_request; }
    /// Seconds since it began, pauses left out.
    [[nodiscard]] double elapsed() const;
    [[nodiscard]] double fraction() const { return m_fraction; }
    /// "about 2 min left", empty before it can be known.
    [[nodiscard]] QString timeLeftText() const;
    [[nodiscard]] const std::optional<RunResult>& lastResult() const { return m_lastResult; }
    /// Writes a report of the last run, HTML or PDF by the name's end: reportSaved or messageRaised of the session.
    /// @pre lastResult()
    void saveReport(const QString& path);
    [[nodiscard]] const std::vector<TensorResult>& layersSoFar() const { return m_layers; }

signals:
    void started();
    void progressed(double fraction, const QString& subject);
    /// All is known that the run will do: its layers as they lie in the file.
    void layersKnown(const std::vector<std::size_t>& tensors);
    /// @p tensor  absent for what is done with the whole model.
    void stageChanged(sigmascope::RunStage stage, std::optional<std::size_t> tensor);
    void layerFinished(const sigmascope::TensorResult& result);
    void layerFailed(std::size_t tensor, const QString& why);
    void pausedChanged(bool isPaused);
    void finished();
    void failed(const QString& message);
    void cancelled();
    void reportSaved(const QString& path);

private:
    struct Stage {
        RunStage stage;
        std::optional<std::size_t> tensor;
    };
    struct Failure {
        std::size_t tensor;
        Error error;
    };
    using Layers = std::vector<std::size_t>;
    using Arrival = std::variant<Layers, Stage, TensorResult, Failure>;
    /// News on its way from the worker, in its order. It is fetched by a timer, not posted one by one: a model of small
    /// layers would otherwise keep the event loop busy with nothing else.
    struct Arrivals {
        std::mutex mutex;
        std::vector<Arrival> news;
        void add(Arrival arrival)
        {
            const std::scoped_lock lock(mutex);
            news.push_back(std::move(arrival));
        }
    };
    void record(const TensorResult& result);
    void fetchLayers();
    void take(Arrival arrival);
    void ended(Result<RunResult> result);

    Session& m_session;
    LatestJob<RunResult> m_job;
    LatestJob<QString> m_reportJob;
    ExportRequest m_request;
    std::shared_ptr<WorkQueue> m_queue;
    bool m_isPaused = false;
    QuantizationPlan m_plan;  // as it runs, and what it runs on
    std::shared_ptr<const Checkpoint> m_checkpoint;
    std::shared_ptr<const Imatrix> m_calibration;
    std::vector<TensorResult> m_layers;
    std::shared_ptr<Arrivals> m_arrivals;  // of the run under way
    QTimer m_fetch;
    std::optional<RunResult> m_lastResult;
    QElapsedTimer m_clock;
    double m_fraction = 0;
};

}  // namespace sigmascope::ui
