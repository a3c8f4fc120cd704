// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/ModelTopology.h"
#include "core/project/CompareRuns.h"
#include "ui/session/LatestJob.h"
#include "ui/session/RunHistory.h"

#include <QObject>
#include <QString>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope::ui {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// One layer of both sides. What is not known, or not there, is kUnknown, or empty.
struct ComparedLayer {
    struct Side {
        std::string type;  ///< grid of a run, stored type of a model; empty where this side has no such layer
        double error = kUnknown;  ///< relative, of a run
        double bits = kUnknown;
        double rank = kUnknown;
        double bytes = kUnknown;
    };
    std::string name;  ///< as in A; as in B where A has it not
    TensorPlace place;
    Side a, b;
    /// Runs: error of B over that of A, less 1. Models: ‖A − B‖ / ‖A‖.
    double difference = kUnknown;
    double largest = kUnknown;  ///< models: max |A − B|
    LayerVerdict verdict = LayerVerdict::Same;
    bool isOnOneSide = false;
    bool isSameBytes = false;
    std::string reason;  ///< why the values were not compared
};

struct ComparisonResult {
    bool isOfRuns = true;
    ErrorKind kind = ErrorKind::Output;
    bool hasOutputError = false, hasWeightError = false;
    std::vector<ComparedLayer> layers;  ///< in depth order
    RunTotals a, b;                     ///< of models: bytes and bits only
    std::optional<ErrorRatio> ratio{};
    std::optional<double> difference{};  ///< of models, over all compared tensors together
    std::size_t onlyA = 0, onlyB = 0, differing = 0;
    /// Runs whose output errors were measured under different calibrations: they are not of one kind.
    bool hasOtherCalibration = false;
};

/// Compares two sources off the GUI thread. GUI thread only.
class Comparison : public QObject {
    Q_OBJECT

public:
    explicit Comparison(Session& session, QObject* parent = nullptr);

    /// The newest request counts. @p kind  of the errors of runs; what both lack falls back to the other.
    void start(const CompareSource& a, const CompareSource& b, ErrorKind kind);
    void cancel();
    void clear();
    [[nodiscard]] bool isRunning() const { return m_job.isRunning(); }
    /// Null before the first answer, after clear() and after a failure.
    [[nodiscard]] const std::shared_ptr<const ComparisonResult>& result() const { return m_result; }
    [[nodiscard]] const std::optional<Error>& error() const { return m_error; }

signals:
    void changed();
    void progressed(double share, const QString& what);

private:
    Session& m_session;
    std::shared_ptr<const ComparisonResult> m_result;
    std::optional<Error> m_error;
    LatestJob<std::shared_ptr<const ComparisonResult>> m_job;
};

}  // namespace sigmascope::ui
