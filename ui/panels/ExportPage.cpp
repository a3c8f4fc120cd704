// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/ExportPage.h"

#include "ui/Theme.h"
#include "ui/models/ExportMatrixModel.h"
#include "ui/panels/ExportParts.h"
#include "ui/session/ExportChoice.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Counted.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"

#include <QButtonGroup>
#include <QClipboard>
#include <QFileDialog>
#include <QFileInfo>
#include <QGridLayout>
#include <QGuiApplication>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QTableView>
#include <QVBoxLayout>

#include <array>

namespace sigmascope::ui {

namespace {

QString idOf(const ExporterRow& row)
{
    return QString::fromUtf8(row.id.data(), static_cast<qsizetype>(row.id.size()));
}

void clearLayout(QLayout* layout)
{
    while (QLayoutItem* item = layout->takeAt(0)) {
        delete item->widget();
        delete item;
    }
}

}  // namespace

ExportPage::ExportPage(Session& session, RunController& run, ExportChoice& choice, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_run(run)
    , m_choice(choice)
    , m_model(new ExportMatrixModel(session, this))
{
    auto* content = new QWidget;
    auto* page = new QVBoxLayout(content);
    page->setContentsMargins(px(24), px(16), px(24), px(16));
    page->setSpacing(px(12));
    auto* title = new QLabel(tr("Export"));
    title->setFont(ui::font(FontRole::PageTitle));
    m_facts = new QLabel;
    setTextLevel(m_facts, TextLevel::Label);
    auto* head = new QHBoxLayout;
    head->setSpacing(px(12));
    head->addWidget(title);
    head->addWidget(m_facts, 1);
    page->addLayout(head);
    buildCards(page);
    auto* body = new QHBoxLayout;
    body->setSpacing(px(32));
    body->addWidget(buildCarries(), 1);
    body->addWidget(buildFiles());
    page->addSpacing(px(8));
    page->addLayout(body, 1);
    auto* scroll = new QScrollArea;
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setWidget(content);
    for (QWidget* ground : {static_cast<QWidget*>(this), content, scroll->viewport()}) {
        ground->setBackgroundRole(QPalette::Base);
        ground->setAutoFillBackground(true);
    }
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(scroll);
    connect(&m_choice, &ExportChoice::changed, this, &ExportPage::refresh);
    connect(&m_choice, &ExportChoice::offersChanged, this, &ExportPage::showOffers);
    for (const auto signal : {&Session::opened, &Session::closed, &Session::calibrationChanged})
        connect(&m_session, signal, this, &ExportPage::refresh);
    connect(&m_session, &Session::planChanged, this, &ExportPage::refresh);
    for (const auto signal : {&RunController::started, &RunController::finished, &RunController::cancelled})
        connect(&m_run, signal, this, &ExportPage::refresh);
    connect(&m_run, &RunController::failed, this, &ExportPage::refresh);
}

void ExportPage::buildCards(QVBoxLayout* page)
{
    m_cards = new QButtonGroup(this);
    constexpr int kColumns = 3;
    auto* grid = new QGridLayout;
    grid->setSpacing(px(12));
    int number = 0;
    for (const ExporterRow& exporter : exporters()) {
        auto* card = new ExportCard(runtimeTitle(exporter));
        card->setObjectName(QStringLiteral("target-") + idOf(exporter));
        m_cards->addButton(card, number);
        grid->addWidget(card, number / kColumns, number % kColumns);
        ++number;
    }
    for (int column = 0; column < kColumns; ++column)
        grid->setColumnStretch(column, 1);
    page->addLayout(grid);
    connect(m_cards, &QButtonGroup::idToggled, this, [this](int id, bool isChecked) {
        if (isChecked)
            m_choice.setTarget(idOf(exporters()[static_cast<std::size_t>(id)]));
    });
}

ExportCard* ExportPage::card(const QString& target) const
{
    return findChild<ExportCard*>(QStringLiteral("target-") + target);
}

QWidget* ExportPage::buildCarries()
{
    auto* made = new QWidget;
    auto* column = new QVBoxLayout(made);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(px(8));
    auto* legend = caption(tr("✓ as planned   ▲ changed   ✕ lost"));
    auto* head = new QHBoxLayout;
    head->addWidget(sectionTitle(tr("What each runtime can carry")), 1);
    head->addWidget(legend);
    column->addLayout(head);
    m_matrix = new QTableView;
    m_matrix->setModel(m_model);
    m_matrix->setItemDelegate(new ExportMatrixDelegate(m_matrix));
    m_matrix->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_matrix->setSelectionMode(QAbstractItemView::SingleSelection);
    m_matrix->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_matrix->setShowGrid(false);
    m_matrix->setTabKeyNavigation(false);
    m_matrix->setFrameShape(QFrame::NoFrame);
    m_matrix->verticalHeader()->hide();
    m_matrix->verticalHeader()->setDefaultSectionSize(px(38));
    m_matrix->horizontalHeader()->setHighlightSections(false);
    m_matrix->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
    m_matrix->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_matrix->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_matrix->setFixedHeight(px(24) + 6 * px(38) + 2);
    m_matrix->setAccessibleName(tr("Parts of the plan and what each runtime makes of them"));
    new TableExport(
        m_matrix, [this] { return m_session.name() + QStringLiteral("-export"); }, [this] { return m_model->asCsv(); });
    column->addWidget(m_matrix);
    m_reasons = new QLabel;
    m_reasons->setWordWrap(true);
    m_reasons->setFont(ui::font(FontRole::Caption));
    m_reasons->setTextInteractionFlags(Qt::TextSelectableByMouse);
    setTextLevel(m_reasons, TextLevel::Label);
    column->addWidget(m_reasons);
    column->addSpacing(px(8));
    m_copy = new QPushButton(tr("Copy"));
    m_copy->setObjectName(QStringLiteral("copyCommand"));
    m_copy->setAccessibleName(tr("Copy the command"));
    auto* load = new QHBoxLayout;
    load->addWidget(sectionTitle(tr("Load it")), 1);
    load->addWidget(m_copy);
    column->addLayout(load);
    m_command = new QLabel;
    m_command->setFont(ui::font(FontRole::Mono));
    m_command->setTextFormat(Qt::PlainText);
    m_command->setWordWrap(true);
    m_command->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_command->setMargin(px(12));
    m_command->setBackgroundRole(QPalette::Window);
    m_command->setAutoFillBackground(true);
    m_command->setAccessibleName(tr("Command that loads the files"));
    column->addWidget(m_command);
    column->addStretch(1);
    connect(m_copy, &QPushButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(command()); });
    return made;
}

QWidget* ExportPage::buildFiles()
{
    auto* made = new QWidget;
    made->setFixedWidth(px(348));
    auto* column = new QVBoxLayout(made);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(px(6));
    column->addWidget(sectionTitle(tr("Files")));
    m_output = new QLineEdit;
    m_output->setObjectName(QStringLiteral("output"));
    m_output->setFont(ui::font(FontRole::Mono));
    m_output->setAccessibleName(tr("Output"));
    auto* browse = new QPushButton(tr("Browse…"));
    browse->setObjectName(QStringLiteral("chooseOutput"));
    auto* row = new QHBoxLayout;
    row->setSpacing(px(6));
    row->addWidget(m_output, 1);
    row->addWidget(browse);
    column->addLayout(row);
    auto* files = new QWidget;
    m_files = new QGridLayout(files);
    m_files->setContentsMargins(0, px(2), 0, px(2));
    m_files->setHorizontalSpacing(px(8));
    m_files->setVerticalSpacing(px(4));
    column->addWidget(files);
    column->addWidget(hairline(made));
    addChecks(column);
    column->addWidget(hairline(made));
    m_write = new QPushButton;
    m_write->setObjectName(QStringLiteral("write"));
    makePrimary(m_write);
    auto* action = new QHBoxLayout;
    action->addStretch(1);
    action->addWidget(m_write);
    column->addSpacing(px(4));
    column->addLayout(action);
    column->addStretch(1);
    connect(m_output, &QLineEdit::textEdited, &m_choice, &ExportChoice::setOutput);
    connect(browse, &QPushButton::clicked, this, &ExportPage::chooseOutput);
    connect(m_write, &QPushButton::clicked, this, &ExportPage::writeRequested);
    return made;
}

void ExportPage::addChecks(QVBoxLayout* column)
{
    const auto add = [column](const QString& title) {
        auto* row = new CheckRow(title);
        column->addWidget(row);
        return row;
    };
    column->addWidget(sectionTitle(tr("Checks before writing")));
    m_plan = add(tr("Plan"));
    m_folder = add(tr("Folder"));
    m_space = add(tr("Free space"));
    m_existing = add(tr("Existing files"));
    m_earlier = add(tr("Unfinished run"));
    column->addSpacing(px(6));
    column->addWidget(sectionTitle(tr("After writing")));
    m_compared = add(tr("Re-read and compare"));
    m_sizes = add(tr("Sizes as announced"));
    m_renamed = add(tr("Rename into place"));
    column->addSpacing(px(4));
}

void ExportPage::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_choice.invalidate();  // files may have come or gone meanwhile
    refresh();
}

void ExportPage::refresh()
{
    if (!isVisible())
        return;
    if (m_output->text() != m_choice.output())
        m_output->setText(m_choice.output());
    m_choice.refresh();
    showOffers();
}

void ExportPage::showOffers()
{
    if (!isVisible())
        return;
    m_model->show(m_choice.offers(), m_choice.target());
    for (const ExportOffer& offer : m_choice.offers()) {
        ExportCard* shown = card(idOf(*offer.exporter));
        shown->show(containerTitle(offer), offer.sizes ? fileSize(offer.sizes->total) : QStringLiteral("–"),
                    verdictFit(offer), verdictText(offer));
        if (offer.exporter == &m_choice.exporter())
            shown->setChecked(true);
    }
    const ExportOffer* offer = m_choice.offer();
    QStringList facts{m_session.name()};
    if (offer != nullptr && offer->sizes && m_session.isOpen())
        facts << tr("%1 bits per weight, all files")
                     .arg(decimals(offer->sizes->bitsPerWeight(m_session.checkpoint()->totalElements()), 2));
    m_facts->setText(m_session.isOpen() ? facts.join(QStringLiteral(" · ")) : tr("Open a model first"));
    const QStringList reasons = offer == nullptr ? QStringList() : reasonsOf(*offer, 2);
    m_reasons->setText(
        reasons.isEmpty()
            ? QString()
            : tr("%1: %2", "runtime, reasons").arg(runtimeTitle(*offer->exporter), reasons.join(QStringLiteral(". "))));
    m_reasons->setVisible(!reasons.isEmpty());
    const bool hasCommand = offer != nullptr && !offer->command.isEmpty();
    m_command->setText(hasCommand ? offer->command : tr("No command: nothing can be written"));
    setTextLevel(m_command, hasCommand ? TextLevel::Text : TextLevel::Hint);
    m_copy->setEnabled(hasCommand);
    showFiles();
    showChecks();
}

void ExportPage::showFiles()
{
    clearLayout(m_files);
    const ExportOffer* offer = m_choice.offer();
    if (offer == nullptr || !offer->sizes)
        return;
    constexpr std::size_t kMost = 4;
    std::vector<OutputFile> shown;
    OutputFile beside;  // what a model's folder holds next to the weights, as one
    std::uint64_t countBeside = 0;
    for (const OutputFile& file : offer->sizes->outputs) {
        if (file.kind == "model" || file.kind == "adapter") {
            shown.push_back(file);
            continue;
        }
        beside.bytes += file.bytes;
        ++countBeside;
    }
    int row = 0;
    const auto add = [this, &row](const QString& name, const QString& tip, Bytes bytes) {
        auto* label = new ElidedLabel(name);
        label->setElideMode(Qt::ElideMiddle);
        label->setFont(ui::font(FontRole::Mono));
        label->setToolTip(tip);
        auto* size = new QLabel(fileSize(bytes));
        size->setFont(ui::font(FontRole::Mono));
        size->setToolTip(tr("%1 bytes, exact").arg(wholeNumber(bytes)));
        size->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
        m_files->addWidget(label, row, 0);
        m_files->addWidget(size, row++, 1);
    };
    Bytes rest = 0;
    for (std::size_t i = 0; i < shown.size(); ++i) {
        if (i < kMost || shown.size() == kMost + 1)
            add(QFileInfo(fromPath(shown[i].path)).fileName(),
                shown[i].kind == "adapter" ? tr("low-rank correction") : tr("model"), shown[i].bytes);
        else
            rest += shown[i].bytes;
    }
    if (rest > 0)
        add(tr("and %1 more").arg(shown.size() - kMost), tr("parts of the model"), rest);
    if (countBeside > 0)
        add(counted(countBeside, tr("1 file beside it"), tr("%1 files beside them")),
            tr("configuration, tokenizer, index of the parts"), beside.bytes);
    m_files->setColumnStretch(0, 1);
}

void ExportPage::showChecks()
{
    using State = CheckRow::State;
    const ExportOffer* offer = m_choice.offer();
    const bool isKnown = offer != nullptr && m_session.isOpen();
    const bool isTaken = isKnown && offer->verdict.refusals.empty() && offer->sizes;
    if (!isKnown) {
        for (CheckRow* row : {m_plan, m_folder, m_space, m_existing, m_earlier, m_compared, m_sizes, m_renamed})
            row->show(State::Pending, {});
        m_earlier->hide();
        m_write->setText(tr("Write files"));
        m_write->setEnabled(false);
        return;
    }
    m_plan->show(isTaken ? State::Passed : State::Failed,
                 isTaken ? tr("every layer can be written") : tr("not for this runtime"));
    const bool isFine = offer->folder == ExportOffer::Folder::Fine;
    m_folder->show(isFine ? State::Passed : State::Failed,
                   isFine                                              ? offer->folderName
                       : offer->folder == ExportOffer::Folder::Missing ? tr("does not exist")
                                                                       : tr("cannot be written"));
    const bool hasRoom
        = !offer->freeBytes || !offer->sizes || offer->unfinished || *offer->freeBytes >= offer->sizes->total;
    m_space->show(hasRoom ? State::Passed : State::Failed,
                  offer->freeBytes && offer->sizes
                      ? tr("%1, needs %2").arg(fileSize(*offer->freeBytes), fileSize(offer->sizes->total))
                      : QString());
    const int existing = static_cast<int>(offer->existing.size());
    m_existing->show(existing == 0 ? State::Passed : State::Notable,
                     existing == 0
                         ? tr("nothing is replaced")
                         : counted(static_cast<std::uint64_t>(existing), tr("1 replaced at the end, after asking"),
                                   tr("%1 replaced at the end, after asking")));
    m_earlier->setVisible(offer->unfinished.has_value() && !m_run.isRunning());
    if (offer->unfinished)
        m_earlier->show(State::Notable,
                        tr("%1 of %2 layers are done")
                            .arg(wholeNumber(offer->unfinished->finished), wholeNumber(offer->unfinished->planned)));
    const bool isWritten = !m_run.isRunning() && m_run.lastResult()
        && m_run.request().output == toPath(m_choice.output())
        && m_run.request().plan.target == m_choice.target().toStdString();
    const State after = isWritten ? State::Passed : State::Pending;
    m_compared->show(after, tr("every tensor of every file"));
    m_sizes->show(after, isWritten ? fileSize(m_run.lastResult()->writtenBytes) : tr("to the byte"));
    m_renamed->show(after, tr("only if both pass"));
    const QString wrong = ExportChoice::obstacle(*offer);
    m_write->setText(offer->sizes ? counted(offer->sizes->outputs.size(), tr("Write 1 file"), tr("Write %1 files"))
                                  : tr("Write files"));
    m_write->setEnabled(wrong.isEmpty() && !m_run.isRunning());
    m_write->setToolTip(m_run.isRunning() ? tr("A run is under way; see Quantize") : wrong);  // reasons, not refusals
}

void ExportPage::chooseOutput()
{
    auto* dialog = new QFileDialog(this, tr("Write the model to"), m_output->text());
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    if (m_choice.target() == QLatin1String("gguf")) {
        dialog->setNameFilter(tr("GGUF model (*.gguf)"));
        dialog->setDefaultSuffix(QStringLiteral("gguf"));
    }
    dialog->setOption(QFileDialog::DontConfirmOverwrite);  // asked for all files at once, when they are written
    connect(dialog, &QFileDialog::fileSelected, &m_choice, &ExportChoice::setOutput);
    dialog->open();
}

QString ExportPage::command() const
{
    const ExportOffer* offer = m_choice.offer();
    return offer == nullptr ? QString() : offer->command;
}

QString ExportPage::reasons() const
{
    return m_reasons->isVisibleTo(this) ? m_reasons->text() : QString();
}

void ExportPage::focusOutput()
{
    m_output->setFocus(Qt::ShortcutFocusReason);
}

}  // namespace sigmascope::ui
