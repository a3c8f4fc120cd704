// SPDX-License-Identifier: GPL-3.0-or-later
// A run that is cut short, wherever: nothing wrong stands at the output's name, and what is finished is not lost.
#include "support/ExporterFixture.h"
#include "support/FaultySystem.h"

#include "core/base/Parallel.h"
#include "core/project/Journal.h"
#include "core/project/Pipeline.h"

#include <QThread>

#include <limits>
#include <map>
#include <new>

using namespace sigmascope;
using namespace sigmascope::test;

namespace
{

using Fault = FaultySystem::Fault;

/// The reference, but the encode of matrices with so many rows fails for want of memory.
class ForgetfulBackend final : public ComputeBackend
{
public:
    explicit ForgetfulBackend(std::uint64_t rows)
        : m_rows(rows)
    {
    }
    DeviceInfo device() const override { return m_cpu->device(); }
    Result<TensorStats> statistics(const TensorView& view, const JobContext& job) override
    {
        return m_cpu->statistics(view, job);
    }
    Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                  std::span<std::byte> out, const JobContext& job) override
    {
        if (rows == m_rows)
            throw std::bad_alloc();
        return m_cpu->encode(type, weights, rows, cols, out, job);
    }
    bool supports(Op op, DType type) const override { return m_cpu->supports(op, type); }
    std::string deviceFor(Op op, DType type) const override { return m_cpu->deviceFor(op, type); }

private:
    std::uint64_t m_rows;
    std::unique_ptr<ComputeBackend> m_cpu = makeCpuBackend();
};

} // namespace

class TestResume : public QObject, private ExporterFixture
{
    Q_OBJECT

private slots:
    void initTestCase();
    void init();
    void aProcessThatDiesAtAnyCallIsResumedToTheSameBytes_data();
    void aProcessThatDiesAtAnyCallIsResumedToTheSameBytes();
    void aDiskThatFillsAtAnyWriteLeavesNoTarget_data();
    void aDiskThatFillsAtAnyWriteLeavesNoTarget();
    void anyCallThatFailsOnceLeavesOldOrNew();
    void aCancelAtAnyCallLeavesNoTargetAndIsResumed();
    void shortAndInterruptedCallsChangeNothing();
    void aReadThatFailsIsAnErrorThatNamesTheOffset();
    void anUnfinishedRunIsNotOverwrittenUnasked();
    void discardBeginsAnew();
    void whatDiffersIsNamed_data();
    void whatDiffersIsNamed();
    void resultsOfTheEarlierRunAreAllThere();
    void aDamagedLayerIsComputedAgain();
    void aLostTemporaryFileIsBegunAnew();
    void aSecondRunIsRefusedByTheLock();
    void aFailingLayerStopsThatLayerOnly();
    void oldModelAndAdapterStayTogether();
    void anAdapterOfAnEarlierExportGoesWithItsModel();
    void anAdapterOfAnEarlierExportIsNotLeftUnasked();
    void threadsDoNotMatterToAResumedRun();

private:
    [[nodiscard]] ExportRequest plan(std::uint32_t rank = 2, FileSystem* system = nullptr) const
    {
        ExportRequest r = request(quantizeBlock(*m_model, "q4_0", rank));
        r.system = system;
        return r;
    }
    Result<RunResult> run(const ExportRequest& request, Unfinished unfinished = Unfinished::Refuse,
                          const JobContext& job = {})
    {
        return quantize(request, *findExporter("gguf"), *m_backend, {.unfinished = unfinished}, job);
    }
    /// Name -> bytes of all files beside the output.
    [[nodiscard]] std::map<std::string, std::string> files() const
    {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::directory_iterator(m_out))
            all[entry.path().filename().string()] = readFile(entry.path());
        return all;
    }
    void clear() const
    {
        for (const auto& entry : fs::directory_iterator(m_out))
            fs::remove(entry);
    }
    /// Cuts a run short once @p layers are in its journal.
    void leaveUnfinished(std::size_t layers, const ExportRequest& request)
    {
        std::stop_source stop;
        std::size_t seen = 0;
        const auto result = quantize(request, *findExporter("gguf"), *m_backend,
                                     {.onLayer =
                                          [&](const TensorResult&) {
                                              if (++seen == layers)
                                                  stop.request_stop();
                                          }},
                                     {.stop = stop.get_token()});
        QVERIFY(!result);
        QCOMPARE(result.error().code, ErrorCode::Cancelled);
        const auto left = unfinishedRunAt(request.output);
        QVERIFY(left && *left);
        QCOMPARE((*left)->finished, layers);
        QCOMPARE((*left)->planned, m_model->tensors().size());
    }

    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
    std::map<std::string, std::string> m_undisturbed; // of plan()
};

void TestResume::initTestCase()
{
    makeModel();
    const auto result = run(plan());
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    m_undisturbed = files();
    QCOMPARE(m_undisturbed.size(), std::size_t(2)); // model and adapter, and no journal
}

void TestResume::init()
{
    makeModel();
}

void TestResume::aProcessThatDiesAtAnyCallIsResumedToTheSameBytes_data()
{
    QTest::addColumn<bool>("overwrite");
    QTest::addColumn<bool>("power");
    QTest::newRow("killed") << false << false;
    QTest::newRow("killed, old files there") << true << false;
    QTest::newRow("power cut") << false << true;
    QTest::newRow("power cut, old files there") << true << true;
}

/// Item 90: after restart either the old or the new file, never one with the final name and wrong content.
void TestResume::aProcessThatDiesAtAnyCallIsResumedToTheSameBytes()
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

void TestResume::aDiskThatFillsAtAnyWriteLeavesNoTarget_data()
{
    QTest::addColumn<bool>("overwrite");
    QTest::newRow("nothing there") << false;
    QTest::newRow("old files there") << true;
}

/// Item 88: the old file intact, no target; and once there is space, the run goes on.
void TestResume::aDiskThatFillsAtAnyWriteLeavesNoTarget()
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

void TestResume::anyCallThatFailsOnceLeavesOldOrNew()
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
void TestResume::aCancelAtAnyCallLeavesNoTargetAndIsResumed()
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
        QVERIFY(run(again, Unfinished::Resume));
        QVERIFY(files() == m_undisturbed);
    }
    QVERIFY(cancelled > 40);
}

void TestResume::shortAndInterruptedCallsChangeNothing()
{
    FaultySystem system;
    system.stutters = true;
    const auto result = run(plan(2, &system));
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QVERIFY(files() == m_undisturbed);
}

void TestResume::aReadThatFailsIsAnErrorThatNamesTheOffset()
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

void TestResume::anUnfinishedRunIsNotOverwrittenUnasked()
{
    leaveUnfinished(5, plan());
    const auto before = files();
    ExportRequest r = plan();
    r.overwrite = true; // of the output, not of the work
    const auto refused = run(r);
    QVERIFY(!refused);
    QCOMPARE(refused.error().code, ErrorCode::UnfinishedRun);
    QVERIFY2(refused.error().detail.find("5 of 12") != std::string::npos
                 && refused.error().detail.find("m.gguf.sigmascope-journal") != std::string::npos,
             refused.error().detail.c_str());
    QVERIFY(files() == before);
    QVERIFY(run(plan(), Unfinished::Resume));
    QVERIFY(files() == m_undisturbed);
}

void TestResume::discardBeginsAnew()
{
    leaveUnfinished(5, plan());
    std::size_t resumed = 0;
    const auto result = quantize(plan(3), *findExporter("gguf"), *m_backend,
                                 {.onLayer = [&](const TensorResult& r) { resumed += r.resumed ? 1 : 0; },
                                  .unfinished = Unfinished::Discard},
                                 {});
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QCOMPARE(resumed, std::size_t(0));
    QCOMPARE(files().size(), std::size_t(2));
}

void TestResume::whatDiffersIsNamed_data()
{
    QTest::addColumn<QString>("change");
    QTest::addColumn<QString>("named");
    QTest::newRow("weight") << "weight" << "the model: tensor 'lm_head.weight'";
    QTest::newRow("shape") << "fewer" << "the model: 12 tensors then, 13 now";
    QTest::newRow("rank") << "rank" << "the plan: tensor 'model.layers.0.self_attn.q_proj.weight' was 'q4_0 rank 2";
    QTest::newRow("grid") << "grid" << "was 'keep', is now 'q8_0'";
    QTest::newRow("seed") << "seed" << "the seed: '0' then, '5' now";
    QTest::newRow("calibration") << "calibration" << "the calibration: there was none";
    QTest::newRow("metadata") << "metadata" << "metadata";
}

void TestResume::whatDiffersIsNamed()
{
    QFETCH(QString, change);
    QFETCH(QString, named);
    leaveUnfinished(6, plan());
    const auto before = files();
    auto tensors = tinyLlama();
    std::string text = config();
    if (change == "weight")
        sigmascope::test::named(tensors, "lm_head").bytes[100] ^= 1;
    if (change == "fewer")
        tensors.push_back(random("model.layers.0.self_attn.rotary_emb.inv_freq", {16}));
    if (change == "metadata")
        text = config(R"(,"rope_theta":20000.0)");
    m_model = writeFolder(m_folder, tensors, text);
    QVERIFY(m_model);
    ExportRequest r = plan(change == "rank" ? 3 : 2);
    if (change == "grid")
        r.plan.layers[*m_model->find("lm_head.weight")] = onGrid("q8_0");
    if (change == "seed")
        r.plan.seed = 5;
    Imatrix imatrix;
    if (change == "calibration")
        r.calibration = &imatrix;
    const auto result = run(r, Unfinished::Resume);
    QVERIFY(!result);
    QVERIFY2(result.error().code == ErrorCode::JournalMismatch, result.error().detail.c_str());
    QVERIFY2(result.error().detail.find(named.toStdString()) != std::string::npos, result.error().detail.c_str());
    if (change == "metadata")
        return; // seen only by the layout, which the headers were written from
    QVERIFY(files() == before);
    // The right model takes it up all the same.
    m_model = writeFolder(m_folder, tinyLlama());
    QVERIFY(run(plan(), Unfinished::Resume));
    QVERIFY(files() == m_undisturbed);
}

void TestResume::resultsOfTheEarlierRunAreAllThere()
{
    const auto whole = run(plan());
    QVERIFY(whole.has_value());
    clear();
    leaveUnfinished(7, plan());
    const auto resumed = run(plan(), Unfinished::Resume);
    QVERIFY(resumed.has_value());
    QCOMPARE(resumed->tensors.size(), whole->tensors.size());
    for (std::size_t i = 0; i < whole->tensors.size(); ++i) {
        const TensorResult& now = resumed->tensors[i];
        const TensorResult& then = whole->tensors[i];
        QCOMPARE(now.resumed, i < 7);
        QVERIFY(!then.resumed);
        QCOMPARE(now.tensor, then.tensor);
        QCOMPARE(now.name, then.name);
        QCOMPARE(now.grid, then.grid);
        QCOMPARE(now.method, then.method);
        QCOMPARE(now.rank, then.rank);
        QCOMPARE(now.device, then.device);
        QCOMPARE(now.bitsPerWeight, then.bitsPerWeight);
        QCOMPARE(now.publishedBits, then.publishedBits);
        QVERIFY(now.weightError == then.weightError && now.metricError == then.metricError);
        QVERIFY(now.weightErrorRank0 == then.weightErrorRank0 && now.metricErrorRank0 == then.metricErrorRank0);
        QVERIFY(!now.resumed || now.seconds > 0);
    }
    QCOMPARE(resumed->writtenBytes, whole->writtenBytes);
}

void TestResume::aDamagedLayerIsComputedAgain()
{
    for (const char* name : {"m.gguf.sigmascope-partial", "m-lora.gguf.sigmascope-partial"}) {
        clear();
        leaveUnfinished(9, plan());
        std::string bytes = readFile(m_out / name);
        // In the embedding, in the factors of an attention layer: both were finished.
        bytes[bytes.size() / (std::string_view(name).starts_with("m.") ? 3 : 2)] ^= 4;
        writeFile(m_out / name, bytes);
        const auto result = run(plan(), Unfinished::Resume);
        QVERIFY(result.has_value());
        QCOMPARE(std::ranges::count_if(result->tensors, &TensorResult::resumed), std::ptrdiff_t(8));
        QVERIFY(files() == m_undisturbed);
    }
}

void TestResume::aLostTemporaryFileIsBegunAnew()
{
    leaveUnfinished(9, plan());
    fs::remove(m_out / "m.gguf.sigmascope-partial");
    const auto result = run(plan(), Unfinished::Resume);
    QVERIFY(result.has_value());
    QCOMPARE(std::ranges::count_if(result->tensors, &TensorResult::resumed), std::ptrdiff_t(0));
    QVERIFY(files() == m_undisturbed);
}

/// Item 91.
void TestResume::aSecondRunIsRefusedByTheLock()
{
    std::optional<Error> second;
    std::map<std::string, std::string> before;
    const auto first = quantize(plan(), *findExporter("gguf"), *m_backend,
                                {.onLayer =
                                     [&](const TensorResult&) {
                                         if (second)
                                             return;
                                         const auto result = run(plan(), Unfinished::Resume);
                                         second = result ? Error{} : result.error();
                                         // Its adapter's name is taken as well.
                                         ExportRequest other = plan(0);
                                         other.output = m_out / "m-lora.gguf";
                                         const auto crossing = run(other);
                                         QVERIFY(!crossing && crossing.error().code == ErrorCode::OutputBusy);
                                     }},
                                {});
    QVERIFY2(first, first ? "" : first.error().detail.c_str());
    QVERIFY(second);
    QCOMPARE(second->code, ErrorCode::OutputBusy);
    QVERIFY2(second->detail.find("m.gguf") != std::string::npos, second->detail.c_str());
    QVERIFY(files() == m_undisturbed);
}

void TestResume::aFailingLayerStopsThatLayerOnly()
{
    ForgetfulBackend forgetful(kFeedForward); // gate and up
    std::vector<std::size_t> failed;
    const auto result = quantize(plan(), *findExporter("gguf"), forgetful,
                                 {.onFailure =
                                      [&](std::size_t tensor, const Error& error) {
                                          failed.push_back(tensor);
                                          QCOMPARE(error.code, ErrorCode::OutOfMemory);
                                      }},
                                 {});
    QVERIFY(!result);
    QCOMPARE(result.error().code, ErrorCode::LayersFailed);
    for (const char* text : {"2 of 12 layers", "gate_proj", "up_proj", "not enough memory", "10 of 12"})
        QVERIFY2(result.error().detail.find(text) != std::string::npos, result.error().detail.c_str());
    QCOMPARE(failed.size(), std::size_t(2));
    QVERIFY(!fs::exists(m_out / "m.gguf"));
    QCOMPARE((*unfinishedRunAt(m_out / "m.gguf"))->finished, std::size_t(10));
    // With memory again only those two are computed.
    const auto again = run(plan(), Unfinished::Resume);
    QVERIFY2(again, again ? "" : again.error().detail.c_str());
    QCOMPARE(std::ranges::count_if(again->tensors, &TensorResult::resumed), std::ptrdiff_t(10));
    QVERIFY(files() == m_undisturbed);
}

void TestResume::oldModelAndAdapterStayTogether()
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

void TestResume::anAdapterOfAnEarlierExportGoesWithItsModel()
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

void TestResume::anAdapterOfAnEarlierExportIsNotLeftUnasked()
{
    QVERIFY(run(plan()));
    fs::remove(m_out / "m.gguf");
    const auto result = run(plan(0));
    QVERIFY(!result);
    QCOMPARE(result.error().code, ErrorCode::WouldOverwrite);
    QVERIFY2(result.error().detail.find("m-lora.gguf") != std::string::npos, result.error().detail.c_str());
    QCOMPARE(files().size(), std::size_t(1));
}

void TestResume::threadsDoNotMatterToAResumedRun()
{
    const int threads = threadCount();
    for (const int count : {1, 2, 4}) {
        clear();
        setThreadCount(count);
        leaveUnfinished(4, plan());
        setThreadCount(5 - count);
        QVERIFY(run(plan(), Unfinished::Resume));
        QVERIFY(files() == m_undisturbed);
    }
    setThreadCount(threads);
}

QTEST_GUILESS_MAIN(TestResume)
#include "tst_resume.moc"
