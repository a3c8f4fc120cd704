// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/LayerTreeModel.h"

#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QLocale>

#include <algorithm>
#include <cmath>
#include <map>

namespace sigmascope::ui {

struct LayerTreeModel::Row {
    QString name, fullName, warning;
    std::array<QString, LayerColumnCount> text;
    double bits = 0, rank = 0;
    std::optional<double> error;
    bool isMeasured = false;
    bool isUpperBound = false;
    qulonglong bytes = 0;
    bool isPinned = false;
    bool isPlanned = false;
};

namespace {

constexpr quintptr kTopLevel = ~quintptr{0};
const QString kUnknown = QStringLiteral("–");

std::size_t planHash(const LayerPlan& plan)
{
    const std::string text = plan.grid + '/' + std::to_string(plan.rank) + (plan.keep ? "k" : "q")
        + std::to_string(static_cast<int>(plan.factors)) + std::to_string(static_cast<int>(plan.metric));
    return std::hash<std::string>{}(text);
}

QString warningOf(const Session& session, std::size_t tensor)
{
    const TensorInfo& info_ = session.tensor(tensor);
    if (info_.state == TensorState::Truncated)
        return LayerTreeModel::tr("The file ends before this tensor does");
    if (info_.state == TensorState::Missing)
        return LayerTreeModel::tr("The part of the model that holds this tensor is missing");
    if (const ValueAnalysis* values = session.values(tensor); values != nullptr && values->stats.nan + values->stats.inf > 0)
        return LayerTreeModel::tr("Values that are not finite: %1. It is copied, not quantized").arg(values->stats.nan + values->stats.inf);
    for (const Fallback& fallback : session.fallbacks()) {
        if (fallback.tensor == tensor)
            return QString::fromStdString(fallback.detail);
    }
    const LayerPreview* preview = session.preview(tensor);
    if (preview != nullptr && preview->metric.isPlain() && !preview->metric.note.empty() && !session.layer(tensor).keep)
        return QString::fromStdString(preview->metric.note);
    return {};
}

}  // namespace

LayerTreeModel::LayerTreeModel(Session& session, QObject* parent)
    : QAbstractItemModel(parent)
    , m_session(session)
{
    connect(&session, &Session::opened, this, &LayerTreeModel::rebuild);
    connect(&session, &Session::closed, this, &LayerTreeModel::rebuild);
    connect(&session, &Session::planChanged, this, &LayerTreeModel::refresh);
    connect(&session, &Session::analysisChanged, this, [this](std::size_t tensor) { refresh({tensor}); });
    connect(&session, &Session::calibrationChanged, this, [this] {
        std::vector<std::size_t> all(m_place.size());
        for (std::size_t i = 0; i < all.size(); ++i)
            all[i] = i;
        refresh(all);
    });
}

LayerTreeModel::~LayerTreeModel() = default;

void LayerTreeModel::rebuild()
{
    beginResetModel();
    m_top.clear();
    m_place.clear();
    m_rows.clear();
    m_initialHash.clear();
    if (m_session.isOpen()) {
        const std::size_t count = m_session.checkpoint()->tensors().size();
        std::map<int, std::vector<std::size_t>> blocks;
        std::vector<std::size_t> before;
        std::vector<std::size_t> after;
        for (std::size_t i = 0; i < count; ++i) {
            const TensorPlace& place = m_session.topology().place(i);
            if (place.block >= 0)
                blocks[place.block].push_back(i);
            else
                (place.role == Role::Embedding ? before : after).push_back(i);
            m_initialHash.push_back(planHash(m_session.layer(i)));
        }
        const auto addSingles = [this](const std::vector<std::size_t>& tensors) {
            for (const std::size_t i : tensors)
                m_top.push_back({.tensor = i});
        };
        addSingles(before);
        for (auto& [block, members] : blocks) {
            std::ranges::stable_sort(members, {}, [this](std::size_t i) { return m_session.topology().place(i).role; });
            m_top.push_back({.block = block, .members = std::move(members)});
        }
        addSingles(after);
        m_place.resize(count);
        m_rows.resize(count);
        for (std::size_t row = 0; row < m_top.size(); ++row) {
            if (m_top[row].tensor)
                m_place[*m_top[row].tensor] = {static_cast<int>(row), -1};
            for (std::size_t k = 0; k < m_top[row].members.size(); ++k)
                m_place[m_top[row].members[k]] = {static_cast<int>(row), static_cast<int>(k)};
        }
    }
    endResetModel();
}

void LayerTreeModel::refresh(const std::vector<std::size_t>& tensors)
{
    for (const std::size_t tensor : tensors) {
        if (tensor >= m_place.size())
            continue;
        m_rows[tensor].reset();
        const QModelIndex at = indexOf(tensor);
        emit dataChanged(at, at.siblingAtColumn(LayerColumnCount - 1));
        if (const QModelIndex block = at.parent(); block.isValid()) {
            m_top[static_cast<std::size_t>(block.row())].cache.reset();
            emit dataChanged(block, block.siblingAtColumn(LayerColumnCount - 1));
        }
    }
}

QModelIndex LayerTreeModel::index(int row, int column, const QModelIndex& parent) const
{
    if (row < 0 || row >= rowCount(parent) || column < 0 || column >= LayerColumnCount)
        return {};
    return createIndex(row, column, parent.isValid() ? static_cast<quintptr>(parent.row()) : kTopLevel);
}

QModelIndex LayerTreeModel::parent(const QModelIndex& child) const
{
    if (!child.isValid() || child.internalId() == kTopLevel)
        return {};
    return createIndex(static_cast<int>(child.internalId()), 0, kTopLevel);
}

int LayerTreeModel::rowCount(const QModelIndex& parent) const
{
    if (!parent.isValid())
        return static_cast<int>(m_top.size());
    if (parent.internalId() != kTopLevel || parent.column() != 0)
        return 0;
    return static_cast<int>(m_top[static_cast<std::size_t>(parent.row())].members.size());
}

int LayerTreeModel::columnCount(const QModelIndex&) const
{
    return LayerColumnCount;
}

std::optional<std::size_t> LayerTreeModel::tensorAt(const QModelIndex& index) const
{
    if (!index.isValid())
        return std::nullopt;
    if (index.internalId() == kTopLevel)
        return m_top[static_cast<std::size_t>(index.row())].tensor;
    return m_top[static_cast<std::size_t>(index.internalId())].members[static_cast<std::size_t>(index.row())];
}

std::vector<std::size_t> LayerTreeModel::tensorsAt(const QModelIndex& index) const
{
    if (const auto tensor = tensorAt(index))
        return {*tensor};
    return index.isValid() ? m_top[static_cast<std::size_t>(index.row())].members : std::vector<std::size_t>{};
}

QModelIndex LayerTreeModel::indexOf(std::size_t tensor) const
{
    if (tensor >= m_place.size())
        return {};
    const auto [top, member] = m_place[tensor];
    return member < 0 ? createIndex(top, 0, kTopLevel) : createIndex(member, 0, static_cast<quintptr>(top));
}

std::size_t LayerTreeModel::plannedCount() const
{
    std::size_t count = 0;
    for (std::size_t i = 0; i < m_place.size(); ++i)
        count += m_session.layer(i).keep ? 0 : 1;
    return count;
}

std::size_t LayerTreeModel::otherCount() const
{
    return m_place.size() - plannedCount();
}

bool LayerTreeModel::isChanged(std::size_t tensor) const
{
    return planHash(m_session.layer(tensor)) != m_initialHash[tensor];
}

const LayerTreeModel::Row& LayerTreeModel::rowAt(const QModelIndex& index) const
{
    if (const auto tensor = tensorAt(index)) {
        if (!m_rows[*tensor])
            m_rows[*tensor] = std::make_unique<Row>(tensorRow(*tensor));
        return *m_rows[*tensor];
    }
    const TopLevel& block = m_top[static_cast<std::size_t>(index.row())];
    if (!block.cache)
        block.cache = std::make_unique<Row>(blockRow(block));
    return *block.cache;
}

void LayerTreeModel::formatNumbers(Row& row, bool isBlock)
{
    const QLocale locale;
    row.text[LayerName] = row.name;
    if (row.isPlanned || isBlock) {
        row.text[LayerBits] = locale.toString(row.bits, 'f', isBlock ? 1 : row.bits == std::floor(row.bits) ? 0 : 1);
        row.text[LayerRank] = locale.toString(qRound(row.rank));
    } else {
        row.text[LayerBits] = locale.toString(row.bits, 'f', 0);
        row.text[LayerRank] = kUnknown;
    }
    row.text[LayerError] = row.error ? bounded(decimals(100 * *row.error, *row.error < 0.001 ? 2 : 1), row.isUpperBound) : kUnknown;
    const double mebibytes = static_cast<double>(row.bytes) / (1024.0 * 1024.0);
    row.text[LayerMiB] = locale.toString(mebibytes, 'f', mebibytes < 9.995 ? 2 : mebibytes < 99.95 ? 1 : 0);
}

LayerTreeModel::Row LayerTreeModel::tensorRow(std::size_t tensor) const
{
    const TensorInfo& stored = m_session.tensor(tensor);
    const LayerPlan& plan = m_session.layer(tensor);
    Row row;
    row.fullName = QString::fromStdString(stored.name);
    row.name = layerShortName(m_session.topology().place(tensor), row.fullName);
    row.isPlanned = !plan.keep;
    row.isPinned = plan.pinned;
    row.rank = plan.rank;
    row.bytes = m_session.plannedBytes(tensor);
    const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
    row.bits = plan.keep || !grid ? m_session.plannedBits(tensor) : (*grid)->bits();
    if (const auto error = m_session.shownError(tensor)) {
        row.error = error->value;
        row.isMeasured = error->isMeasured;
        row.isUpperBound = error->isUpperBound;
    }
    row.warning = warningOf(m_session, tensor);
    formatNumbers(row, false);
    row.text[LayerShape] = shapeText(stored.shape);
    row.text[LayerDType] = stored.unknownDtype.empty() ? QString::fromUtf8(info(stored.dtype).name.data())
                                                       : QString::fromStdString(stored.unknownDtype);
    row.text[LayerPlanText] = plan.keep ? tr("kept") : QString::fromStdString(plan.grid);
    return row;
}

LayerTreeModel::Row LayerTreeModel::blockRow(const TopLevel& block) const
{
    Row row;
    row.name = tr("Block %1").arg(block.block);
    row.fullName = row.name;
    double elements = 0;
    double planned = 0;
    double errorSquares = 0;
    bool allKnown = true;
    bool allMeasured = true;
    for (const std::size_t tensor : block.members) {
        const double count = static_cast<double>(m_session.tensor(tensor).elements());
        row.bytes += m_session.plannedBytes(tensor);
        const LayerPlan& plan = m_session.layer(tensor);
        if (plan.keep)
            continue;
        row.isPlanned = true;
        elements += count;
        planned += 1;
        const auto grid = findGrid(plan.grid);
        row.bits += count * (grid ? (*grid)->bits() : 0);
        row.rank += plan.rank;
        const auto error = m_session.shownError(tensor);
        allKnown = allKnown && error.has_value();
        allMeasured = allMeasured && error && error->isMeasured;
        row.isUpperBound = row.isUpperBound || (error && error->isUpperBound);
        errorSquares += error ? count * error->value * error->value : 0;
        if (row.warning.isEmpty())
            row.warning = warningOf(m_session, tensor);
    }
    if (elements > 0) {
        row.bits /= elements;
        row.rank /= planned;
        // Only a block whose layers are all known has a mean: a mean of some would jump as others arrive.
        if (allKnown)
            row.error = std::sqrt(errorSquares / elements);
        row.isMeasured = allMeasured;
    }
    formatNumbers(row, elements > 0);
    return row;
}

QVariant LayerTreeModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const Row& row = rowAt(index);
    const auto column = static_cast<std::size_t>(index.column());
    switch (role) {
    case Qt::DisplayRole: return row.text[column];
    case Qt::ToolTipRole: return row.warning.isEmpty() ? row.fullName : row.fullName + QLatin1Char('\n') + row.warning;
    case Qt::TextAlignmentRole:
        return column == LayerName || column >= LayerShape ? QVariant(Qt::AlignLeft | Qt::AlignVCenter)
                                                           : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    case NameRole: return row.name;
    case BitsRole: return row.bits;
    case RankRole: return row.rank;
    case ErrorRole: return row.error ? QVariant(*row.error) : QVariant();
    case ErrorSourceRole: return static_cast<int>(row.isMeasured ? Source::Measured : Source::Estimated);
    case BytesRole: return row.bytes;
    case PinnedRole: return row.isPinned;
    case WarningRole: return row.warning;
    case IsBlockRole: return !tensorAt(index).has_value();
    case IsPlannedRole: return row.isPlanned;
    case FlashRole: return false;
    case FailureRole: return QString();
    case TensorIndexRole: {
        const auto tensor = tensorAt(index);
        return tensor ? static_cast<int>(*tensor) : -1;
    }
    case SortRole: break;
    default: return {};
    }
    switch (index.column()) {
    case LayerPips:
    case LayerBits: return row.bits;
    case LayerRank: return row.isPlanned ? row.rank : -1.0;
    case LayerError: return row.error.value_or(-1.0);
    case LayerMiB: return row.bytes;
    case LayerName: return tensorAt(index) ? QVariant(row.name) : QVariant(m_top[static_cast<std::size_t>(index.row())].block);
    default: return row.text[column];
    }
}

QVariant LayerTreeModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::TextAlignmentRole)
        return section == LayerName || section >= LayerShape ? QVariant(Qt::AlignLeft | Qt::AlignVCenter)
                                                             : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    if (role == Qt::ToolTipRole && section == LayerError)
        return tr("Output error of the layer, weighted by the activations; weight error where there is no calibration");
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case LayerName: return tr("Layer");
    case LayerPips: return QString();
    case LayerBits: return tr("Bits");
    case LayerRank: return tr("Rank");
    case LayerError: return tr("Error %");
    case LayerMiB: return tr("MiB");
    case LayerShape: return tr("Shape");
    case LayerDType: return tr("Type");
    case LayerPlanText: return tr("Grid");
    default: return {};
    }
}

}  // namespace sigmascope::ui
