// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/RunTableModel.h"

#include "ui/session/Session.h"

#include <algorithm>
#include <utility>

namespace sigmascope::ui {

RunTableModel::RunTableModel(Session& session, QObject* parent)
    : QAbstractTableModel(parent)
    , m_session(session)
{
}

void RunTableModel::setRows(std::vector<Row> rows)
{
    beginResetModel();
    m_rows = std::move(rows);
    m_rowOf.assign(m_session.isOpen() ? m_session.checkpoint()->tensors().size() : 0, -1);
    m_firstWaiting = 0;
    m_done = 0;
    m_failed = 0;
    reindex(0, static_cast<int>(m_rows.size()) - 1);
    endResetModel();
}

void RunTableModel::clear()
{
    m_isReordered = false;
    setRows({});
}

void RunTableModel::showPlan()
{
    if (m_session.isOpen() && m_firstWaiting == 0 && m_rows.size() == m_session.checkpoint()->tensors().size()) {
        emit dataChanged(index(0, 0), index(static_cast<int>(m_rows.size()) - 1, ColumnCount - 1));  // the plan at most
        return;
    }
    std::vector<Row> rows;
    if (m_session.isOpen()) {
        const std::size_t count = m_session.checkpoint()->tensors().size();
        std::vector<bool> isListed(count, false);
        for (const std::size_t tensor : wishedOrder()) {
            if (tensor >= count || isListed[tensor])
                continue;
            isListed[tensor] = true;
            rows.push_back({.tensor = tensor});
        }
        for (std::size_t tensor = 0; tensor < count; ++tensor) {
            if (!isListed[tensor])
                rows.push_back({.tensor = tensor});
        }
    }
    setRows(std::move(rows));
}

void RunTableModel::beginRun()
{
    if (m_rows.empty() || m_firstWaiting > 0)
        showPlan();
    for (Row& row : m_rows) {
        const auto shown = m_session.shownError(row.tensor);
        row.estimate = shown && !shown->isMeasured && !shown->isUpperBound ? std::optional(shown->value) : std::nullopt;
    }
}

void RunTableModel::setLayers(const std::vector<std::size_t>& tensors)
{
    std::vector<std::size_t> now;
    for (const Row& row : m_rows)
        now.push_back(row.tensor);
    if (now == tensors)
        return;
    std::vector<bool> isOfTheRun(m_rowOf.size(), false);
    for (const std::size_t tensor : tensors) {
        if (tensor < isOfTheRun.size())
            isOfTheRun[tensor] = true;
    }
    std::vector<Row> rows;
    const auto add = [&](std::size_t tensor) {
        if (tensor >= isOfTheRun.size() || !isOfTheRun[tensor])
            return;
        isOfTheRun[tensor] = false;
        const auto known = rowOf(tensor);
        rows.push_back(known ? m_rows[static_cast<std::size_t>(*known)] : Row{.tensor = tensor});
    };
    for (const std::size_t tensor : wishedOrder())
        add(tensor);
    for (const std::size_t tensor : tensors)
        add(tensor);
    setRows(std::move(rows));
}

void RunTableModel::reindex(int first, int last)
{
    for (int row = first; row <= last; ++row)
        m_rowOf[m_rows[static_cast<std::size_t>(row)].tensor] = row;
}

std::optional<int> RunTableModel::rowOf(std::size_t tensor) const
{
    return tensor < m_rowOf.size() && m_rowOf[tensor] >= 0 ? std::optional(m_rowOf[tensor]) : std::nullopt;
}

bool RunTableModel::isWaiting(int row) const
{
    return row >= m_firstWaiting && row < static_cast<int>(m_rows.size());
}

std::vector<std::size_t> RunTableModel::wishedOrder() const
{
    std::vector<std::size_t> order;
    if (m_isReordered) {
        for (const Row& row : m_rows)
            order.push_back(row.tensor);
    }
    return order;
}

void RunTableModel::changed(int row)
{
    emit dataChanged(index(row, 0), index(row, ColumnCount - 1));
}

int RunTableModel::bringForward(int row)
{
    const int to = m_firstWaiting++;
    if (row == to)
        return row;
    beginMoveRows({}, row, row, {}, to);
    std::rotate(m_rows.begin() + to, m_rows.begin() + row, m_rows.begin() + row + 1);
    reindex(to, row);
    endMoveRows();
    return to;
}

void RunTableModel::setStage(std::size_t tensor, RunStage stage)
{
    const auto found = rowOf(tensor);
    if (!found)
        return;
    const int row = isWaiting(*found) ? bringForward(*found) : *found;
    Row& shown = m_rows[static_cast<std::size_t>(row)];
    shown.state = QueueState::Running;
    shown.stage = stage;
    changed(row);
}

void RunTableModel::finish(const TensorResult& result)
{
    const auto found = rowOf(result.tensor);
    if (!found)
        return;
    const int row = isWaiting(*found) ? bringForward(*found) : *found;
    Row& shown = m_rows[static_cast<std::size_t>(row)];
    shown.state = result.fallback.empty() ? QueueState::Done : QueueState::DoneOtherwise;
    shown.result = result;
    ++m_done;
    changed(row);
}

void RunTableModel::fail(std::size_t tensor, const QString& why)
{
    const auto found = rowOf(tensor);
    if (!found)
        return;
    const int row = isWaiting(*found) ? bringForward(*found) : *found;
    m_rows[static_cast<std::size_t>(row)].state = QueueState::Failed;
    m_rows[static_cast<std::size_t>(row)].reason = why;
    ++m_failed;
    changed(row);
}

void RunTableModel::requeue(std::size_t tensor)
{
    const auto found = rowOf(tensor);
    if (!found || m_rows[static_cast<std::size_t>(*found)].state != QueueState::Failed)
        return;
    const int row = *found;
    const int last = static_cast<int>(m_rows.size()) - 1;
    --m_failed;
    --m_firstWaiting;
    m_rows[static_cast<std::size_t>(row)].state = QueueState::Waiting;
    m_rows[static_cast<std::size_t>(row)].reason.clear();
    if (row < last) {
        beginMoveRows({}, row, row, {}, last + 1);
        std::rotate(m_rows.begin() + row, m_rows.begin() + row + 1, m_rows.end());
        reindex(row, last);
        endMoveRows();
    }
    changed(last);
}

void RunTableModel::endRun()
{
    // At most one is under way, and it is the last of those that have begun.
    for (int row = m_firstWaiting - 1; row >= 0; --row) {
        if (m_rows[static_cast<std::size_t>(row)].state != QueueState::Running)
            continue;
        m_rows[static_cast<std::size_t>(row)].state = QueueState::Waiting;
        if (row == m_firstWaiting - 1)
            --m_firstWaiting;
        changed(row);
        break;
    }
}

std::optional<int> RunTableModel::firstFailed() const
{
    if (m_failed == 0)
        return std::nullopt;
    const auto found = std::ranges::find(m_rows, QueueState::Failed, &Row::state);
    return static_cast<int>(found - m_rows.begin());
}

std::vector<int> RunTableModel::moveRows(std::vector<int> rows, int row)
{
    std::erase_if(rows, [this](int r) { return !isWaiting(r); });
    std::ranges::sort(rows);
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    row = std::clamp(row, m_firstWaiting, static_cast<int>(m_rows.size()));
    const bool isThere = !rows.empty() && rows.back() - rows.front() == static_cast<int>(rows.size()) - 1
        && row >= rows.front() && row <= rows.back() + 1;
    if (rows.empty() || isThere)
        return {};
    // One move a row, so that views keep selection and scroll position: rows above go from the nearest, then those
    // below.
    std::vector<int> moved;
    int above = 0;
    for (const int from : rows)
        above += from < row ? 1 : 0;
    int to = row - 1;
    for (int i = above - 1; i >= 0; --i, --to) {
        const int from = rows[static_cast<std::size_t>(i)];
        if (from != to) {
            beginMoveRows({}, from, from, {}, to + 1);
            std::rotate(m_rows.begin() + from, m_rows.begin() + from + 1, m_rows.begin() + to + 1);
            reindex(from, to);
            endMoveRows();
        }
    }
    to = row;
    for (std::size_t i = static_cast<std::size_t>(above); i < rows.size(); ++i, ++to) {
        const int from = rows[i];
        if (from != to) {
            beginMoveRows({}, from, from, {}, to);
            std::rotate(m_rows.begin() + to, m_rows.begin() + from, m_rows.begin() + from + 1);
            reindex(to, from);
            endMoveRows();
        }
    }
    for (int i = 0; i < static_cast<int>(rows.size()); ++i)
        moved.push_back(row - above + i);
    m_isReordered = true;
    emit dataChanged(index(m_firstWaiting, Order), index(static_cast<int>(m_rows.size()) - 1, Order));
    std::vector<std::size_t> waiting;
    for (std::size_t i = static_cast<std::size_t>(m_firstWaiting); i < m_rows.size(); ++i)
        waiting.push_back(m_rows[i].tensor);
    emit orderChanged(waiting);
    return moved;
}

}  // namespace sigmascope::ui
