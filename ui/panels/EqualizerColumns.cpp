// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/EqualizerColumns.h"

#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace sigmascope::ui {

namespace {

int partOf(Role role)
{
    return role >= Role::FfnNorm ? 1 : 0;
}

/// Short words under the axis.
QString groupLabel(const TensorPlace& place)
{
    if (place.block >= 0)
        return QString::number(place.block);
    switch (place.role) {
    case Role::Embedding: return QStringLiteral("emb");
    case Role::Output: return QStringLiteral("out");
    default: return QStringLiteral("–");
    }
}

}  // namespace

void EqualizerColumns::placeDepth(EqualizerView& view)
{
    const ModelTopology& topology = m_session.topology();
    int fused = -1;
    for (std::size_t i = 0; i < m_tensors.size(); ++i) {
        const TensorPlace& place = topology.place(m_tensors[i]);
        const TensorPlace* before = i == 0 ? nullptr : &topology.place(m_tensors[i - 1]);
        const bool isNewGroup
            = before == nullptr || before->block != place.block || (place.block < 0 && before->role != place.role);
        if (isNewGroup)
            view.groups.push_back(groupLabel(place));
        const bool isJoined = !isNewGroup && place.group != FusedGroup::None && before->group == place.group;
        if (place.group != FusedGroup::None && !isJoined)
            ++fused;
        m_places.push_back({static_cast<int>(view.groups.size()) - 1, partOf(place.role),
                            place.group == FusedGroup::None ? -1 : fused});
    }
}

void EqualizerColumns::sortByDepth(EqualizerView& view)
{
    const ModelTopology& topology = m_session.topology();
    std::ranges::stable_sort(m_tensors, {}, [&topology](std::size_t i) { return depthOf(topology.place(i)); });
    placeDepth(view);
    QStringList roles;
    for (const std::size_t tensor : m_tensors) {
        const TensorPlace& place = topology.place(tensor);
        if (place.block == 0 && place.role != Role::Other && roles.size() < 12)
            roles << titleOf(place.role).section(QLatin1Char('_'), 0, 0);
    }
    view.axisName = roles.isEmpty()
        ? Session::tr("Layers, in depth order")
        : Session::tr("Block, in depth order; in each block %1").arg(roles.join(QLatin1Char(' ')));
}

void EqualizerColumns::sortByRole(EqualizerView& view)
{
    const ModelTopology& topology = m_session.topology();
    std::ranges::stable_sort(m_tensors, {}, [&topology](std::size_t i) {
        const TensorPlace& place = topology.place(i);
        return std::tuple(place.block < 0 && place.role != Role::Embedding, static_cast<int>(place.role), place.block);
    });
    const TensorPlace* before = nullptr;
    for (const std::size_t tensor : m_tensors) {
        const TensorPlace& place = topology.place(tensor);
        if (before == nullptr || before->role != place.role)
            view.groups.push_back(titleOf(place.role));
        m_places.push_back({static_cast<int>(view.groups.size()) - 1, 0, -1});
        before = &place;
    }
    view.axisName = Session::tr("Role; in each, blocks in depth order");
}

EqualizerView EqualizerColumns::build(Order order)
{
    m_tensors.clear();
    m_places.clear();
    m_columns.clear();
    m_widths.clear();
    EqualizerView view;
    if (!m_session.isOpen())
        return view;
    const std::size_t count = m_session.checkpoint()->tensors().size();
    for (std::size_t i = 0; i < count; ++i) {
        if (m_session.isPlannable(i))
            m_tensors.push_back(i);
    }
    if (order == Order::Depth)
        sortByDepth(view);
    else
        sortByRole(view);
    m_columns.assign(count, -1);
    for (std::size_t column = 0; column < m_tensors.size(); ++column)
        m_columns[m_tensors[column]] = static_cast<int>(column);
    view.columns.reserve(m_tensors.size());
    for (const std::size_t tensor : m_tensors)
        view.columns.push_back(columnOf(tensor));
    return view;
}

std::uint32_t EqualizerColumns::widthsOf(std::size_t tensor) const
{
    const Shape& shape = m_session.tensor(tensor).shape;
    const std::string key = m_session.layer(tensor).grid + '/' + std::to_string(shape.back());
    const auto known = m_widths.find(key);
    if (known != m_widths.end())
        return known->second;
    std::uint32_t widths = 0;
    for (const int bits : m_session.widthsOf(tensor))
        widths |= 1U << static_cast<unsigned>(bits);
    m_widths.emplace(key, widths);
    return widths;
}

EqualizerColumn EqualizerColumns::columnOf(std::size_t tensor) const
{
    const Place& place = m_places[static_cast<std::size_t>(m_columns[tensor])];
    const LayerPlan& plan = m_session.layer(tensor);
    EqualizerColumn column;
    column.tensor = tensor;
    column.group = place.group;
    column.part = place.part;
    column.fused = place.fused;
    column.isKept = plan.keep;
    column.isPinned = plan.pinned;
    const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
    column.bits = plan.keep || !grid ? 16 : (*grid)->bits();
    column.rank = plan.keep ? 0 : static_cast<int>(plan.rank);
    column.maxRank = m_session.canCorrect(tensor) ? m_session.maxRank(tensor) : 0;
    column.widths = widthsOf(tensor);
    if (const auto error = m_session.shownError(tensor)) {
        column.error = static_cast<float>(error->value);
        column.isMeasured = error->isMeasured;
    }
    return column;
}

int EqualizerColumns::indexOf(std::size_t tensor) const
{
    return tensor < m_columns.size() ? m_columns[tensor] : -1;
}

std::vector<std::size_t> EqualizerColumns::tensorsAt(const std::vector<int>& columns) const
{
    std::vector<std::size_t> tensors;
    tensors.reserve(columns.size());
    for (const int column : columns)
        tensors.push_back(tensorAt(column));
    return tensors;
}

std::vector<int> EqualizerColumns::indicesOf(const std::vector<std::size_t>& tensors) const
{
    std::vector<int> columns;
    columns.reserve(tensors.size());
    for (const std::size_t tensor : tensors) {
        if (const int column = indexOf(tensor); column >= 0)
            columns.push_back(column);
    }
    std::ranges::sort(columns);
    return columns;
}

}  // namespace sigmascope::ui
