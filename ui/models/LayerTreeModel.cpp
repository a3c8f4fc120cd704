// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/LayerTreeModel.h"

#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QLocale>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>

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

const QString kNotSeen = QStringLiteral("–");

/// Of what a change is told by: a hundred thousand are taken at once, so no text is built.
std::size_t planHash(const LayerPlan& plan)
{
    std::size_t hash = std::hash<std::string>{}(plan.grid);
    for (const std::size_t part : {static_cast<std::size_t>(plan.rank), static_cast<std::size_t>(plan.keep),
                                   static_cast<std::size_t>(plan.factors), static_cast<std::size_t>(plan.metric)})
        hash = hash * 1099511628211U + part;
    return hash;
}

}  // namespace

LayerTreeModel::LayerTreeModel(Session& session, QObject* parent)
    : QAbstractItemModel(parent)
    , m_session(session)
{
    connect(&session, &Session::opened, this, &LayerTreeModel::rebuild);
    connect(&session, &Session::closed, this, &LayerTreeModel::rebuild);
    connect(&session, &Session::planChanged, this, [this](const std::vector<std::size_t>& tensors) {
        indexFallbacks();
        refresh(tensors);
    });
    connect(&session, &Session::analysisChanged, this, [this](std::size_t tensor) { refresh({tensor}); });
    connect(&session, &Session::calibrationChanged, this, [this] {
        std::vector<std::size_t> all(m_place.size());
        std::iota(all.begin(), all.end(), std::size_t{0});
        indexFallbacks();
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
    m_planned.clear();
    m_fallbackOf.clear();
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
        indexFallbacks();
        m_planned.reserve(count);
        for (std::size_t i = 0; i < count; ++i)
            m_planned.push_back(plannedOf(i));
    }
    indexNames();
    endResetModel();
}

/// Names in lower case, end to end: a filter runs over them as one text.
void LayerTreeModel::indexNames()
{
    const auto search = std::make_shared<SearchText>();
    m_search = search;
    if (!m_session.isOpen())
        return;
    const auto tensors = m_session.checkpoint()->tensors();
    search->starts.reserve(tensors.size());
    for (const TensorInfo& tensor : tensors) {
        search->starts.push_back(static_cast<std::uint32_t>(search->text.size()));
        const bool isAscii = std::ranges::all_of(tensor.name, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
        if (isAscii)
            std::ranges::transform(tensor.name, std::back_inserter(search->text), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        else
            search->text += QString::fromStdString(tensor.name).toLower().toStdString();
        search->text += '\n';
    }
}

void LayerTreeModel::indexFallbacks()
{
    m_fallbackOf.clear();
    for (std::size_t i = 0; i < m_session.fallbacks().size(); ++i)
        m_fallbackOf.emplace(m_session.fallbacks()[i].tensor, i);
}

LayerTreeModel::Planned LayerTreeModel::plannedOf(std::size_t tensor) const
{
    const LayerPlan& plan = m_session.layer(tensor);
    Planned planned{.bytes = m_session.plannedBytes(tensor)};
    const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
    const std::uint64_t elements = m_session.tensor(tensor).elements();
    planned.bits = !plan.keep && grid ? (*grid)->bits()
        : elements == 0               ? 0
                                      : 8.0 * static_cast<double>(planned.bytes) / static_cast<double>(elements);
    if (const auto error = m_session.shownError(tensor))
        planned.error = error->value;
    return planned;
}

QString LayerTreeModel::warningOf(std::size_t tensor) const
{
    const TensorInfo& stored = m_session.tensor(tensor);
    if (stored.state == TensorState::Truncated)
        return tr("The file ends before this tensor does");
    if (stored.state == TensorState::Missing)
        return tr("The part of the model that holds this tensor is missing");
    if (const ValueAnalysis* values = m_session.values(tensor); values != nullptr && values->stats.nan + values->stats.inf > 0)
        return tr("Values that are not finite: %1. It is copied, not quantized").arg(values->stats.nan + values->stats.inf);
    if (const auto fallback = m_fallbackOf.find(tensor); fallback != m_fallbackOf.end() && fallback->second < m_session.fallbacks().size())
        return QString::fromStdString(m_session.fallbacks()[fallback->second].detail);
    const LayerPreview* preview = m_session.preview(tensor);
    if (preview != nullptr && preview->metric.isPlain() && !preview->metric.note.empty() && !m_session.layer(tensor).keep)
        return QString::fromStdString(preview->metric.note);
    return {};
}

void LayerTreeModel::refresh(const std::vector<std::size_t>& tensors)
{
    // One signal for each run of neighbours: a preset that changes every layer would be a hundred thousand otherwise.
    std::vector<std::pair<int, int>> places;
    for (const std::size_t tensor : tensors) {
        if (tensor >= m_place.size())
            continue;
        m_rows[tensor].reset();
        m_planned[tensor] = plannedOf(tensor);
        places.push_back(m_place[tensor]);
    }
    std::ranges::sort(places);
    for (std::size_t i = 0; i < places.size();) {
        const auto [top, member] = places[i];
        std::size_t end = i + 1;
        if (member < 0) {
            while (end < places.size() && places[end].second < 0 && places[end].first == places[end - 1].first + 1)
                ++end;
            emit dataChanged(createIndex(top, 0, kTopLevel), createIndex(places[end - 1].first, LayerColumnCount - 1, kTopLevel));
        } else {
            while (end < places.size() && places[end].first == top && places[end].second == places[end - 1].second + 1)
                ++end;
            emit dataChanged(createIndex(member, 0, static_cast<quintptr>(top)),
                             createIndex(places[end - 1].second, LayerColumnCount - 1, static_cast<quintptr>(top)));
            m_top[static_cast<std::size_t>(top)].cache.reset();
            m_top[static_cast<std::size_t>(top)].figures.reset();
            const QModelIndex block = createIndex(top, 0, kTopLevel);
            emit dataChanged(block, block.siblingAtColumn(LayerColumnCount - 1));
        }
        i = end;
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
        row.text[LayerRank] = kNotSeen;
    }
    row.text[LayerError] = row.error ? bounded(decimals(100 * *row.error, *row.error < 0.001 ? 2 : 1), row.isUpperBound) : kNotSeen;
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
    row.bytes = m_planned[tensor].bytes;
    row.bits = m_planned[tensor].bits;
    if (const auto error = m_session.shownError(tensor)) {
        row.error = error->value;
        row.isMeasured = error->isMeasured;
        row.isUpperBound = error->isUpperBound;
    }
    row.warning = warningOf(tensor);
    formatNumbers(row, false);
    row.text[LayerShape] = shapeText(stored.shape);
    row.text[LayerDType] = typeText(stored);
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
        row.bytes += m_planned[tensor].bytes;
        const LayerPlan& plan = m_session.layer(tensor);
        if (plan.keep)
            continue;
        row.isPlanned = true;
        elements += count;
        planned += 1;
        row.bits += count * m_planned[tensor].bits;
        row.rank += plan.rank;
        const auto error = m_session.shownError(tensor);
        allKnown = allKnown && error.has_value();
        allMeasured = allMeasured && error && error->isMeasured;
        row.isUpperBound = row.isUpperBound || (error && error->isUpperBound);
        errorSquares += error ? count * error->value * error->value : 0;
        if (row.warning.isEmpty())
            row.warning = warningOf(tensor);
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
