// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/RunPage.h"

#include "ui/Theme.h"
#include "ui/models/LayerRoles.h"
#include "ui/models/RunTableModel.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/SourceBadge.h"

#include <QCheckBox>
#include <QClipboard>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QGridLayout>
#include <QGuiApplication>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QProgressBar>
#include <QPushButton>
#include <QSortFilterProxyModel>
#include <QStandardPaths>
#include <QStorageInfo>
#include <QTableView>
#include <QVBoxLayout>

namespace sigmascope::ui {

namespace {

constexpr int kLabelGap = 8;  // between the words of a row and its field

QLabel* formLabel(const QString& words)
{
    auto* made = new QLabel(words);
    setTextLevel(made, TextLevel::Label);
    made->setMinimumWidth(px(86));
    return made;
}

void clearLayout(QLayout* layout)
{
    while (QLayoutItem* item = layout->takeAt(0)) {
        delete item->widget();
        delete item;
    }
}

}  // namespace

RunPage::RunPage(Session& session, RunController& run, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_run(run)
    , m_model(new RunTableModel(session, this))
{
    auto* head = new QVBoxLayout;
    head->setContentsMargins(px(24), px(16), px(24), px(12));
    head->setSpacing(px(8));
    buildTitle(head);
    buildForm(head);
    buildAction(head);
    buildCommand(head);
    buildTable();
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addLayout(head);
    layout->addWidget(hairline(this));
    layout->addWidget(m_table, 1);
    layout->addWidget(m_empty, 1);
    setBackgroundRole(QPalette::Base);
    setAutoFillBackground(true);
    connectSession();
    connectRun();
    refreshFiles();
}

void RunPage::connectSession()
{
    connect(&m_session, &Session::opened, this, [this] {
        m_isSuggested = true;
        m_model->clear();
        m_commandRow->hide();
        showMessage({}, {});
        suggestOutput();
    });
    connect(&m_session, &Session::planChanged, this, &RunPage::refreshFiles);
    connect(&m_session, &Session::calibrationChanged, this, &RunPage::refreshFiles);
}

void RunPage::connectRun()
{
    connect(&m_run, &RunController::started, this, [this] {
        m_model->clear();
        m_commandRow->hide();
        m_start->setText(tr("Stop"));
        m_progress->setValue(0);
        m_progress->show();
        showMessage({}, tr("Looking at the values…"));
        refreshFiles();
    });
    connect(&m_run, &RunController::progressed, this, &RunPage::showProgress);
    connect(&m_run, &RunController::layerFinished, this, [this](const TensorResult& result) {
        m_model->append(result);
        m_empty->hide();
        m_table->show();
    });
    connect(&m_run, &RunController::finished, this, &RunPage::showFinished);
    connect(&m_run, &RunController::failed, this, [this](const QString& text) {
        m_progress->hide();
        showMessage(QStringLiteral("✕"), tr("%1 Nothing was written.").arg(text));
        refreshFiles();
    });
    connect(&m_run, &RunController::cancelled, this, [this] {
        m_progress->hide();
        refreshFiles();
        showMessage({}, m_resume->isVisible() ? tr("Stopped. No model was written; finished layers are kept beside the output.")
                                              : tr("Stopped. Nothing was written."));
    });
}

void RunPage::buildTitle(QVBoxLayout* head)
{
    auto* title = new QLabel(tr("Quantize and export"));
    title->setFont(ui::font(FontRole::PageTitle));
    auto* target = new QLabel(tr("GGUF for llama.cpp: the quantized model, and its low-rank correction as a LoRA adapter beside it"));
    target->setWordWrap(true);
    setTextLevel(target, TextLevel::Label);
    head->addWidget(title);
    head->addWidget(target);
    head->addSpacing(px(4));
}

void RunPage::buildForm(QVBoxLayout* head)
{
    m_output = new QLineEdit;
    m_output->setObjectName(QStringLiteral("output"));
    m_output->setFont(ui::font(FontRole::Mono));
    m_output->setAccessibleName(tr("Output file"));
    auto* browse = new QPushButton(tr("Choose…"));
    browse->setObjectName(QStringLiteral("chooseOutput"));
    auto* outputRow = new QHBoxLayout;
    outputRow->setSpacing(px(6));
    outputRow->addWidget(m_output, 1);
    outputRow->addWidget(browse);
    m_replace = new QCheckBox(tr("Replace existing files"));
    m_replace->setObjectName(QStringLiteral("replace"));
    m_resume = new QCheckBox;
    m_resume->setObjectName(QStringLiteral("resume"));
    m_resume->setToolTip(tr("Finished layers lie beside the output. Without the tick they are thrown away and the run begins anew"));
    m_resume->setChecked(true);
    m_resume->hide();
    auto* files = new QWidget;
    m_files = new QGridLayout(files);
    m_files->setContentsMargins(0, 0, 0, 0);
    m_files->setHorizontalSpacing(px(16));
    m_files->setVerticalSpacing(px(4));
    m_check = new QLabel;
    m_check->setWordWrap(true);

    auto* form = new QFormLayout;
    form->setContentsMargins(0, 0, 0, 0);
    form->setHorizontalSpacing(px(kLabelGap));
    form->setVerticalSpacing(px(8));
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    form->addRow(formLabel(tr("Output")), outputRow);
    form->addRow(formLabel(tr("Files")), files);
    form->addRow(formLabel(QString()), m_replace);
    form->addRow(formLabel(QString()), m_resume);
    form->addRow(formLabel(tr("Checks")), m_check);
    head->addLayout(form);
    head->addSpacing(px(4));
    connect(m_output, &QLineEdit::textEdited, this, [this] { m_isSuggested = false; });
    connect(m_output, &QLineEdit::textChanged, this, &RunPage::refreshFiles);
    connect(m_replace, &QCheckBox::toggled, this, &RunPage::refreshFiles);
    connect(browse, &QPushButton::clicked, this, &RunPage::chooseOutput);
}

void RunPage::buildAction(QVBoxLayout* head)
{
    m_start = new QPushButton(tr("Quantize and export"));
    m_start->setObjectName(QStringLiteral("start"));
    makePrimary(m_start);
    m_progress = new QProgressBar;
    m_progress->setRange(0, 1000);
    m_progress->setTextVisible(false);
    m_progress->setFixedWidth(px(180));
    m_progress->setAccessibleName(tr("Progress of the run"));
    m_progress->hide();
    m_message = new QLabel;
    m_message->setWordWrap(true);
    m_message->setTextInteractionFlags(Qt::TextSelectableByMouse);
    auto* action = new QHBoxLayout;
    action->setSpacing(px(12));
    action->addWidget(m_start);
    action->addWidget(m_progress);
    action->addWidget(m_message, 1);
    head->addLayout(action);
    connect(m_start, &QPushButton::clicked, this, [this] {
        if (m_run.isRunning())
            m_run.cancel();
        else
            startOrExplain();
    });
}

void RunPage::buildCommand(QVBoxLayout* head)
{
    m_commandRow = new QWidget;
    m_command = new QLineEdit;
    m_command->setReadOnly(true);
    m_command->setFont(ui::font(FontRole::Mono));
    m_command->setAccessibleName(tr("Command that loads the files"));
    auto* copy = new QPushButton(tr("Copy"));
    copy->setAccessibleName(tr("Copy the command"));
    auto* commandLayout = new QHBoxLayout(m_commandRow);
    commandLayout->setContentsMargins(0, 0, 0, 0);
    commandLayout->setSpacing(0);
    commandLayout->addWidget(formLabel(tr("Load with")));
    commandLayout->addSpacing(px(kLabelGap));
    commandLayout->addWidget(m_command, 1);
    commandLayout->addSpacing(px(6));
    commandLayout->addWidget(copy);
    m_commandRow->hide();
    head->addWidget(m_commandRow);
    connect(copy, &QPushButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(m_command->text()); });
}

void RunPage::buildTable()
{
    auto* sorted = new QSortFilterProxyModel(this);
    sorted->setSourceModel(m_model);
    sorted->setSortRole(SortRole);
    m_table = new QTableView;
    m_table->setModel(sorted);
    m_table->setSortingEnabled(true);
    m_table->sortByColumn(-1, Qt::AscendingOrder);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setShowGrid(false);
    m_table->setFrameShape(QFrame::NoFrame);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(px(22));
    m_table->setFont(ui::font(FontRole::Mono));
    m_table->horizontalHeader()->setHighlightSections(false);
    m_table->setAccessibleName(tr("Results of the run"));
    new TableExport(m_table, [this] { return m_session.name() + QStringLiteral("-run"); }, [this] { return m_model->asCsv(); });
    const std::array<int, RunTableModel::ColumnCount> widths{210, 76, 100, 60, 124, 124, 72, 84, 96, 160};
    for (int column = 0; column < RunTableModel::ColumnCount; ++column)
        m_table->setColumnWidth(column, px(widths[static_cast<std::size_t>(column)]));
    m_table->horizontalHeader()->setStretchLastSection(true);
    m_table->hide();
    m_empty = new QLabel(tr("The error of every layer appears here as it finishes"));
    setTextLevel(m_empty, TextLevel::Hint);
    m_empty->setAlignment(Qt::AlignCenter);
}

void RunPage::setOutput(const QString& path)
{
    m_isSuggested = false;
    m_output->setText(path);
}

QString RunPage::output() const
{
    return m_output->text();
}

QString RunPage::message() const
{
    return m_message->text();
}

QString RunPage::loadCommand() const
{
    return m_command->text();
}

void RunPage::focusOutput()
{
    m_output->setFocus(Qt::ShortcutFocusReason);
}

void RunPage::suggestOutput()
{
    if (!m_session.isOpen() || !m_isSuggested)
        return;
    const QString folder = QStandardPaths::writableLocation(QStandardPaths::DocumentsLocation);
    const QString stem = QFileInfo(m_session.name()).completeBaseName();
    m_output->setText(QDir(folder.isEmpty() ? QDir::homePath() : folder).filePath(stem + QStringLiteral("-quantized.gguf")));
    refreshFiles();
}

void RunPage::chooseOutput()
{
    auto* dialog = new QFileDialog(this, tr("Write the model to"), m_output->text(), tr("GGUF model (*.gguf)"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix(QStringLiteral("gguf"));
    dialog->setOption(QFileDialog::DontConfirmOverwrite);  // "Replace existing files" asks for both files at once
    connect(dialog, &QFileDialog::fileSelected, this, &RunPage::setOutput);
    dialog->open();
}

void RunPage::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    refreshFiles();
}

bool RunPage::listFiles()
{
    clearLayout(m_files);
    if (!m_session.isOpen() || m_output->text().isEmpty())
        return false;
    const auto estimate = m_session.estimateFor(m_output->text());
    if (!estimate)
        return false;
    bool anyExists = false;
    int row = 0;
    for (const OutputFile& file : estimate->outputs) {
        const QString name = fromPath(file.path);
        anyExists = anyExists || QFileInfo::exists(name);
        auto* nameLabel = new QLabel(QFileInfo(name).fileName());
        nameLabel->setFont(ui::font(FontRole::Mono));
        auto* kind = new QLabel(file.kind == "adapter" ? tr("low-rank correction") : tr("model"));
        setTextLevel(kind, TextLevel::Label);
        auto* size = new QLabel(fileSize(file.bytes));
        size->setFont(ui::font(FontRole::Mono));
        size->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
        auto* badge = new SourceBadge;
        badge->setSource(Source::Exact);
        m_files->addWidget(nameLabel, row, 0);
        m_files->addWidget(kind, row, 1);
        m_files->addWidget(size, row, 2);
        m_files->addWidget(badge, row, 3);
        m_files->setColumnStretch(4, 1);
        ++row;
    }
    return anyExists;
}

void RunPage::offerResume()
{
    const auto earlier = m_run.isRunning() || m_output->text().isEmpty() ? Result<std::optional<UnfinishedRun>>(std::nullopt)
                                                                         : unfinishedRunAt(toPath(m_output->text()));
    const bool isThere = earlier && *earlier && (*earlier)->finished > 0;
    m_resume->setVisible(isThere);
    if (isThere)
        m_resume->setText(tr("Continue the unfinished run: %1 of %2 layers are done")
                              .arg(wholeNumber((*earlier)->finished), wholeNumber((*earlier)->planned)));
}

void RunPage::refreshFiles()
{
    if (!isVisible())
        return;  // a rank is dragged elsewhere, frame by frame; this page catches up when it is shown
    m_replace->setVisible(listFiles());
    offerResume();
    const QString wrong = obstacle();
    const bool isWritten = !m_run.isRunning() && m_run.lastResult() && !m_run.lastResult()->outputs.empty()
        && m_run.lastResult()->outputs.front().path == toPath(m_output->text());
    if (isWritten && !m_replace->isChecked())
        m_check->setText(tr("Written by the last run. Tick “Replace existing files” to write it again"));
    else
        m_check->setText(wrong.isEmpty() ? tr("✓ Free space, names and plan are in order") : QStringLiteral("▲ ") + wrong);
    m_start->setEnabled(m_session.isOpen() && (m_run.isRunning() || wrong.isEmpty()));
    m_start->setToolTip(m_start->isEnabled() ? QString() : wrong);  // reasons, not refusals
    if (!m_run.isRunning())
        m_start->setText(tr("Quantize and export"));
}

QString RunPage::obstacle() const
{
    if (!m_session.isOpen())
        return tr("Open a model first");
    if (m_output->text().isEmpty())
        return tr("Choose where to write the model");
    const auto estimate = m_session.estimateFor(m_output->text());
    if (!estimate)
        return textOf(estimate.error());
    for (const OutputFile& file : estimate->outputs) {
        if (!m_replace->isChecked() && QFileInfo::exists(fromPath(file.path)))
            return tr("%1 exists: tick “Replace existing files” or choose another name").arg(QFileInfo(fromPath(file.path)).fileName());
    }
    const QFileInfo folder(QFileInfo(m_output->text()).absolutePath());
    if (!folder.isDir())
        return tr("The folder %1 does not exist").arg(folder.absoluteFilePath());
    if (!folder.isWritable())
        return tr("The folder %1 cannot be written").arg(folder.absoluteFilePath());
    const QStorageInfo disk(folder.absoluteFilePath());
    if (disk.isValid() && disk.bytesAvailable() >= 0 && static_cast<Bytes>(disk.bytesAvailable()) < estimate->total)
        return tr("%1 needed, %2 free").arg(fileSize(estimate->total), fileSize(static_cast<Bytes>(disk.bytesAvailable())));
    return {};
}

void RunPage::startOrExplain()
{
    const QString wrong = obstacle();
    if (!wrong.isEmpty()) {
        showMessage(QStringLiteral("▲"), wrong);
        focusOutput();
        return;
    }
    // Where nothing lies beside the output both mean the same: begin.
    m_run.start(m_output->text(), m_replace->isChecked(), m_resume->isChecked() ? Unfinished::Resume : Unfinished::Discard);
}

void RunPage::showProgress(double fraction, const QString& subject)
{
    m_progress->setValue(static_cast<int>(1000 * fraction));
    const QString left = m_run.timeLeftText();
    showMessage({}, left.isEmpty() ? subject : tr("%1 · %2", "layer · time left").arg(subject, left));
}

void RunPage::showFinished()
{
    const RunResult& result = *m_run.lastResult();
    m_progress->hide();
    m_model->setAll(result.tensors);
    m_empty->hide();
    m_table->show();
    const double bits = result.elements == 0 ? 0 : 8.0 * static_cast<double>(result.writtenBytes) / static_cast<double>(result.elements);
    showMessage(QStringLiteral("✓"), tr("%1 written, read back and compared in %2 s · %3 bits per weight, all files")
                                         .arg(fileSize(result.writtenBytes), number3(result.seconds), QLocale().toString(bits, 'f', 2)));
    if (const ExporterRow* exporter = findExporter("gguf")) {
        SizeEstimate written = result.estimate;
        written.outputs = result.outputs;
        m_command->setText(QString::fromStdString(exporter->loadCommand(written)));
        m_command->setCursorPosition(0);
        m_commandRow->show();
    }
    refreshFiles();
}

void RunPage::showMessage(const QString& glyph, const QString& text)
{
    m_message->setText(glyph.isEmpty() ? text : glyph + QLatin1Char(' ') + text);
}

}  // namespace sigmascope::ui
