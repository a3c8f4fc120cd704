// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/RulesPanel.h"

#include "ui/Theme.h"
#include "ui/models/RulesModel.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"

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

#include <functional>

namespace sigmascope::ui {

namespace {

enum PresetRole { IdRole = Qt::UserRole + 1, FactsRole, InUseRole };

/// Says while a pattern is typed where it breaks.
class RuleDelegate : public QStyledItemDelegate {
public:
    RuleDelegate(std::function<void(const QString&)> say, QObject* parent)
        : QStyledItemDelegate(parent)
        , m_say(std::move(say))
    {
    }
    QWidget* createEditor(QWidget* parent, const QStyleOptionViewItem&, const QModelIndex& index) const override
    {
        auto* field = new QLineEdit(parent);
        field->setFont(ui::font(FontRole::Mono));
        field->setFrame(false);
        field->setAutoFillBackground(true);
        if (index.column() == RulesModel::Pattern) {
            connect(field, &QLineEdit::textEdited, field, [this, field](const QString& text) {
                const QString fault = RulesModel::faultText(text);
                setBadEdge(field, !fault.isEmpty());
                m_say(fault);
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
    std::function<void(const QString&)> m_say;
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
        painter->setFont(ui::font(FontRole::Caption));
        painter->setPen(theme.tx2);
        const QString right = isInUse ? RulesPanel::tr("in use") : QString();
        painter->drawText(row, Qt::AlignRight | Qt::AlignVCenter, right);
        const int used = right.isEmpty() ? 0 : painter->fontMetrics().horizontalAdvance(right) + px(8);
        const QRect facts = row.adjusted(px(104), 0, -used, 0);
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

QString words(std::string_view text)
{
    return QString::fromUtf8(text.data(), static_cast<int>(text.size()));
}

}  // namespace

RulesPanel::RulesPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_model(new RulesModel(session, this))
{
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    buildRules();
    column->addWidget(hairline(this));
    buildPresets();
    connect(m_model, &RulesModel::refused, this, &RulesPanel::showMessage);
    connect(&session, &Session::recipeRefused, this, &RulesPanel::showMessage);
    connect(&session, &Session::recipeChanged, this, [this] {
        showMessage({});
        refreshPresets();
        fitTable();
        refreshButtons();
    });
    connect(&session, &Session::closed, this, [this] {
        refreshPresets();
        fitTable();
        refreshButtons();
    });
    connect(&session, &Session::selectionChanged, this, &RulesPanel::refreshButtons);
    refreshPresets();
    fitTable();
    refreshButtons();
}

void RulesPanel::buildTable()
{
    m_table = new QTableView;
    m_table->setModel(m_model);
    m_table->setItemDelegate(new RuleDelegate([this](const QString& text) { showMessage(text); }, m_table));
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setEditTriggers(QAbstractItemView::DoubleClicked | QAbstractItemView::EditKeyPressed);
    m_table->setShowGrid(false);
    m_table->setWordWrap(false);
    m_table->setFrameShape(QFrame::NoFrame);
    m_table->setTabKeyNavigation(false);
    m_table->setMouseTracking(true);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(px(22));
    m_table->horizontalHeader()->setHighlightSections(false);
    m_table->horizontalHeader()->setMinimumSectionSize(px(30));
    m_table->horizontalHeader()->setSectionResizeMode(RulesModel::Pattern, QHeaderView::Stretch);
    const std::pair<int, int> widths[] = {{RulesModel::Bits, 58}, {RulesModel::Rank, 46}, {RulesModel::Layers, 54}};
    for (const auto& [section, width] : widths) {
        m_table->horizontalHeader()->setSectionResizeMode(section, QHeaderView::Fixed);
        m_table->setColumnWidth(section, px(width));
    }
    m_table->setAccessibleName(tr("Rules"));
    new TableExport(
        m_table, [this] { return m_session.name() + QStringLiteral("-rules"); }, [this] { return m_model->asCsv(); });
    m_table->installEventFilter(this);
    m_table->viewport()->installEventFilter(this);
}

void RulesPanel::buildRules()
{
    auto* column = static_cast<QVBoxLayout*>(layout());
    auto* head = new QHBoxLayout;
    head->setContentsMargins(px(12), px(6), px(6), px(4));
    head->setSpacing(0);
    head->addWidget(sectionTitle(tr("Rules")));
    head->addSpacing(px(8));
    head->addWidget(caption(tr("first match wins")), 1);
    m_add = button(QStringLiteral("+"), tr("Add a rule for layers named like the selected one"));
    m_remove = button(QStringLiteral("−"), tr("Remove the rule. Del"));
    m_up = button(QStringLiteral("↑"), tr("Move the rule up. Alt+↑"));
    m_down = button(QStringLiteral("↓"), tr("Move the rule down. Alt+↓"));
    for (QToolButton* one : {m_add, m_remove, m_up, m_down})
        head->addWidget(one);
    column->addLayout(head);

    buildTable();
    auto* inset = new QHBoxLayout;
    inset->setContentsMargins(px(8), 0, px(8), 0);
    inset->addWidget(m_table);
    column->addLayout(inset);
    m_empty = caption(tr("No rules: every layer follows the preset"));
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

    connect(m_add, &QToolButton::clicked, this, [this] {
        if (m_session.current())
            m_model->addFor(*m_session.current());
    });
    connect(m_remove, &QToolButton::clicked, this, [this] { m_model->removeRule(m_table->currentIndex().row()); });
    connect(m_up, &QToolButton::clicked, this, [this] { m_model->moveRule(m_table->currentIndex().row(), -1); });
    connect(m_down, &QToolButton::clicked, this, [this] { m_model->moveRule(m_table->currentIndex().row(), 1); });
    connect(m_table, &QTableView::entered, this, [this](const QModelIndex& index) { pointAt(index.row()); });
    connect(m_table->selectionModel(), &QItemSelectionModel::currentChanged, this, [this](const QModelIndex& index) {
        pointAt(index.row());
        refreshButtons();
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
    for (const Preset& preset : presets()) {
        auto* item = new QStandardItem(words(preset.title));
        item->setData(words(preset.id), IdRole);
        const QString facts = preset.rank == 0
            ? tr("no correction")
            : tr("rank %1, %2").arg(QString::number(preset.rank), titleOf(preset.metric));
        item->setData(facts, FactsRole);
        item->setToolTip(preset.needs.empty()
                             ? words(preset.source)
                             : tr("%1\nNeeds calibration; without it the correction follows the weights alone")
                                   .arg(words(preset.source)));
        item->setData(tr("%1, %2").arg(words(preset.title), facts), Qt::AccessibleTextRole);
        item->setEditable(false);
        m_presetModel->appendRow(item);
    }
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

void RulesPanel::fitTable()
{
    // As high as its rules, to a limit; then it scrolls.
    const int rows = m_model->rowCount();
    m_table->setVisible(rows > 0);
    m_empty->setVisible(rows == 0);
    m_table->setFixedHeight(px(22) * std::min(rows, 7) + m_table->horizontalHeader()->sizeHint().height() + px(2));
}

void RulesPanel::refreshButtons()
{
    const int row = m_table->currentIndex().isValid() ? m_table->currentIndex().row() : -1;
    m_add->setEnabled(m_session.current().has_value() && m_session.isPlannable(*m_session.current()));
    m_remove->setEnabled(row >= 0);
    m_up->setEnabled(row > 0);
    m_down->setEnabled(row >= 0 && row + 1 < m_model->rowCount());
}

QString RulesPanel::message() const
{
    return m_message->isHidden() ? QString() : m_message->text();
}

void RulesPanel::showMessage(const QString& text)
{
    m_message->setText(text.isEmpty() ? QString() : QStringLiteral("✕ ") + text);
    m_message->setVisible(!text.isEmpty());
}

void RulesPanel::pointAt(int row)
{
    emit layersPointedAt(m_model->layersOf(row));
}

bool RulesPanel::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_table->viewport() && event->type() == QEvent::Leave)
        pointAt(m_table->hasFocus() ? m_table->currentIndex().row() : -1);
    if (watched == m_table && event->type() == QEvent::FocusOut && !m_table->isAncestorOf(focusWidget()))
        pointAt(-1);
    if (watched != m_table || event->type() != QEvent::KeyPress)
        return QWidget::eventFilter(watched, event);
    const auto* key = static_cast<QKeyEvent*>(event);
    const int row = m_table->currentIndex().row();
    const bool isAlt = key->modifiers() == Qt::AltModifier;
    if (key->key() == Qt::Key_Delete)
        m_model->removeRule(row);
    else if (isAlt && (key->key() == Qt::Key_Up || key->key() == Qt::Key_Down))
        m_model->moveRule(row, key->key() == Qt::Key_Up ? -1 : 1);
    else if (key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter)
        m_table->edit(m_table->currentIndex());
    else
        return QWidget::eventFilter(watched, event);
    return true;
}

}  // namespace sigmascope::ui
