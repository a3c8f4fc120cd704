// SPDX-License-Identifier: GPL-3.0-or-later
// A run that was cut short is taken up again: what is finished is not lost.
#include "support/ResumeFixture.h"

#include "core/base/Parallel.h"

#include <algorithm>
#include <new>

using namespace sigmascope;
using namespace sigmascope::test;

namespace
{

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

class TestResume : public QObject, private ResumeFixture
{
    Q_OBJECT

private slots:
    void initTestCase() { runUndisturbed(); }
    void init() { makeModel(); }
    void anUnfinishedRunIsNotOverwrittenUnasked();
    void discardBeginsAnew();
    void whatDiffersIsNamed_data();
    void whatDiffersIsNamed();
    void resultsOfTheEarlierRunAreAllThere();
    void aDamagedLayerIsComputedAgain();
    void aLostTemporaryFileIsBegunAnew();
    void aSecondRunIsRefusedByTheLock();
    void aFailingLayerStopsThatLayerOnly();
    void threadsDoNotMatterToAResumedRun();
};

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

/// reliability 91.
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
