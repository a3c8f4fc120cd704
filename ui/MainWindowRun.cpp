// SPDX-License-Identifier: GPL-3.0-or-later
// The run in the window: starting it, what steps and status bar say of it, and closing the window while it works.

#include "ui/MainWindow.h"
#include "ui/panels/ExportPage.h"
#include "ui/panels/RunPage.h"
#include "ui/session/ExportChoice.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/Settings.h"
#include "ui/widgets/StepBar.h"

#include <QCloseEvent>
#include <QLabel>
#include <QMessageBox>
#include <QPushButton>
#include <QStackedWidget>
#include <QTimer>
#include <QToolButton>

namespace sigmascope::ui {

namespace {

constexpr int QuantizeStep = MainWindow::Run - MainWindow::Inspect;
/// What is still running then is left to end by itself; what it has finished lies in the journal.
constexpr int kPatience = 900;  // ms

}  // namespace

void MainWindow::buildExport()
{
    m_exportPage = new ExportPage(m_session, *m_run, *m_export);
    m_pages->addWidget(m_exportPage);
    connect(m_exportPage, &ExportPage::writeRequested, m_runPage, &RunPage::startOrExplain);
    connect(m_runPage, &RunPage::exportPageRequested, this, [this] { showPage(Export); });
    connect(m_run, &RunController::started, this, [this] {
        if (m_pages->currentIndex() == Export)
            showPage(Run);
    });
}

void MainWindow::showExport()
{
    if (m_pages->currentIndex() == Export && m_exportPage->writeButton()->isEnabled()) {
        m_exportPage->writeButton()->click();
        return;
    }
    showPage(Export);
    if (m_session.isOpen())
        m_exportPage->focusOutput();
}

void MainWindow::connectRun()
{
    connect(m_run, &RunController::started, this, [this] {
        m_jobText->setText(tr("Quantizing"));
        m_jobStop->show();
        m_steps->setStepState(QuantizeStep, StepState::Running, tr("%1 %").arg(0));
    });
    const auto showJob = [this] {
        const QString left = m_run->timeLeftText();
        m_jobText->setText(m_run->isPaused()    ? tr("Quantizing · paused")
                               : left.isEmpty() ? tr("Quantizing")
                                                : tr("Quantizing · %1").arg(left));
        m_steps->setStepState(QuantizeStep, StepState::Running, tr("%1 %").arg(qRound(100 * m_run->fraction())));
    };
    connect(m_run, &RunController::progressed, this, showJob);
    connect(m_run, &RunController::pausedChanged, this, showJob);
    const auto ended = [this](StepState state) {
        m_jobText->clear();
        m_jobStop->hide();
        m_steps->setStepState(QuantizeStep, state);
        refreshBudget();
    };
    connect(m_run, &RunController::finished, this, [ended] { ended(StepState::Done); });
    connect(m_run, &RunController::failed, this, [ended] { ended(StepState::None); });
    connect(m_run, &RunController::cancelled, this, [ended] { ended(StepState::None); });
    connect(&m_session, &Session::planChanged, this, [this](const std::vector<std::size_t>& tensors) {
        if (!tensors.empty() && !m_run->isRunning() && m_run->lastResult())  // a rule without effect changes nothing
            m_steps->setStepState(QuantizeStep, StepState::Stale);
    });
}

void MainWindow::startRun()
{
    if (!m_session.isOpen())
        return;
    showPage(Run);
    if (!m_run->isRunning())
        m_runPage->startOrExplain();
}

void MainWindow::closeEvent(QCloseEvent* event)
{
    if (m_run->isRunning() && !m_isClosing) {
        event->ignore();
        confirmClose();
        return;
    }
    m_run->cancel();
    Settings::setWindow(saveGeometry(), saveState(kStateVersion));
    event->accept();
}

void MainWindow::confirmClose()
{
    if (auto* open = findChild<QMessageBox*>(QStringLiteral("confirmClose"))) {
        open->raise();
        return;
    }
    auto* box = new QMessageBox(QMessageBox::NoIcon, tr("Close Sigmascope"), tr("Stop the run and close?"),
                                QMessageBox::NoButton, this);
    box->setObjectName(QStringLiteral("confirmClose"));
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setInformativeText(
        tr("No model is written. Finished layers are kept beside the output, and the run can be continued."));
    QPushButton* stop = box->addButton(tr("Stop and close"), QMessageBox::DestructiveRole);
    QPushButton* stay = box->addButton(tr("Keep running"), QMessageBox::RejectRole);
    stop->setObjectName(QStringLiteral("stopAndClose"));
    stay->setObjectName(QStringLiteral("keepRunning"));
    box->setDefaultButton(stay);
    box->setEscapeButton(stay);
    connect(box, &QMessageBox::buttonClicked, this, [this, stop](QAbstractButton* button) {
        if (button == stop)
            stopAndClose();
    });
    // Nobody needs to answer once the run has ended.
    for (const auto signal : {&RunController::finished, &RunController::cancelled})
        connect(m_run, signal, box, &QWidget::close);
    connect(m_run, &RunController::failed, box, &QWidget::close);
    box->open();
}

void MainWindow::stopAndClose()
{
    m_isClosing = true;
    if (!m_run->isRunning()) {
        close();
        return;
    }
    for (const auto signal : {&RunController::finished, &RunController::cancelled})
        connect(m_run, signal, this, &QWidget::close);
    connect(m_run, &RunController::failed, this, &QWidget::close);
    QTimer::singleShot(kPatience, this, &QWidget::close);
    m_run->cancel();
}

}  // namespace sigmascope::ui
