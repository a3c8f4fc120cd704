// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Terminal.h"

#include "app/cli/Table.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

namespace sigmascope::cli
{

namespace
{

void toStandardError(const std::string& text)
{
    // Nothing sensible is left to do if this fails.
    static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
    static_cast<void>(std::fflush(stderr));
}

std::string remaining(double seconds)
{
    if (seconds < 90)
        return fmt::format("{:.0f} s left", seconds);
    if (seconds < 5400)
        return fmt::format("{:.0f} min left", seconds / 60);
    return fmt::format("{:.1f} h left", seconds / 3600);
}

} // namespace

bool writeOutput(std::string_view text)
{
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    // A reader that went away (| head) knows; a full disk behind a redirection must be told.
    if (!written && errno != EPIPE)
        printError(fmt::format("standard output: {}", std::strerror(errno)));
    return written;
}

void printError(std::string_view text)
{
    toStandardError(fmt::format("sigmascope-cli: error: {}\n", text));
}

void printWarning(std::string_view text)
{
    toStandardError(fmt::format("sigmascope-cli: warning: {}\n", text));
}

void printWarnings(const Checkpoint& checkpoint)
{
    constexpr std::size_t kShown = 20;
    const auto warnings = checkpoint.warnings();
    for (const CheckpointWarning& warning : warnings.first(std::min(kShown, warnings.size())))
        printWarning(warning.detail);
    if (warnings.size() > kShown)
        printWarning(fmt::format("and {} more", warnings.size() - kShown));
}

int exitCodeOf(const Error& error)
{
    return error.code == ErrorCode::InvalidOption ? kExitUsage : kExitFailed;
}

Progress::Progress(std::stop_token stop)
    : m_stop(std::move(stop))
    , m_terminal(isatty(STDERR_FILENO) == 1)
{
}

Progress::~Progress()
{
    clear();
}

JobContext Progress::job()
{
    return {.stop = m_stop, .progress = [this](double fraction, std::string_view subject) { show(fraction, subject); }};
}

void Progress::setTimeLeft(std::optional<double> seconds)
{
    const std::scoped_lock lock(m_mutex);
    m_left = seconds;
}

void Progress::clear()
{
    const std::scoped_lock lock(m_mutex);
    if (m_drawn)
        toStandardError("\r\033[K");
    m_drawn = false;
}

void Progress::show(double fraction, std::string_view subject)
{
    const std::scoped_lock lock(m_mutex);
    const auto now = Clock::now();
    if (now - m_last < (m_terminal ? std::chrono::milliseconds(200) : std::chrono::milliseconds(5000)))
        return;
    m_last = now;
    std::string line = fmt::format("{:5.1f} %", 100 * std::clamp(fraction, 0.0, 1.0));
    if (m_left)
        line += ", " + remaining(*m_left);
    if (!subject.empty())
        line += ", " + escaped(subject, 48);
    toStandardError(m_terminal ? "\r\033[K" + line : line + '\n');
    m_drawn = m_terminal;
}

} // namespace sigmascope::cli
