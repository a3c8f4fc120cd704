// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/ChannelStats.h"
#include "ui/session/LatestJob.h"
#include "ui/session/MatrixAnalysis.h"

#include <QObject>

#include <deque>
#include <memory>
#include <optional>

namespace sigmascope::ui {

/// Channels of one layer under one grid and metric.
struct ChannelResult {
    MatrixSubject subject;
    std::shared_ptr<const ChannelStats> stats;
    std::vector<double> activation;  ///< RMS of each input; empty without calibration
    std::string plainReason;  ///< why there is no E S
};

/// Looks at the channels of the session's current layer while somebody watches; keeps the last few answers. GUI thread
/// only; the work is a free function of values.
class ChannelAnalysis : public QObject {
    Q_OBJECT

public:
    explicit ChannelAnalysis(Session& session, QObject* parent = nullptr);

    /// Nothing is computed while nobody watches.
    void setWatched(bool watched);
    /// The newest answer for the current layer, which may be of an earlier grid or metric; null if there is none.
    [[nodiscard]] const ChannelResult* result() const;
    /// The answer is of the layer's plan as it is now.
    [[nodiscard]] bool isCurrent() const;
    [[nodiscard]] bool isRunning() const { return m_job.isRunning(); }
    [[nodiscard]] const std::optional<Error>& error() const { return m_error; }
    /// Gives up until the layer or its plan changes.
    void cancel();

signals:
    void changed();
    void progressed(double share);

private:
    void refresh();
    [[nodiscard]] std::shared_ptr<const ChannelResult> find(const MatrixSubject& subject) const;

    Session& m_session;
    bool m_isWatched = false;
    std::optional<MatrixSubject> m_wanted;  // what the newest job is about
    std::deque<std::shared_ptr<const ChannelResult>> m_kept;  // newest first
    std::optional<Error> m_error;  // of m_wanted
    LatestJob<std::shared_ptr<const ChannelResult>> m_job;
};

}  // namespace sigmascope::ui
