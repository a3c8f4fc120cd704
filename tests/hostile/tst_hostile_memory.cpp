// SPDX-License-Identifier: GPL-3.0-or-later
//
// reliability 93: an allocation that fails, wherever a run is. Nothing stands at the output's name, or all of it does,
// and with memory again the run goes on to the same bytes.

#include "support/AllocationMeter.h"
#include "support/ResumeFixture.h"

#include "core/base/Parallel.h"

#include <csignal>
#include <new>
#include <set>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

/// Destructors of the JSON library ask for up to some hundred bytes, and end the process where there are none. What is
/// larger fails by an exception wherever it is.
constexpr std::size_t kLarge = 2048;

enum class How { Once, ForGood, AnySizeInAChild };

/// Fails while it lives.
struct Failing {
    Failing(std::uint64_t nth, How how) { failAllocation(nth, how == How::ForGood, how == How::AnySizeInAChild ? 0 : kLarge); }
    ~Failing() { failAllocation(0); }
};

}  // namespace

Q_DECLARE_METATYPE(How)

class HostileMemoryTest : public QObject, private ResumeFixture
{
    Q_OBJECT

private slots:
    void anyAllocationMayFail_data()
    {
        QTest::addColumn<QString>("target");
        QTest::addColumn<How>("how");
        for (const QString& target : allTargets()) {
            QTest::addRow("%s, once", qPrintable(target)) << target << How::Once;
            QTest::addRow("%s, and all after it", qPrintable(target)) << target << How::ForGood;
            QTest::addRow("%s, of any size", qPrintable(target)) << target << How::AnySizeInAChild;
        }
    }
    void anyAllocationMayFail();
    void aJournalThatCouldNotBeReadIsLeft();

private:
    /// As whoever starts jobs does. True if the run is done.
    bool runWithoutMemory(const ExportRequest& request, std::uint64_t nth, How how, ErrorCode& code)
    {
        const Failing failing(nth, how);
        try {
            const auto result = run(request);
            code = result ? code : result.error().code;
            return result.has_value();
        } catch (const std::bad_alloc&) {
            code = ErrorCode::OutOfMemory;
            return false;
        }
    }
    /// In a process of its own: it may end however it likes.
    bool runInAChild(const ExportRequest& request, std::uint64_t nth)
    {
        const pid_t child = ::fork();
        if (child == 0) {
            for (const int number : {SIGABRT, SIGSEGV, SIGBUS})
                ::signal(number, SIG_DFL);
            ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
            ErrorCode code = ErrorCode::Internal;
            ::_exit(runWithoutMemory(request, nth, How::AnySizeInAChild, code) ? 0 : 1);
        }
        int status = 0;
        if (child < 0 || ::waitpid(child, &status, 0) != child)
            return false;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
};

void HostileMemoryTest::anyAllocationMayFail()
{
    QFETCH(QString, target);
    QFETCH(How, how);
    useTarget(target);
    const int threads = threadCount();
    setThreadCount(how == How::ForGood ? 2 : 1);
    runUndisturbed();
    const ExportRequest request = plan();
    clear();
    failAllocation(0, false, how == How::AnySizeInAChild ? 0 : kLarge);
    QVERIFY(run(request));
    const std::uint64_t all = allocations();
    QVERIFY2(all >= 20, qPrintable(QString::number(all)));
    // A sample over the whole run, and many of the last, when names are given.
    std::set<std::uint64_t> places;
    for (std::uint64_t i = 1; i <= 16; ++i)
        places.insert(1 + i * i * (all - 1) / 256);
    for (std::uint64_t i = 0; i < 16; ++i)
        places.insert(all - i * (how == How::AnySizeInAChild ? 9 : 1));
    int failures = 0;
    for (const std::uint64_t nth : places) {
        clear();
        ErrorCode code = ErrorCode::OutOfMemory;
        const bool done = how == How::AnySizeInAChild ? runInAChild(request, nth) : runWithoutMemory(request, nth, how, code);
        const auto found = finishedFiles();
        const QString where = QString("allocation %1 of %2").arg(nth).arg(all);
        // While names are given, what failed once is taken back; else it ends as a killed process does.
        const bool isWhole = std::ranges::all_of(found, [&](const auto& file) {
            return m_undisturbed.contains(file.first) && m_undisturbed.at(file.first) == file.second;
        });
        QVERIFY2(found.empty() || found == m_undisturbed || (how != How::Once && isWhole), qPrintable(where));
        QVERIFY2(!done || found == m_undisturbed, qPrintable(where));
        failures += done ? 0 : 1;
        QVERIFY2(done || code == ErrorCode::OutOfMemory || code == ErrorCode::LayersFailed,
                 qPrintable(where + ": " + QString::fromStdString(std::string(id(code)))));
        if (done && files() == m_undisturbed)
            continue;
        ExportRequest again = request;
        again.overwrite = !found.empty();
        const auto resumed = run(again, Unfinished::Resume);
        QVERIFY2(resumed, qPrintable(where + ": " + QString::fromStdString(resumed ? "" : resumed.error().detail)));
        QVERIFY2(files() == m_undisturbed, qPrintable(where));
    }
    setThreadCount(threads);
    QVERIFY2(failures > 10, qPrintable(QString::number(failures)));
}

/// Hours of work hang on it: where memory lacks while it is read, it stays for another try.
void HostileMemoryTest::aJournalThatCouldNotBeReadIsLeft()
{
    useTarget("gguf");
    runUndisturbed();
    clear();
    const ExportRequest request = plan();
    leaveUnfinished(6, request);
    if (QTest::currentTestFailed())
        return;
    const auto before = files();
    bool isRead = false;
    int failures = 0;
    for (std::uint64_t nth = 1; !isRead; ++nth) {
        const Failing failing(nth, How::Once);
        try {
            const auto left = unfinishedRunAt(request.output);
            isRead = left && *left && (*left)->finished == 6;
            QVERIFY(isRead);
        } catch (const std::bad_alloc&) {
            ++failures;
        }
        failAllocation(0);
        QVERIFY2(files() == before, qPrintable(QString("allocation %1").arg(nth)));
    }
    QVERIFY(failures > 0);
    QVERIFY(run(request, Unfinished::Resume));
    QVERIFY(files() == m_undisturbed);
}

QTEST_GUILESS_MAIN(HostileMemoryTest)
#include "tst_hostile_memory.moc"
