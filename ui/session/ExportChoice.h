// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/Exporter.h"
#include "core/export/NearestPlan.h"
#include "core/project/Pipeline.h"
#include "core/project/SourceLoss.h"
#include "ui/session/LatestJob.h"

#include <QMap>
#include <QObject>
#include <QString>
#include <QTimer>

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

namespace sigmascope::ui {

class Session;

/// What would be written for one target, and what stands against it.
struct ExportOffer {
    enum class Folder { Fine, Missing, ReadOnly };

    const ExporterRow* exporter = nullptr;
    PlanVerdict verdict;
    Result<SizeEstimate> sizes;  ///< with the names of the files
    std::vector<std::filesystem::path> existing;  ///< files that would be replaced, or go with the old model
    Folder folder = Folder::Fine;  ///< that the output lies in
    QString folderName;
    std::optional<Bytes> freeBytes;
    std::optional<UnfinishedRun> unfinished;  ///< of an earlier run to the same output
    std::optional<Requantizing> again{};  ///< layers that were quantized before
    QString command{};  ///< that loads the files
};

/// How a model is cut into files.
struct ExportSplit {
    Bytes ggufBytes = 0;  ///< of one GGUF file; 0: all in one
    std::uint32_t ggufTensors = 0;  ///< likewise
    Bytes folderBytes = 5'000'000'000;  ///< of one safetensors file

    friend bool operator==(const ExportSplit&, const ExportSplit&) = default;
};

/// Layers that change alike on the way to the nearest plan.
struct NearestChange {
    std::size_t layers = 0;
    QString name;       ///< of the layer, where it is the only one
    LayerPlan from{}, to{};
    double bits = 0;    ///< per weight, what it takes more than before
    QString reason;     ///< what the target has against it, in English; empty where it follows another layer
};

/// The plan nearest to the present one that a target takes, and what would change.
struct NearestOffer {
    QuantizationPlan plan;
    std::vector<NearestChange> changes;  ///< those of most layers first
    std::size_t further = 0;             ///< kinds of change besides these
};

/// @p request  its output names the model to be written; nothing is written. Any thread.
[[nodiscard]] ExportOffer offerOf(const ExportRequest& request, const ExporterRow& exporter);

/// What the next run writes: for which target, under which name; and, found in the background, what every target would
/// make of the plan. GUI thread only.
class ExportChoice : public QObject {
    Q_OBJECT

public:
    explicit ExportChoice(Session& session, QObject* parent = nullptr);

    /// The session's, so that its plan is made for it.
    [[nodiscard]] QString target() const;
    /// @pre one of exporters().
    void setTarget(const QString& id);
    [[nodiscard]] const ExportSplit& split() const { return m_split; }
    void setSplit(const ExportSplit& split);
    [[nodiscard]] const ExporterRow& exporter() const;
    /// Of the target: proposed until the user chooses one. Empty without a model.
    [[nodiscard]] QString output() const { return outputOf(target()); }
    [[nodiscard]] QString outputOf(const QString& target) const;
    void setOutput(const QString& path);
    /// A name beside the output that nothing has yet.
    [[nodiscard]] QString freeName() const;
    /// What a run would be asked for. @pre a model is open.
    [[nodiscard]] ExportRequest request(bool overwrite) const;

    /// The newest offers, one a target in the order of exporters(): of an earlier plan until offersChanged() comes.
    /// Empty until the first are found.
    [[nodiscard]] const std::vector<ExportOffer>& offers() const { return *m_offers; }
    /// Null while not known.
    [[nodiscard]] const ExportOffer* offer() const;
    /// Looks anew in the background, unless what is known still holds. offersChanged() follows.
    void refresh();
    /// The same a little later: for what changes frame by frame.
    void refreshSoon();
    /// The offers are those of the plan as it is.
    [[nodiscard]] bool isCurrent() const { return m_isCurrent && !isLooking(); }
    [[nodiscard]] bool isLooking() const { return m_job.isRunning(); }
    /// Files may have changed: what is known no longer holds.
    void invalidate();
    /// Of the target as everything is now, looked at in this call; its verdict names refusals only. @pre a model is
    /// open.
    [[nodiscard]] ExportOffer offerNow() const;

    /// Found in the background where the target refuses the plan; null: not known, or there is none.
    [[nodiscard]] const NearestOffer* nearest() const { return m_nearest.get(); }
    /// Puts it on the session, one undo step.
    void useNearest();

    /// What an earlier run to the output has done.
    [[nodiscard]] std::optional<UnfinishedRun> unfinishedNow() const;

    /// Why the offer cannot be written, empty if it can. Files that exist are no reason: replacing is asked about.
    [[nodiscard]] static QString obstacle(const ExportOffer& offer);

signals:
    /// Target or output.
    void changed();
    void offersChanged();
    void nearestChanged();

private:
    void lookForNearest();
    void forgetNearest();

    Session& m_session;
    ExportSplit m_split;
    QMap<QString, QString> m_outputs;  // chosen by the user
    LatestJob<std::shared_ptr<const std::vector<ExportOffer>>> m_job;
    std::shared_ptr<const std::vector<ExportOffer>> m_offers;
    LatestJob<std::shared_ptr<const NearestOffer>> m_nearestJob;
    std::shared_ptr<const NearestOffer> m_nearest;
    QTimer m_soon;
    bool m_isCurrent = false;  // found, or being looked for
};

}  // namespace sigmascope::ui
