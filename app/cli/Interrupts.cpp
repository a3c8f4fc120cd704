// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Interrupts.h"

#include "app/cli/Terminal.h"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <unistd.h>

namespace sigmascope::cli
{

namespace
{

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
constexpr char kInterrupted = 'i';
constexpr char kOver = 'o';

/// Read end, write end; set before any handler is.
int g_pipe[2] = {-1, -1};

void tell(char what)
{
    const int before = errno;
    while (write(g_pipe[1], &what, 1) < 0 && errno == EINTR) { }
    errno = before;
}

void onSignal(int)
{
    tell(kInterrupted);
}

bool isIgnored(int signal)
{
    struct sigaction action{};
    return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void handle(int signal, void (*handler)(int))
{
    struct sigaction action{};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
}

} // namespace

Interrupts::Interrupts()
{
    // Without a pipe (no descriptors left) Ctrl+C keeps its usual meaning.
    if (pipe2(g_pipe, O_CLOEXEC) != 0)
        return;
    m_thread = std::thread([this] { wait(); });
    for (const int signal : kSignals) {
        if (!isIgnored(signal))
            handle(signal, onSignal);
    }
}

Interrupts::~Interrupts()
{
    if (!m_thread.joinable())
        return;
    for (const int signal : kSignals) {
        if (!isIgnored(signal))
            handle(signal, SIG_DFL);
    }
    tell(kOver);
    m_thread.join();
    close(g_pipe[0]);
    close(g_pipe[1]);
}

void Interrupts::wait()
{
    char what = 0;
    for (;;) {
        const ssize_t count = read(g_pipe[0], &what, 1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count != 1 || what == kOver)
            return;
        if (m_stop.stop_requested())
            _exit(kExitFailed);
        m_stop.request_stop();
    }
}

} // namespace sigmascope::cli
