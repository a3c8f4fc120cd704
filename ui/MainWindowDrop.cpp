// SPDX-License-Identifier: GPL-3.0-or-later
// What is dropped on the window: the first opens, the others wait in their order.

#include "ui/MainWindow.h"
#include "ui/session/Session.h"

#include <QAction>
#include <QBoxLayout>
#include <QDragEnterEvent>
#include <QFileInfo>
#include <QMenu>
#include <QMimeData>
#include <QPushButton>
#include <QRegularExpression>
#include <QSet>
#include <QUrl>

namespace sigmascope::ui {

namespace {

/// A model or session by its name, or a folder. Looks at the disk only where the name does not say.
bool canBeOpened(const QString& path)
{
    for (const char* suffix : {".safetensors", ".gguf", ".index.json", ".sgms"})
        if (path.endsWith(QLatin1String(suffix), Qt::CaseInsensitive))
            return true;
    return QFileInfo(path).isDir();
}

/// All parts of one model stand for its index, folder or first part.
QString wholeModelOf(const QString& path)
{
    static const QRegularExpression part(QStringLiteral("^(.+)-\\d{5}-of-(\\d{5})\\.(safetensors|gguf)$"));
    const auto match = part.match(path);
    if (!match.hasMatch())
        return path;
    if (match.captured(3) == QLatin1String("gguf"))
        return match.captured(1) + QStringLiteral("-00001-of-") + match.captured(2) + QStringLiteral(".gguf");
    const QString index = match.captured(1) + QStringLiteral(".safetensors.index.json");
    return QFileInfo::exists(index) ? index : QFileInfo(path).absolutePath();
}

}  // namespace

void MainWindow::buildDrops(QMenu* menu)
{
    m_openNext = addAction(menu, tr("Open next of the dropped"), {}, tr("Of several files dropped at once, the one whose turn it is"),
                           [this] { openNext(); });
    m_openNext->setEnabled(false);
    auto* bar = qobject_cast<QBoxLayout*>(m_messageBar->layout());
    m_nextButton = new QPushButton(tr("Open next"));
    m_nextButton->setObjectName(QStringLiteral("openNext"));
    bar->insertWidget(bar->count() - 1, m_nextButton);
    m_nextButton->hide();
    connect(m_nextButton, &QPushButton::clicked, this, &MainWindow::openNext);
    connect(&m_session, &Session::opened, this, &MainWindow::offerNext);
    connect(&m_session, &Session::openFailed, this, &MainWindow::offerNext);
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event)
{
    if (!event->mimeData()->urls().isEmpty() && event->mimeData()->urls().front().isLocalFile())
        event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event)
{
    const QList<QUrl> urls = event->mimeData()->urls();
    if (urls.isEmpty())
        return;
    event->acceptProposedAction();
    if (urls.size() == 1) {
        openPath(urls.front().toLocalFile());
        return;
    }
    if (!isFreeToOpen())
        return;
    QStringList models;
    QSet<QString> known;
    for (const QUrl& url : urls) {
        const QString path = url.toLocalFile();
        if (path.isEmpty() || !canBeOpened(path))
            continue;
        const QString model = wholeModelOf(path);
        if (known.contains(model))
            continue;
        known.insert(model);
        models << model;
    }
    if (models.isEmpty()) {
        raiseMessage(tr("None of the %1 files is a model or a session: expected safetensors, an index of shards, GGUF, or a folder").arg(urls.size()));
        return;
    }
    m_waiting = models;
    openNext();
}

void MainWindow::openNext()
{
    if (m_waiting.isEmpty() || !isFreeToOpen())
        return;
    const QString path = m_waiting.takeFirst();
    m_openNext->setEnabled(!m_waiting.isEmpty());
    openPath(path);
}

void MainWindow::offerNext()
{
    m_openNext->setEnabled(!m_waiting.isEmpty());
    if (m_waiting.isEmpty())
        return;
    const QString next = QFileInfo(m_waiting.front()).fileName();
    showMessage({}, m_waiting.size() == 1 ? tr("One more was dropped and waits: %1").arg(next)
                                          : tr("%1 more were dropped and wait, next %2").arg(QString::number(m_waiting.size()), next));
    m_nextButton->show();
}

}  // namespace sigmascope::ui
