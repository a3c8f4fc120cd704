// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/project/ProjectFile.h"
#include "ui/session/LatestJob.h"

#include <QByteArray>
#include <QObject>
#include <QString>
#include <QStringList>
#include <QTimer>

#include <functional>
#include <memory>
#include <optional>

namespace sigmascope::ui {

class Session;

/// Session files of the open document: saving, opening, and a copy that is kept every minute in case the program ends
/// before its time. Files are read and written off the GUI thread; a newer request overtakes an older one.
class SessionStore : public QObject {
    Q_OBJECT

public:
    explicit SessionStore(Session& session, QObject* parent = nullptr);
    /// The program ends as it should: its copy goes.
    ~SessionStore() override;

    /// How the document is looked at, as JSON: read when it is saved, handed back when it has been opened.
    void setView(std::function<QByteArray()> read, std::function<void(const QByteArray&)> apply);

    [[nodiscard]] static bool isSessionFile(const QString& path);
    /// Opens the model of a session, then its plan, results and view: restored, or failed.
    void open(const QString& path);
    /// @pre a model is open.
    void save(const QString& path);
    /// File of the open session; empty if it has none yet.
    [[nodiscard]] QString path() const { return m_path; }
    /// Something was planned or measured since it was opened or saved.
    [[nodiscard]] bool isChanged() const { return m_isChanged; }

    /// Every minute, unless nothing happened; also called after a run.
    void keepCopy();
    void setInterval(int milliseconds) { m_timer.setInterval(milliseconds); }
    /// Copies of sessions whose program is no longer there, the newest first.
    [[nodiscard]] static QStringList abandonedCopies();
    /// As open(), but the session is a new one, to be saved where the user likes.
    void recover(const QString& copy);
    static void forget(const QString& copy);

signals:
    void saved(const QString& path);
    void restored();
    void failed(const QString& message);

private:
    struct Loaded {
        ProjectFile project;
        std::shared_ptr<const Imatrix> calibration;  // null: none, or the one beside the model
        QString path;                                // empty: recovered
        QString note;
    };
    void load(const QString& file, const QString& path);
    void modelOpened();
    void modelFailed(const QString& path);
    [[nodiscard]] ProjectFile document() const;
    [[nodiscard]] static QString stateFolder();
    [[nodiscard]] static QString copyPath();

    Session& m_session;
    std::function<QByteArray()> m_readView;
    std::function<void(const QByteArray&)> m_applyView;
    LatestJob<QString> m_saveJob;
    LatestJob<QString> m_copyJob;
    LatestJob<std::shared_ptr<Loaded>> m_loadJob;
    LatestJob<QString> m_fingerprintJob;
    std::shared_ptr<Loaded> m_pending;  // waits for its model
    QTimer m_timer;
    QString m_path;
    bool m_isChanged = false;
    bool m_isCopied = true;  // nothing happened since the last copy
};

}  // namespace sigmascope::ui
