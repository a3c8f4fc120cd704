// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"
#include "core/project/CompareRuns.h"

#include <QObject>
#include <QString>

#include <memory>
#include <vector>

namespace sigmascope::ui {

class RunController;
class Session;

/// Something that can stand on one side of a comparison: measurements of a run, or a model's weights.
struct CompareSource {
    enum class Kind {
        Run,          ///< of this session: run
        SessionFile,  ///< measurements in a file: path
        Model,        ///< model, or path where it is not open
    };
    Kind kind = Kind::Model;
    QString title;
    QString path{};
    std::shared_ptr<const ComparedRun> run{};
    QString calibration{};  ///< file name its output errors were measured under; empty without
    std::shared_ptr<const Checkpoint> model{};

    [[nodiscard]] bool isMeasured() const { return kind != Kind::Model; }
    /// The same thing again, under whatever title.
    [[nodiscard]] bool isSame(const CompareSource& other) const
    {
        return kind == other.kind && path == other.path && run == other.run && model == other.model;
    }
};

/// Runs of the open model that have finished, and what else of the session can be compared. GUI thread only.
class RunHistory : public QObject {
    Q_OBJECT

public:
    RunHistory(Session& session, RunController& controller, QObject* parent = nullptr);

    /// Finished runs, oldest first; without any, what an opened session brought along.
    [[nodiscard]] std::vector<CompareSource> runs() const;
    /// The open model, then the models that the runs wrote.
    [[nodiscard]] std::vector<CompareSource> models() const;

signals:
    void changed();

private:
    void record();
    void forget();

    Session& m_session;
    RunController& m_controller;
    std::vector<CompareSource> m_runs, m_written;
    mutable std::vector<CompareSource> m_restored;  // at most one, made when it is first asked for
};

}  // namespace sigmascope::ui
