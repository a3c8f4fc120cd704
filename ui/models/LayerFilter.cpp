// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/LayerFilter.h"

#include "ui/models/LayerTreeModel.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QHash>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <string_view>

namespace sigmascope::ui {

namespace {

constexpr std::size_t kFlatFrom = 10000;  // tensors

/// Bits that compare as the numbers do. No NaN; zeros are alike.
std::uint64_t orderedBits(double key)
{
    const auto bits = std::bit_cast<std::uint64_t>(key + 0.0);
    return bits >> 63 != 0 ? ~bits : bits | std::uint64_t{1} << 63;
}

/// Indices in the order of their keys; equal ones stay as they are. By digits, the last one first: a hundred thousand
/// comparisons that go either way would take longer than a frame, and most digits of counts and sizes are alike.
template <class Index> void sortByKey(std::vector<Index>& indices, Qt::SortOrder order, const std::vector<double>& keys)
{
    using Keyed = std::pair<std::uint64_t, std::uint32_t>;
    constexpr unsigned kDigits = 8;  // of eight bits
    const std::size_t count = indices.size();
    std::vector<Keyed> keyed(count);
    std::array<std::array<std::uint32_t, 256>, kDigits> counts{};
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t bits = orderedBits(keys[i]);
        keyed[i] = {order == Qt::AscendingOrder ? bits : ~bits, static_cast<std::uint32_t>(i)};
        for (unsigned digit = 0; digit < kDigits; ++digit)
            ++counts[digit][keyed[i].first >> 8 * digit & 255];
    }
    if (std::ranges::is_sorted(keyed, {}, &Keyed::first))
        return;
    std::vector<Keyed> next(count);
    for (unsigned digit = 0; digit < kDigits; ++digit) {
        std::array<std::uint32_t, 256>& place = counts[digit];
        if (std::ranges::find(place, count) != place.end())
            continue;
        std::exclusive_scan(place.begin(), place.end(), place.begin(), 0U);
        for (const Keyed& one : keyed)
            next[place[one.first >> 8 * digit & 255]++] = one;
        keyed.swap(next);
    }
    std::vector<Index> sorted;
    sorted.reserve(count);
    for (const auto& [key, i] : keyed)
        sorted.push_back(std::move(indices[i]));
    indices = std::move(sorted);
}

/// What the name column is sorted by: names of roles, and of tensors without one. Owns all it needs.
struct ShownNames {
    std::shared_ptr<const LayerTreeModel::SearchText> search;
    std::vector<std::int32_t> role;  ///< one a tensor, an index into roleNames; -1: its own name
    std::vector<std::string> roleNames;

    /// One a tensor; equal names share a place.
    [[nodiscard]] std::vector<double> places() const
    {
        const std::size_t count = role.size();
        std::vector<std::string_view> names(count);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t end = i + 1 < count ? search->starts[i + 1] : search->text.size();
            names[i] = role[i] < 0 ? std::string_view(search->text).substr(search->starts[i], end - search->starts[i] - 1)
                                   : std::string_view(roleNames[static_cast<std::size_t>(role[i])]);
        }
        std::vector<std::uint32_t> order(count);
        std::iota(order.begin(), order.end(), 0U);
        std::ranges::sort(order, {}, [&](std::uint32_t i) { return names[i]; });
        std::vector<double> places(count, 0);
        for (std::size_t at = 1; at < count; ++at)
            places[order[at]] = places[order[at - 1]] + (names[order[at]] == names[order[at - 1]] ? 0 : 1);
        return places;
    }
};

ShownNames shownNames(const LayerTreeModel& model)
{
    ShownNames names{.search = model.searchIndex(), .role = {}, .roleNames = {}};
    names.role.assign(model.tensorCount(), -1);
    QHash<int, std::int32_t> known;
    for (std::size_t i = 0; i < names.role.size(); ++i) {
        const TensorPlace& place = model.session().topology().place(i);
        if (place.role == Role::Other)
            continue;
        const int key = static_cast<int>(place.role) * 2 + (place.bias ? 1 : 0);
        auto found = known.constFind(key);
        if (found == known.constEnd()) {
            found = known.insert(key, static_cast<std::int32_t>(names.roleNames.size()));
            names.roleNames.push_back(layerShortName(place, QString()).toLower().toStdString());
        }
        names.role[i] = *found;
    }
    return names;
}

}  // namespace

LayerFilter::LayerFilter(LayerTreeModel& model, QObject* parent)
    : QAbstractProxyModel(parent)
    , m_model(model)
{
    setSourceModel(&model);
    connect(&model, &QAbstractItemModel::modelAboutToBeReset, this, [this] { beginResetModel(); });
    connect(&model, &QAbstractItemModel::modelReset, this, [this] {
        orderNames();
        rebuild();
        endResetModel();
    });
    connect(&model, &QAbstractItemModel::dataChanged, this, &LayerFilter::forwardDataChanged);
    orderNames();
    rebuild();
}

std::optional<QString> LayerFilter::setText(const QString& text)
{
    std::vector<Term> terms;
    const QStringList words = text.simplified().split(QLatin1Char(' '), Qt::SkipEmptyParts);
    for (const QString& word : words) {
        const auto term = parsed(word);
        if (!term)
            return word;
        terms.push_back(*term);
    }
    beginResetModel();
    m_terms = std::move(terms);
    rebuild();
    endResetModel();
    return std::nullopt;
}

/// The rows to show, in the model's order, then sorted. Between begin and end of a reset.
void LayerFilter::rebuild()
{
    const std::vector<char> isIn = matches();
    m_listed = static_cast<std::size_t>(std::ranges::count(isIn, 1));
    m_isFlat = isFiltering() && isIn.size() > kFlatFrom;
    m_top.clear();
    m_flat.clear();
    if (m_isFlat)
        rebuildFlat(isIn);
    else
        rebuildTree(isIn);
    sortRows();
}

void LayerFilter::rebuildFlat(const std::vector<char>& isIn)
{
    m_flat.reserve(m_listed);
    const auto add = [&](std::size_t tensor) {
        if (isIn[tensor] != 0)
            m_flat.push_back(static_cast<std::uint32_t>(tensor));
    };
    for (int row = 0; row < m_model.rowCount(); ++row) {
        if (const auto tensor = m_model.tensorOfTop(row))
            add(*tensor);
        for (const std::size_t member : m_model.membersOfTop(row))
            add(member);
    }
}

void LayerFilter::rebuildTree(const std::vector<char>& isIn)
{
    for (int row = 0; row < m_model.rowCount(); ++row) {
        if (const auto tensor = m_model.tensorOfTop(row)) {
            if (isIn[*tensor] != 0)
                m_top.push_back({.source = row, .members = {}});
            continue;
        }
        const std::vector<std::size_t>& members = m_model.membersOfTop(row);
        Top top{.source = row, .members = {}};
        top.members.reserve(members.size());
        for (std::size_t k = 0; k < members.size(); ++k)
            if (isIn[members[k]] != 0)
                top.members.push_back(static_cast<int>(k));
        if (!top.members.empty())
            m_top.push_back(std::move(top));
    }
}

void LayerFilter::orderNames()
{
    m_nameKeys.clear();
    if (!m_model.session().isOpen())
        return;
    m_nameJob.start([names = shownNames(m_model)](const JobContext& job) -> Result<std::vector<double>> {
        if (job.cancelled())
            return cancelledError();
        return names.places();
    }, [this](Result<std::vector<double>> places) {
        if (places && places->size() == m_model.tensorCount())
            m_nameKeys = std::move(*places);
    });
}

/// Places of the names as shown, in their order; equal names share one. Kept until another model is opened.
const std::vector<double>& LayerFilter::nameKeys() const
{
    if (m_nameKeys.size() != m_model.tensorCount())
        m_nameKeys = shownNames(m_model).places();  // asked for before the job has them
    return m_nameKeys;
}

std::vector<double> LayerFilter::tensorKeys() const
{
    if (m_column == LayerName)
        return nameKeys();
    std::vector<double> keys(m_model.tensorCount());
    for (std::size_t i = 0; i < keys.size(); ++i) {
        switch (m_column) {
        case LayerRank: {
            const LayerPlan& plan = m_model.session().layer(i);
            keys[i] = plan.keep ? -1 : plan.rank;
            break;
        }
        case LayerError: {
            keys[i] = m_model.shownError(i);
            break;
        }
        case LayerMiB:
            keys[i] = static_cast<double>(m_model.plannedBytes(i));
            break;
        case LayerShape:
            keys[i] = static_cast<double>(m_model.session().tensor(i).elements());
            break;
        case LayerDType:
            keys[i] = static_cast<double>(m_model.session().tensor(i).dtype);
            break;
        default:
            keys[i] = m_model.plannedBits(i);
        }
    }
    return keys;
}

double LayerFilter::topKey(int row) const
{
    const LayerTreeModel::Figures figures = m_model.figuresOfTop(row);
    switch (m_column) {
    case LayerRank:
        return figures.rank;
    case LayerError:
        return figures.error;
    case LayerMiB:
        return static_cast<double>(figures.bytes);
    case LayerName:
        return m_model.blockOfTop(row);
    default:
        return figures.bits;
    }
}

void LayerFilter::sortRows()
{
    if (m_column >= 0 && m_isFlat) {
        const std::vector<double> keys = tensorKeys();
        std::vector<double> of;
        of.reserve(m_flat.size());
        for (const std::uint32_t tensor : m_flat)
            of.push_back(keys[tensor]);
        sortByKey(m_flat, m_order, of);
    } else if (m_column >= 0) {
        sortTree();
    }
    indexRows();
}

void LayerFilter::sortTree()
{
    const std::vector<double> keys = tensorKeys();
    std::vector<double> of;
    for (Top& top : m_top) {
        const std::vector<std::size_t>& members = m_model.membersOfTop(top.source);
        of.clear();
        for (const int member : top.members)
            of.push_back(keys[members[static_cast<std::size_t>(member)]]);
        sortByKey(top.members, m_order, of);
    }
    of.clear();
    for (const Top& top : m_top) {
        const auto tensor = m_model.tensorOfTop(top.source);
        of.push_back(tensor && m_column != LayerName ? keys[*tensor] : topKey(top.source));
    }
    sortByKey(m_top, m_order, of);
}

void LayerFilter::indexRows()
{
    m_rowOfTop.assign(static_cast<std::size_t>(m_model.rowCount()), -1);
    m_rowOfMember.assign(m_model.tensorCount(), -1);
    for (std::size_t row = 0; row < m_flat.size(); ++row)
        m_rowOfMember[m_flat[row]] = static_cast<int>(row);
    for (std::size_t row = 0; row < m_top.size(); ++row) {
        const Top& top = m_top[row];
        m_rowOfTop[static_cast<std::size_t>(top.source)] = static_cast<int>(row);
        const std::vector<std::size_t>& members = m_model.membersOfTop(top.source);
        for (std::size_t k = 0; k < top.members.size(); ++k)
            m_rowOfMember[members[static_cast<std::size_t>(top.members[k])]] = static_cast<int>(k);
    }
}

void LayerFilter::sort(int column, Qt::SortOrder order)
{
    if (column == m_column && order == m_order)
        return;
    emit layoutAboutToBeChanged({}, QAbstractItemModel::VerticalSortHint);
    const QModelIndexList before = persistentIndexList();
    std::vector<QModelIndex> sources;
    for (const QModelIndex& index : before)
        sources.push_back(mapToSource(index));
    m_column = column;
    m_order = order;
    if (column < 0)
        rebuild();
    else
        sortRows();
    QModelIndexList after;
    for (const QModelIndex& source : sources)
        after.append(mapFromSource(source));
    changePersistentIndexList(before, after);
    emit layoutChanged({}, QAbstractItemModel::VerticalSortHint);
}

std::vector<std::size_t> LayerFilter::listedTensors() const
{
    std::vector<std::size_t> tensors;
    tensors.reserve(m_listed);
    tensors.assign(m_flat.begin(), m_flat.end());
    for (const Top& top : m_top) {
        if (const auto tensor = m_model.tensorOfTop(top.source))
            tensors.push_back(*tensor);
        for (const int member : top.members)
            tensors.push_back(m_model.membersOfTop(top.source)[static_cast<std::size_t>(member)]);
    }
    return tensors;
}

QModelIndex LayerFilter::index(int row, int column, const QModelIndex& parent) const
{
    if (row < 0 || column < 0 || column >= LayerColumnCount || row >= rowCount(parent))
        return {};
    return createIndex(row, column, parent.isValid() ? static_cast<quintptr>(parent.row()) : kTopLevel);
}

QModelIndex LayerFilter::parent(const QModelIndex& child) const
{
    if (!child.isValid() || child.internalId() == kTopLevel)
        return {};
    return createIndex(static_cast<int>(child.internalId()), 0, kTopLevel);
}

int LayerFilter::rowCount(const QModelIndex& parent) const
{
    if (!parent.isValid())
        return static_cast<int>(m_isFlat ? m_flat.size() : m_top.size());
    if (m_isFlat || parent.internalId() != kTopLevel || parent.column() != 0 || parent.row() >= static_cast<int>(m_top.size()))
        return 0;
    return static_cast<int>(m_top[static_cast<std::size_t>(parent.row())].members.size());
}

int LayerFilter::columnCount(const QModelIndex&) const
{
    return LayerColumnCount;
}

bool LayerFilter::hasChildren(const QModelIndex& parent) const
{
    return rowCount(parent) > 0;
}

QVariant LayerFilter::data(const QModelIndex& index, int role) const
{
    QVariant value = m_model.data(mapToSource(index), role);
    // Without its block above it, a name says which block it is of.
    if (m_isFlat && role == Qt::DisplayRole && index.column() == LayerName) {
        const int block = m_model.blockOfTop(m_model.placeOf(m_flat[static_cast<std::size_t>(index.row())]).first);
        if (block >= 0)
            return QStringLiteral("%1 · %2").arg(block).arg(value.toString());
    }
    return value;
}

Qt::ItemFlags LayerFilter::flags(const QModelIndex& index) const
{
    if (!index.isValid())
        return Qt::NoItemFlags;
    const Qt::ItemFlags usual = Qt::ItemIsSelectable | Qt::ItemIsEnabled;
    return m_isFlat || index.internalId() != kTopLevel ? usual | Qt::ItemNeverHasChildren : usual;
}

QModelIndex LayerFilter::mapToSource(const QModelIndex& proxy) const
{
    if (!proxy.isValid())
        return {};
    if (m_isFlat)
        return m_model.indexOf(m_flat[static_cast<std::size_t>(proxy.row())]).siblingAtColumn(proxy.column());
    const bool isTop = proxy.internalId() == kTopLevel;
    const Top& top
        = m_top[isTop ? static_cast<std::size_t>(proxy.row()) : static_cast<std::size_t>(proxy.internalId())];
    const QModelIndex row = m_model.index(top.source, isTop ? proxy.column() : 0);
    return isTop ? row : m_model.index(top.members[static_cast<std::size_t>(proxy.row())], proxy.column(), row);
}

QModelIndex LayerFilter::mapFromSource(const QModelIndex& source) const
{
    if (!source.isValid())
        return {};
    const auto tensor = m_model.tensorAt(source);
    if (m_isFlat) {
        const int row = tensor ? m_rowOfMember[*tensor] : -1;
        return row < 0 ? QModelIndex() : createIndex(row, source.column(), kTopLevel);
    }
    const QModelIndex parent = source.parent();
    const int top = m_rowOfTop[static_cast<std::size_t>(parent.isValid() ? parent.row() : source.row())];
    if (top < 0)
        return {};
    if (!parent.isValid())
        return createIndex(top, source.column(), kTopLevel);
    const int row = m_rowOfMember[*tensor];
    return row < 0 ? QModelIndex() : createIndex(row, source.column(), static_cast<quintptr>(top));
}

void LayerFilter::forwardDataChanged(const QModelIndex& first, const QModelIndex& last)
{
    // Neighbours in the model need not be neighbours here: of a long run all rows are said to have changed.
    constexpr int kFew = 64;
    const QModelIndex parent = first.parent();
    if (last.row() - first.row() >= kFew) {
        const QModelIndex within = m_isFlat ? QModelIndex() : mapFromSource(parent);
        const int rows = rowCount(within);
        if (rows > 0 && (m_isFlat || !parent.isValid() || within.isValid()))
            emit dataChanged(index(0, 0, within), index(rows - 1, LayerColumnCount - 1, within));
        return;
    }
    for (int row = first.row(); row <= last.row(); ++row) {
        const QModelIndex at = mapFromSource(m_model.index(row, 0, parent));
        if (at.isValid())
            emit dataChanged(at, at.siblingAtColumn(LayerColumnCount - 1));
    }
}

}  // namespace sigmascope::ui
