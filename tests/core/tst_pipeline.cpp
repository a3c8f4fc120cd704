// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/TinyModel.h"
#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/project/Pipeline.h"
#include "core/solve/Solver.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>

using namespace sigmascope;
using namespace sigmascope::test;

namespace
{

std::vector<float> normals(std::uint64_t seed, std::size_t count, double scale)
{
    std::vector<float> values(count);
    fillNormal<float>(seed, values, scale);
    return values;
}

/// Writes nothing, remembers everything: an exporter as seen by the pipeline.
struct Recorded {
    std::vector<QuantizedLayer> layers;
    int made = 0;
    bool finished = false;
    std::size_t failAt = SIZE_MAX;
    std::filesystem::path output;
    std::function<void()> onAdd;
};
Recorded g_recorded;

class RecordingExporter final : public Exporter
{
public:
    explicit RecordingExporter(const ExportRequest& request)
    {
        for (std::size_t i = request.plan.layers.size(); i-- > 0;)
            m_order.push_back(i);
        m_estimate.outputs = {{request.output, "model", 4}};
        m_estimate.total = 4;
    }
    const SizeEstimate& estimate() const override { return m_estimate; }
    const std::vector<std::size_t>& order() const override { return m_order; }
    Status add(const QuantizedLayer& layer, const JobContext& /*job*/) override
    {
        if (g_recorded.layers.size() == g_recorded.failAt)
            return fail(ErrorCode::WriteFailed, "the disk is made of sand");
        g_recorded.layers.push_back(layer);
        if (g_recorded.onAdd)
            g_recorded.onAdd();
        return {};
    }
    LayerReceipt receipt() const override { return {}; }
    Status takeUp(std::size_t, const LayerReceipt&, const JobContext&) override
    {
        return fail(ErrorCode::VerifyFailed, "nothing was written");
    }
    std::uint64_t layoutChecksum() const override { return 1; }
    Status verify(const JobContext& /*job*/) override
    {
        g_recorded.finished = true;
        writeFile(m_estimate.outputs.front().path, "done");
        return {};
    }

protected:
    std::vector<AtomicFile*> files() override { return {}; }

private:
    std::vector<std::size_t> m_order;
    SizeEstimate m_estimate;
};

Result<std::unique_ptr<Exporter>> makeRecording(ExportRequest request)
{
    ++g_recorded.made;
    return std::make_unique<RecordingExporter>(request);
}

constexpr ExporterRow kRecording{"recording", "for tests", makeRecording, nullptr, nullptr};

LayerPlan coded(std::string grid, std::uint32_t rank = 0, MetricKind metric = MetricKind::Plain)
{
    return {.keep = false, .preset = "test-w4", .grid = std::move(grid), .rank = rank, .metric = metric};
}

} // namespace

class TestPipeline : public QObject
{
    Q_OBJECT

private slots:
    void init();
    void errorsAreThoseOfTheStoredForm();
    void metricErrorUsesTheCalibration();
    void bitsAreTheStoredBytes();
    void factorsComeFromThePlansSeedAndTheName();
    void sameBitsOnAnyThreadCount();
    void zeroResidualGetsNoFactors();
    void residualOfSmallRankIsStoredAtThePlannedRank();
    void slicesOfRowsAreTheWholeMatrix_data();
    void slicesOfRowsAreTheWholeMatrix();
    void errorsOfALaterSliceCountFromTheFirstRow();
    void keptTensorIsExact();
    void roundedKeptTensorIsMeasured();
    void failureNamesTensorAndFile();
    void nonFiniteTensorIsKeptBeforeTheRun();
    void scaleOutOfRangeIsKeptBeforeTheRun();
    void exactTensorLosesItsRankBeforeTheRun();
    void layersRunInTheExportersOrder();
    void reasonsOfThePlanStayInTheResults();
    void refusedFallbackEndsBeforeAnyLayer();
    void failingExporterEndsTheRunUnfinished();
    void changedFileEndsTheRun();
    void cancelledRunIsNotFinished();
    void progressNeverRunsBackwards();

private:
    [[nodiscard]] std::filesystem::path path(const char* name) const { return m_folder->filePath(name).toStdString(); }
    [[nodiscard]] std::shared_ptr<const Checkpoint> opened(const std::vector<TinyTensor>& tensors)
    {
        writeFile(path("model.safetensors"), safetensorsBytes(tensors));
        auto checkpoint = Checkpoint::open(path("model.safetensors"));
        return checkpoint ? *checkpoint : nullptr;
    }
    [[nodiscard]] ExportRequest request(std::shared_ptr<const Checkpoint> checkpoint, std::vector<LayerPlan> layers)
    {
        return {.checkpoint = std::move(checkpoint),
                .plan = {.seed = 7, .layers = std::move(layers)},
                .output = path("out.bin")};
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
};

void TestPipeline::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    g_recorded = {};
}

void TestPipeline::errorsAreThoseOfTheStoredForm()
{
    const std::vector<float> weights = normals(1, 48 * 64, 0.02);
    const auto checkpoint = opened({floats("w", {48, 64}, weights)});
    QVERIFY(checkpoint);
    const auto outcome = quantizeLayer(*checkpoint, 0, coded("q4_0", 5), nullptr, 7, *m_backend, {});
    QVERIFY(outcome.has_value());
    const QuantizedTensor& quantized = *outcome->layer.quantized;
    std::vector<float> q(weights.size());
    quantized.grid->decode(quantized.codes, 48, 64, q);
    const MatrixF left = outcome->layer.factors->decodedLeft();
    const MatrixF right = outcome->layer.factors->decodedRight();
    double all = 0;
    double before = 0;
    double after = 0;
    for (std::size_t i = 0; i < 48; ++i) {
        for (std::size_t j = 0; j < 64; ++j) {
            const double w = weights[i * 64 + j];
            const double e = static_cast<double>(weights[i * 64 + j] - q[i * 64 + j]);
            double c = 0;
            for (Eigen::Index r = 0; r < 5; ++r)
                c += static_cast<double>(left(static_cast<Eigen::Index>(i), r))
                    * static_cast<double>(right(r, static_cast<Eigen::Index>(j)));
            all += w * w;
            before += e * e;
            after += (e - c) * (e - c);
        }
    }
    // Sums of 3,072 squares in another order.
    QVERIFY(std::abs(*outcome->result.weightError - std::sqrt(after / all)) < 1e-12);
    QVERIFY(std::abs(*outcome->result.weightErrorRank0 - std::sqrt(before / all)) < 1e-12);
    QVERIFY(*outcome->result.weightError < *outcome->result.weightErrorRank0);
    QVERIFY(!outcome->result.metricError);
    QCOMPARE(outcome->result.method, std::string("lqer"));
    QCOMPARE(outcome->result.device, std::string("cpu"));
}

void TestPipeline::metricErrorUsesTheCalibration()
{
    const std::string name = "model.layers.0.mlp.up_proj.weight";
    const std::vector<float> weights = normals(2, 32 * 64, 0.02);
    const auto checkpoint = opened({floats(name, {32, 64}, weights)});
    Imatrix imatrix;
    ImatrixEntry entry;
    for (int j = 0; j < 64; ++j)
        entry.meanSquares.push_back(static_cast<float>(1 + j * j));
    imatrix.entries.emplace("blk.0.ffn_up.weight", entry);
    const auto plain = quantizeLayer(*checkpoint, 0, coded("q4_0", 4, MetricKind::Plain), &imatrix, 7, *m_backend, {});
    const auto metric
        = quantizeLayer(*checkpoint, 0, coded("q4_0", 4, MetricKind::DiagonalRms), &imatrix, 7, *m_backend, {});
    QVERIFY(plain && metric);
    QCOMPARE(metric->result.method, std::string("l2qer"));
    QCOMPARE(plain->result.method, std::string("lqer"));
    // Both are measured in both metrics; each wins its own.
    QVERIFY(*metric->result.metricError < *plain->result.metricError);
    QVERIFY(*plain->result.weightError < *metric->result.weightError);
    std::vector<float> q(weights.size());
    metric->layer.quantized->grid->decode(metric->layer.quantized->codes, 32, 64, q);
    double all = 0;
    double before = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const double s = std::sqrt(static_cast<double>(entry.meanSquares[i % 64]));
        all += std::pow(weights[i] * s, 2);
        before += std::pow(static_cast<double>(weights[i] - q[i]) * s, 2);
    }
    QVERIFY(std::abs(*metric->result.metricErrorRank0 - std::sqrt(before / all)) < 1e-6); // the scale is f32
}

void TestPipeline::bitsAreTheStoredBytes()
{
    const auto checkpoint = opened({floats("w", {48, 64}, normals(3, 48 * 64, 0.02))});
    const auto outcome = quantizeLayer(*checkpoint, 0, coded("q5_1", 6), nullptr, 7, *m_backend, {});
    QVERIFY(outcome.has_value());
    const auto bytes = outcome->layer.quantized->codes.size() + outcome->layer.factors->left.size()
        + outcome->layer.factors->right.size();
    QCOMPARE(bytes, std::size_t(48 * 64 * 6 / 8 + 6 * (48 + 64) * 2));
    QCOMPARE(outcome->result.bitsPerWeight, 8.0 * static_cast<double>(bytes) / (48 * 64));
    QCOMPARE(outcome->result.publishedBits, 8.0 * static_cast<double>(bytes) / (48 * 64 + 6 * (48 + 64)));
    QCOMPARE(outcome->result.rank, 6U);
}

void TestPipeline::factorsComeFromThePlansSeedAndTheName()
{
    // Large enough for the randomized route.
    const std::vector<float> weights = normals(4, 544 * 544, 0.02);
    const auto checkpoint = opened({floats("a", {544, 544}, weights), floats("b", {544, 544}, weights)});
    const auto run = [&](std::size_t tensor, std::uint64_t seed) {
        return quantizeLayer(*checkpoint, tensor, coded("q4_0", 8), nullptr, seed, *m_backend, {})->layer.factors->left;
    };
    const auto reference = run(0, 7);
    QVERIFY(run(0, 7) == reference);
    QVERIFY(run(0, 8) != reference);
    QVERIFY(run(1, 7) != reference);
}

void TestPipeline::sameBitsOnAnyThreadCount()
{
    const auto checkpoint = opened({floats("w", {600, 640}, normals(5, 600 * 640, 0.02))});
    const int threads = threadCount();
    std::optional<LayerOutcome> reference;
    for (const int count : {1, 2, 5}) {
        setThreadCount(count);
        auto outcome = quantizeLayer(*checkpoint, 0, coded("q4_0", 12), nullptr, 7, *m_backend, {});
        QVERIFY(outcome.has_value());
        if (!reference)
            reference = std::move(*outcome);
        else {
            QVERIFY(outcome->layer.quantized->codes == reference->layer.quantized->codes);
            QVERIFY(outcome->layer.factors->left == reference->layer.factors->left);
            QVERIFY(outcome->layer.factors->right == reference->layer.factors->right);
            QCOMPARE(*outcome->result.weightError, *reference->result.weightError);
        }
    }
    setThreadCount(threads);
}

void TestPipeline::zeroResidualGetsNoFactors()
{
    const auto checkpoint = opened({floats("zero", {8, 32}, std::vector<float>(8 * 32, 0.0F))});
    const auto outcome = quantizeLayer(*checkpoint, 0, coded("q4_0", 3), nullptr, 7, *m_backend, {});
    QVERIFY(outcome.has_value());
    QVERIFY(!outcome->layer.factors);
    QCOMPARE(outcome->result.rank, 0U);
    QCOMPARE(*outcome->result.weightError, 0.0);
    QCOMPARE(outcome->result.bitsPerWeight, 4.5);
}

void TestPipeline::residualOfSmallRankIsStoredAtThePlannedRank()
{
    // Only one row is off the grid: the residual has rank 1, three are planned and laid out.
    std::vector<float> weights(8 * 32, 0.0F);
    const std::vector<float> row = normals(6, 32, 0.1);
    std::copy(row.begin(), row.end(), weights.begin() + 64);
    const auto checkpoint = opened({floats("w", {8, 32}, weights)});
    const auto outcome = quantizeLayer(*checkpoint, 0, coded("q4_0", 3), nullptr, 7, *m_backend, {});
    QVERIFY(outcome.has_value());
    QCOMPARE(outcome->layer.factors->rank, std::size_t(3));
    QCOMPARE(outcome->layer.factors->left.size(), std::size_t(8 * 3 * 2));
    QCOMPARE(outcome->layer.factors->right.size(), std::size_t(3 * 32 * 2));
    QVERIFY(*outcome->result.weightErrorRank0 > 0.01);
    QVERIFY(*outcome->result.weightError < 1e-3 * *outcome->result.weightErrorRank0 + 1e-4);
}

void TestPipeline::slicesOfRowsAreTheWholeMatrix_data()
{
    QTest::addColumn<QString>("grid");
    for (const char* grid : {"q4_0", "q6_k", "int4-g128-asym", "nf4-g64"})
        QTest::newRow(grid) << QString::fromLatin1(grid);
}

/// Codes and errors, to the last bit, are those of the matrix taken at once; 300 rows are two slices and a bit.
void TestPipeline::slicesOfRowsAreTheWholeMatrix()
{
    QFETCH(const QString, grid);
    constexpr std::uint64_t kRows = 300, kCols = 8192;
    const std::vector<float> weights = normals(11, kRows * kCols, 0.1);
    const auto checkpoint = opened({floats("w", {kRows, kCols}, weights)});
    const auto outcome = quantizeLayer(*checkpoint, 0, coded(grid.toStdString()), nullptr, 7, *m_backend, {});
    QVERIFY2(outcome.has_value(), outcome ? "" : outcome.error().detail.c_str());
    const Metric plain;
    const auto whole = findSolver("nearest")->solve({.weights = weights,
                                                     .rows = kRows,
                                                     .cols = kCols,
                                                     .grid = *findGrid(grid.toStdString()),
                                                     .metric = &plain,
                                                     .backend = m_backend.get()},
                                                    {});
    QVERIFY(whole.has_value());
    QVERIFY(outcome->layer.quantized->codes == whole->quantized.codes);
    QCOMPARE(outcome->layer.quantized->rows, kRows);
    std::vector<float> left(weights.size());
    whole->quantized.grid->decode(whole->quantized.codes, kRows, kCols, left);
    std::ranges::transform(weights, left, left.begin(), std::minus<>());
    const double error = reconstructionError({weights, kRows, kCols, {}}, {left, kRows, kCols, {}}, nullptr, plain).weightError;
    QVERIFY(error > 0);
    QCOMPARE(std::bit_cast<std::uint64_t>(*outcome->result.weightError), std::bit_cast<std::uint64_t>(error));
}

void TestPipeline::errorsOfALaterSliceCountFromTheFirstRow()
{
    constexpr std::uint64_t kRows = 300, kCols = 8192;
    std::vector<float> weights(kRows * kCols, 1.0F);
    weights[290 * kCols + 5] = std::numeric_limits<float>::infinity();
    const auto checkpoint = opened({floats("w", {kRows, kCols}, weights)});
    const auto outcome = quantizeLayer(*checkpoint, 0, coded("q4_0"), nullptr, 7, *m_backend, {});
    QVERIFY(!outcome);
    QCOMPARE(outcome.error().code, ErrorCode::NonFinite);
    QVERIFY2(outcome.error().detail.find("row 290, column 5") != std::string::npos, outcome.error().detail.c_str());
}

void TestPipeline::keptTensorIsExact()
{
    const auto checkpoint = opened({floats("w", {8, 32}, normals(7, 8 * 32, 1))});
    const auto outcome = quantizeLayer(*checkpoint, 0, LayerPlan{}, nullptr, 7, *m_backend, {});
    QVERIFY(outcome.has_value());
    QVERIFY(!outcome->layer.quantized && !outcome->layer.factors);
    QCOMPARE(outcome->result.method, std::string("keep"));
    QCOMPARE(outcome->result.grid, std::string("f32"));
    QCOMPARE(*outcome->result.weightError, 0.0);
    QCOMPARE(outcome->result.bitsPerWeight, 32.0);
}

void TestPipeline::roundedKeptTensorIsMeasured()
{
    const std::vector<double> weights{1.0, 1.0 + 0x1.0p-25, 2.0, -3.0};
    const auto checkpoint = opened({{"w", "F64", {2, 2}, rawBytes(weights)}});
    const auto outcome = quantizeLayer(*checkpoint, 0, LayerPlan{}, nullptr, 7, *m_backend, {});
    QVERIFY(outcome.has_value());
    QCOMPARE(outcome->result.grid, std::string("f32"));
    const double expected = 0x1.0p-25 / std::sqrt(1 + weights[1] * weights[1] + 4 + 9);
    QVERIFY(std::abs(*outcome->result.weightError - expected) < 1e-20);
    QCOMPARE(outcome->result.bitsPerWeight, 32.0);
}

void TestPipeline::failureNamesTensorAndFile()
{
    std::vector<float> weights(8 * 32, 1.0F);
    weights[40] = std::numeric_limits<float>::quiet_NaN();
    const auto checkpoint = opened({floats("layer.weight", {8, 32}, weights)});
    const auto outcome = quantizeLayer(*checkpoint, 0, coded("q4_0"), nullptr, 7, *m_backend, {});
    QVERIFY(!outcome);
    QCOMPARE(outcome.error().code, ErrorCode::NonFinite);
    QVERIFY(outcome.error().detail.find("layer.weight") != std::string::npos);
    QVERIFY(outcome.error().detail.find("model.safetensors") != std::string::npos);
}

void TestPipeline::nonFiniteTensorIsKeptBeforeTheRun()
{
    std::vector<float> weights(8 * 32, 1.0F);
    weights[40] = std::numeric_limits<float>::quiet_NaN();
    weights[41] = std::numeric_limits<float>::infinity();
    const auto checkpoint = opened({floats("good", {8, 32}, normals(8, 256, 1)), floats("bad", {8, 32}, weights)});
    const QuantizationPlan plan{.layers = {coded("q4_0", 2), coded("q4_0", 2)}};
    const auto looked = preflight(*checkpoint, plan, *m_backend, {});
    QVERIFY(looked.has_value());
    QCOMPARE(looked->plan.layers[0], plan.layers[0]);
    QCOMPARE(looked->plan.layers[1], LayerPlan{});
    QCOMPARE(looked->fallbacks.size(), std::size_t(1));
    QCOMPARE(looked->fallbacks[0].tensor, std::size_t(1));
    QCOMPARE(
        looked->fallbacks[0].detail,
        std::string("non-finite values: 2, first at element 40: kept as F32 instead of q4_0, +27.5 bits per weight"));
}

void TestPipeline::scaleOutOfRangeIsKeptBeforeTheRun()
{
    std::vector<float> outlier = normals(9, 8 * 64, 1e-3);
    outlier[100] = 1e38F;
    std::vector<float> large(8 * 64, 2.0F);
    large[3] = 100'000; // past f16, but its scale 100000 / 8 is not
    const auto checkpoint = opened({floats("outlier", {8, 64}, outlier), floats("large", {8, 64}, large)});
    const auto looked = preflight(*checkpoint, {.layers = {coded("q4_0"), coded("q4_0")}}, *m_backend, {});
    QVERIFY(looked.has_value());
    QVERIFY(looked->plan.layers[0].keep);
    QVERIFY(!looked->plan.layers[1].keep);
    QCOMPARE(looked->fallbacks.size(), std::size_t(1));
    QVERIFY2(looked->fallbacks[0].detail.find("at row 1, columns 32 to 63") != std::string::npos,
             looked->fallbacks[0].detail.c_str());
    // With f32 scales the same tensor can be coded.
    const auto wide = preflight(*checkpoint, {.layers = {coded("int4-g32-f32"), LayerPlan{}}}, *m_backend, {});
    QVERIFY(wide.has_value() && wide->fallbacks.empty());
}

void TestPipeline::exactTensorLosesItsRankBeforeTheRun()
{
    std::vector<float> weights(8 * 32);
    for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] = static_cast<float>(static_cast<int>(i % 16) - 8); // q4_0 with scale 1
    const auto checkpoint = opened({floats("w", {8, 32}, weights)});
    const auto looked = preflight(*checkpoint, {.layers = {coded("q4_0", 4)}}, *m_backend, {});
    QVERIFY(looked.has_value());
    QCOMPARE(looked->plan.layers[0].rank, 0U);
    QVERIFY(!looked->plan.layers[0].keep);
    QCOMPARE(looked->fallbacks.size(), std::size_t(1));
}

void TestPipeline::layersRunInTheExportersOrder()
{
    const auto checkpoint = opened({floats("a", {4, 32}, normals(1, 128, 1)), floats("b", {4, 32}, normals(2, 128, 1)),
                                    floats("c", {4}, {1, 2, 3, 4})});
    std::vector<std::string> told;
    const auto run
        = quantize(request(checkpoint, {coded("q4_0", 1), coded("q8_0"), LayerPlan{}}), kRecording, *m_backend,
                   {.onLayer = [&](const TensorResult& result) { told.push_back(result.name); }}, {});
    QVERIFY(run.has_value());
    QCOMPARE(told, (std::vector<std::string>{"c", "b", "a"}));
    QCOMPARE(g_recorded.layers.size(), std::size_t(3));
    QVERIFY(!g_recorded.layers[0].quantized);
    QCOMPARE(g_recorded.layers[1].quantized->grid->id(), std::string("q8_0"));
    QCOMPARE(g_recorded.layers[2].factors->rank, std::size_t(1));
    QCOMPARE(run->writtenBytes, Bytes(4));
    QCOMPARE(run->elements, std::uint64_t(260));
    QVERIFY(g_recorded.finished);
}

void TestPipeline::reasonsOfThePlanStayInTheResults()
{
    std::vector<float> bad(128, std::numeric_limits<float>::infinity());
    const auto checkpoint = opened({floats("a", {4, 32}, normals(1, 128, 1)), floats("b", {4, 32}, bad)});
    const auto run = quantize(request(checkpoint, {coded("q4_0", 1, MetricKind::DiagonalRms), coded("q4_0")}),
                              kRecording, *m_backend, {.known = {{0, "rank 1 instead of 9"}}}, {});
    QVERIFY(run.has_value());
    QVERIFY(run->tensors[0].fallback.starts_with("non-finite values: 128"));
    QVERIFY(run->tensors[1].fallback.starts_with("rank 1 instead of 9; "));
    QVERIFY(run->tensors[1].fallback.find("plain metric") != std::string::npos);
}

void TestPipeline::refusedFallbackEndsBeforeAnyLayer()
{
    const auto checkpoint = opened({floats("a", {4, 32}, normals(1, 128, 1))});
    const ExportRequest asked = request(checkpoint, {coded("q4_0", 1, MetricKind::DiagonalRms)});
    const auto run = quantize(asked, kRecording, *m_backend, {.refuseFallback = true}, {});
    QVERIFY(!run);
    QCOMPARE(run.error().code, ErrorCode::NotRepresentable);
    QVERIFY(run.error().detail.find("'a'") != std::string::npos);
    QVERIFY(g_recorded.layers.empty());
    QVERIFY(!std::filesystem::exists(asked.output));
}

void TestPipeline::failingExporterEndsTheRunUnfinished()
{
    const auto checkpoint
        = opened({floats("a", {4, 32}, normals(1, 128, 1)), floats("b", {4, 32}, normals(2, 128, 1))});
    g_recorded.failAt = 1;
    const auto run = quantize(request(checkpoint, {coded("q4_0"), coded("q4_0")}), kRecording, *m_backend, {}, {});
    QVERIFY(!run);
    QCOMPARE(run.error().code, ErrorCode::WriteFailed);
    QVERIFY(!g_recorded.finished);
}

void TestPipeline::changedFileEndsTheRun()
{
    const auto checkpoint
        = opened({floats("a", {4, 32}, normals(1, 128, 1)), floats("b", {4, 32}, normals(2, 128, 1))});
    g_recorded.onAdd = [this] {
        std::filesystem::last_write_time(path("model.safetensors"),
                                         std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
    };
    const auto run = quantize(request(checkpoint, {coded("q4_0"), coded("q4_0")}), kRecording, *m_backend, {}, {});
    QVERIFY(!run);
    QCOMPARE(run.error().code, ErrorCode::FileChanged);
    QCOMPARE(g_recorded.layers.size(), std::size_t(1));
    QVERIFY(!g_recorded.finished);
    // The preview of a single layer asks as well.
    const auto preview = quantizeLayer(*checkpoint, 0, coded("q4_0"), nullptr, 7, *m_backend, {});
    QVERIFY(!preview && preview.error().code == ErrorCode::FileChanged);
}

void TestPipeline::cancelledRunIsNotFinished()
{
    const auto checkpoint
        = opened({floats("a", {4, 32}, normals(1, 128, 1)), floats("b", {4, 32}, normals(2, 128, 1))});
    std::stop_source stop;
    g_recorded.onAdd = [&] { stop.request_stop(); };
    const auto run = quantize(request(checkpoint, {coded("q4_0"), coded("q4_0")}), kRecording, *m_backend, {},
                              {.stop = stop.get_token()});
    QVERIFY(!run);
    QCOMPARE(run.error().code, ErrorCode::Cancelled);
    QCOMPARE(g_recorded.layers.size(), std::size_t(1));
    QVERIFY(!g_recorded.finished);
}

void TestPipeline::progressNeverRunsBackwards()
{
    const auto checkpoint = opened({floats("a", {64, 64}, normals(1, 4096, 1)),
                                    floats("b", {64, 64}, normals(2, 4096, 1)), floats("c", {4}, {1, 2, 3, 4})});
    double last = 0;
    bool forward = true;
    const JobContext job{.progress = [&](double fraction, std::string_view) {
        forward = forward && fraction >= last && fraction <= 1;
        last = fraction;
    }};
    const auto run = quantize(request(checkpoint, {coded("q4_0", 4), coded("q4_0"), LayerPlan{}}), kRecording,
                              *m_backend, {}, job);
    QVERIFY(run.has_value());
    QVERIFY(forward);
    QCOMPARE(last, 1.0);
}

QTEST_GUILESS_MAIN(TestPipeline)
#include "tst_pipeline.moc"
