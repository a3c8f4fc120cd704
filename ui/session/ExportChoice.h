// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/Exporter.h"
#include "core/project/Pipeline.h"
#include "ui/session/LatestJob.h"

#include <QMap>
#include <QObject>
#include <QString>

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
    std::vector<std::filesystem::path> existing;  ///< files that would be replaced
    Folder folder = Folder::Fine;  ///< that the output lies in
    QString folderName;
    std::optional<Bytes> freeBytes;
    std::optional<UnfinishedRun> unfinished;  ///< of an earlier run to the same output
    QString command;  ///< that loads the files
};

/// @p request  its output names the model to be written; nothing is written. Any thread.
[[nodiscard]] ExportOffer offerOf(const ExportRequest& request, const ExporterRow& exporter);

/// What the next run writes: for which target, under which name; and, found in the background, what every target would
/// make of the plan. GUI thread only.
class ExportChoice : public QObject {
    Q_OBJECT

public:
    explicit ExportChoice(Session& session, QObject* parent = nullptr);

    [[nodiscard]] QString target() const { return m_target; }
    /// @pre one of exporters().
    void setTarget(const QString& id);
    [[nodiscard]] const ExporterRow& exporter() const;
    /// Of the target: proposed until the user chooses one. Empty without a model.
    [[nodiscard]] QString output() const { return outputOf(m_target); }
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
    [[nodiscard]] bool isLooking() const { return m_job.isRunning(); }
    /// Files may have changed: what is known no longer holds.
    void invalidate();
    /// Of the target as everything is now, looked at in this call; its verdict names refusals only. @pre a model is
    /// open.
    [[nodiscard]] ExportOffer offerNow() const;

    /// What an earlier run to the output has done.
    [[nodiscard]] std::optional<UnfinishedRun> unfinishedNow() const;

    /// Why the offer cannot be written, empty if it can. Files that exist are no reason: replacing is asked about.
    [[nodiscard]] static QString obstacle(const ExportOffer& offer);

signals:
    /// Target or output.
    void changed();
    void offersChanged();

private:
    Session& m_session;
    QString m_target;
    QMap<QString, QString> m_outputs;  // chosen by the user
    LatestJob<std::shared_ptr<const std::vector<ExportOffer>>> m_job;
    std::shared_ptr<const std::vector<ExportOffer>> m_offers;
    bool m_isCurrent = false;  // found, or being looked for
};

}  // namespace sigmascope::ui
