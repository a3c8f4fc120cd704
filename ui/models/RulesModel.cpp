// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/RulesModel.h"

#include "core/plan/NameMatcher.h"
#include "core/plan/TargetGrids.h"
#include "ui/Theme.h"
#include "ui/models/RowEdits.h"
#include "ui/session/Session.h"
#include "ui/text/Csv.h"

#include <QLocale>

#include <optional>

namespace sigmascope::ui {

namespace {

const QString kInherited = QStringLiteral("–");

/// What a rule that quantizes says of the grid; nothing if it inherits that.
std::optional<QString> widthOf(const RecipeRule& rule)
{
    if (rule.grid)
        return QString::fromStdString(*rule.grid);
    if (rule.bits)
        return QString::number(*rule.bits);
    return rule.preset ? std::optional(QString::fromStdString(*rule.preset)) : std::nullopt;
}

/// ".weight" goes, and what stands before the layer's own words: "model.layers.3.mlp.down_proj.weight" ->
/// "mlp\.down_proj".
std::string patternFor(std::string name)
{
    for (const std::string_view suffix : {".weight", ".bias"}) {
        if (name.ends_with(suffix))
            name.resize(name.size() - suffix.size());
    }
    // Behind the last number that stands alone is what all blocks share.
    std::size_t start = 0;
    for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
        const std::size_t end = std::min(name.find('.', dot + 1), name.size());
        const std::string_view part(name.data() + dot + 1, end - dot - 1);
        if (!part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos && end < name.size())
            start = end + 1;
    }
    const std::string exact = exactPattern(name.substr(start));
    return exact.substr(1, exact.size() - 2);  // without the anchors
}

}  // namespace

RulesModel::RulesModel(Session& session, QObject* parent)
    : QAbstractTableModel(parent)
    , m_session(session)
{
    connect(&session, &Session::recipeChanged, this, &RulesModel::refresh);
    connect(&session, &Session::closed, this, &RulesModel::refresh);
    refresh();
}

const std::vector<RecipeRule>& RulesModel::rules() const
{
    return m_session.recipe().recipe.rules;
}

void RulesModel::refresh()
{
    // Rows keep their selection where their number did not change.
    const bool isReset = m_counts.size() != rules().size();
    if (isReset)
        beginResetModel();
    m_counts.assign(rules().size(), 0);
    const std::vector<std::size_t>& deciding = m_session.recipe().rule;
    for (std::size_t tensor = 0; tensor < deciding.size(); ++tensor) {
        if (deciding[tensor] < m_counts.size() && m_session.isOpen() && m_session.isPlannable(tensor))
            ++m_counts[deciding[tensor]];
    }
    if (isReset)
        endResetModel();
    else if (!m_counts.empty())
        emit dataChanged(index(0, 0), index(rowCount() - 1, ColumnCount - 1));
}

int RulesModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_counts.size());
}

int RulesModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QString RulesModel::text(const RecipeRule& rule, int column, int row) const
{
    switch (column) {
    case Pattern: return QString::fromStdString(rule.match);
    case Bits:
        return rule.skip ? tr("keep", "a rule's bits") : widthOf(rule).value_or(kInherited);
    case Rank: return rule.skip || !rule.rank ? kInherited : QString::number(*rule.rank);
    case Layers: return QLocale().toString(static_cast<qulonglong>(m_counts[static_cast<std::size_t>(row)]));
    default: return {};
    }
}

QString RulesModel::asCsv() const
{
    QString csv = QStringLiteral("pattern,bits,rank,layers\n");
    for (std::size_t row = 0; row < rules().size(); ++row) {
        const RecipeRule& rule = rules()[row];
        csv += QStringList{csvField(QString::fromStdString(rule.match)),
                           rule.skip ? QStringLiteral("keep") : csvField(widthOf(rule).value_or(QString())),
                           rule.skip || !rule.rank ? QString() : QString::number(*rule.rank),
                           QString::number(m_counts[row])}
                   .join(QLatin1Char(','))
            + QLatin1Char('\n');
    }
    return csv;
}

QVariant RulesModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || static_cast<std::size_t>(index.row()) >= rules().size())
        return {};
    const RecipeRule& rule = rules()[static_cast<std::size_t>(index.row())];
    switch (role) {
    case Qt::DisplayRole: return text(rule, index.column(), index.row());
    case Qt::EditRole: {
        const QString shown = text(rule, index.column(), index.row());
        return shown == kInherited ? QString() : shown;
    }
    case Qt::FontRole: return ui::font(FontRole::Mono);
    case Qt::TextAlignmentRole:
        return index.column() == Pattern ? QVariant(Qt::AlignLeft | Qt::AlignVCenter)
                                         : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    case Qt::ToolTipRole:
        if (index.column() == Pattern)
            return QString::fromStdString(rule.match);
        if (index.column() == Bits)
            return tr("2 to 8, a grid such as q4_1, “keep”, or nothing to take the preset's");
        return index.column() == Rank ? tr("A rank, or nothing to take the preset's")
                                      : tr("Layers that this rule decides: no rule above it matches them");
    default: return {};
    }
}

QVariant RulesModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::TextAlignmentRole)
        return section == Pattern ? QVariant(Qt::AlignLeft | Qt::AlignVCenter)
                                  : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case Pattern: return tr("Name pattern");
    case Bits: return tr("Bits");
    case Rank: return tr("Rank");
    case Layers: return tr("Layers");
    default: return {};
    }
}

Qt::ItemFlags RulesModel::flags(const QModelIndex& index) const
{
    const Qt::ItemFlags flags = QAbstractTableModel::flags(index);
    return index.column() == Layers ? flags : flags | Qt::ItemIsEditable;
}

QString RulesModel::faultText(const QString& pattern)
{
    const std::string text = pattern.toStdString();
    const auto fault = faultOf(text);
    if (!fault)
        return {};
    if (pattern.isEmpty())
        return tr("A pattern cannot be empty");
    // Characters, not bytes, are what is counted by eye.
    const auto at = QString::fromUtf8(text.data(), static_cast<int>(fault->at)).size();
    QString why = QString::fromStdString(fault->detail);
    why = why.mid(why.indexOf(QLatin1String("': ")) + 3);
    return tr("“%1” breaks at character %2: %3").arg(pattern).arg(at + 1).arg(why);
}

bool RulesModel::setBits(RecipeRule& rule, const QString& text)
{
    bool isNumber = false;
    const int bits = text.toInt(&isNumber);
    RecipeRule edited = rule;
    edited.skip = false;
    edited.bits.reset();
    edited.grid.reset();
    edited.preset.reset();
    if (text == tr("keep", "a rule's bits") || text == QLatin1String("keep") || text == QLatin1String("16")) {
        edited.skip = true;
    } else if (isNumber && bits >= 2 && bits <= 8) {
        edited.bits = bits;
    } else if (findPreset(text.toStdString()) != nullptr) {
        edited.preset = text.toStdString();
    } else if (!text.isEmpty() && findGrid(text.toStdString())) {
        edited.grid = text.toStdString();
    } else if (!text.isEmpty()) {
        emit refused(tr("“%1” is no width: expected 2 to 8, a grid such as q4_1, or “keep”").arg(text));
        return false;
    }
    rule = std::move(edited);
    return true;
}

bool RulesModel::setRank(RecipeRule& rule, const QString& text)
{
    bool isNumber = false;
    const uint rank = text.toUInt(&isNumber);
    if (!text.isEmpty() && !isNumber) {
        emit refused(tr("“%1” is no rank: expected a whole number").arg(text));
        return false;
    }
    rule.rank = text.isEmpty() ? std::nullopt : std::optional<std::uint32_t>(rank);
    return true;
}

bool RulesModel::setData(const QModelIndex& index, const QVariant& value, int role)
{
    if (role != Qt::EditRole || !index.isValid())
        return false;
    std::vector<RecipeRule> edited = rules();
    RecipeRule& rule = edited[static_cast<std::size_t>(index.row())];
    QString text = value.toString().trimmed();
    if (text == kInherited)
        text.clear();
    if (index.column() == Pattern) {
        if (text.toStdString() == rule.match)
            return true;
        if (const QString fault = faultText(text); !fault.isEmpty()) {
            emit refused(tr("%1. The old pattern stays").arg(fault));
            return false;
        }
        rule.match = text.toStdString();
    } else if (text == data(index, Qt::EditRole).toString()) {
        return true;
    } else if (index.column() == Bits ? !setBits(rule, text) : !setRank(rule, text)) {
        return false;
    }
    m_session.setRules(std::move(edited), tr("Edit rule"));
    return true;
}

void RulesModel::addFor(std::size_t tensor)
{
    std::vector<RecipeRule> edited = rules();
    const LayerPlan& plan = m_session.layer(tensor);
    RecipeRule rule;
    rule.match = patternFor(m_session.tensor(tensor).name);
    if (plan.keep) {
        rule.skip = true;
    } else {
        // A width says more than the grid that it stands for anyway.
        const auto grid = findGrid(plan.grid);
        const auto own = grid ? ownGrid(m_session.plan().target, (*grid)->bits(), {}) : grid;
        if (own && grid && *own == *grid && !m_session.recipe().recipe.defaults.grid)
            rule.bits = (*grid)->bits();
        else
            rule.grid = plan.grid;
        rule.rank = plan.rank;
        rule.metric = std::string(id(plan.metric));
    }
    edited.insert(edited.begin(), std::move(rule));
    m_session.setRules(std::move(edited), tr("Add rule"));
}

void RulesModel::removeRule(int row)
{
    if (auto edited = withoutRow(rules(), row))
        m_session.setRules(std::move(*edited), tr("Remove rule"));
}

void RulesModel::moveRule(int row, int by)
{
    if (auto edited = withMovedRow(rules(), row, by))
        m_session.setRules(std::move(*edited), tr("Move rule"));
}

std::vector<std::size_t> RulesModel::layersOf(int row) const
{
    std::vector<std::size_t> layers;
    const std::vector<std::size_t>& deciding = m_session.recipe().rule;
    for (std::size_t tensor = 0; tensor < deciding.size() && row >= 0; ++tensor) {
        if (deciding[tensor] == static_cast<std::size_t>(row) && m_session.isPlannable(tensor))
            layers.push_back(tensor);
    }
    return layers;
}

}  // namespace sigmascope::ui
