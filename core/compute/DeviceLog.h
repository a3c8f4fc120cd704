// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// Which device ran each op of one piece of work, collected from JobContext::ran. Thread-safe.
class DeviceLog {
public:
    void add(std::string_view op, std::string_view device, std::string_view why);

    /// The job with its ops reported here as well. The log must outlive it.
    [[nodiscard]] JobContext listening(JobContext job);

    /// "vulkan:0" when one device ran everything; where they differ, the first op's device and the others by op:
    /// "vulkan:0, sketch cpu". An op that moved on the way names both: "sketch vulkan:0+cpu". Empty without ops.
    [[nodiscard]] std::string summary() const;
    /// Why ops ran elsewhere than asked, one clause each: "sketch on cpu: vulkan:0: out of memory". Empty if none did.
    [[nodiscard]] std::string reasons() const;

private:
    struct Row {
        std::string op;
        std::string devices;  ///< in order, joined by '+'
        std::string why;
    };

    mutable std::mutex m_mutex;
    std::vector<Row> m_rows;
};

}  // namespace sigmascope
