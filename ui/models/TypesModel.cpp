// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/TypesModel.h"

#include "core/plan/GgufMix.h"
#include "core/plan/NameMatcher.h"
#include "core/plan/TypeOverrides.h"
#include "ui/Theme.h"
#include "ui/models/RowEdits.h"
#include "ui/models/RulesModel.h"
#include "ui/session/Session.h"
#include "ui/text/Csv.h"

#include <QLocale>

#include <algorithm>
#include <utility>

namespace sigmascope::ui {

namespace {

/// "blk.3.ffn_down.weight" -> "ffn_down\.weight": what all blocks share.
std::string sharedPattern(std::string name)
{
    if (name.starts_with("blk."))
        name = name.substr(std::min(name.find('.', 4) + 1, name.size()));
    const std::string exact = exactPattern(name);
    return exact.substr(1, exact.size() - 2);  // without the anchors
}

}  // namespace

TypesModel::TypesModel(Session& session, QObject* parent)
    : QAbstractTableModel(parent)
    , m_session(session)
{
    connect(&session, &Session::recipeChanged, this, &TypesModel::refresh);
    connect(&session, &Session::closed, this, &TypesModel::refresh);
    refresh();
}

const std::vector<TypeOverride>& TypesModel::types() const
{
    return m_session.recipe().recipe.types;
}

void TypesModel::refresh()
{
    // Rows keep their selection where their number did not change.
    const bool isReset = m_counts.size() != types().size();
    if (isReset)
        beginResetModel();
    m_counts.assign(types().size(), 0);
    for (const std::size_t decides : m_session.recipe().type) {
        if (decides < m_counts.size())
            ++m_counts[decides];
    }
    if (isReset)
        endResetModel();
    else if (!m_counts.empty())
        emit dataChanged(index(0, 0), index(rowCount() - 1, ColumnCount - 1));
}

int TypesModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_counts.size());
}

int TypesModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant TypesModel::data(const QModelIndex& index, int role) const
{
    const auto row = static_cast<std::size_t>(index.row());
    if (!index.isValid() || row >= types().size())
        return {};
    const TypeOverride& type = types()[row];
    switch (role) {
    case Qt::DisplayRole:
    case Qt::EditRole:
        if (index.column() == Tensors)
            return QLocale().toString(static_cast<qulonglong>(m_counts[row]));
        return QString::fromStdString(index.column() == Pattern ? type.match : type.type);
    case Qt::FontRole:
        return ui::font(FontRole::Mono);
    case Qt::TextAlignmentRole:
        return index.column() == Pattern ? QVariant(Qt::AlignLeft | Qt::AlignVCenter)
                                         : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    case Qt::ToolTipRole:
        if (index.column() == Pattern)
            return tr("%1\nSearched in the name that the tensor has in GGUF, such as blk.3.ffn_down.weight")
                .arg(QString::fromStdString(type.match));
        return index.column() == Type ? tr("A GGUF type such as q6_k")
                                      : tr("Tensors that this row decides: no row above it matches them");
    default:
        return {};
    }
}

QVariant TypesModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::TextAlignmentRole)
        return section == Pattern ? QVariant(Qt::AlignLeft | Qt::AlignVCenter)
                                  : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case Pattern:
        return tr("GGUF name pattern");
    case Type:
        return tr("Type");
    case Tensors:
        return tr("Tensors");
    default:
        return {};
    }
}

Qt::ItemFlags TypesModel::flags(const QModelIndex& index) const
{
    const Qt::ItemFlags flags = QAbstractTableModel::flags(index);
    return index.column() == Tensors ? flags : flags | Qt::ItemIsEditable;
}

bool TypesModel::setData(const QModelIndex& index, const QVariant& value, int role)
{
    if (role != Qt::EditRole || !index.isValid() || index.column() == Tensors)
        return false;
    const QString text = value.toString().trimmed();
    if (text == data(index, Qt::EditRole).toString())
        return true;
    std::vector<TypeOverride> edited = types();
    TypeOverride& type = edited[static_cast<std::size_t>(index.row())];
    if (index.column() == Pattern) {
        if (const QString fault = RulesModel::faultText(text); !fault.isEmpty()) {
            emit refused(tr("%1. The old pattern stays").arg(fault));
            return false;
        }
        type.match = text.toLower().toStdString();  // as llama-quantize does
    } else {
        const auto parsed = parseTypeOverride("x=" + text.toStdString());
        if (!parsed) {
            emit refused(
                tr("“%1” is no type that can be written: expected one such as q4_k, q6_k, iq4_xs or q8_0").arg(text));
            return false;
        }
        type.type = parsed->type;
    }
    m_session.setTypes(std::move(edited), tr("Edit type by hand"));
    return true;
}

void TypesModel::addFor(std::size_t tensor)
{
    const auto named = mixTensorOf(m_session.tensor(tensor));
    if (!named || !isMixable(*named)) {
        emit refused(tr("llama-quantize leaves this tensor as it is: no type can be chosen for it"));
        return;
    }
    std::vector<TypeOverride> edited = types();
    const LayerPlan& plan = m_session.layer(tensor);
    const auto grid = findGrid(plan.grid);
    const bool isType = !plan.keep && grid && (*grid)->ggufType().has_value();
    edited.insert(edited.begin(), TypeOverride{sharedPattern(named->name), isType ? plan.grid : "q6_k"});
    m_session.setTypes(std::move(edited), tr("Add type by hand"));
}

void TypesModel::removeRow(int row)
{
    if (auto edited = withoutRow(types(), row))
        m_session.setTypes(std::move(*edited), tr("Remove type by hand"));
}

void TypesModel::moveRow(int row, int by)
{
    if (auto edited = withMovedRow(types(), row, by))
        m_session.setTypes(std::move(*edited), tr("Move type by hand"));
}

std::vector<std::size_t> TypesModel::tensorsOf(int row) const
{
    std::vector<std::size_t> tensors;
    const std::vector<std::size_t>& deciding = m_session.recipe().type;
    for (std::size_t tensor = 0; tensor < deciding.size() && row >= 0; ++tensor) {
        if (deciding[tensor] == static_cast<std::size_t>(row))
            tensors.push_back(tensor);
    }
    return tensors;
}

QString TypesModel::asCsv() const
{
    QString csv = QStringLiteral("pattern,type,tensors\n");
    for (std::size_t row = 0; row < types().size(); ++row)
        csv += QStringList{csvField(QString::fromStdString(types()[row].match)),
                           csvField(QString::fromStdString(types()[row].type)), QString::number(m_counts[row])}
                   .join(QLatin1Char(','))
            + QLatin1Char('\n');
    return csv;
}

}  // namespace sigmascope::ui
