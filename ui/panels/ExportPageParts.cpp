// SPDX-License-Identifier: GPL-3.0-or-later
// What the Export page is made of.

#include "ui/Theme.h"
#include "ui/models/ExportMatrixModel.h"
#include "ui/panels/ExportOptions.h"
#include "ui/panels/ExportPage.h"
#include "ui/panels/ExportParts.h"
#include "ui/session/ExportChoice.h"
#include "ui/session/Session.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"

#include <QButtonGroup>
#include <QClipboard>
#include <QGridLayout>
#include <QGuiApplication>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QTableView>
#include <QVBoxLayout>

namespace sigmascope::ui {

namespace {

QString targetId(const ExporterRow& row)
{
    return QString::fromUtf8(row.id.data(), static_cast<qsizetype>(row.id.size()));
}

}  // namespace

void ExportPage::buildCards(QVBoxLayout* page)
{
    m_cards = new QButtonGroup(this);
    constexpr int kColumns = 3;
    auto* grid = new QGridLayout;
    grid->setSpacing(px(12));
    int number = 0;
    for (const ExporterRow& exporter : exporters()) {
        auto* card = new ExportCard(runtimeTitle(exporter));
        card->setObjectName(QStringLiteral("target-") + targetId(exporter));
        m_cards->addButton(card, number);
        grid->addWidget(card, number / kColumns, number % kColumns);
        ++number;
    }
    for (int column = 0; column < kColumns; ++column)
        grid->setColumnStretch(column, 1);
    page->addLayout(grid);
    connect(m_cards, &QButtonGroup::idToggled, this, [this](int id, bool isChecked) {
        if (isChecked)
            m_choice.setTarget(targetId(exporters()[static_cast<std::size_t>(id)]));
    });
}

/// What would have to change, and the button that changes it. As wide as the cards, hidden where nothing is refused.
QWidget* ExportPage::buildNearest()
{
    m_nearest = new QWidget;
    m_nearest->setBackgroundRole(QPalette::Window);
    m_nearest->setAutoFillBackground(true);
    m_nearestText = new QLabel;
    m_nearestText->setWordWrap(true);
    m_nearestText->setTextFormat(Qt::PlainText);
    m_nearestText->setMinimumWidth(1);
    m_useNearest = new QPushButton(tr("Use the nearest plan"));
    m_useNearest->setObjectName(QStringLiteral("useNearest"));
    m_useNearest->setToolTip(tr("Changes the plan in one step, which Ctrl+Z takes back"));
    auto* row = new QHBoxLayout(m_nearest);
    row->setContentsMargins(px(16), px(8), px(12), px(8));
    row->setSpacing(px(16));
    row->addWidget(m_nearestText, 1);
    row->addWidget(m_useNearest, 0, Qt::AlignVCenter);
    m_nearest->hide();
    connect(m_useNearest, &QPushButton::clicked, &m_choice, &ExportChoice::useNearest);
    return m_nearest;
}

/// Never scrolls away: what stands in the way, and the one thing to do.
QWidget* ExportPage::buildFooter()
{
    auto* made = new QWidget;
    m_obstacle = new ElidedLabel;
    setTextLevel(m_obstacle, TextLevel::Label);
    m_write = new QPushButton;
    m_write->setObjectName(QStringLiteral("write"));
    makePrimary(m_write);
    auto* row = new QHBoxLayout;
    row->setContentsMargins(px(24), px(8), px(24), px(8));
    row->setSpacing(px(16));
    row->addWidget(m_obstacle, 1);
    row->addWidget(m_write);
    auto* column = new QVBoxLayout(made);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(hairline(made));
    column->addLayout(row);
    connect(m_write, &QPushButton::clicked, this, &ExportPage::writeRequested);
    return made;
}

QWidget* ExportPage::buildCarries()
{
    auto* made = new QWidget;
    auto* column = new QVBoxLayout(made);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(px(8));
    buildMatrix(column);
    for (QLabel** text : {&m_reasons, &m_notes}) {
        *text = new QLabel;
        (*text)->setWordWrap(true);
        (*text)->setFont(ui::font(FontRole::Caption));
        (*text)->setTextFormat(Qt::PlainText);
        (*text)->setTextInteractionFlags(Qt::TextSelectableByMouse);
        setTextLevel(*text, TextLevel::Label);
        (*text)->setMinimumWidth(1);  // whatever long name stands in it, what is beside it stays in view
        column->addWidget(*text);
    }
    column->addSpacing(px(8));
    m_copy = new QPushButton(tr("Copy"));
    m_copy->setObjectName(QStringLiteral("copyCommand"));
    m_copy->setAccessibleName(tr("Copy the command"));
    auto* load = new QHBoxLayout;
    load->addWidget(sectionTitle(tr("Load it")), 1);
    load->addWidget(m_copy);
    column->addLayout(load);
    m_command = new CommandText;
    m_command->setPlaceholderText(tr("No command: nothing can be written"));
    m_command->setAccessibleName(tr("Command that loads the files"));
    column->addWidget(m_command);
    column->addStretch(1);
    connect(m_copy, &QPushButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(command()); });
    return made;
}

void ExportPage::buildMatrix(QVBoxLayout* column)
{
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
    m_matrix->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Fixed);
    m_matrix->setColumnWidth(0, px(156));
    m_matrix->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_matrix->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_matrix->setFixedHeight(px(24) + 6 * px(38) + 2);
    m_matrix->setAccessibleName(tr("Parts of the plan and what each runtime makes of them"));
    new TableExport(
        m_matrix, [this] { return m_session.name() + QStringLiteral("-export"); }, [this] { return m_model->asCsv(); });
    column->addWidget(m_matrix);
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
    m_options = new ExportOptions(m_session, m_choice);
    column->addWidget(m_options);
    column->addSpacing(px(4));
    column->addWidget(hairline(made));
    addChecks(column);
    column->addStretch(1);
    connect(m_output, &QLineEdit::textEdited, &m_choice, &ExportChoice::setOutput);
    connect(browse, &QPushButton::clicked, this, &ExportPage::chooseOutput);
    return made;
}

void ExportPage::addChecks(QVBoxLayout* column)
{
    auto* rows = new QVBoxLayout;
    rows->setSpacing(0);
    column->addLayout(rows);
    const auto add = [rows](const QString& title) {
        auto* row = new CheckRow(title);
        rows->addWidget(row);
        return row;
    };
    rows->addWidget(sectionTitle(tr("Checks before writing")));
    rows->addSpacing(px(4));
    m_plan = add(tr("Plan"));
    m_folder = add(tr("Folder"));
    m_space = add(tr("Free space"));
    m_existing = add(tr("Existing files"));
    m_earlier = add(tr("Unfinished run"));
    rows->addSpacing(px(8));
    rows->addWidget(sectionTitle(tr("After writing")));
    rows->addSpacing(px(4));
    m_compared = add(tr("Re-read and compare"));
    m_sizes = add(tr("Sizes as announced"));
    m_renamed = add(tr("Rename into place"));
}

}  // namespace sigmascope::ui
