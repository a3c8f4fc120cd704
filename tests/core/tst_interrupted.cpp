// SPDX-License-Identifier: GPL-3.0-or-later
// A run whose system fails it, wherever: nothing wrong stands at the output's name.
#include "support/ResumeFixture.h"

#include "core/base/Parallel.h"

#include <QThread>

#include <algorithm>

using namespace sigmascope;
using namespace sigmascope::test;

namespace
{

using Fault = FaultySystem::Fault;

} // namespace

class TestInterrupted : public QObject, private ResumeFixture
{
    Q_OBJECT

private slots:
    void initTestCase() { runUndisturbed(); }
    void init() { makeModel(); }
    void aProcessThatDiesAtAnyCallIsResumedToTheSameBytes_data();
    void aProcessThatDiesAtAnyCallIsResumedToTheSameBytes();
    void aDiskThatFillsAtAnyWriteLeavesNoTarget_data();
    void aDiskThatFillsAtAnyWriteLeavesNoTarget();
    void anyCallThatFailsOnceLeavesOldOrNew();
    void aCancelAtAnyCallLeavesNoTargetAndIsResumed();
    void shortAndInterruptedCallsChangeNothing();
    void aReadThatFailsIsAnErrorThatNamesTheOffset();
    void oldModelAndAdapterStayTogether();
    void anAdapterOfAnEarlierExportGoesWithItsModel();
    void anAdapterOfAnEarlierExportIsNotLeftUnasked();
};

void TestInterrupted::aProcessThatDiesAtAnyCallIsResumedToTheSameBytes_data()
{
    QTest::addColumn<bool>("overwrite");
    QTest::addColumn<bool>("power");
    QTest::newRow("killed") << false << false;
    QTest::newRow("killed, old files there") << true << false;
    QTest::newRow("power cut") << false << true;
    QTest::newRow("power cut, old files there") << true << true;
}

/// Item 90: after restart either the old or the new file, never one with the final name and wrong content.
void TestInterrupted::aProcessThatDiesAtAnyCallIsResumedToTheSameBytes()
{
    QFETCH(bool, overwrite);
    QFETCH(bool, power);
    int deaths = 0;
    for (int nth = 1;; ++nth) {
        clear();
        if (overwrite) {
            writeFile(m_out / "m.gguf", "old model");
            writeFile(m_out / "m-lora.gguf", "old adapter");
        }
        FaultySystem system(Fault::Death, nth);
        ExportRequest r = plan(2, &system);
        r.overwrite = overwrite;
        const bool finished = run(r).has_value();
        if (power)
            system.losePower();
        if (!system.hasFailed()) {
            QVERIFY(finished);
            break;
        }
        ++deaths;
        for (const char* name : {"m.gguf", "m-lora.gguf"}) {
            const std::string old = std::string(name) == "m.gguf" ? "old model" : "old adapter";
            const bool there = fs::exists(m_out / name);
            QVERIFY2(there || !overwrite, qPrintable(QString("%1 gone at call %2").arg(name).arg(nth)));
            const std::string found = readFile(m_out / name);
            QVERIFY2(!there || found == m_undisturbed[name] || (overwrite && found == old),
                     qPrintable(QString("%1 wrong at call %2").arg(name).arg(nth)));
        }
        r.system = nullptr;
        const auto again = run(r, Unfinished::Resume);
        QVERIFY2(again, qPrintable(QString("call %1: %2").arg(nth).arg(again ? "" : again.error().detail.c_str())));
        QVERIFY2(files() == m_undisturbed, qPrintable(QString("other files after call %1").arg(nth)));
    }
    QVERIFY(deaths > 45);
}

void TestInterrupted::aDiskThatFillsAtAnyWriteLeavesNoTarget_data()
{
    QTest::addColumn<bool>("overwrite");
    QTest::newRow("nothing there") << false;
    QTest::newRow("old files there") << true;
}

/// Item 88: the old file intact, no target; and once there is space, the run goes on.
void TestInterrupted::aDiskThatFillsAtAnyWriteLeavesNoTarget()
{
    QFETCH(bool, overwrite);
    int failures = 0;
    int lastFailure = 0;
    for (int nth = 1; nth < lastFailure + 20; ++nth) {
        clear();
        if (overwrite)
            writeFile(m_out / "m.gguf", "old model");
        FaultySystem system(Fault::Full, nth);
        ExportRequest r = plan(2, &system);
        r.overwrite = overwrite;
        const auto result = run(r);
        if (!system.hasFailed()) {
            QVERIFY(result.has_value());
            continue;
        }
        ++failures;
        lastFailure = nth;
        QVERIFY(!result);
        QCOMPARE(result.error().code, ErrorCode::NoSpace);
        QVERIFY(result.error().detail.find("m") != std::string::npos);
        QCOMPARE(fs::exists(m_out / "m.gguf"), overwrite);
        if (overwrite)
            QCOMPARE(readFile(m_out / "m.gguf"), std::string("old model"));
        QVERIFY(!fs::exists(m_out / "m-lora.gguf"));
        const auto left = unfinishedRunAt(r.output);
        QVERIFY(left.has_value());
        if (!*left)  // nothing finished, nothing kept
            QCOMPARE(files().size(), std::size_t(overwrite ? 1 : 0));
        r.system = nullptr;
        QVERIFY(run(r, Unfinished::Resume));
        QVERIFY(files() == m_undisturbed);
        if (nth == 1)
            lastFailure = std::max(lastFailure, 40);
    }
    QVERIFY(failures > 30);
}

void TestInterrupted::anyCallThatFailsOnceLeavesOldOrNew()
{
    int failures = 0;
    for (int nth = 1;; ++nth) {
        clear();
        writeFile(m_out / "m.gguf", "old model");
        writeFile(m_out / "m-lora.gguf", "old adapter");
        FaultySystem system(Fault::Once, nth);
        ExportRequest r = plan(2, &system);
        r.overwrite = true;
        const auto result = run(r);
        if (!system.hasFailed())
            break;
        ++failures;
        const auto found = files();
        const bool isNew = found.at("m.gguf") == m_undisturbed["m.gguf"];
        // Both old or both new: an adapter beside another model is worse than none.
        QVERIFY2(isNew || found.at("m.gguf") == "old model", qPrintable(QString::number(nth)));
        QCOMPARE(found.at("m-lora.gguf") == m_undisturbed["m-lora.gguf"], isNew);
        QVERIFY(isNew || !result);
        r.system = nullptr;
        const auto again = run(r, Unfinished::Resume);
        QVERIFY2(again, qPrintable(QString("call %1: %2").arg(nth).arg(again ? "" : again.error().detail.c_str())));
        for (const auto& [name, bytes] : m_undisturbed)
            QVERIFY2(files()[name] == bytes, qPrintable(QString("%1 after call %2").arg(name.c_str()).arg(nth)));
    }
    QVERIFY(failures > 45);
}

/// Item 105: the stop is requested at every point where the run touches a file, so no clock is needed.
void TestInterrupted::aCancelAtAnyCallLeavesNoTargetAndIsResumed()
{
    int cancelled = 0;
    for (int nth = 1;; ++nth) {
        clear();
        FaultySystem system;
        std::stop_source stop;
        bool requested = false;
        int after = 0;
        system.onCall = [&](int call) {
            after += requested ? 1 : 0;
            if (call == nth)
                requested = stop.request_stop();
        };
        const ExportRequest r = plan(2, &system);
        const auto result = run(r, Unfinished::Refuse, {.stop = stop.get_token()});
        while (hasAbandonedWork())
            QThread::yieldCurrentThread();  // it still uses `system`
        if (result.has_value()) {
            // Past the point of no return: all of it stands.
            QVERIFY(files() == m_undisturbed);
            if (!requested)
                break;
            continue;
        }
        ++cancelled;
        QCOMPARE(result.error().code, ErrorCode::Cancelled);
        QVERIFY(!fs::exists(m_out / "m.gguf") && !fs::exists(m_out / "m-lora.gguf"));
        // What is under way may end (a layer's line in the journal, the removal of temporary files); no layer begins.
        QVERIFY2(after <= 6, qPrintable(QString("%1 calls after the stop at %2").arg(after).arg(nth)));
        ExportRequest again = r;
        again.system = nullptr;
        const auto taken = run(again, Unfinished::Resume);
        QVERIFY2(taken, qPrintable(QString("call %1: %2").arg(nth).arg(taken ? "" : taken.error().detail.c_str())));
        QVERIFY(files() == m_undisturbed);
    }
    QVERIFY(cancelled > 40);
}

void TestInterrupted::shortAndInterruptedCallsChangeNothing()
{
    FaultySystem system;
    system.stutters = true;
    const auto result = run(plan(2, &system));
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QVERIFY(files() == m_undisturbed);
}

void TestInterrupted::aReadThatFailsIsAnErrorThatNamesTheOffset()
{
    for (const int nth : {1, 2, 7, 12}) {
        clear();
        FaultySystem system;
        system.failRead(nth);
        ExportRequest r = plan(2, &system);
        const auto result = run(r);
        QVERIFY(!result);
        QCOMPARE(result.error().code, ErrorCode::IoFailed);
        QVERIFY2(result.error().detail.find("m") != std::string::npos
                     && result.error().detail.find("at byte ") != std::string::npos,
                 result.error().detail.c_str());
        QVERIFY(!fs::exists(m_out / "m.gguf"));
        r.system = nullptr;
        QVERIFY(run(r, Unfinished::Resume));
        QVERIFY(files() == m_undisturbed);
    }
}

void TestInterrupted::oldModelAndAdapterStayTogether()
{
    // An exporter alone, without a journal, keeps the same promise.
    writeFile(m_out / "m.gguf", "old model");
    writeFile(m_out / "m-lora.gguf", "old adapter");
    for (int nth = 1;; ++nth) {
        FaultySystem system(Fault::Once, nth);
        ExportRequest r = plan(2, &system);
        r.overwrite = true;
        if (runExport(r)) {
            QVERIFY(readFile(m_out / "m.gguf").starts_with("GGUF"));
            QVERIFY(readFile(m_out / "m-lora.gguf").starts_with("GGUF"));
            break;
        }
        const auto found = files();
        QCOMPARE(found.size(), std::size_t(2));
        const bool isOld = found.at("m.gguf") == "old model";
        QCOMPARE(found.at("m-lora.gguf") == "old adapter", isOld);
        if (!isOld)  // the names were given, only their durability is in doubt
            break;
        QVERIFY(nth < 1000);
    }
}

void TestInterrupted::anAdapterOfAnEarlierExportGoesWithItsModel()
{
    QVERIFY(run(plan()));
    ExportRequest plain = plan(0);
    plain.overwrite = true;
    const auto result = run(plain);
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QCOMPARE(files().size(), std::size_t(1));
    QVERIFY(fs::exists(m_out / "m.gguf"));
    // Somebody else's file of that name is left alone.
    writeFile(m_out / "m-lora.gguf", "mine");
    QVERIFY(run(plain));
    QCOMPARE(readFile(m_out / "m-lora.gguf"), std::string("mine"));
    // And while names change, nothing is lost: the old pair stays, or the new model stands alone.
    for (int nth = 1;; ++nth) {
        clear();
        QVERIFY(run(plan()));
        FaultySystem system(Fault::Death, nth);
        plain.system = &system;
        static_cast<void>(run(plain));
        if (!system.hasFailed())
            break;
        plain.system = nullptr;
        QVERIFY(run(plain, Unfinished::Resume));
        QCOMPARE(files().size(), std::size_t(1));
    }
}

void TestInterrupted::anAdapterOfAnEarlierExportIsNotLeftUnasked()
{
    QVERIFY(run(plan()));
    fs::remove(m_out / "m.gguf");
    const auto result = run(plan(0));
    QVERIFY(!result);
    QCOMPARE(result.error().code, ErrorCode::WouldOverwrite);
    QVERIFY2(result.error().detail.find("m-lora.gguf") != std::string::npos, result.error().detail.c_str());
    QCOMPARE(files().size(), std::size_t(1));
}

QTEST_GUILESS_MAIN(TestInterrupted)
#include "tst_interrupted.moc"
