// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/RunTableModel.h"

#include "ui/models/LayerRoles.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Csv.h"

#include <QLocale>

namespace sigmascope::ui {

namespace {

const QString kNone = QStringLiteral("–");

QString errorText(const std::optional<double>& error)
{
    return error ? QLocale().toString(100 * *error, 'f', 2) : kNone;
}

/// An en space either side: a right-aligned column may stand before a left-aligned one.
QString padded(const QString& text)
{
    return QChar(0x2002) + text + QChar(0x2002);
}

bool isNumber(int column)
{
    return column >= RunTableModel::Rank && column <= RunTableModel::Seconds;
}

}  // namespace

RunTableModel::RunTableModel(Session& session, QObject* parent)
    : QAbstractTableModel(parent)
    , m_session(session)
{
}

void RunTableModel::clear()
{
    beginResetModel();
    m_results.clear();
    m_texts.clear();
    endResetModel();
}

void RunTableModel::append(const TensorResult& result)
{
    const int row = static_cast<int>(m_results.size());
    beginInsertRows({}, row, row);
    m_results.push_back(result);
    m_texts.push_back(texts(result));
    endInsertRows();
}

void RunTableModel::setAll(const std::vector<TensorResult>& results)
{
    beginResetModel();
    m_results = results;
    m_texts.clear();
    for (const TensorResult& result : results)
        m_texts.push_back(texts(result));
    endResetModel();
}

RunTableModel::Texts RunTableModel::texts(const TensorResult& result) const
{
    Texts row;
    const QString name = QString::fromStdString(result.name);
    row[Layer] = m_session.isOpen() ? layerTitle(m_session.topology().place(result.tensor), name) : name;
    row[Method] = result.method == "keep" ? tr("kept") : QString::fromStdString(result.method);
    row[GridName] = QString::fromStdString(result.grid);
    row[Rank] = result.method == "keep" ? kNone : QString::number(result.rank);
    row[OutputError] = errorText(result.metricError);
    row[WeightError] = errorText(result.weightError);
    row[Bits] = QLocale().toString(result.bitsPerWeight, 'f', 2);
    row[Seconds] = QLocale().toString(result.seconds, 'f', 2);
    row[Device] = QString::fromStdString(result.device);
    row[Note] = QString::fromStdString(result.fallback);
    return row;
}

QString RunTableModel::asCsv() const
{
    // Machine-readable: full precision and point decimals, whatever the locale.
    QString csv = QStringLiteral("layer,method,grid,rank,metric_rel_error,weight_rel_error,bits_per_weight,seconds,device,fallback\n");
    for (const TensorResult& r : m_results) {
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
    return parent.isValid() ? 0 : static_cast<int>(m_results.size());
}

int RunTableModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant RunTableModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const auto row = static_cast<std::size_t>(index.row());
    const auto column = static_cast<std::size_t>(index.column());
    if (role == Qt::DisplayRole)
        return padded(m_texts[row][column]);
    if (role == Qt::ToolTipRole)
        return column == Layer ? QString::fromStdString(m_results[row].name) : m_texts[row][column];
    if (role == Qt::TextAlignmentRole)
        return isNumber(index.column()) ? QVariant(Qt::AlignRight | Qt::AlignVCenter) : QVariant(Qt::AlignLeft | Qt::AlignVCenter);
    if (role != SortRole)
        return {};
    const TensorResult& result = m_results[row];
    switch (index.column()) {
    case Rank: return result.rank;
    case OutputError: return result.metricError.value_or(-1);
    case WeightError: return result.weightError.value_or(-1);
    case Bits: return result.bitsPerWeight;
    case Seconds: return result.seconds;
    case Layer: return static_cast<qulonglong>(result.tensor);
    default: return m_texts[row][column];
    }
}

QVariant RunTableModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::TextAlignmentRole)
        return isNumber(section) ? QVariant(Qt::AlignRight | Qt::AlignVCenter) : QVariant(Qt::AlignLeft | Qt::AlignVCenter);
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case Layer: return padded(tr("Layer"));
    case Method: return padded(tr("Method"));
    case GridName: return padded(tr("Grid"));
    case Rank: return padded(tr("Rank"));
    case OutputError: return padded(tr("Output error %"));
    case WeightError: return padded(tr("Weight error %"));
    case Bits: return padded(tr("bpw"));
    case Seconds: return padded(tr("Time, s"));
    case Device: return padded(tr("Device"));
    case Note: return padded(tr("Note"));
    default: return {};
    }
}

}  // namespace sigmascope::ui
