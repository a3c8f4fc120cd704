// SPDX-License-Identifier: GPL-3.0-or-later
// A run that is steered: reordered, paused, stopped while it waits, a layer tried again. Its files are those of a run
// that nobody touched.
#include "support/ResumeFixture.h"

#include "core/base/Job.h"
#include "core/project/WorkQueue.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>
#include <numeric>
#include <thread>

using namespace sigmascope;
using namespace sigmascope::test;
using namespace std::chrono_literals;

namespace {

using Tensors = std::vector<std::size_t>;

Tensors drained(WorkQueue& queue)
{
    Tensors given;
    while (const auto tensor = queue.next())
        given.push_back(*tensor);
    return given;
}

/// The reference, but the first encode of matrices with so many rows fails for want of memory.
class ForgetfulOnce final : public ComputeBackend {
public:
    explicit ForgetfulOnce(std::uint64_t rows)
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
        if (rows == m_rows && m_left-- > 0)
            throw std::bad_alloc();
        return m_cpu->encode(type, weights, rows, cols, out, job);
    }
    bool supports(Op op, DType type) const override { return m_cpu->supports(op, type); }
    std::string deviceFor(Op op, DType type) const override { return m_cpu->deviceFor(op, type); }

private:
    std::uint64_t m_rows;
    int m_left = 1;
    std::unique_ptr<ComputeBackend> m_cpu = makeCpuBackend();
};

}  // namespace

class TestWorkQueue : public QObject, private ResumeFixture {
    Q_OBJECT

private slots:
    void initTestCase() { runUndisturbed(); }
    void init() { makeModel(); }
    void layersComeInTheWishedOrder();
    void aWishMayChangeAtAnyTime();
    void whatIsNotOfTheRunIsPassedOver();
    void aLayerIsTriedAgainBehindAllOthers();
    void waitingEndsByResumingOrByAStop();
    void bytesDoNotDependOnTheOrder_data();
    void bytesDoNotDependOnTheOrder();
    void bytesDoNotDependOnPausesAndReordering();
    void aPausedRunStandsStillAndDoesNotCountTheTime();
    void aPausedRunStopsAtOnceAndIsTakenUpInAnotherOrder();
    void aFailedLayerIsTriedAgainWithinTheRun();
    void stagesAreToldLayerByLayer();

private:
    [[nodiscard]] Tensors reversed() const
    {
        Tensors all(m_model->tensors().size());
        std::iota(all.begin(), all.end(), 0);
        std::ranges::reverse(all);
        return all;
    }
};

void TestWorkQueue::layersComeInTheWishedOrder()
{
    WorkQueue queue;
    const Tensors file{3, 1, 4, 0, 5};
    queue.begin(file);
    QCOMPARE(drained(queue), file);
    queue.setOrder({5, 4});
    queue.begin(file);
    QCOMPARE(drained(queue), (Tensors{5, 4, 3, 1, 0}));
}

void TestWorkQueue::aWishMayChangeAtAnyTime()
{
    WorkQueue queue;
    queue.begin(Tensors{0, 1, 2, 3, 4});
    QCOMPARE(queue.next(), std::optional<std::size_t>(0));
    queue.setOrder({0, 4, 3});  // 0 is given out already
    QCOMPARE(queue.next(), std::optional<std::size_t>(4));
    queue.setOrder({2});
    QCOMPARE(drained(queue), (Tensors{2, 1, 3}));
}

void TestWorkQueue::whatIsNotOfTheRunIsPassedOver()
{
    WorkQueue queue;
    queue.setOrder({99, 1, 1, SIZE_MAX});
    queue.begin(Tensors{0, 1});
    queue.retry(99);
    queue.retry(SIZE_MAX);
    queue.retry(0);  // still waits: not twice
    QCOMPARE(drained(queue), (Tensors{1, 0}));
    queue.begin(Tensors{});
    QVERIFY(!queue.next());
}

void TestWorkQueue::aLayerIsTriedAgainBehindAllOthers()
{
    WorkQueue queue;
    queue.begin(Tensors{0, 1, 2});
    QCOMPARE(queue.next(), std::optional<std::size_t>(0));
    queue.retry(0);
    QCOMPARE(drained(queue), (Tensors{1, 2, 0}));
    queue.retry(1);
    QCOMPARE(queue.next(), std::optional<std::size_t>(1));
    QVERIFY(!queue.next());
}

void TestWorkQueue::waitingEndsByResumingOrByAStop()
{
    WorkQueue queue;
    std::stop_source stop;
    QVERIFY(queue.waitWhilePaused(stop.get_token()));
    QCOMPARE(queue.waited().count(), 0.0);
    queue.pause();
    QVERIFY(queue.isPaused());
    std::atomic<bool> goesOn = false;
    {
        const std::jthread run([&] { goesOn = queue.waitWhilePaused(stop.get_token()); });
        QTest::qWait(30);
        QVERIFY(!goesOn);
        queue.resume();
    }
    QVERIFY(goesOn);
    QVERIFY(queue.waited().count() >= 0.02);
    queue.pause();
    bool stopped = true;
    {
        const std::jthread run([&] { stopped = !queue.waitWhilePaused(stop.get_token()); });
        stop.request_stop();
    }
    QVERIFY(stopped);
}

void TestWorkQueue::bytesDoNotDependOnTheOrder_data()
{
    QTest::addColumn<QString>("target");
    for (const ExporterRow& row : exporters())
        QTest::newRow(row.id.data()) << QString::fromUtf8(row.id.data(), static_cast<qsizetype>(row.id.size()));
}

void TestWorkQueue::bytesDoNotDependOnTheOrder()
{
    QFETCH(QString, target);
    const auto runOf = [&](const std::string& name, const Tensors& order) {
        ExportRequest r = plan();
        for (LayerPlan& layer : r.plan.layers)
            layer.grid = layer.keep ? std::string() : gridFor(target.toStdString());
        r.output = m_out / name / (target == "gguf" ? "m.gguf" : "m");
        fs::create_directories(m_out / name);
        RunOptions options{.queue = std::make_shared<WorkQueue>()};
        options.queue->setOrder(order);
        Tensors came;
        options.onLayer = [&came](const TensorResult& result) { came.push_back(result.tensor); };
        const auto result = quantize(r, *findExporter(target.toStdString()), *m_backend, options, {});
        if (!result)
            return std::pair(Tensors{}, result.error().detail);
        std::string bytes;
        std::map<std::string, std::string> found;
        for (const auto& entry : fs::recursive_directory_iterator(m_out / name)) {
            if (entry.is_regular_file())
                found[fs::relative(entry.path(), m_out / name).string()] = readFile(entry.path());
        }
        for (const auto& [file, content] : found)
            bytes += file + '\n' + content;
        Tensors told;
        for (const TensorResult& t : result->tensors)
            told.push_back(t.tensor);
        if (came != (order.empty() ? told : order))
            return std::pair(Tensors{}, std::string("the layers came in another order"));
        return std::pair(told, bytes);
    };
    const auto plain = runOf("plain", {});
    const auto turned = runOf("turned", Tensors(plain.first.rbegin(), plain.first.rend()));
    QVERIFY2(!plain.first.empty(), plain.second.c_str());
    QVERIFY2(!turned.first.empty(), turned.second.c_str());
    QCOMPARE(turned.first, plain.first);  // told as they lie in the file
    QVERIFY(turned.second == plain.second);
}

void TestWorkQueue::bytesDoNotDependOnPausesAndReordering()
{
    RunOptions options{.queue = std::make_shared<WorkQueue>()};
    WorkQueue& queue = *options.queue;
    Tensors came;
    std::jthread hand;
    options.onLayer = [&](const TensorResult& result) {
        came.push_back(result.tensor);
        if (came.size() == 3)
            queue.setOrder(reversed());
        if (came.size() % 4 == 1) {
            queue.pause();
            hand = std::jthread([&queue] {
                std::this_thread::sleep_for(5ms);
                queue.resume();
            });
        }
    };
    const auto result = quantize(plan(), *findExporter("gguf"), *m_backend, options, {});
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QVERIFY(queue.waited().count() > 0.01);
    QVERIFY(!std::ranges::is_sorted(came));
    QVERIFY(files() == m_undisturbed);
}

void TestWorkQueue::aPausedRunStandsStillAndDoesNotCountTheTime()
{
    RunOptions options{.queue = std::make_shared<WorkQueue>()};
    std::atomic<int> layers = 0;
    options.onLayer = [&](const TensorResult&) {
        if (++layers == 2)
            options.queue->pause();
    };
    std::atomic<bool> isDone = false;
    double seconds = 0;
    double left = 0;
    options.onTimeLeft = [&left](std::optional<double> told) { left = std::max(left, told.value_or(0)); };
    std::jthread job([&] {
        const auto result = quantize(plan(), *findExporter("gguf"), *m_backend, options, {});
        seconds = result ? result->seconds : -1;
        isDone = true;
    });
    QTRY_COMPARE(layers.load(), 2);
    QTest::qWait(1000);
    QCOMPARE(layers.load(), 2);
    QVERIFY(!isDone);
    options.queue->resume();
    job.join();
    QCOMPARE(layers.load(), static_cast<int>(m_model->tensors().size()));
    QVERIFY(options.queue->waited().count() >= 0.9);
    QVERIFY2(seconds >= 0 && seconds < options.queue->waited().count(), qPrintable(QString::number(seconds)));
    QVERIFY2(left < 0.9, qPrintable(QString::number(left)));  // a pause does not make what is left longer
    QVERIFY(files() == m_undisturbed);
}

void TestWorkQueue::aPausedRunStopsAtOnceAndIsTakenUpInAnotherOrder()
{
    std::stop_source stop;
    RunOptions options{.queue = std::make_shared<WorkQueue>()};
    options.queue->setOrder(reversed());
    std::atomic<int> layers = 0;
    options.onLayer = [&](const TensorResult&) {
        if (++layers == 5)
            options.queue->pause();
    };
    ErrorCode ended = ErrorCode::Internal;
    std::jthread job([&] {
        const auto result = quantize(plan(), *findExporter("gguf"), *m_backend, options, {.stop = stop.get_token()});
        ended = result ? ErrorCode::Internal : result.error().code;
    });
    QTRY_COMPARE(layers.load(), 5);
    QTest::qWait(20);
    const auto asked = std::chrono::steady_clock::now();
    stop.request_stop();
    job.join();
    QVERIFY(std::chrono::steady_clock::now() - asked < 1s);
    QCOMPARE(ended, ErrorCode::Cancelled);
    const auto unfinished = unfinishedRunAt(plan().output);
    QVERIFY(unfinished && *unfinished);
    QCOMPARE((*unfinished)->finished, std::size_t(5));

    RunOptions again{.queue = std::make_shared<WorkQueue>(), .unfinished = Unfinished::Resume};
    again.queue->setOrder({4, 7, 2});
    std::size_t resumed = 0;
    again.onLayer = [&resumed](const TensorResult& result) { resumed += result.resumed ? 1 : 0; };
    const auto result = quantize(plan(), *findExporter("gguf"), *m_backend, again, {});
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QCOMPARE(resumed, std::size_t(5));
    QVERIFY(files() == m_undisturbed);
}

void TestWorkQueue::aFailedLayerIsTriedAgainWithinTheRun()
{
    ForgetfulOnce backend(kFeedForward);  // gate_proj comes first of those with so many rows
    RunOptions options{.queue = std::make_shared<WorkQueue>()};
    Tensors failed;
    Tensors came;
    options.onFailure = [&](std::size_t tensor, const Error& error) {
        QCOMPARE(error.code, ErrorCode::OutOfMemory);
        failed.push_back(tensor);
        options.queue->retry(tensor);
    };
    options.onLayer = [&came](const TensorResult& result) { came.push_back(result.tensor); };
    const auto result = quantize(plan(), *findExporter("gguf"), backend, options, {});
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QCOMPARE(failed.size(), std::size_t(1));
    QCOMPARE(came.back(), failed.front());
    QCOMPARE(result->tensors.size(), m_model->tensors().size());
    QVERIFY(files() == m_undisturbed);
}

void TestWorkQueue::stagesAreToldLayerByLayer()
{
    std::vector<std::pair<RunStage, std::optional<std::size_t>>> told;
    std::size_t layers = 0;
    RunOptions options;
    options.onLayers = [&layers](std::span<const std::size_t> tensors) { layers = tensors.size(); };
    options.onStage = [&told](RunStage stage, std::optional<std::size_t> tensor) { told.emplace_back(stage, tensor); };
    QVERIFY(quantize(plan(), *findExporter("gguf"), *m_backend, options, {}).has_value());
    QCOMPARE(layers, m_model->tensors().size());
    QVERIFY(told.front() == std::pair(RunStage::Look, std::optional<std::size_t>()));
    QVERIFY(told.back() == std::pair(RunStage::Compare, std::optional<std::size_t>()));
    const std::size_t q = *m_model->find("model.layers.0.self_attn.q_proj.weight");
    const std::size_t norm = *m_model->find("model.norm.weight");
    std::vector<RunStage> ofQ;
    std::vector<RunStage> ofNorm;
    for (const auto& [stage, tensor] : told) {
        if (tensor == q)
            ofQ.push_back(stage);
        if (tensor == norm)
            ofNorm.push_back(stage);
    }
    QVERIFY(ofQ == (std::vector{RunStage::Codes, RunStage::Factors, RunStage::Write}));
    QVERIFY(ofNorm == std::vector{RunStage::Write});
}

QTEST_GUILESS_MAIN(TestWorkQueue)
#include "tst_work_queue.moc"
