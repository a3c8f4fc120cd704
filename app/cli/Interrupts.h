// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <stop_token>
#include <thread>

namespace sigmascope::cli
{

/// Ctrl+C and SIGTERM ask the job to stop, so that it takes its temporary files away; a second one ends the program at
/// once. A signal that was ignored at the start (a background job) stays ignored. One per process.
///
/// The handler only writes to a pipe; a thread of its own reads it and requests the stop, whose callbacks may do
/// anything. Blocking the signals instead would leave out threads that libraries started before main().
class Interrupts
{
public:
    Interrupts();
    ~Interrupts();
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    [[nodiscard]] std::stop_token token() const { return m_stop.get_token(); }

private:
    void wait();

    std::stop_source m_stop;
    std::thread m_thread;
};

} // namespace sigmascope::cli
