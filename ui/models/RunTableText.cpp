// SPDX-License-Identifier: GPL-3.0-or-later
// What the rows of a run say.

#include "ui/models/LayerRoles.h"
#include "ui/models/RunTableModel.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Csv.h"

#include <cmath>

namespace sigmascope::ui {

namespace {

const QString kNone = QStringLiteral("–");

QString errorText(const std::optional<double>& error)
{
    return error ? decimals(100 * *error, 2) : kNone;
}

/// An en space either side: a right-aligned column may stand before a left-aligned one.
QString padded(const QString& text)
{
    return QChar(0x2002) + text + QChar(0x2002);
}

std::optional<double> errorOf(const TensorResult& result)
{
    return result.metricError ? result.metricError : result.weightError;
}

}  // namespace

bool RunTableModel::isNumber(int column)
{
    return column == Order || (column >= OutputError && column <= Seconds);
}

QString RunTableModel::planText(std::size_t tensor) const
{
    const LayerPlan& plan = m_session.layer(tensor);
    if (plan.keep)
        return tr("kept");
    const QString grid = QString::fromStdString(plan.grid).toUpper();
    return plan.rank > 0 ? tr("%1 + r %2", "grid, rank").arg(grid).arg(plan.rank) : grid;
}

QString RunTableModel::stateText(const Row& row) const
{
    switch (row.state) {
    case QueueState::Waiting:
        return tr("queued");
    case QueueState::Running:
        return row.stage == RunStage::Factors ? tr("factors")
            : row.stage == RunStage::Write    ? tr("writing")
                                              : tr("codes");
    case QueueState::Done:
        return row.result && row.result->resumed ? tr("done before") : tr("done");
    case QueueState::DoneOtherwise:
        return tr("done otherwise");
    case QueueState::Failed:
        return tr("failed");
    }
    return {};
}

std::optional<double> RunTableModel::deviation(const Row& row) const
{
    const auto measured = row.result ? errorOf(*row.result) : std::nullopt;
    if (!measured || !row.estimate || !(*row.estimate > 0))
        return std::nullopt;
    return 100 * (*measured / *row.estimate - 1);
}

QString RunTableModel::text(const Row& row, int number, int column) const
{
    const TensorResult* result = row.result ? &*row.result : nullptr;
    switch (column) {
    case Order:
        return wholeNumber(static_cast<std::uint64_t>(number) + 1);
    case Layer: {
        const QString name = QString::fromStdString(m_session.tensor(row.tensor).name);
        return layerTitle(m_session.topology().place(row.tensor), name);
    }
    case PlanText:
        if (result != nullptr && result->method == "keep")
            return tr("kept");
        if (result != nullptr)
            return result->rank > 0
                ? tr("%1 + r %2", "grid, rank").arg(QString::fromStdString(result->grid).toUpper()).arg(result->rank)
                : QString::fromStdString(result->grid).toUpper();
        return planText(row.tensor);
    case State:
        return stateText(row);
    default:
        break;
    }
    if (result == nullptr)
        return {};
    switch (column) {
    case OutputError:
        return errorText(result->metricError);
    case WeightError:
        return errorText(result->weightError);
    case Deviation: {
        const auto found = deviation(row);
        return found ? (*found >= 0 ? QStringLiteral("+") : QString()) + decimals(*found, 1) : kNone;
    }
    case Bits:
        return decimals(result->bitsPerWeight, 2);
    case Seconds:
        return decimals(result->seconds, 2);
    case Device:
        return QString::fromStdString(result->device);
    case Note:
        return QString::fromStdString(result->fallback);
    default:
        return {};
    }
}

QString RunTableModel::asCsv() const
{
    // Machine-readable: full precision and point decimals, whatever the locale.
    QString csv = QStringLiteral(
        "layer,method,grid,rank,metric_rel_error,weight_rel_error,bits_per_weight,seconds,device,fallback\n");
    for (const Row& row : m_rows) {
        if (!row.result)
            continue;
        const TensorResult& r = *row.result;
        const auto number = [](const std::optional<double>& v) { return v ? QString::number(*v, 'g', 17) : QString(); };
        const QStringList fields{csvField(QString::fromStdString(r.name)),
                                 csvField(QString::fromStdString(r.method)),
                                 csvField(QString::fromStdString(r.grid)),
                                 QString::number(r.rank),
                                 number(r.metricError),
                                 number(r.weightError),
                                 number(r.bitsPerWeight),
                                 number(r.seconds),
                                 csvField(QString::fromStdString(r.device)),
                                 csvField(QString::fromStdString(r.fallback))};
        csv += fields.join(QLatin1Char(',')) + QLatin1Char('\n');
    }
    return csv;
}

int RunTableModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

int RunTableModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant RunTableModel::sortKey(const Row& row, int number, int column) const
{
    const auto orLast = [](const std::optional<double>& value) { return value.value_or(-HUGE_VAL); };
    const TensorResult* result = row.result ? &*row.result : nullptr;
    switch (column) {
    case Order:
        return number;
    case Layer:
        return static_cast<qulonglong>(row.tensor);
    case OutputError:
        return orLast(result != nullptr ? result->metricError : std::nullopt);
    case WeightError:
        return orLast(result != nullptr ? result->weightError : std::nullopt);
    case Deviation:
        return orLast(deviation(row));
    case Bits:
        return orLast(result != nullptr ? std::optional(result->bitsPerWeight) : std::nullopt);
    case Seconds:
        return orLast(result != nullptr ? std::optional(result->seconds) : std::nullopt);
    default:
        return text(row, number, column);
    }
}

QVariant RunTableModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || !m_session.isOpen())
        return {};
    const Row& row = m_rows[static_cast<std::size_t>(index.row())];
    switch (role) {
    case Qt::DisplayRole:
        return padded(text(row, index.row(), index.column()));
    case Qt::ToolTipRole:
        if (index.column() == Layer)
            return QString::fromStdString(m_session.tensor(row.tensor).name);
        return row.state == QueueState::Failed ? row.reason : text(row, index.row(), index.column());
    case Qt::TextAlignmentRole:
        return isNumber(index.column()) ? QVariant(Qt::AlignRight | Qt::AlignVCenter)
                                        : QVariant(Qt::AlignLeft | Qt::AlignVCenter);
    case QueueStateRole:
        return static_cast<int>(row.state);
    case QueueStageRole:
        return static_cast<int>(row.stage);
    case QueueReasonRole:
        return row.reason;
    case SortRole:
        return sortKey(row, index.row(), index.column());
    default:
        return {};
    }
}

QVariant RunTableModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::TextAlignmentRole)
        return isNumber(section) ? QVariant(Qt::AlignRight | Qt::AlignVCenter)
                                 : QVariant(Qt::AlignLeft | Qt::AlignVCenter);
    if (role == Qt::ToolTipRole && section == Deviation)
        return tr("How far the measured error lies above or below what the plan estimated");
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case Order:
        return padded(QStringLiteral("#"));
    case Layer:
        return padded(tr("Layer"));
    case PlanText:
        return padded(tr("Plan"));
    case State:
        return padded(tr("State"));
    case OutputError:
        return padded(tr("Output error %"));
    case Deviation:
        return padded(tr("vs est. %", "against the estimate"));
    case WeightError:
        return padded(tr("Weight error %"));
    case Bits:
        return padded(tr("bpw"));
    case Seconds:
        return padded(tr("Time, s"));
    case Device:
        return padded(tr("Device"));
    case Note:
        return padded(tr("Note"));
    default:
        return {};
    }
}

}  // namespace sigmascope::ui
