// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/CompareModel.h"

#include "ui/Theme.h"
#include "ui/session/Text.h"
#include "ui/text/Csv.h"

#include <QLocale>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sigmascope::ui {

namespace {

const QString kNone = QStringLiteral("–");

QString decimalsOr(double value, int count)
{
    return std::isnan(value) ? kNone : decimals(value, count);
}

QString sizeText(double bytes)
{
    const double mib = bytes / (1024.0 * 1024.0);
    return std::isnan(bytes) ? kNone : mib > 0 && mib < 0.005 ? QStringLiteral("<") + decimals(0.01, 2) : decimals(mib, 2);
}

QString signedPercents(double ratio)
{
    if (std::isnan(ratio))
        return kNone;
    return (ratio > 0 ? QStringLiteral("+") : QString()) + decimals(100 * ratio, 1);
}

/// An en space either side: a right-aligned column may stand before a left-aligned one.
QString padded(const QString& text)
{
    return QChar(0x2002) + text + QChar(0x2002);
}

bool isText(CompareModel::Column column)
{
    return column == CompareModel::Verdict || column == CompareModel::Layer || column == CompareModel::TypeA
        || column == CompareModel::TypeB || column == CompareModel::Note;
}

double numberOf(const ComparedLayer& layer, CompareModel::Column column)
{
    switch (column) {
    case CompareModel::ErrorA: return layer.a.error;
    case CompareModel::ErrorB: return layer.b.error;
    case CompareModel::Difference: return layer.difference;
    case CompareModel::Largest: return layer.largest;
    case CompareModel::BitsA: return layer.a.bits;
    case CompareModel::BitsB: return layer.b.bits;
    case CompareModel::RankA: return layer.a.rank;
    case CompareModel::RankB: return layer.b.rank;
    case CompareModel::MiBA: return layer.a.bytes;
    case CompareModel::MiBB: return layer.b.bytes;
    case CompareModel::Verdict: return static_cast<double>(layer.verdict);
    default: return kUnknown;
    }
}

const char* csvNameOf(CompareModel::Column column, bool isOfRuns)
{
    switch (column) {
    case CompareModel::Verdict: return "verdict";
    case CompareModel::Layer: return "layer";
    case CompareModel::ErrorA: return "error_A";
    case CompareModel::ErrorB: return "error_B";
    case CompareModel::Difference: return isOfRuns ? "change" : "difference";
    case CompareModel::Largest: return "largest";
    case CompareModel::TypeA: return "type_A";
    case CompareModel::TypeB: return "type_B";
    case CompareModel::BitsA: return "bits_A";
    case CompareModel::BitsB: return "bits_B";
    case CompareModel::RankA: return "rank_A";
    case CompareModel::RankB: return "rank_B";
    case CompareModel::MiBA: return "bytes_A";
    case CompareModel::MiBB: return "bytes_B";
    case CompareModel::Note: return "note";
    }
    return "";
}

const char* csvWordOf(LayerVerdict verdict)
{
    switch (verdict) {
    case LayerVerdict::Better: return "better";
    case LayerVerdict::Same: return "same";
    case LayerVerdict::Changed: return "changed";
    case LayerVerdict::Worse: return "worse";
    }
    return "";
}

}  // namespace

CompareModel::CompareModel(QObject* parent)
    : QAbstractTableModel(parent)
{
    show(nullptr);
}

void CompareModel::show(std::shared_ptr<const ComparisonResult> result)
{
    beginResetModel();
    m_result = std::move(result);
    m_columns = m_result && !m_result->isOfRuns
        ? std::vector<Column>{Verdict, Layer, Difference, Largest, TypeA, TypeB, BitsA, BitsB, MiBA, MiBB, Note}
        : std::vector<Column>{Verdict, Layer, ErrorA, ErrorB, Difference, TypeA, TypeB, BitsA, BitsB, RankA, RankB, MiBA, MiBB, Note};
    m_order.resize(m_result ? m_result->layers.size() : 0);
    order(Difference, Qt::DescendingOrder);
    endResetModel();
}

void CompareModel::order(Column column, Qt::SortOrder order)
{
    std::iota(m_order.begin(), m_order.end(), 0);
    if (!m_result)
        return;
    const auto& layers = m_result->layers;
    const auto at = [&](int row) -> const ComparedLayer& { return layers[static_cast<std::size_t>(row)]; };
    if (column == Layer) {  // depth order as it is
        if (order == Qt::DescendingOrder)
            std::ranges::reverse(m_order);
        return;
    }
    if (isText(column) && column != Verdict) {
        std::vector<QString> texts;
        texts.reserve(layers.size());
        for (const ComparedLayer& layer : layers)
            texts.push_back(textOf(layer, column));
        std::ranges::stable_sort(m_order, [&](int x, int y) {
            const int compared = QString::compare(texts[static_cast<std::size_t>(x)], texts[static_cast<std::size_t>(y)]);
            return order == Qt::AscendingOrder ? compared < 0 : compared > 0;
        });
        return;
    }
    std::ranges::stable_sort(m_order, [&](int x, int y) {
        const double left = numberOf(at(x), column), right = numberOf(at(y), column);
        if (std::isnan(left) || std::isnan(right))
            return !std::isnan(left) && std::isnan(right);
        return order == Qt::AscendingOrder ? left < right : left > right;
    });
}

void CompareModel::sort(int section, Qt::SortOrder direction)
{
    if (section < 0 || section >= columnCount())
        return;
    emit layoutAboutToBeChanged({}, QAbstractItemModel::VerticalSortHint);
    const QModelIndexList before = persistentIndexList();
    std::vector<int> layers;
    for (const QModelIndex& index : before)
        layers.push_back(layerAt(index.row()));
    order(columnAt(section), direction);
    std::vector<int> rows(m_order.size());
    for (std::size_t row = 0; row < m_order.size(); ++row)
        rows[static_cast<std::size_t>(m_order[row])] = static_cast<int>(row);
    QModelIndexList after;
    for (qsizetype i = 0; i < before.size(); ++i)
        after << index(rows[static_cast<std::size_t>(layers[static_cast<std::size_t>(i)])], before[i].column());
    changePersistentIndexList(before, after);
    emit layoutChanged({}, QAbstractItemModel::VerticalSortHint);
}

int CompareModel::sectionOf(Column column) const
{
    const auto found = std::ranges::find(m_columns, column);
    return found == m_columns.end() ? -1 : static_cast<int>(found - m_columns.begin());
}

int CompareModel::layerAt(int row) const
{
    return row < 0 || row >= rowCount() ? -1 : m_order[static_cast<std::size_t>(row)];
}

int CompareModel::rowOf(int layer) const
{
    const auto found = std::ranges::find(m_order, layer);
    return found == m_order.end() ? -1 : static_cast<int>(found - m_order.begin());
}

QString CompareModel::verdictWord(const ComparedLayer& layer) const
{
    if (layer.isOnOneSide)
        return layer.a.type.empty() ? tr("only in B") : tr("only in A");
    if (!m_result->isOfRuns) {
        if (!layer.reason.empty())
            return tr("not compared");
        return layer.isSameBytes                         ? tr("same bytes")
            : layer.verdict == LayerVerdict::Same ? tr("same values")
                                                         : tr("differs");
    }
    switch (layer.verdict) {
    case LayerVerdict::Better: return tr("better", "error of B");
    case LayerVerdict::Same: return tr("no difference");
    case LayerVerdict::Changed: return tr("changed", "planned otherwise, same error");
    case LayerVerdict::Worse: return tr("worse", "error of B");
    }
    return {};
}

QString CompareModel::noteOf(const ComparedLayer& layer) const
{
    return QString::fromStdString(layer.reason);
}

QString CompareModel::textOf(const ComparedLayer& layer, Column column) const
{
    switch (column) {
    case Verdict: return verdictWord(layer);
    case Layer: return layerTitle(layer.place, QString::fromStdString(layer.name));
    case ErrorA: return decimalsOr(100 * layer.a.error, 2);
    case ErrorB: return decimalsOr(100 * layer.b.error, 2);
    case Difference: return m_result->isOfRuns ? signedPercents(layer.difference) : decimalsOr(100 * layer.difference, 3);
    case Largest: return std::isnan(layer.largest) ? kNone : number3(layer.largest);
    case TypeA: return layer.a.type.empty() ? kNone : QString::fromStdString(layer.a.type);
    case TypeB: return layer.b.type.empty() ? kNone : QString::fromStdString(layer.b.type);
    case BitsA: return decimalsOr(layer.a.bits, 2);
    case BitsB: return decimalsOr(layer.b.bits, 2);
    case RankA: return decimalsOr(layer.a.rank, 0);
    case RankB: return decimalsOr(layer.b.rank, 0);
    case MiBA: return sizeText(layer.a.bytes);
    case MiBB: return sizeText(layer.b.bytes);
    case Note: return noteOf(layer);
    }
    return {};
}

QString CompareModel::asCsv() const
{
    const bool isOfRuns = m_result == nullptr || m_result->isOfRuns;
    QStringList names;
    for (const Column column : m_columns)
        names << QLatin1String(csvNameOf(column, isOfRuns));
    QString csv = names.join(QLatin1Char(',')) + QLatin1Char('\n');
    for (const int at : m_order) {
        const ComparedLayer& layer = m_result->layers[static_cast<std::size_t>(at)];
        QStringList fields;
        for (const Column column : m_columns) {
            switch (column) {
            case Verdict:
                fields << (layer.isOnOneSide        ? layer.a.type.empty() ? QStringLiteral("only_B") : QStringLiteral("only_A")
                               : layer.reason.empty() ? QLatin1String(csvWordOf(layer.verdict))
                                                      : QStringLiteral("not_compared"));
                break;
            case Layer: fields << csvField(QString::fromStdString(layer.name)); break;
            case TypeA: fields << csvField(QString::fromStdString(layer.a.type)); break;
            case TypeB: fields << csvField(QString::fromStdString(layer.b.type)); break;
            case Note: fields << csvField(noteOf(layer)); break;
            default: fields << csvNumber(numberOf(layer, column));
            }
        }
        csv += fields.join(QLatin1Char(',')) + QLatin1Char('\n');
    }
    return csv;
}

int CompareModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_order.size());
}

int CompareModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_columns.size());
}

QVariant CompareModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const ComparedLayer& layer = m_result->layers[static_cast<std::size_t>(layerAt(index.row()))];
    const Column column = columnAt(index.column());
    switch (role) {
    case Qt::DisplayRole: return column == Verdict ? textOf(layer, column) : padded(textOf(layer, column));
    case Qt::ToolTipRole:
        return column == Layer ? tr("%1\nShow in Inspect").arg(QString::fromStdString(layer.name))
            : column == Note   ? noteOf(layer)
                               : QVariant();
    case Qt::FontRole: return column == Verdict || column == Layer || column == Note ? QVariant() : QVariant(ui::font(FontRole::Mono));
    case Qt::ForegroundRole: return column == Layer ? QVariant(Theme::current().acc) : QVariant();
    case Qt::TextAlignmentRole:
        return isText(column) ? QVariant(Qt::AlignLeft | Qt::AlignVCenter) : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    case kVerdictRole: return static_cast<int>(layer.verdict);
    default: return {};
    }
}

QVariant CompareModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || section < 0 || section >= columnCount())
        return {};
    const Column column = columnAt(section);
    const bool isOfRuns = m_result == nullptr || m_result->isOfRuns;
    if (role == Qt::TextAlignmentRole)
        return isText(column) ? QVariant(Qt::AlignLeft | Qt::AlignVCenter) : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    if (role == Qt::ToolTipRole && column == Difference)
        return isOfRuns ? tr("Error of B over that of A, less 1: above 0, B is worse") : tr("‖A − B‖ / ‖A‖ over the decoded weights");
    if (role == Qt::ToolTipRole && column == Largest)
        return tr("Largest difference of any weight, in weight units");
    if (role != Qt::DisplayRole)
        return {};
    const auto words = [&]() -> QString {
        switch (column) {
        case Verdict: return tr("Verdict");
        case Layer: return tr("Layer");
        case ErrorA: return tr("Error A %");
        case ErrorB: return tr("Error B %");
        case Difference: return isOfRuns ? tr("B to A %") : tr("Difference %");
        case Largest: return tr("Largest");
        case TypeA: return isOfRuns ? tr("Grid A") : tr("Type A");
        case TypeB: return isOfRuns ? tr("Grid B") : tr("Type B");
        case BitsA: return tr("Bits A");
        case BitsB: return tr("Bits B");
        case RankA: return tr("Rank A");
        case RankB: return tr("Rank B");
        case MiBA: return tr("MiB A");
        case MiBB: return tr("MiB B");
        case Note: return tr("Note");
        }
        return {};
    };
    return padded(words());
}

}  // namespace sigmascope::ui
