// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/RulesPanel.h"

#include "core/plan/TypeOverrides.h"
#include "ui/Theme.h"
#include "ui/models/RulesModel.h"
#include "ui/models/TypesModel.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Counted.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/SegmentedControl.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QListView>
#include <QPainter>
#include <QStandardItemModel>
#include <QStyledItemDelegate>
#include <QTableView>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>
#include <functional>
#include <utility>

namespace sigmascope::ui {

namespace {

enum PresetRole { IdRole = Qt::UserRole + 1, FactsRole, InUseRole };

/// Tells every letter of a pattern that is being typed.
class RuleDelegate : public QStyledItemDelegate {
public:
    RuleDelegate(int pattern, std::function<void(const QString&)> tell, QObject* parent)
        : QStyledItemDelegate(parent)
        , m_pattern(pattern)
        , m_tell(std::move(tell))
    {
    }
    QWidget* createEditor(QWidget* parent, const QStyleOptionViewItem&, const QModelIndex& index) const override
    {
        auto* field = new QLineEdit(parent);
        field->setFont(ui::font(FontRole::Mono));
        field->setFrame(false);
        field->setAutoFillBackground(true);
        if (index.column() == m_pattern) {
            connect(field, &QLineEdit::textEdited, field, [this, field](const QString& text) {
                setBadEdge(field, !RulesModel::faultText(text).isEmpty());
                m_tell(text);
            });
        }
        return field;
    }
    // Elided in the middle: what tells patterns apart stands at both ends.
    void initStyleOption(QStyleOptionViewItem* option, const QModelIndex& index) const override
    {
        QStyledItemDelegate::initStyleOption(option, index);
        option->textElideMode = Qt::ElideMiddle;
    }

private:
    int m_pattern;
    std::function<void(const QString&)> m_tell;
};

/// Title, what it fixes, and "in use" on `seln`.
class PresetDelegate : public QStyledItemDelegate {
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    QSize sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const override { return {px(100), px(22)}; }
    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override
    {
        const Theme& theme = Theme::current();
        const bool isInUse = index.data(InUseRole).toBool();
        const bool hasFocus = option.state.testFlag(QStyle::State_HasFocus);
        if (option.state.testFlag(QStyle::State_Selected) && option.state.testFlag(QStyle::State_Active) && hasFocus)
            painter->fillRect(option.rect, theme.sel);
        else if (isInUse || option.state.testFlag(QStyle::State_MouseOver))
            painter->fillRect(option.rect, theme.seln);
        const QRect row = option.rect.adjusted(px(12), 0, -px(12), 0);
        painter->setFont(ui::font(FontRole::Body));
        painter->setPen(theme.tx);
        painter->drawText(row, Qt::AlignLeft | Qt::AlignVCenter, index.data().toString());
        const int title = painter->fontMetrics().horizontalAdvance(index.data().toString()) + px(12);
        painter->setFont(ui::font(FontRole::Caption));
        painter->setPen(theme.tx2);
        const QString right = isInUse ? RulesPanel::tr("in use") : QString();
        painter->drawText(row, Qt::AlignRight | Qt::AlignVCenter, right);
        const int used = right.isEmpty() ? 0 : painter->fontMetrics().horizontalAdvance(right) + px(8);
        const QRect facts = row.adjusted(std::max(px(88), title), 0, -used, 0);
        painter->drawText(
            facts, Qt::AlignLeft | Qt::AlignVCenter,
            painter->fontMetrics().elidedText(index.data(FactsRole).toString(), Qt::ElideRight, facts.width()));
        if (hasFocus) {
            painter->setPen(QPen(theme.acc, 1));
            painter->setBrush(Qt::NoBrush);
            painter->drawRect(option.rect.adjusted(0, 0, -1, -1));
        }
    }
};

QToolButton* button(const QString& text, const QString& tip)
{
    auto* made = new QToolButton;
    made->setText(text);
    made->setToolTip(tip);
    made->setAccessibleName(tip);
    made->setAutoRaise(true);
    made->setFixedHeight(px(22));
    return made;
}

/// At least those, and as wide as the titles, which other languages have longer.
void setWidths(QTableView* table, const std::vector<std::pair<int, int>>& widths)
{
    for (const auto& [section, width] : widths)
        table->setColumnWidth(section, std::max(px(width), table->horizontalHeader()->sectionSizeHint(section)));
}

QString words(std::string_view text)
{
    return QString::fromUtf8(text.data(), static_cast<int>(text.size()));
}

}  // namespace

RulesPanel::RulesPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_model(new RulesModel(session, this))
    , m_typesModel(new TypesModel(session, this))
{
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    buildRules();
    column->addWidget(hairline(this));
    buildPresets();
    connectRules();
    connect(&session, &Session::recipeRefused, this, &RulesPanel::refuse);
    connect(&session, &Session::recipeChanged, this, [this] {
        showMessage({});
        refreshPresets();
        showKind();
        selectEdited();
    });
    connect(&session, &Session::closed, this, [this] {
        m_countJob.cancel();
        refreshPresets();
        showKind();
    });
    connect(&session, &Session::exportTargetChanged, this, [this] {
        fillPresets();
        showKind();
    });
    connect(&session, &Session::selectionChanged, this, &RulesPanel::refreshButtons);
    refreshPresets();
    showKind();
}

void RulesPanel::styleTable(QTableView* table, int pattern, const QString& name)
{
    table->setSelectionBehavior(QAbstractItemView::SelectRows);
    table->setSelectionMode(QAbstractItemView::SingleSelection);
    table->setEditTriggers(QAbstractItemView::DoubleClicked | QAbstractItemView::EditKeyPressed);
    table->setShowGrid(false);
    table->setWordWrap(false);
    table->setFrameShape(QFrame::NoFrame);
    table->setTabKeyNavigation(false);
    table->setMouseTracking(true);
    table->verticalHeader()->hide();
    table->verticalHeader()->setDefaultSectionSize(px(22));
    table->horizontalHeader()->setHighlightSections(false);
    table->horizontalHeader()->setMinimumSectionSize(px(30));
    table->horizontalHeader()->setSectionResizeMode(QHeaderView::Fixed);
    table->horizontalHeader()->setSectionResizeMode(pattern, QHeaderView::Stretch);
    table->setAccessibleName(name);
    table->installEventFilter(this);
    table->viewport()->installEventFilter(this);
}

void RulesPanel::buildTables()
{
    m_table = new QTableView;
    m_table->setModel(m_model);
    m_table->setItemDelegate(new RuleDelegate(
        RulesModel::Pattern, [this](const QString& text) { patternTyped(text, false); }, m_table));
    styleTable(m_table, RulesModel::Pattern, tr("Rules"));
    setWidths(m_table, {{RulesModel::Bits, 58}, {RulesModel::Rank, 46}, {RulesModel::Layers, 54}});
    new TableExport(
        m_table, [this] { return m_session.name() + QStringLiteral("-rules"); }, [this] { return m_model->asCsv(); });
    m_types = new QTableView;
    m_types->setModel(m_typesModel);
    m_types->setItemDelegate(new RuleDelegate(
        TypesModel::Pattern, [this](const QString& text) { patternTyped(text, true); }, m_types));
    styleTable(m_types, TypesModel::Pattern, tr("GGUF types"));
    setWidths(m_types, {{TypesModel::Type, 66}, {TypesModel::Tensors, 64}});
    new TableExport(
        m_types, [this] { return m_session.name() + QStringLiteral("-types"); },
        [this] { return m_typesModel->asCsv(); });
}

void RulesPanel::buildRules()
{
    auto* column = static_cast<QVBoxLayout*>(layout());
    m_kind = new SegmentedControl;
    m_kind->setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Fixed);
    m_kind->setAccessibleName(tr("Rules of all targets, or GGUF types by hand"));
    m_add = button(QStringLiteral("+"), {});
    m_remove = button(QStringLiteral("−"), tr("Remove the rule. Del"));
    m_up = button(QStringLiteral("↑"), tr("Move the rule up. Alt+↑"));
    m_down = button(QStringLiteral("↓"), tr("Move the rule down. Alt+↓"));
    auto* head = new QHBoxLayout;
    head->setContentsMargins(px(12), px(8), px(6), px(6));
    head->setSpacing(0);
    head->addWidget(m_kind);
    head->addStretch(1);
    for (QToolButton* one : {m_add, m_remove, m_up, m_down})
        head->addWidget(one);
    column->addLayout(head);

    buildTables();
    auto* inset = new QHBoxLayout;
    inset->setContentsMargins(px(8), 0, px(8), 0);
    inset->addWidget(m_table);
    inset->addWidget(m_types);
    column->addLayout(inset);
    m_empty = caption({});
    m_empty->setWordWrap(true);
    m_empty->setContentsMargins(px(12), px(4), px(12), px(8));
    column->addWidget(m_empty);
    m_message = new QLabel;
    m_message->setWordWrap(true);
    m_message->setFont(ui::font(FontRole::Caption));
    m_message->setTextFormat(Qt::PlainText);
    m_message->setContentsMargins(px(12), px(4), px(12), px(6));
    m_message->hide();
    column->addWidget(m_message);
}

void RulesPanel::connectRules()
{
    connect(m_model, &RulesModel::refused, this, &RulesPanel::refuse);
    connect(m_typesModel, &TypesModel::refused, this, &RulesPanel::refuse);
    connect(m_kind, &SegmentedControl::valueChosen, this, [this](int kind) {
        m_kind->setValue(kind);
        showMessage({});
        showKind();
    });
    connect(m_add, &QToolButton::clicked, this, &RulesPanel::addRow);
    connect(m_remove, &QToolButton::clicked, this, [this] { removeRow(shownTable()->currentIndex().row()); });
    connect(m_up, &QToolButton::clicked, this, [this] { moveRow(shownTable()->currentIndex().row(), -1); });
    connect(m_down, &QToolButton::clicked, this, [this] { moveRow(shownTable()->currentIndex().row(), 1); });
    for (QTableView* table : {m_table, m_types}) {
        connect(table->itemDelegate(), &QAbstractItemDelegate::closeEditor, this,
                [this](QWidget*, QAbstractItemDelegate::EndEditHint hint) {
                    m_countJob.cancel();
                    const bool isGivenUp = hint == QAbstractItemDelegate::RevertModelCache;
                    if (isGivenUp || !message().startsWith(QChar(0x2715)))  // what was refused stays
                        showMessage({});
                });
        connect(table, &QTableView::entered, this, [this](const QModelIndex& index) { pointAt(index.row()); });
        connect(table->selectionModel(), &QItemSelectionModel::currentChanged, this, [this](const QModelIndex& index) {
            pointAt(index.row());
            refreshButtons();
        });
    }
}

QTableView* RulesPanel::shownTable() const
{
    return m_kind->value() == Types ? m_types : m_table;
}

void RulesPanel::showKind()
{
    const bool isGguf = m_session.exportTarget() == "gguf";
    m_kind->setSegments(
        {{Rules, tr("Rules"), true, tr("What layers get by their own names, for every target: the first match wins")},
         {Types, tr("GGUF types"), isGguf,
          isGguf ? tr("What tensors get by their names in GGUF, before all rules: llama-quantize's --tensor-type. The "
                      "first match wins")
                 : tr("Only GGUF has these types. Choose llama.cpp on the Export page")}});
    m_kind->setValue(m_kind->value() == Types && isGguf ? Types : Rules);
    const bool isTypes = m_kind->value() == Types;
    const QString add = isTypes ? tr("Add a type for tensors named like the selected one")
                                : tr("Add a rule for layers named like the selected one");
    m_add->setToolTip(add);
    m_add->setAccessibleName(add);
    m_empty->setText(isTypes ? tr("No types by hand: rules and preset decide. + begins with the selected layer")
                             : tr("No rules: every layer follows the preset"));
    fitTables();
    refreshButtons();
}

void RulesPanel::addRow()
{
    if (!m_session.current())
        return;
    m_edited = 0;
    m_kind->value() == Types ? m_typesModel->addFor(*m_session.current()) : m_model->addFor(*m_session.current());
}

void RulesPanel::removeRow(int row)
{
    m_edited = row;
    m_kind->value() == Types ? m_typesModel->removeRow(row) : m_model->removeRule(row);
}

void RulesPanel::moveRow(int row, int by)
{
    const bool isPossible = row >= 0 && row + by >= 0 && row + by < shownTable()->model()->rowCount();
    m_edited = isPossible ? row + by : -1;
    m_kind->value() == Types ? m_typesModel->moveRow(row, by) : m_model->moveRule(row, by);
}

void RulesPanel::patternTyped(const QString& pattern, bool isType)
{
    m_countJob.cancel();
    const QString fault = RulesModel::faultText(pattern);
    showMessage(fault);
    if (!fault.isEmpty() || !m_session.isOpen())
        return;
    // Names of large models are many: they are searched elsewhere.
    m_countJob.start(
        [pattern = (isType ? pattern.toLower() : pattern).toStdString(), isType,
         checkpoint = m_session.checkpoint()](const JobContext&) -> Result<std::size_t> {
            Recipe alone;
            if (isType)
                alone.types = {{pattern, "q8_0"}};
            else
                alone.rules = {RecipeRule{.match = pattern}};
            const auto found = isType ? decidingTypes(alone, *checkpoint) : decidingRules(alone, *checkpoint);
            if (!found)
                return passOn(found);
            return static_cast<std::size_t>(std::ranges::count(*found, std::size_t{0}));
        },
        [this](Result<std::size_t> count) {
            if (!count)
                return;
            m_message->setText(*count == 0 ? tr("Found in no tensor's name")
                                           : counted(*count, tr("Found in the name of 1 tensor"),
                                                     tr("Found in the names of %1 tensors")));
            m_message->show();
        });
}

void RulesPanel::buildPresets()
{
    auto* column = static_cast<QVBoxLayout*>(layout());
    auto* head = new QHBoxLayout;
    head->setContentsMargins(px(12), px(8), px(12), px(4));
    head->addWidget(sectionTitle(tr("Presets")));
    head->addSpacing(px(8));
    head->addWidget(caption(tr("Enter or double-click applies")), 1);
    column->addLayout(head);
    m_presetModel = new QStandardItemModel(this);
    fillPresets();
    m_presets = new QListView;
    m_presets->setModel(m_presetModel);
    m_presets->setItemDelegate(new PresetDelegate(m_presets));
    m_presets->setFrameShape(QFrame::NoFrame);
    m_presets->setUniformItemSizes(true);
    m_presets->setMouseTracking(true);
    m_presets->setMinimumHeight(px(66));
    m_presets->setAccessibleName(tr("Presets"));
    m_presets->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    column->addWidget(m_presets, 1);
    connect(m_presets, &QListView::activated, this, &RulesPanel::applyPreset);
}

void RulesPanel::fillPresets()
{
    m_presetModel->clear();
    for (const Preset& preset : presets(m_session.exportTarget())) {
        auto* item = new QStandardItem(titleOf(preset));
        item->setData(words(preset.id), IdRole);
        const QString rank = QString::number(preset.rank);
        // Types and mixtures are told by their names alone.
        const QString facts = preset.mix         ? QString()
            : preset.rank == 0                   ? tr("no correction")
            : preset.metric == MetricKind::Plain ? tr("rank %1").arg(rank)
                                                 : tr("rank %1, weighted").arg(rank);
        item->setData(facts, FactsRole);
        item->setToolTip(preset.needs.empty()
                             ? words(preset.source)
                             : tr("%1\nThe correction is weighted by %2: needs calibration, without it the weights "
                                  "alone decide",
                                  "source, metric")
                                   .arg(words(preset.source), titleOf(preset.metric)));
        item->setData(facts.isEmpty() ? titleOf(preset) : tr("%1, %2").arg(titleOf(preset), facts),
                      Qt::AccessibleTextRole);
        item->setEditable(false);
        m_presetModel->appendRow(item);
    }
    if (m_presets != nullptr)
        refreshPresets();
}

void RulesPanel::applyPreset(const QModelIndex& index)
{
    m_session.applyPreset(index.data(IdRole).toString());
}

void RulesPanel::refreshPresets()
{
    const auto& inUse = m_session.recipe().recipe.defaults.preset;
    for (int row = 0; row < m_presetModel->rowCount(); ++row) {
        QStandardItem* item = m_presetModel->item(row);
        item->setData(inUse && item->data(IdRole).toString() == QString::fromStdString(*inUse), InUseRole);
    }
    m_presets->setEnabled(m_session.isOpen());
}

void RulesPanel::fitTables()
{
    // As high as its rows, to a limit; then it scrolls.
    for (QTableView* table : {m_table, m_types}) {
        const int rows = table->model()->rowCount();
        table->setVisible(table == shownTable() && rows > 0);
        table->setFixedHeight(px(22) * std::min(rows, 7) + table->horizontalHeader()->sizeHint().height() + px(2));
    }
    m_empty->setVisible(shownTable()->model()->rowCount() == 0);
}

void RulesPanel::refreshButtons()
{
    const QModelIndex current = shownTable()->currentIndex();
    const int row = current.isValid() ? current.row() : -1;
    m_add->setEnabled(m_session.current().has_value() && m_session.isPlannable(*m_session.current()));
    m_remove->setEnabled(row >= 0);
    m_up->setEnabled(row > 0);
    m_down->setEnabled(row >= 0 && row + 1 < shownTable()->model()->rowCount());
}

QString RulesPanel::message() const
{
    return m_message->isHidden() ? QString() : m_message->text();
}

void RulesPanel::refuse(const QString& why)
{
    m_edited = -1;
    showMessage(why);
}

/// The row that was added or moved, or the one after the removed one: the next key goes to it.
void RulesPanel::selectEdited()
{
    QTableView* table = shownTable();
    const int row = std::min(std::exchange(m_edited, -1), table->model()->rowCount() - 1);
    if (row < 0)
        return;
    table->setFocus();
    table->setCurrentIndex(table->model()->index(row, std::max(0, table->currentIndex().column())));
}

void RulesPanel::showMessage(const QString& text)
{
    m_message->setText(text.isEmpty() ? QString() : QStringLiteral("✕ ") + text);
    m_message->setVisible(!text.isEmpty());
}

void RulesPanel::pointAt(int row)
{
    emit layersPointedAt(m_kind->value() == Types ? m_typesModel->tensorsOf(row) : m_model->layersOf(row));
}

bool RulesPanel::eventFilter(QObject* watched, QEvent* event)
{
    QTableView* table = shownTable();
    if (watched == table->viewport() && event->type() == QEvent::Leave)
        pointAt(table->hasFocus() ? table->currentIndex().row() : -1);
    if (watched == table && event->type() == QEvent::FocusOut && !table->isAncestorOf(focusWidget()))
        pointAt(-1);
    if (watched != table || event->type() != QEvent::KeyPress)
        return QWidget::eventFilter(watched, event);
    const auto* key = static_cast<QKeyEvent*>(event);
    const int row = table->currentIndex().row();
    const bool isAlt = key->modifiers() == Qt::AltModifier;
    if (key->key() == Qt::Key_Delete)
        removeRow(row);
    else if (isAlt && (key->key() == Qt::Key_Up || key->key() == Qt::Key_Down))
        moveRow(row, key->key() == Qt::Key_Up ? -1 : 1);
    else if (key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter)
        table->edit(table->currentIndex());
    else
        return QWidget::eventFilter(watched, event);
    return true;
}

}  // namespace sigmascope::ui
