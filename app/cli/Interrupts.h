// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <csignal>
#include <stop_token>
#include <thread>

namespace sigmascope::cli {

/// Ctrl+C and SIGTERM ask the job to stop, so that it takes its temporary files away; a second one ends the program at
/// once. Make one before any other thread exists: they inherit the blocked signals. A signal that was ignored at the
/// start (a background job) stays ignored.
class Interrupts {
public:
    Interrupts();
    ~Interrupts();
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    [[nodiscard]] std::stop_token token() const { return m_stop.get_token(); }

private:
    void wait();

    sigset_t m_signals{};
    std::stop_source m_stop;
    std::stop_source m_over;
    std::thread m_thread;
};

}  // namespace sigmascope::cli
