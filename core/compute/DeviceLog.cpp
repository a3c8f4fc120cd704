// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/DeviceLog.h"

#include <algorithm>
#include <fmt/format.h>

namespace sigmascope {

void DeviceLog::add(std::string_view op, std::string_view device, std::string_view why)
{
    const std::lock_guard lock(m_mutex);
    auto row = std::ranges::find(m_rows, op, &Row::op);
    if (row == m_rows.end())
        row = m_rows.insert(row, {std::string(op), std::string(device), {}});
    else if (fmt::format("+{}+", row->devices).find(fmt::format("+{}+", device)) == std::string::npos)
        row->devices += fmt::format("+{}", device);
    if (row->why.empty() && !why.empty())
        row->why = fmt::format("{} on {}: {}", op, device, why);
}

JobContext DeviceLog::listening(JobContext job)
{
    job.ran = [this, before = std::move(job.ran)](std::string_view op, std::string_view device, std::string_view why) {
        add(op, device, why);
        if (before)
            before(op, device, why);
    };
    return job;
}

std::string DeviceLog::summary() const
{
    const std::lock_guard lock(m_mutex);
    if (m_rows.empty())
        return {};
    std::string text = m_rows.front().devices;
    for (const Row& row : m_rows)
        if (row.devices != m_rows.front().devices)
            text += fmt::format(", {} {}", row.op, row.devices);
    return text;
}

std::string DeviceLog::reasons() const
{
    const std::lock_guard lock(m_mutex);
    std::string text;
    for (const Row& row : m_rows)
        if (!row.why.empty())
            text += (text.empty() ? "" : "; ") + row.why;
    return text;
}

}  // namespace sigmascope
