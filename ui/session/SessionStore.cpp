// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/SessionStore.h"

#include "core/calibration/Imatrix.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QCoreApplication>
#include <QDir>
#include <QFile>
#include <QFileInfo>

#include <cerrno>
#include <csignal>
#include <system_error>

namespace sigmascope::ui {

namespace {

constexpr int kCopyEvery = 60'000;
const QString kSuffix = QStringLiteral(".sgms");
const QString kCopyStart = QStringLiteral("autosave-");

/// Of the same user; a number that was given anew counts as alive, its copy is offered later.
bool isAlive(qint64 process)
{
    return ::kill(static_cast<pid_t>(process), 0) == 0 || errno != ESRCH;
}

Result<QString> written(ProjectFile project, const std::shared_ptr<const Checkpoint>& checkpoint, const QString& path)
{
    project.fingerprint = structureOf(*checkpoint);
    if (const Status saved = saveProject(project, toPath(path)); !saved)
        return passOn(saved);
    return path;
}

}  // namespace

SessionStore::SessionStore(Session& session, QObject* parent) : QObject(parent), m_session(session)
{
    m_timer.setInterval(kCopyEvery);
    connect(&m_timer, &QTimer::timeout, this, &SessionStore::keepCopy);
    m_timer.start();
    const auto changed = [this] {
        m_isChanged = true;
        m_isCopied = false;
    };
    connect(&session, &Session::planChanged, this, changed);
    connect(&session, &Session::calibrationChanged, this, changed);
    connect(&session, &Session::exportTargetChanged, this, [this, changed] {
        if (m_session.isOpen())  // not where a closed model takes its target with it
            changed();
    });
    connect(&session, &Session::selectionChanged, this, [this] { m_isCopied = false; });
    connect(&session, &Session::opened, this, &SessionStore::modelOpened);
    connect(&session, &Session::openFailed, this, &SessionStore::modelFailed);
    connect(&session, &Session::closed, this, [this] {
        m_path.clear();
        m_isChanged = false;
    });
}

SessionStore::~SessionStore()
{
    m_copyJob.cancel();
    forget(copyPath());
}

void SessionStore::setView(std::function<QByteArray()> read, std::function<void(const QByteArray&)> apply)
{
    m_readView = std::move(read);
    m_applyView = std::move(apply);
}

bool SessionStore::isSessionFile(const QString& path)
{
    return path.endsWith(kSuffix, Qt::CaseInsensitive) && !QFileInfo(path).isDir();
}

ProjectFile SessionStore::document() const
{
    ProjectFile project = m_session.snapshot();
    if (m_readView)
        project.view = m_readView().toStdString();
    return project;
}

void SessionStore::save(const QString& path)
{
    Q_ASSERT(m_session.isOpen());
    const QString file = path.endsWith(kSuffix, Qt::CaseInsensitive) ? path : path + kSuffix;
    m_isChanged = false;  // what comes while it is written is a change again
    m_saveJob.start([project = document(), checkpoint = m_session.checkpoint(), file](
                        const JobContext&) { return written(project, checkpoint, file); },
                    [this](Result<QString> result) {
                        if (!result) {
                            m_isChanged = true;
                            emit failed(textOf(result.error()));
                            return;
                        }
                        m_path = *result;
                        emit saved(*result);
                    });
}

void SessionStore::keepCopy()
{
    if (!m_session.isOpen() || m_isCopied || m_copyJob.isRunning())
        return;
    m_isCopied = true;
    const QString file = copyPath();
    m_copyJob.start(
        [project = document(), checkpoint = m_session.checkpoint(), file](const JobContext&) -> Result<QString> {
            std::error_code ignored;  // a folder that cannot be made fails the write, and that is told
            std::filesystem::create_directories(toPath(file).parent_path(), ignored);
            return written(project, checkpoint, file);
        },
        [this](Result<QString> result) {
            if (!result)
                emit failed(tr("No copy of the session could be kept: %1").arg(textOf(result.error())));
        });
}

void SessionStore::open(const QString& path)
{
    load(path, path);
}

void SessionStore::recover(const QString& copy)
{
    load(copy, {});
}

void SessionStore::load(const QString& file, const QString& path)
{
    m_loadJob.start(
        [file, path](const JobContext&) -> Result<std::shared_ptr<Loaded>> {
            auto project = loadProject(toPath(file));
            if (!project)
                return passOn(project);
            auto loaded = std::make_shared<Loaded>();
            loaded->project = std::move(*project);
            loaded->path = path;
            if (loaded->project.calibration.empty())
                return loaded;
            auto imatrix = readImatrix(loaded->project.calibration);
            if (imatrix)
                loaded->calibration = std::make_shared<const Imatrix>(std::move(*imatrix));
            else
                loaded->note = textOf(imatrix.error());
            return loaded;
        },
        [this](Result<std::shared_ptr<Loaded>> loaded) {
            if (!loaded) {
                emit failed(textOf(loaded.error()));
                return;
            }
            m_pending = std::move(*loaded);
            m_session.open(fromPath(m_pending->project.checkpoint));
        });
}

void SessionStore::modelFailed(const QString& path)
{
    if (m_pending && path == fromPath(m_pending->project.checkpoint))
        m_pending.reset();  // why is told by the session
}

void SessionStore::modelOpened()
{
    m_isChanged = false;
    m_isCopied = false;
    if (!m_pending)
        return;
    const auto pending = std::exchange(m_pending, nullptr);
    if (m_session.path() != fromPath(pending->project.checkpoint))
        return;  // another model was asked for meanwhile
    m_fingerprintJob.start([checkpoint = m_session.checkpoint()](const JobContext&) -> Result<QString> {
        return QString::fromStdString(structureOf(*checkpoint));
    },
                           [this, pending, checkpoint = m_session.checkpoint()](Result<QString> found) {
                               if (m_session.checkpoint() != checkpoint)
                                   return;
                               const std::size_t lost = m_session.restore(pending->project, pending->calibration);
                               m_path = pending->path;
                               m_isChanged = m_path.isEmpty();
                               if (m_applyView)
                                   m_applyView(QByteArray::fromStdString(pending->project.view));
                               emit restored();
                               QString note = pending->note;
                               if (found && found->toStdString() != pending->project.fingerprint)
                                   note = tr("The model is another than the one this session was saved with. Plans without a tensor: %1")
                                              .arg(lost);
                               if (!note.isEmpty())
                                   emit failed(note);
                           });
}

QString SessionStore::stateFolder()
{
    const QString state = qEnvironmentVariable("XDG_STATE_HOME");
    const QString base = state.isEmpty() ? QDir::homePath() + QStringLiteral("/.local/state") : state;
    return base + QStringLiteral("/sigmascope");
}

QString SessionStore::copyPath()
{
    return stateFolder() + u'/' + kCopyStart + QString::number(QCoreApplication::applicationPid()) + kSuffix;
}

QStringList SessionStore::abandonedCopies()
{
    QStringList copies;
    const auto files = QDir(stateFolder()).entryInfoList({kCopyStart + u'*' + kSuffix}, QDir::Files, QDir::Time);
    for (const QFileInfo& file : files) {
        bool isNumber = false;
        const qint64 process = file.completeBaseName().mid(kCopyStart.size()).toLongLong(&isNumber);
        if (isNumber && process > 0 && !isAlive(process))
            copies << file.absoluteFilePath();
    }
    return copies;
}

void SessionStore::forget(const QString& copy)
{
    QFile::remove(copy);
}

}  // namespace sigmascope::ui
