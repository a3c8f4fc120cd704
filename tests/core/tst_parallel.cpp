// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Parallel.h"

#include <QTest>

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace sigmascope;

class TestParallel : public QObject {
    Q_OBJECT

private slots:
    void init() { m_threads = threadCount(); }
    void cleanup() { setThreadCount(m_threads); }

    void everyIndexRunsExactlyOnce()
    {
        for (const int threads : {1, 2, 9}) {
            setThreadCount(threads);
            for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{10007}}) {
                std::vector<std::atomic<int>> runs(count);
                parallelFor(count, [&](std::size_t i) { ++runs[i]; });
                for (const auto& run : runs)
                    QCOMPARE(run.load(), 1);
            }
        }
    }

    void oneThreadMeansTheCallersThread()
    {
        setThreadCount(1);
        bool elsewhere = false;
        parallelFor(50, [&, caller = std::this_thread::get_id()](std::size_t) {
            elsewhere = elsewhere || std::this_thread::get_id() != caller;
        });
        QVERIFY(!elsewhere);
    }

    void moreThreadsAreUsedWhenAsked()
    {
        setThreadCount(4);
        std::mutex mutex;
        std::set<std::thread::id> ids;
        std::atomic<int> arrived{0};
        parallelFor(4, [&](std::size_t) {
            {
                const std::scoped_lock lock(mutex);
                ids.insert(std::this_thread::get_id());
            }
            // Each of the four waits for the others, so one thread cannot run two of them.
            ++arrived;
            while (arrived.load() < 4)
                std::this_thread::yield();
        });
        QCOMPARE(ids.size(), std::size_t{4});
    }

    void nestedLoopsRunInlineAndFinish()
    {
        setThreadCount(4);
        std::atomic<int> total{0};
        parallelFor(20, [&](std::size_t) {
            const auto thread = std::this_thread::get_id();
            parallelFor(20, [&](std::size_t) { total += std::this_thread::get_id() == thread ? 1 : 1000; });
        });
        QCOMPARE(total.load(), 400);
    }

    void theFirstExceptionComesBackToTheCaller()
    {
        setThreadCount(3);
        std::atomic<int> runs{0};
        const auto failing = [&] {
            parallelFor(100000, [&](std::size_t i) {
                ++runs;
                if (i == 10)
                    throw std::runtime_error("tenth");
            });
        };
        QVERIFY_EXCEPTION_THROWN(failing(), std::runtime_error);
        QVERIFY(runs.load() < 100000);
        std::atomic<int> after{0};
        parallelFor(10, [&](std::size_t) { ++after; });
        QCOMPARE(after.load(), 10);
    }

    void loopsOfSeveralThreadsShareThePool()
    {
        setThreadCount(3);
        std::atomic<int> total{0};
        std::vector<std::thread> callers;
        for (int c = 0; c < 4; ++c)
            callers.emplace_back([&] { parallelFor(500, [&](std::size_t) { ++total; }); });
        for (std::thread& caller : callers)
            caller.join();
        QCOMPARE(total.load(), 2000);
    }

    void abandonedWorkIsWaitedForUnlessTheJobIsStopped()
    {
        std::stop_source stop;
        const auto value = std::make_shared<int>(0);
        QVERIFY(runAbandonable(stop.get_token(), [value] { *value = 7; }));
        QCOMPARE(*value, 7);
        QVERIFY(!hasAbandonedWork());
        QVERIFY_EXCEPTION_THROWN(
            static_cast<void>(runAbandonable(stop.get_token(), [] { throw std::runtime_error("inside"); })), std::runtime_error);
        // Loops inside it use the pool as any other.
        const auto sum = std::make_shared<std::atomic<int>>(0);
        QVERIFY(runAbandonable(stop.get_token(), [sum] { parallelFor(100, [&](std::size_t i) { *sum += static_cast<int>(i); }); }));
        QCOMPARE(sum->load(), 4950);
    }

    void aStopLeavesWorkBehindAndOnlyOne()
    {
        std::stop_source stop;
        const auto gate = std::make_shared<std::atomic<bool>>(false);
        const auto runs = std::make_shared<std::atomic<int>>(0);
        const auto untilOpen = [gate, runs] {
            ++*runs;
            while (!gate->load())
                std::this_thread::yield();
        };
        std::thread stopper([&] {
            while (runs->load() == 0)
                std::this_thread::yield();
            stop.request_stop();
        });
        QVERIFY(!runAbandonable(stop.get_token(), untilOpen)); // returns although the gate is shut
        stopper.join();
        QVERIFY(hasAbandonedWork());
        // Nothing more begins while it runs, and who waits for that can be stopped too.
        std::stop_source second;
        std::thread secondStopper([&] { second.request_stop(); });
        QVERIFY(!runAbandonable(second.get_token(), untilOpen));
        secondStopper.join();
        QCOMPARE(runs->load(), 1);
        gate->store(true);
        std::stop_source third;
        QVERIFY(runAbandonable(third.get_token(), untilOpen));
        QCOMPARE(runs->load(), 2);
        QVERIFY(!hasAbandonedWork());
    }

    void threadsThatComputeGiveWayOnceAskedTo()
    {
        // On a thread of its own: nobody takes a niceness back.
        const auto niceness = [](bool asks) {
            int found = -1;
            std::thread thread([&] {
                if (asks)
                    giveWay();
                found = getpriority(PRIO_PROCESS, 0);
            });
            thread.join();
            return found;
        };
        const int usual = niceness(true);
        QCOMPARE(usual, niceness(false));
        computeInBackground();
        QCOMPARE(niceness(false), usual);  // this thread, and those that do not compute, stay as they are
        QCOMPARE(niceness(true), std::max(usual, 10));
        setThreadCount(4);
        std::atomic<int> gentle{0};
        std::atomic<int> arrived{0};
        parallelFor(4, [&](std::size_t) {
            gentle += getpriority(PRIO_PROCESS, 0) >= 10 ? 1 : 0;
            ++arrived;
            while (arrived < 4)
                std::this_thread::yield();  // so that every thread takes one
        });
        QCOMPARE(gentle.load(), usual >= 10 ? 4 : 3);  // all but the calling one
        QCOMPARE(getpriority(PRIO_PROCESS, 0), usual);
    }

private:
    int m_threads = 1;
};

QTEST_APPLESS_MAIN(TestParallel)
#include "tst_parallel.moc"
