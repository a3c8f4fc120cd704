// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Interrupts.h"

#include "app/cli/Terminal.h"

#include <pthread.h>
#include <unistd.h>

namespace sigmascope::cli {

namespace {

bool isIgnored(int signal)
{
    struct sigaction action {};
    return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Interrupts::Interrupts()
{
    sigemptyset(&m_signals);
    sigaddset(&m_signals, SIGUSR1);  // our own, to end the wait
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        if (!isIgnored(signal))
            sigaddset(&m_signals, signal);
    }
    pthread_sigmask(SIG_BLOCK, &m_signals, nullptr);
    m_thread = std::thread([this] { wait(); });
}

Interrupts::~Interrupts()
{
    m_over.request_stop();
    pthread_kill(m_thread.native_handle(), SIGUSR1);
    m_thread.join();
}

void Interrupts::wait()
{
    int signal = 0;
    while (sigwait(&m_signals, &signal) == 0) {
        if (m_over.stop_requested())
            return;
        if (signal == SIGUSR1)
            continue;
        if (m_stop.stop_requested())
            _exit(kExitFailed);
        m_stop.request_stop();
    }
}

}  // namespace sigmascope::cli
