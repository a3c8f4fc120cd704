// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/checkpoint/Checkpoint.h"

#include <chrono>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace sigmascope::cli
{

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// All results leave by here, at once and at the end. False if standard output did not take them (closed pipe, disk
/// full).
[[nodiscard]] bool writeOutput(std::string_view text);
/// "sigmascope-cli: error: …" on standard error.
void printError(std::string_view text);
void printWarning(std::string_view text);
/// What lenient reading lives with; the first twenty and a count.
void printWarnings(const Checkpoint& checkpoint);
/// 2 for what the caller typed wrongly, 1 for all else.
[[nodiscard]] int exitCodeOf(const Error& error);

/// Progress of one job on standard error: a line redrawn five times a second on a terminal, else a line every five
/// seconds, so that logs stay short and quick jobs silent.
class Progress
{
public:
    explicit Progress(std::stop_token stop);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Valid while this lives.
    [[nodiscard]] JobContext job();
    /// What the job itself expects, from any thread. Without it the line tells no time.
    void setTimeLeft(std::optional<double> seconds);
    /// Takes the redrawn line away, before anything else is printed.
    void clear();

private:
    using Clock = std::chrono::steady_clock;
    void show(double fraction, std::string_view subject);

    std::stop_token m_stop;
    std::mutex m_mutex;
    Clock::time_point m_last = Clock::now();
    std::optional<double> m_left;
    bool m_terminal = false;
    bool m_drawn = false;
};

} // namespace sigmascope::cli
