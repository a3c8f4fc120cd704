// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/RunPage.h"

#include "core/project/SourceLoss.h"
#include "ui/Theme.h"
#include "ui/models/RunTableModel.h"
#include "ui/panels/QueueTable.h"
#include "ui/session/ExportChoice.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Counted.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/ProgressLine.h"

#include <QCheckBox>
#include <QFileInfo>
#include <QLabel>
#include <QLineEdit>
#include <QMessageBox>
#include <QPushButton>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

RunPage::RunPage(Session& session, RunController& run, ExportChoice& choice, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_run(run)
    , m_choice(choice)
    , m_model(new RunTableModel(session, this))
    , m_table(new QueueTable(*m_model))
{
    auto* head = new QVBoxLayout;
    head->setContentsMargins(px(24), px(16), px(24), px(12));
    head->setSpacing(px(8));
    buildTitle(head);
    buildAction(head);
    buildCommand(head);
    m_table->setAccessibleName(tr("Queue of layers"));
    new TableExport(
        m_table, [this] { return m_session.name() + QStringLiteral("-run"); }, [this] { return m_model->asCsv(); });
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addLayout(head);
    layout->addWidget(hairline(this));
    layout->addWidget(m_table, 1);
    layout->addWidget(buildFailure());
    setBackgroundRole(QPalette::Base);
    setAutoFillBackground(true);
    m_second.setInterval(1000);
    connect(&m_second, &QTimer::timeout, this, &RunPage::refreshSummary);
    connect(m_model, &RunTableModel::orderChanged, &m_run, &RunController::setOrder);
    connectSession();
    connectRun();
    setRunning(false);
    refreshIdle();
}

void RunPage::connectSession()
{
    const auto forget = [this] {
        m_model->clear();
        m_commandRow->hide();
        m_hasRun = false;
        showMessage({}, {});
        refreshIdle();
    };
    connect(&m_session, &Session::opened, this, forget);
    connect(&m_session, &Session::closed, this, forget);
    connect(&m_session, &Session::planChanged, this, &RunPage::refreshIdle);
    connect(&m_choice, &ExportChoice::changed, this, &RunPage::refreshIdle);
    connect(&m_choice, &ExportChoice::offersChanged, this, &RunPage::refreshTarget);
}

void RunPage::connectRun()
{
    m_summarySoon.setSingleShot(true);
    m_summarySoon.setInterval(16);
    connect(&m_summarySoon, &QTimer::timeout, this, &RunPage::refreshSummary);
    connect(&m_run, &RunController::started, this, [this] {
        m_model->beginRun();
        m_table->follow();
        m_commandRow->hide();
        m_subject = tr("looking at the values");
        m_hasRun = true;
        setRunning(true);
        showMessage({}, {});
        refreshIdle();
    });
    connect(&m_run, &RunController::progressed, this, &RunPage::refreshSummary);
    connect(&m_run, &RunController::layersKnown, m_model, &RunTableModel::setLayers);
    connect(&m_run, &RunController::stageChanged, this, [this](RunStage stage, std::optional<std::size_t> tensor) {
        if (!tensor) {
            m_subject
                = stage == RunStage::Compare ? tr("reading the files back and comparing") : tr("looking at the values");
            summarySoon();
            return;
        }
        m_subject.clear();
        m_model->setStage(*tensor, stage);
        if (const auto row = m_model->rowOf(*tensor))
            m_table->showProgress(*row);
    });
    connect(&m_run, &RunController::layerFinished, this, [this](const TensorResult& result) {
        m_model->finish(result);
        summarySoon();
    });
    connect(&m_run, &RunController::layerFailed, this, [this](std::size_t tensor, const QString& why) {
        m_model->fail(tensor, why);
        summarySoon();
        refreshFailure();
    });
    connect(&m_run, &RunController::pausedChanged, this, [this](bool isPaused) {
        m_pause->setText(isPaused ? tr("Resume") : tr("Pause"));
        refreshSummary();
    });
    connect(&m_run, &RunController::finished, this, &RunPage::showFinished);
    connect(&m_run, &RunController::failed, this, &RunPage::showFailed);
    connect(&m_run, &RunController::cancelled, this, [this] {
        setRunning(false);
        refreshIdle();
        showMessage({},
                    m_resume->isVisibleTo(this)
                        ? tr("Stopped. No model was written; finished layers are kept beside the output.")
                        : tr("Stopped. Nothing was written."));
    });
    connect(m_table->selectionModel(), &QItemSelectionModel::selectionChanged, this, &RunPage::refreshFailure);
}

QTableView* RunPage::table() const
{
    return m_table;
}

void RunPage::setOutput(const QString& path)
{
    m_choice.setOutput(path);
}

QString RunPage::output() const
{
    return m_choice.output();
}

QString RunPage::message() const
{
    return m_message->text();
}

QString RunPage::summary() const
{
    return m_summary->text();
}

QString RunPage::loadCommand() const
{
    return m_command->text();
}

void RunPage::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    refreshIdle();
}

void RunPage::setRunning(bool isRunning)
{
    m_pause->setText(tr("Pause"));
    m_pause->setVisible(isRunning);
    m_start->setText(isRunning ? tr("Stop") : tr("Quantize"));
    setPrimary(m_start, !isRunning);
    if (isRunning)
        m_progress->setValueSoon(0);
    else
        m_model->endRun();
    isRunning ? m_second.start() : m_second.stop();
    refreshSummary();
    refreshFailure();
}

void RunPage::refreshIdle()
{
    if (!isVisible())
        return;  // a rank is dragged elsewhere, frame by frame; this page catches up when it is shown
    m_start->setEnabled(m_session.isOpen());
    if (!m_run.isRunning() && !m_hasRun)
        m_model->showPlan();
    m_choice.refresh();
    refreshTarget();
    offerResume();
    refreshSummary();
}

void RunPage::refreshTarget()
{
    if (!m_session.isOpen()) {
        m_target->setText({});
        return;
    }
    const std::string_view runtime = m_choice.exporter().runtime;
    QStringList facts{tr("for %1").arg(QString::fromUtf8(runtime.data(), static_cast<qsizetype>(runtime.size()))),
                      m_choice.output()};
    if (const ExportOffer* offer = m_choice.offer(); offer != nullptr && offer->sizes)
        facts << counted(offer->sizes->outputs.size(), tr("1 file, %2"), tr("%1 files, %2"))
                     .arg(fileSize(offer->sizes->total));
    m_target->setText(facts.join(QStringLiteral(" · ")));
}

void RunPage::summarySoon()
{
    if (!m_summarySoon.isActive())
        m_summarySoon.start();
}

void RunPage::refreshSummary()
{
    const int all = m_model->rowCount();
    const auto count = static_cast<std::uint64_t>(all);
    const QString of
        = tr("%1 of %2 layers").arg(wholeNumber(static_cast<std::uint64_t>(m_model->doneCount())), wholeNumber(count));
    const bool isIdle = !m_run.isRunning() && !m_hasRun;
    QString summary
        = isIdle ? (all > 0 ? counted(count, tr("1 layer queued"), tr("%1 layers queued")) : QString()) : of;
    if (m_model->failedCount() > 0)
        summary = tr("%1, %2 failed", "12 of 39 layers, 1")
                      .arg(summary, wholeNumber(static_cast<std::uint64_t>(m_model->failedCount())));
    if (m_run.isPaused())
        summary = tr("Paused after %1").arg(summary);
    m_summary->setText(summary);
    QStringList detail;
    if (m_run.isRunning()) {
        const auto seconds = static_cast<int>(std::lround(m_run.elapsed()));
        detail << (seconds < 60 ? tr("%1 s elapsed").arg(seconds)
                                : tr("%1 min %2 s elapsed").arg(seconds / 60).arg(seconds % 60));
        const QString left = m_run.timeLeftText();
        if (!left.isEmpty() && !m_run.isPaused())
            detail << left;
        if (!m_subject.isEmpty() && !m_run.isPaused())
            detail << m_subject;
    } else if (isIdle && all > 1) {
        detail << tr("drag rows to choose which come first");
    }
    m_detail->setText(detail.join(QStringLiteral(" · ")));
    m_progress->setValueSoon(m_run.isRunning()        ? static_cast<int>(1000 * m_run.fraction())
                                 : m_run.lastResult() ? 1000
                                                      : 0);
}

void RunPage::refreshFailure()
{
    auto shown = m_model->firstFailed();
    for (const int row : m_table->selectedModelRows()) {
        if (m_model->index(row, 0).data(QueueStateRole).toInt() == static_cast<int>(QueueState::Failed))
            shown = row;
    }
    m_failure->setVisible(shown.has_value());
    if (!shown)
        return;
    const QModelIndex index = m_model->index(*shown, RunTableModel::Layer);
    m_failedLayer->setText(QStringLiteral("✕ ") + index.data().toString().trimmed());
    m_failedWhy->setText(index.data(QueueReasonRole).toString());
    m_retry->setToolTip(m_run.isRunning()
                            ? tr("The layer waits again, behind all others")
                            : tr("Continues the run: finished layers are kept, those that failed are tried again"));
    m_retry->setProperty("row", *shown);
}

void RunPage::tryAgain()
{
    const int row = m_retry->property("row").toInt();
    if (!m_run.isRunning()) {
        m_resume->setChecked(true);
        startOrExplain();
        return;
    }
    const std::size_t tensor = m_model->tensorAt(row);
    m_run.retry(tensor);
    m_model->requeue(tensor);
    refreshSummary();
    refreshFailure();
}

void RunPage::offerResume()
{
    const auto earlier = m_run.isRunning() ? std::optional<UnfinishedRun>() : m_choice.unfinishedNow();
    m_resume->setVisible(earlier.has_value());
    if (earlier)
        m_resume->setText(tr("Continue the unfinished run: %1 of %2 layers are done")
                              .arg(wholeNumber(earlier->finished), wholeNumber(earlier->planned)));
}

void RunPage::startOrExplain()
{
    if (!m_session.isOpen() || m_run.isRunning())
        return;
    const ExportOffer offer = m_choice.offerNow();
    if (const QString wrong = ExportChoice::obstacle(offer); !wrong.isEmpty())
        showMessage(QStringLiteral("▲"), wrong);
    else if (!offer.existing.empty())
        askToReplace(offer);
    else
        begin(false);
}

/// What undo cannot restore is confirmed, also where the output was chosen by a dialog that asked already.
void RunPage::askToReplace(const ExportOffer& offer)
{
    QStringList names;
    for (const auto& path : offer.existing)
        names << QFileInfo(fromPath(path)).fileName();
    auto* box = new QMessageBox(
        QMessageBox::NoIcon, tr("Replace files"),
        counted(static_cast<std::uint64_t>(names.size()), tr("Replace the file?"), tr("Replace %1 files?")),
        QMessageBox::NoButton, window());
    box->setObjectName(QStringLiteral("confirmReplace"));
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setInformativeText(tr("%1 in %2. The old files stay until the new ones are complete and compared.")
                                .arg(names.join(QStringLiteral(", ")), offer.folderName));
    QPushButton* replace = box->addButton(tr("Replace"), QMessageBox::AcceptRole);
    QPushButton* keep = box->addButton(tr("Keep both"), QMessageBox::ActionRole);
    QPushButton* cancel = box->addButton(tr("Cancel"), QMessageBox::RejectRole);
    replace->setObjectName(QStringLiteral("replace"));
    keep->setObjectName(QStringLiteral("keepBoth"));
    cancel->setObjectName(QStringLiteral("cancelReplace"));
    box->setDefaultButton(cancel);
    box->setEscapeButton(cancel);
    connect(box, &QMessageBox::buttonClicked, this, [this, replace, keep](QAbstractButton* button) {
        if (!m_session.isOpen() || m_run.isRunning() || (button != replace && button != keep))
            return;
        if (button == keep)
            m_choice.setOutput(m_choice.freeName());
        begin(button == replace);
    });
    box->open();
}

void RunPage::begin(bool overwrite)
{
    // Where nothing lies beside the output both mean the same: begin.
    const Unfinished unfinished = m_resume->isChecked() ? Unfinished::Resume : Unfinished::Discard;
    m_run.start(m_choice.request(overwrite), unfinished, m_model->wishedOrder());
}

void RunPage::showFinished()
{
    const RunResult& result = *m_run.lastResult();
    m_choice.invalidate();
    setRunning(false);
    const double bits = result.elements == 0
        ? 0
        : 8.0 * static_cast<double>(result.writtenBytes) / static_cast<double>(result.elements);
    QString text = tr("%1 written, read back and compared in %2 s · %3 bits per weight, all files")
                       .arg(fileSize(result.writtenBytes), number3(result.seconds), decimals(bits, 2));
    const ExportRequest& request = m_run.request();
    if (const auto again = requantizing(*request.checkpoint, request.plan))
        text += QLatin1Char('\n')
            + tr("%1 of %2 layers were quantized before (%3): errors are the loss added to that")
                  .arg(wholeNumber(again->quantized), wholeNumber(again->layers), QString::fromStdString(again->formats));
    showMessage(QStringLiteral("✓"), text);
    if (const ExporterRow* exporter = findExporter(m_run.request().plan.target)) {
        SizeEstimate written = result.estimate;
        written.outputs = result.outputs;
        m_command->setText(QString::fromStdString(exporter->loadCommand(written)));
        m_command->setCursorPosition(0);
        m_commandRow->show();
    }
    refreshIdle();
}

void RunPage::showFailed(const QString& text)
{
    m_choice.invalidate();
    setRunning(false);
    refreshIdle();
    if (m_model->failedCount() > 0)
        showMessage(QStringLiteral("✕"),
                    counted(static_cast<std::uint64_t>(m_model->failedCount()),
                            tr("1 layer failed. No model was written; finished layers are kept beside the output."),
                            tr("%1 layers failed. No model was written; finished layers are kept beside the output.")));
    else
        showMessage(QStringLiteral("✕"), tr("%1 Nothing was written.").arg(text));
}

void RunPage::showMessage(const QString& glyph, const QString& text)
{
    m_message->setText(glyph.isEmpty() ? text : glyph + QLatin1Char(' ') + text);
    m_message->setVisible(!text.isEmpty());
}

}  // namespace sigmascope::ui
