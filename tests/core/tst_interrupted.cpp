// SPDX-License-Identifier: GPL-3.0-or-later
// A run whose system fails it, wherever and whatever it writes: nothing wrong stands at the output's name.
#include "support/ResumeFixture.h"

#include "core/base/Parallel.h"

#include <QThread>

#include <algorithm>

using namespace sigmascope;
using namespace sigmascope::test;

namespace
{

using Fault = FaultySystem::Fault;

/// Calls from one fault to the next: every call has its turn, every fourth under a sanitizer, which takes ten times as long.
#if defined(__has_feature)
constexpr int kStep = __has_feature(address_sanitizer) ? 4 : 1;
#else
constexpr int kStep = 1;
#endif

} // namespace

class TestInterrupted : public QObject, private ResumeFixture
{
    Q_OBJECT

private slots:
    void aProcessThatDiesAtAnyCallIsResumedToTheSameBytes_data();
    void aProcessThatDiesAtAnyCallIsResumedToTheSameBytes();
    void aDiskThatFillsAtAnyWriteLeavesNoTarget_data() { targetsWithAndWithoutOldFiles(); }
    void aDiskThatFillsAtAnyWriteLeavesNoTarget();
    void anyCallThatFailsOnceLeavesOldOrNew_data() { everyTarget(); }
    void anyCallThatFailsOnceLeavesOldOrNew();
    void aCancelAtAnyCallLeavesNoTargetAndIsResumed_data() { everyTarget(); }
    void aCancelAtAnyCallLeavesNoTargetAndIsResumed();
    void shortAndInterruptedCallsChangeNothing_data() { everyTarget(); }
    void shortAndInterruptedCallsChangeNothing();
    void aReadThatFailsIsAnErrorThatNamesTheOffset_data() { everyTarget(); }
    void aReadThatFailsIsAnErrorThatNamesTheOffset();
    void aQuotaOrAServerThatIsGoneLeavesNoTarget_data() { everyTarget(); }
    void aQuotaOrAServerThatIsGoneLeavesNoTarget();
    void oldModelAndAdapterStayTogether();
    void anAdapterOfAnEarlierExportGoesWithItsModel();
    void anAdapterOfAnEarlierExportIsNotLeftUnasked();

private:
    using Files = std::map<std::string, std::string>;

    static void targetsWithAndWithoutOldFiles()
    {
        QTest::addColumn<QString>("target");
        QTest::addColumn<bool>("overwrite");
        for (const QString& target : allTargets()) {
            QTest::addRow("%s", qPrintable(target)) << target << false;
            QTest::addRow("%s, old files there", qPrintable(target)) << target << true;
        }
    }
    /// An empty folder, or old files with the names that the run will give.
    Files begin(bool overwrite)
    {
        clear();
        return overwrite ? writeOldFiles() : Files();
    }
    /// Nothing that stood there is gone; each name holds what it held, or the new file whole. An index of shards alone
    /// is set aside while they change: without it there is no model, and so no mixed one.
    void expectOldOrNew(const Files& old, int call)
    {
        const Files found = finishedFiles();
        const Files all = files();
        for (const auto& [name, bytes] : old) {
            const auto aside = all.find(name + ".sigmascope-old");
            const bool isAside = name.ends_with(".index.json") && aside != all.end() && aside->second == bytes;
            QVERIFY2(found.contains(name) || isAside,
                     qPrintable(QString("%1 gone at call %2").arg(name.c_str()).arg(call)));
        }
        for (const auto& [name, bytes] : found) {
            const auto before = old.find(name);
            const auto after = m_undisturbed.find(name);
            const bool isNew = after != m_undisturbed.end() && bytes == after->second;
            QVERIFY2(isNew || (before != old.end() && bytes == before->second),
                     qPrintable(QString("%1 wrong at call %2").arg(name.c_str()).arg(call)));
        }
    }
    /// With a system that works the run goes on, to the bytes of an undisturbed one.
    void expectResumed(ExportRequest r, int call)
    {
        r.system = nullptr;
        const auto again = run(r, Unfinished::Resume);
        QVERIFY2(again, qPrintable(QString("call %1: %2").arg(call).arg(again ? "" : again.error().detail.c_str())));
        QVERIFY2(files() == m_undisturbed, qPrintable(QString("other files after call %1").arg(call)));
    }
};

void TestInterrupted::aProcessThatDiesAtAnyCallIsResumedToTheSameBytes_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<bool>("overwrite");
    QTest::addColumn<bool>("power");
    for (const QString& target : allTargets()) {
        for (const bool overwrite : {false, true})
            for (const bool power : {false, true})
                QTest::addRow("%s, %s%s", qPrintable(target), power ? "power cut" : "killed", overwrite ? ", old files there" : "")
                    << target << overwrite << power;
    }
}

/// reliability 90: after restart either the old or the new file, never one with the final name and wrong content.
void TestInterrupted::aProcessThatDiesAtAnyCallIsResumedToTheSameBytes()
{
    QFETCH(QString, target);
    QFETCH(bool, overwrite);
    QFETCH(bool, power);
    useTarget(target);
    runUndisturbed();
    int deaths = 0;
    for (int nth = 1;; nth += kStep) {
        const Files old = begin(overwrite);
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
        expectOldOrNew(old, nth);
        expectResumed(r, nth);
        if (QTest::currentTestFailed())
            return;
    }
    QVERIFY2(deaths * kStep > 40, qPrintable(QString::number(deaths)));
}

/// reliability 88: the old file intact, no target, needed and free space told; once there is space, the run goes on.
void TestInterrupted::aDiskThatFillsAtAnyWriteLeavesNoTarget()
{
    QFETCH(QString, target);
    QFETCH(bool, overwrite);
    useTarget(target);
    runUndisturbed();
    int failures = 0;
    int lastFailure = 40;
    for (int nth = 1; nth < lastFailure + 20; nth += kStep) {
        const Files old = begin(overwrite);
        FaultySystem system(Fault::Full, nth);
        ExportRequest r = plan(2, &system);
        r.overwrite = overwrite;
        const auto result = run(r);
        if (!system.hasFailed()) {
            QVERIFY(result.has_value());
            continue;
        }
        ++failures;
        lastFailure = std::max(lastFailure, nth);
        QVERIFY(!result);
        QCOMPARE(result.error().code, ErrorCode::NoSpace);
        for (const char* word : {m_out.c_str(), " needed", " free"})
            QVERIFY2(result.error().detail.find(word) != std::string::npos, result.error().detail.c_str());
        QVERIFY2(finishedFiles() == old, qPrintable(QString::number(nth)));
        const auto left = unfinishedRunAt(r.output);
        QVERIFY(left.has_value());
        if (!*left) // nothing finished, nothing kept
            QVERIFY(files() == old && (overwrite || fs::is_empty(m_out)));
        expectResumed(r, nth);
        if (QTest::currentTestFailed())
            return;
    }
    QVERIFY2(failures * kStep > 30, qPrintable(QString::number(failures)));
}

/// reliability 88: at every flush and every rename too.
void TestInterrupted::anyCallThatFailsOnceLeavesOldOrNew()
{
    QFETCH(QString, target);
    useTarget(target);
    runUndisturbed();
    int failures = 0;
    for (int nth = 1;; nth += kStep) {
        const Files old = begin(true);
        FaultySystem system(Fault::Once, nth);
        ExportRequest r = plan(2, &system);
        r.overwrite = true;
        const auto result = run(r);
        if (!system.hasFailed())
            break;
        ++failures;
        // All old or all new: an adapter beside another model, or a shard among others, is worse than none.
        const Files found = finishedFiles();
        QVERIFY2(found == old || found == m_undisturbed, qPrintable(QString::number(nth)));
        QVERIFY(found == m_undisturbed || !result);
        r.system = nullptr;
        const auto again = run(r, Unfinished::Resume);
        QVERIFY2(again, qPrintable(QString("call %1: %2").arg(nth).arg(again ? "" : again.error().detail.c_str())));
        QVERIFY2(finishedFiles() == m_undisturbed, qPrintable(QString::number(nth)));
    }
    QVERIFY2(failures * kStep > 40, qPrintable(QString::number(failures)));
}

/// reliability 105: the stop is requested at every point where the run touches a file, so no clock is needed.
void TestInterrupted::aCancelAtAnyCallLeavesNoTargetAndIsResumed()
{
    QFETCH(QString, target);
    useTarget(target);
    runUndisturbed();
    int cancelled = 0;
    for (int nth = 1;; nth += kStep) {
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
            QThread::yieldCurrentThread(); // it still uses `system`
        if (result.has_value()) {
            // Past the point of no return: all of it stands.
            QVERIFY(files() == m_undisturbed);
            if (!requested)
                break;
            continue;
        }
        ++cancelled;
        QCOMPARE(result.error().code, ErrorCode::Cancelled);
        QVERIFY(finishedFiles().empty());
        // What is under way may end (a layer's line in the journal, the removal of temporary files); no layer begins.
        QVERIFY2(after <= 4 + static_cast<int>(m_undisturbed.size()),
                 qPrintable(QString("%1 calls after the stop at %2").arg(after).arg(nth)));
        expectResumed(r, nth);
        if (QTest::currentTestFailed())
            return;
    }
    QVERIFY2(cancelled * kStep > 30, qPrintable(QString::number(cancelled)));
}

/// reliability 89.
void TestInterrupted::shortAndInterruptedCallsChangeNothing()
{
    QFETCH(QString, target);
    useTarget(target);
    runUndisturbed();
    clear();
    FaultySystem system;
    system.stutters = true;
    const auto result = run(plan(2, &system));
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QVERIFY(files() == m_undisturbed);
}

/// reliability 89.
void TestInterrupted::aReadThatFailsIsAnErrorThatNamesTheOffset()
{
    QFETCH(QString, target);
    useTarget(target);
    runUndisturbed();
    for (const int nth : {1, 2, 7, 12}) {
        clear();
        FaultySystem system;
        system.failRead(nth);
        const ExportRequest r = plan(2, &system);
        const auto result = run(r);
        QVERIFY(!result);
        QCOMPARE(result.error().code, ErrorCode::IoFailed);
        for (const char* word : {m_out.c_str(), "at byte "})
            QVERIFY2(result.error().detail.find(word) != std::string::npos, result.error().detail.c_str());
        QVERIFY(finishedFiles().empty());
        expectResumed(r, nth);
        if (QTest::currentTestFailed())
            return;
    }
}

/// reliability 95: as 89, with what a quota, a network mount and a file system turned read-only answer from one call on.
void TestInterrupted::aQuotaOrAServerThatIsGoneLeavesNoTarget()
{
    QFETCH(QString, target);
    useTarget(target);
    runUndisturbed();
    clear();
    FaultySystem counting;
    QVERIFY(run(plan(2, &counting)));
    const std::vector<std::pair<int, ErrorCode>> answers{
        {EDQUOT, ErrorCode::NoSpace}, {ESTALE, ErrorCode::WriteFailed}, {ETIMEDOUT, ErrorCode::WriteFailed}, {EROFS, ErrorCode::PermissionDenied}};
    int failures = 0;
    for (int nth = 1; nth < counting.calls(); nth += 5) {
        const auto& [number, code] = answers[static_cast<std::size_t>(nth / 5) % answers.size()];
        const Files old = begin(true);
        FaultySystem system(number == EDQUOT ? Fault::Full : Fault::Death, nth);
        system.error = number;
        ExportRequest r = plan(2, &system);
        r.overwrite = true;
        const auto result = run(r);
        if (!system.hasFailed() || result)
            continue;  // of a quota: no room was asked for any more; else only tidying up was left
        ++failures;
        const Error& found = result.error();
        const bool isRead = found.code == ErrorCode::IoFailed && number != EDQUOT;  // which has no code of its own
        QVERIFY2(found.code == code || isRead, found.detail.c_str());
        for (const std::string& word : {m_out.string(), textOfErrno(number)})
            QVERIFY2(found.detail.find(word) != std::string::npos, found.detail.c_str());
        expectOldOrNew(old, nth);
        expectResumed(r, nth);
        if (QTest::currentTestFailed())
            return;
    }
    QVERIFY2(failures > 5, qPrintable(QString::number(failures)));
}

void TestInterrupted::oldModelAndAdapterStayTogether()
{
    useTarget("gguf");
    makeModel();
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
    useTarget("gguf");
    makeModel();
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
    useTarget("gguf");
    makeModel();
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
