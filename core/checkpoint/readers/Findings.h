// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sigmascope {

/// Collects what lenient mode lives with; in strict mode the first finding is an error.
class Findings {
public:
    explicit Findings(bool strict) : m_strict(strict) {}

    [[nodiscard]] Status odd(ErrorCode code, const Where& where, std::string_view what)
    {
        auto failed = fail(code, where, what);
        if (m_strict)
            return failed;
        ++m_count;
        if (m_warnings.size() < kKept)
            m_warnings.push_back({code, std::move(failed.value().detail)});
        return {};
    }

    /// The warnings; beyond the first kKept only their number, so that a hostile file cannot fill memory.
    [[nodiscard]] std::vector<CheckpointWarning> take(std::string_view file)
    {
        if (m_count > kKept)
            m_warnings.push_back({m_warnings.back().code,
                                  escaped(file, 4096) + ": " + std::to_string(m_count - kKept) + " more warnings"});
        m_count = 0;
        return std::exchange(m_warnings, {});
    }

private:
    static constexpr std::size_t kKept = 200;
    std::vector<CheckpointWarning> m_warnings;
    std::size_t m_count = 0;
    bool m_strict;
};

}  // namespace sigmascope
