// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/ExportPage.h"

#include "core/lowrank/LowRank.h"
#include "ui/Theme.h"
#include "ui/models/ExportMatrixModel.h"
#include "ui/panels/ExportOptions.h"
#include "ui/panels/ExportParts.h"
#include "ui/session/ExportChoice.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Counted.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"

#include <QButtonGroup>
#include <QFileDialog>
#include <QFileInfo>
#include <QGridLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

namespace {

/// What of a layer's plan another one lacks: "int4-g128", "rank 64 in F32"; empty where only the encoder differs.
QString differenceText(const LayerPlan& plan, const LayerPlan& other)
{
    if (plan.keep)
        return ExportPage::tr("kept as it is");
    QStringList parts;
    if (other.keep || plan.grid != other.grid)
        parts << QString::fromStdString(plan.grid);
    if (plan.rank == 0) {
        if (!other.keep && other.rank > 0)
            parts << ExportPage::tr("no correction");
    } else if (other.keep || plan.rank != other.rank || plan.factors != other.factors) {
        const std::string_view type = factorName(plan.factors);
        parts << ExportPage::tr("rank %1 in %2", "correction, type of its factors")
                     .arg(wholeNumber(plan.rank), QString::fromUtf8(type.data(), static_cast<qsizetype>(type.size())));
    }
    return parts.join(QStringLiteral(", "));
}

/// "28 layers: int4-g128 instead of q4_0, −0.375 bits per weight (compressed-tensors cannot carry grid 'q4_0')"
QString lineOf(const NearestChange& change)
{
    const QString to = differenceText(change.to, change.from);
    const QString what = to.isEmpty()
        ? ExportPage::tr("another encoder")
        : ExportPage::tr("%1 instead of %2, %3 bits per weight", "plan, earlier plan, +0.375")
              .arg(to, differenceText(change.from, change.to),
                   QString(change.bits < 0 ? QChar(0x2212) : QLatin1Char('+')) + number3(std::fabs(change.bits)));
    return ExportPage::tr("%1: %2 (%3)", "layers, change of the plan, reason")
        .arg(counted(change.layers, change.name, ExportPage::tr("%1 layers")), what,
             change.reason.isEmpty() ? ExportPage::tr("as its siblings") : change.reason);
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
    m_facts = new ElidedLabel;
    setTextLevel(m_facts, TextLevel::Label);
    auto* head = new QHBoxLayout;
    head->setSpacing(px(12));
    head->addWidget(title);
    head->addWidget(m_facts, 1);
    page->addLayout(head);
    buildCards(page);
    page->addWidget(buildNearest());
    auto* body = new QHBoxLayout;
    body->setSpacing(px(32));
    body->addWidget(buildCarries(), 1);
    body->addWidget(buildFiles());
    page->addSpacing(px(4));
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
    layout->setSpacing(0);
    layout->addWidget(scroll, 1);
    layout->addWidget(buildFooter());
    connectSources();
}

void ExportPage::connectSources()
{
    connect(&m_choice, &ExportChoice::nearestChanged, this, &ExportPage::showNearest);
    connect(&m_choice, &ExportChoice::changed, this, &ExportPage::refresh);
    connect(&m_choice, &ExportChoice::offersChanged, this, &ExportPage::showOffers);
    for (const auto signal : {&Session::opened, &Session::closed, &Session::calibrationChanged})
        connect(&m_session, signal, this, &ExportPage::refresh);
    connect(&m_session, &Session::planChanged, this, &ExportPage::refresh);
    for (const auto signal : {&RunController::started, &RunController::finished, &RunController::cancelled})
        connect(&m_run, signal, this, &ExportPage::refresh);
    connect(&m_run, &RunController::failed, this, &ExportPage::refresh);
}

ExportCard* ExportPage::card(const QString& target) const
{
    return findChild<ExportCard*>(QStringLiteral("target-") + target);
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
        ExportCard* shown = card(QString::fromUtf8(offer.exporter->id));
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
    if (m_command->toPlainText() != command())  // what is selected in it stays
        m_command->setPlainText(command());
    m_copy->setEnabled(!command().isEmpty());
    showReasons();
    showNearest();
    showFiles();
    showChecks();
}

void ExportPage::showReasons()
{
    const ExportOffer* offer = m_choice.offer();
    const QStringList reasons = offer == nullptr ? QStringList() : reasonsOf(*offer, 2);
    m_reasons->setText(
        reasons.isEmpty()
            ? QString()
            : tr("%1: %2", "runtime, reasons").arg(runtimeTitle(*offer->exporter), reasons.join(QStringLiteral(". "))));
    m_reasons->setVisible(!reasons.isEmpty());
    constexpr std::size_t kMostNotes = 3;
    QStringList notes;
    if (offer != nullptr && offer->again)
        notes << QStringLiteral("▲ ")
                + tr("%1 of %2 layers were quantized before (%3): errors are the loss added to that")
                      .arg(wholeNumber(offer->again->quantized), wholeNumber(offer->again->layers),
                           QString::fromStdString(offer->again->formats));
    if (offer != nullptr && offer->sizes) {
        const std::vector<std::string>& all = offer->sizes->notes;
        for (std::size_t i = 0; i < std::min(all.size(), kMostNotes); ++i)
            notes << QStringLiteral("▲ ") + QString::fromStdString(all[i]);
        if (all.size() > kMostNotes)
            notes << tr("▲ and %1 more").arg(all.size() - kMostNotes);
    }
    m_notes->setText(notes.join(QLatin1Char('\n')));
    m_notes->setVisible(!notes.isEmpty());
}

void ExportPage::showNearest()
{
    const NearestOffer* nearest = m_choice.nearest();
    m_nearest->setVisible(nearest != nullptr && isVisible());
    if (nearest == nullptr)
        return;
    QStringList lines{tr("The nearest plan that %1 takes:").arg(runtimeTitle(m_choice.exporter()))};
    for (const NearestChange& change : nearest->changes)
        lines << lineOf(change);
    if (nearest->further > 0)
        lines << counted(nearest->further, tr("and 1 more kind of change"), tr("and %1 more kinds of change"));
    m_nearestText->setText(lines.join(QLatin1Char('\n')));
    m_useNearest->setEnabled(!m_run.isRunning());
}

void ExportPage::showFiles()
{
    clearLayout(m_files);
    const ExportOffer* offer = m_choice.offer();
    const bool isKnown = offer != nullptr && offer->sizes;
    m_files->parentWidget()->setVisible(isKnown);
    if (!isKnown)
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
        add(counted(countBeside, tr("1 other file"), tr("%1 other files")),
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
        m_obstacle->setText({});
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
    const QString room = offer->freeBytes ? fileSize(*offer->freeBytes) : QString();
    m_space->show(!offer->sizes ? State::Pending
                      : hasRoom ? State::Passed
                                : State::Failed,
                  room.isEmpty() || !offer->sizes ? room
                                                  : tr("%1, needs %2").arg(room, fileSize(offer->sizes->total)));
    const std::size_t existing = offer->existing.size();
    if (!offer->sizes)  // nor which files there would be
        m_existing->show(State::Pending, {});
    else
        m_existing->show(existing == 0 ? State::Passed : State::Notable,
                         existing == 0 ? tr("nothing is replaced")
                                       : counted(existing, tr("1 replaced at the end, after asking"),
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
    showObstacle(*offer);
}

void ExportPage::showObstacle(const ExportOffer& offer)
{
    const QString wrong = ExportChoice::obstacle(offer);
    m_write->setText(offer.sizes ? counted(offer.sizes->outputs.size(), tr("Write 1 file"), tr("Write %1 files"))
                                 : tr("Write files"));
    m_write->setEnabled(wrong.isEmpty() && !m_run.isRunning());
    const QString reason = m_run.isRunning() ? tr("A run is under way; see Quantize") : wrong;  // reasons, not refusals
    m_write->setToolTip(reason);
    // The whole of it stands above.
    m_obstacle->setText(m_run.isRunning() || offer.verdict.refusals.empty()
                            ? reason
                            : tr("%1 cannot carry this plan; the reason stands above")
                                  .arg(runtimeTitle(*offer.exporter)));
    m_obstacle->setToolTip(reason);
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

QString ExportPage::nearestText() const
{
    return m_nearest->isHidden() ? QString() : m_nearestText->text();
}

QString ExportPage::notes() const
{
    return m_notes->text();
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
