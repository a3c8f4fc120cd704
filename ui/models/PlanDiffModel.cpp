// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/PlanDiffModel.h"

#include "ui/Theme.h"
#include "ui/session/Text.h"
#include "ui/text/Csv.h"

#include <QLocale>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace sigmascope::ui {

namespace {

bool isSame(const LayerPlan& a, const LayerPlan& b)
{
    // A pin and the name of a preset are not stored.
    return a.keep == b.keep
        && (a.keep || (a.grid == b.grid && a.rank == b.rank && a.factors == b.factors && a.metric == b.metric
                       && a.solver == b.solver));
}

/// @param kept  the word for a layer that stays as it is: of the reader's language, or of a file's.
QString bitsText(const LayerPlan& plan, const QString& kept)
{
    if (plan.keep)
        return kept;
    const auto grid = findGrid(plan.grid);
    return grid ? QString::number((*grid)->bits()) : QString::fromStdString(plan.grid);
}

QString fullText(const LayerPlan& plan)
{
    if (plan.keep)
        return PlanDiffModel::tr("kept as stored");
    return PlanDiffModel::tr("%1, rank %2, %3")
        .arg(QString::fromStdString(plan.grid), QString::number(plan.rank), titleOf(plan.metric));
}

QString arrow(const QString& before, const QString& after)
{
    return before == after ? after : before + QStringLiteral(" → ") + after;
}

QString bitsChange(const LayerPlan& before, const LayerPlan& after, const QString& kept)
{
    // Grids of one width are told apart by their names.
    if (!before.keep && !after.keep && before.grid != after.grid && bitsText(before, kept) == bitsText(after, kept))
        return arrow(QString::fromStdString(before.grid), QString::fromStdString(after.grid));
    return arrow(bitsText(before, kept), bitsText(after, kept));
}

QString rankText(const LayerPlan& plan)
{
    return plan.keep ? QStringLiteral("–") : QString::number(plan.rank);
}

QString signedMiB(double bytes)
{
    const double value = bytes / (1024.0 * 1024.0);
    if (std::fabs(value) < 0.005)
        return QLocale().toString(0.0, 'f', 2);
    const QString digits = QLocale().toString(std::fabs(value), 'f', std::fabs(value) < 99.95 ? 2 : 0);
    return (value < 0 ? QString(QChar(0x2212)) : QStringLiteral("+")) + digits;
}

}  // namespace

PlanDiffModel::PlanDiffModel(Session& session, QObject* parent)
    : QAbstractTableModel(parent)
    , m_session(session)
{
}

PlanDiffModel::Row PlanDiffModel::rowOf(const std::vector<std::size_t>& tensors, const QuantizationPlan& before) const
{
    Row row;
    row.tensors = tensors;
    QStringList names;
    for (const std::size_t tensor : tensors) {
        row.bytes += static_cast<double>(m_session.plannedBytes(tensor))
            - static_cast<double>(m_session.plannedBytes(tensor, before.layers[tensor]));
        names << layerShortName(m_session.topology().place(tensor),
                                QString::fromStdString(m_session.tensor(tensor).name));
    }
    const LayerPlan& then = before.layers[tensors.front()];
    const LayerPlan& now = m_session.layer(tensors.front());
    const int block = m_session.topology().place(tensors.front()).block;
    row.text[Block] = block < 0 ? QStringLiteral("–") : QString::number(block);
    row.text[Layers] = names.join(QStringLiteral(" + "));
    row.text[Bits] = bitsChange(then, now, tr("kept"));
    row.bits = bitsChange(then, now, QStringLiteral("kept"));
    row.text[Rank] = arrow(rankText(then), rankText(now));
    row.text[MiB] = signedMiB(row.bytes);
    row.toolTip = tr("%1\nwas %2\nis %3").arg(row.text[Layers], fullText(then), fullText(now));
    return row;
}

void PlanDiffModel::refresh(Session::Since since)
{
    beginResetModel();
    m_rows.clear();
    m_changed = 0;
    m_added = 0;
    const QuantizationPlan* before = m_session.isOpen() ? m_session.planSince(since) : nullptr;
    if (before != nullptr) {
        // Alike: same block, same before, same after.
        std::map<std::tuple<int, QString, QString>, std::vector<std::size_t>> alike;
        for (std::size_t i = 0; i < before->layers.size(); ++i) {
            if (isSame(before->layers[i], m_session.layer(i)))
                continue;
            ++m_changed;
            const int block = m_session.topology().place(i).block;
            // Outside the blocks every tensor has a row of its own.
            const QString own = block < 0 ? QString::number(i) : QString();
            alike[{block, fullText(before->layers[i]) + own, fullText(m_session.layer(i))}].push_back(i);
        }
        for (const auto& [key, tensors] : alike) {
            m_rows.push_back(rowOf(tensors, *before));
            m_added += m_rows.back().bytes;
        }
        std::ranges::stable_sort(m_rows, std::greater<>(), [](const Row& row) { return std::fabs(row.bytes); });
    }
    endResetModel();
}

std::vector<std::size_t> PlanDiffModel::tensorsAt(int row) const
{
    return row < 0 || row >= rowCount() ? std::vector<std::size_t>{} : m_rows[static_cast<std::size_t>(row)].tensors;
}

QString PlanDiffModel::asCsv() const
{
    QString csv = QStringLiteral("block,layers,bits,rank,added_bytes\n");
    for (const Row& row : m_rows)
        csv += QStringList{row.text[Block], csvField(row.text[Layers]), csvField(row.bits), csvField(row.text[Rank]),
                           QString::number(row.bytes, 'f', 0)}
                   .join(QLatin1Char(','))
            + QLatin1Char('\n');
    return csv;
}

int PlanDiffModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

int PlanDiffModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant PlanDiffModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const Row& row = m_rows[static_cast<std::size_t>(index.row())];
    switch (role) {
    case Qt::DisplayRole: return row.text[static_cast<std::size_t>(index.column())];
    case Qt::ToolTipRole: return row.toolTip;
    case Qt::FontRole: return index.column() == Layers ? QVariant() : QVariant(ui::font(FontRole::Mono));
    case Qt::TextAlignmentRole:
        return index.column() <= Layers ? QVariant(Qt::AlignLeft | Qt::AlignVCenter)
                                        : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    default: return {};
    }
}

QVariant PlanDiffModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::TextAlignmentRole)
        return section <= Layers ? QVariant(Qt::AlignLeft | Qt::AlignVCenter)
                                 : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case Block: return tr("Block");
    case Layers: return tr("Layers");
    case Bits: return tr("Bits");
    case Rank: return tr("Rank");
    case MiB: return tr("MiB");
    default: return {};
    }
}

FallbackModel::FallbackModel(Session& session, QObject* parent)
    : QAbstractTableModel(parent)
    , m_session(session)
    , m_costs(session)
{
}

/// One of them in the list bears what all fallbacks of its tensor cost.
double FallbackModel::costAt(int row)
{
    const std::size_t tensor = tensorAt(row);
    return row > 0 && tensorAt(row - 1) == tensor ? 0 : m_costs.of(tensor);
}

void FallbackModel::refresh()
{
    beginResetModel();
    m_fallbacks = m_session.isOpen() ? m_session.fallbacks() : std::vector<Fallback>{};
    std::ranges::stable_sort(m_fallbacks, {}, &Fallback::tensor);
    m_cost.clear();
    for (int row = 0; row < static_cast<int>(m_fallbacks.size()); ++row)
        m_cost.push_back(costAt(row));
    endResetModel();
}

QString FallbackModel::asCsv() const
{
    QString csv = QStringLiteral("tensor,added_bytes,what_happens_instead\n");
    for (std::size_t row = 0; row < m_fallbacks.size(); ++row)
        csv += csvField(QString::fromStdString(m_session.tensor(m_fallbacks[row].tensor).name)) + QLatin1Char(',')
            + QString::number(m_cost[row], 'f', 0) + QLatin1Char(',')
            + csvField(QString::fromStdString(m_fallbacks[row].detail)) + QLatin1Char('\n');
    return csv;
}

int FallbackModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_fallbacks.size());
}

int FallbackModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant FallbackModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const Fallback& fallback = m_fallbacks[static_cast<std::size_t>(index.row())];
    if (role == Qt::DisplayRole && index.column() == Layer)
        return layerTitle(m_session.topology().place(fallback.tensor),
                          QString::fromStdString(m_session.tensor(fallback.tensor).name));
    if (index.column() == Cost) {
        const double cost = m_cost[static_cast<std::size_t>(index.row())];
        switch (role) {
        case Qt::DisplayRole: return cost == 0 ? QStringLiteral("–") : addedSize(cost);
        case Qt::ToolTipRole: return tr("Bytes more, or less, than what was asked would take. Exact");
        case Qt::FontRole: return ui::font(FontRole::Mono);
        case Qt::TextAlignmentRole: return QVariant(Qt::AlignRight | Qt::AlignVCenter);
        default: return {};
        }
    }
    if (role == Qt::DisplayRole || role == Qt::ToolTipRole)
        return QString::fromStdString(fallback.detail);
    return {};
}

QVariant FallbackModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::TextAlignmentRole)
        return section == Cost ? QVariant(Qt::AlignRight | Qt::AlignVCenter) : QVariant(Qt::AlignLeft | Qt::AlignVCenter);
    if (role != Qt::DisplayRole)
        return {};
    return section == Layer ? tr("Layer") : section == Cost ? tr("Cost") : tr("What happens instead");
}

}  // namespace sigmascope::ui
