// SPDX-License-Identifier: GPL-3.0-or-later
// Session files in the window: save, open, the copy of a run that did not end as it should.

#include "ui/MainWindow.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/LayerPanel.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/SessionStore.h"

#include <QAction>
#include <QBoxLayout>
#include <QFileDialog>
#include <QFileInfo>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QLocale>
#include <QMenu>
#include <QPushButton>
#include <QStackedWidget>
#include <QTabWidget>
#include <QTreeView>

namespace sigmascope::ui {

void MainWindow::buildStore()
{
    m_store = new SessionStore(m_session, this);
    m_store->setView([this] { return viewState(); }, [this](const QByteArray& view) { applyViewState(view); });
    connect(m_store, &SessionStore::saved, this, [this](const QString& path) {
        showMessage(QStringLiteral("✓"), tr("Session saved as %1").arg(path));
    });
    connect(m_store, &SessionStore::failed, this, &MainWindow::raiseMessage);
    connect(m_run, &RunController::finished, m_store, &SessionStore::keepCopy);
    auto* bar = qobject_cast<QBoxLayout*>(m_messageBar->layout());
    m_recover = new QPushButton(tr("Recover"));
    m_recover->setObjectName(QStringLiteral("recoverSession"));
    m_recover->setToolTip(tr("Opens the model with the plan and results of then"));
    m_discard = new QPushButton(tr("Discard"));
    m_discard->setObjectName(QStringLiteral("discardSession"));
    m_discard->setToolTip(tr("Deletes the copy"));
    for (QPushButton* button : {m_recover, m_discard}) {
        bar->insertWidget(bar->count() - 1, button);
        button->hide();
    }
    connect(m_recover, &QPushButton::clicked, this, [this] {
        if (!isFreeToOpen()) {
            m_recover->show();  // the offer stands until the run has ended
            m_discard->show();
            return;
        }
        m_messageBar->hide();
        m_store->recover(m_abandoned);
        // It stays until there is a copy of this program's own, or the user discards it.
        connect(m_store, &SessionStore::restored, m_store, [this, copy = m_abandoned] {
            if (!m_store->path().isEmpty())
                return;  // another session: the copy could not be opened
            m_store->keepCopy();
            SessionStore::forget(copy);
        }, Qt::SingleShotConnection);
    });
    connect(m_discard, &QPushButton::clicked, this, [this] {
        SessionStore::forget(m_abandoned);
        m_messageBar->hide();
    });
}

void MainWindow::buildSessionMenu(QMenu* menu)
{
    addAction(menu, tr("Open session…"), {}, tr("Open a model with the plan, results and view that were saved"), [this] { openSessionWithDialog(); });
    QAction* save = addAction(menu, tr("Save session"), QKeySequence(tr("Ctrl+S")), tr("Save plan, results and view"), [this] { saveSession(false); });
    QAction* saveAs = addAction(menu, tr("Save session as…"), QKeySequence(tr("Ctrl+Shift+S")), tr("Save plan, results and view under another name"),
                                [this] { saveSession(true); });
    for (QAction* action : {save, saveAs}) {
        action->setEnabled(m_session.isOpen());
        connect(&m_session, &Session::opened, action, [action] { action->setEnabled(true); });
        connect(&m_session, &Session::closed, action, [action] { action->setEnabled(false); });
    }
}

void MainWindow::saveSession(bool underNewName)
{
    if (!underNewName && !m_store->path().isEmpty()) {
        m_store->save(m_store->path());
        return;
    }
    auto* dialog = new QFileDialog(this, tr("Save the session"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setNameFilter(tr("Sessions (*.sgms)"));
    dialog->setDefaultSuffix(QStringLiteral("sgms"));
    dialog->selectFile(QFileInfo(m_session.name()).completeBaseName() + QStringLiteral(".sgms"));
    connect(dialog, &QFileDialog::fileSelected, m_store, &SessionStore::save);
    dialog->open();
}

void MainWindow::openSessionWithDialog()
{
    auto* dialog = new QFileDialog(this, tr("Open a session"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    dialog->setNameFilter(tr("Sessions (*.sgms)"));
    connect(dialog, &QFileDialog::fileSelected, this, &MainWindow::openPath);
    dialog->open();
}

bool MainWindow::isFreeToOpen()
{
    if (m_run->isRunning())
        raiseMessage(tr("A run is working on the open model. Stop it before another is opened (Shift+F5)"));
    return !m_run->isRunning();
}

void MainWindow::offerRecovery()
{
    const QStringList copies = SessionStore::abandonedCopies();
    if (copies.isEmpty())
        return;
    m_abandoned = copies.front();
    raiseMessage(tr("Sigmascope did not end as it should; a copy of the session of %1 was kept")
                     .arg(QLocale().toString(QFileInfo(m_abandoned).lastModified(), QLocale::ShortFormat)));
    m_recover->show();
    m_discard->show();
}

void MainWindow::inspectLayer(const QString& name)
{
    const Checkpoint& model = *m_session.checkpoint();
    std::optional<std::size_t> tensor = model.find(name.toStdString());
    const auto twin = ggufNameOf(name.toStdString());
    for (std::size_t i = 0; i < model.tensors().size() && !tensor && twin; ++i) {
        if (ggufNameOf(model.tensors()[i].name) == twin)
            tensor = i;
    }
    if (!tensor) {
        raiseMessage(tr("The open model has no layer %1").arg(name));
        return;
    }
    m_session.select({*tensor}, tensor);
    showPage(Inspect);
    m_layers->tree()->setFocus(Qt::OtherFocusReason);
}

QByteArray MainWindow::viewState() const
{
    QJsonArray selection;
    for (const std::size_t tensor : m_session.selection())
        selection.append(QString::fromStdString(m_session.tensor(tensor).name));
    QJsonObject view{{QStringLiteral("page"), m_pages->currentIndex()},
                     {QStringLiteral("tab"), m_inspect->tabs()->currentIndex()},
                     {QStringLiteral("selection"), selection}};
    if (m_session.current())
        view[QStringLiteral("current")] = QString::fromStdString(m_session.tensor(*m_session.current()).name);
    return QJsonDocument(view).toJson(QJsonDocument::Compact);
}

/// Whatever the file says: what is not there, or out of range, is left as it is.
void MainWindow::applyViewState(const QByteArray& state)
{
    const QJsonObject view = QJsonDocument::fromJson(state).object();
    std::vector<std::size_t> selection;
    for (const auto& name : view[QStringLiteral("selection")].toArray()) {
        if (const auto tensor = m_session.checkpoint()->find(name.toString().toStdString()))
            selection.push_back(*tensor);
    }
    const auto current = m_session.checkpoint()->find(view[QStringLiteral("current")].toString().toStdString());
    if (current)
        m_session.select(selection.empty() ? std::vector{*current} : selection, current);
    const int tab = view[QStringLiteral("tab")].toInt(-1);
    if (tab >= 0 && tab < m_inspect->tabs()->count())
        m_inspect->tabs()->setCurrentIndex(tab);
    const int page = view[QStringLiteral("page")].toInt(-1);
    if (page > Start && page < m_pages->count())
        showPage(static_cast<Page>(page));
}

}  // namespace sigmascope::ui
