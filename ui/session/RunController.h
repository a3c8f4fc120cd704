// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/project/Pipeline.h"
#include "ui/session/LatestJob.h"

#include <QElapsedTimer>
#include <QObject>
#include <QString>

#include <optional>

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
    void cancel();
    [[nodiscard]] bool isRunning() const { return m_job.isRunning(); }
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
    void layerFinished(const sigmascope::TensorResult& result);
    void finished();
    void failed(const QString& message);
    void cancelled();
    void reportSaved(const QString& path);

private:
    void record(const TensorResult& result);
    void layerArrived(const TensorResult& result);
    void ended(Result<RunResult> result);

    Session& m_session;
    LatestJob<RunResult> m_job;
    LatestJob<QString> m_reportJob;
    QuantizationPlan m_plan;  // as it runs, and what it runs on
    std::shared_ptr<const Checkpoint> m_checkpoint;
    std::shared_ptr<const Imatrix> m_calibration;
    std::vector<TensorResult> m_layers;
    std::optional<RunResult> m_lastResult;
    QElapsedTimer m_clock;
    double m_fraction = 0;
};

}  // namespace sigmascope::ui
