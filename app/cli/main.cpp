// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/Interrupts.h"
#include "app/cli/Terminal.h"
#include "app/cli/Verb.h"
#include "core/base/Parallel.h"
#include "core/tensor/Blas.h"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace
{

using namespace sigmascope;
using namespace sigmascope::cli;

/// The one place where exceptions of libraries become errors.
Result<std::string> runSafely(Verb& verb, const std::stop_token& stop)
{
    try {
        return verb.run(stop);
    } catch (const std::bad_alloc&) {
        return fail(ErrorCode::OutOfMemory, "out of memory");
    } catch (const std::exception& exception) {
        return fail(ErrorCode::Internal, std::string("internal error: ") + exception.what());
    }
}

int runVerb(Verb& verb)
{
    const Interrupts interrupts;
    const Result<std::string> text = runSafely(verb, interrupts.token());
    int code = kExitDone;
    if (!text) {
        printError(text.error().detail);
        code = exitCodeOf(text.error());
    } else if (!writeOutput(*text)) {
        code = kExitFailed;
    } else {
        code = verb.exitCode();
    }
    // A cancelled job may have left an eigen-solver or a syncing disk behind, which nobody wants to wait for.
    if (hasAbandonedWork())
        _exit(code);
    return code;
}

int runCommandLine(int argc, char** argv)
{
    CLI::App app("See what quantization does to every layer of a language model.", "sigmascope-cli");
    app.set_version_flag("--version", "sigmascope-cli " SIGMASCOPE_VERSION);
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    app.footer("Exit status: 0 done, 1 failed, 2 wrong usage.");
    std::vector<std::unique_ptr<Verb>> verbs;
    verbs.push_back(makeInspect(app));
    verbs.push_back(makePlan(app));
    verbs.push_back(makeQuantize(app));
    verbs.push_back(makeCompare(app));
    verbs.push_back(makeVerify(app));
    verbs.push_back(makeReport(app));
    verbs.push_back(makeDevices(app));
    verbs.push_back(makeMethods(app));
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error, std::cout, std::cerr);
        return code == kExitDone ? kExitDone : kExitUsage;
    }
    for (const auto& verb : verbs) {
        if (verb->command().parsed())
            return runVerb(*verb);
    }
    return kExitUsage;
}

/// Started with one of them closed, a file that is written would get its number, and with it what is printed.
void holdStandardStreams()
{
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(stream, F_GETFD) == -1 && open("/dev/null", O_RDWR) != stream)
            std::abort();
    }
}

} // namespace

int main(int argc, char** argv)
{
    holdStandardStreams();
    blas::correctKernelChoice(argv);
    // A reader that closes its end is a failed write, not a reason to leave a half-written file behind.
    std::signal(SIGPIPE, SIG_IGN);
    // A limit on file sizes is a write that fails, and is told as one.
    std::signal(SIGXFSZ, SIG_IGN);
    try {
        return runCommandLine(argc, argv);
    } catch (const std::exception& exception) {
        printError(exception.what());
        return kExitFailed;
    }
}
