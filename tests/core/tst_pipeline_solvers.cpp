// SPDX-License-Identifier: GPL-3.0-or-later
//
// Solvers and stored factors through a whole run on the sample: what really ran is named, sizes are the estimate's, and
// errors are those of the stored form.

#include "core/calibration/Imatrix.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/project/Pipeline.h"

#include <QTemporaryDir>
#include <QTest>

#include <filesystem>
#include <string>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

const fs::path kSample = fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";

}  // namespace

class PipelineSolversTest : public QObject {
    Q_OBJECT

private:
    /// Runs a recipe's default to GGUF; fails the test if it cannot.
    RunResult run(const std::string& defaults, const std::string& rules = {})
    {
        const auto recipe
            = parseRecipe("{\"schema\":1,\"default\":{" + defaults + "},\"rules\":[" + rules + "]}", "test.json");
        if (!recipe)
            qFatal("%s", recipe.error().detail.c_str());
        auto resolved = resolve(*recipe, *m_model, ModelTopology(*m_model));
        if (!resolved)
            qFatal("%s", resolved.error().detail.c_str());
        ExportRequest request;
        request.checkpoint = m_model;
        request.plan = std::move(resolved->plan);
        request.output = fs::path(m_folder.path().toStdString()) / ("run-" + std::to_string(m_runs++) + ".gguf");
        request.calibration = &*m_imatrix;
        auto done = quantize(request, *findExporter("gguf"), *m_backend, {}, {});
        if (!done)
            qFatal("%s", done.error().detail.c_str());
        return std::move(*done);
    }

    std::shared_ptr<const Checkpoint> m_model;
    std::optional<Imatrix> m_imatrix;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
    QTemporaryDir m_folder;
    int m_runs = 0;

private slots:
    void initTestCase()
    {
        auto model = Checkpoint::open(kSample);
        QVERIFY(model);
        m_model = std::move(*model);
        auto imatrix = readImatrix(kSample / "imatrix.gguf");
        QVERIFY(imatrix);
        m_imatrix = std::move(*imatrix);
    }

    /// Same type, same size; less of its metric's error than ggml's own search leaves, and as much as it says.
    void theWiderSearchTellsWhatItGained()
    {
        const std::string oneLayer = R"({"match":"layers\\.[1-3]\\.","skip":true})";
        const RunResult theirs = run(R"("grid":"q4_k","solver":"imatrix","metric":"rms","rank":0)", oneLayer);
        const RunResult ours = run(R"("grid":"q4_k","solver":"wide","metric":"rms","rank":0)", oneLayer);
        QCOMPARE(ours.estimate.codes, theirs.estimate.codes);
        std::size_t coded = 0;
        for (std::size_t i = 0; i < ours.tensors.size(); ++i) {
            const TensorResult& one = ours.tensors[i];
            QCOMPARE(one.searchGain.has_value(), one.method != "keep");
            QVERIFY(!theirs.tensors[i].searchGain);
            if (!one.searchGain)
                continue;
            ++coded;
            QCOMPARE(one.method, std::string("wide"));
            QVERIFY(one.metricError && theirs.tensors[i].metricError);
            const double gain = 1 - *one.metricError / *theirs.tensors[i].metricError;
            QVERIFY(*one.searchGain > 0.005);
            QVERIFY2(gain >= *one.searchGain - 1e-6, qPrintable(QString::number(gain)));
        }
        QCOMPARE(coded, std::size_t{7});
    }

    void clipSearchIsNamedAndBetterUnderTheMetric()
    {
        const RunResult nearest = run(R"("grid":"q4_0")");
        const RunResult searched = run(R"("grid":"q4_0","solver":"clip-search")");
        // The header says more: solver and calibration.
        QCOMPARE(searched.estimate.codes, nearest.estimate.codes);
        QCOMPARE(searched.writtenBytes - searched.estimate.overhead, nearest.writtenBytes - nearest.estimate.overhead);
        QCOMPARE(searched.writtenBytes, searched.estimate.total);
        std::size_t coded = 0;
        for (std::size_t i = 0; i < searched.tensors.size(); ++i) {
            const TensorResult& ours = searched.tensors[i];
            const TensorResult& theirs = nearest.tensors[i];
            if (ours.method == "keep")
                continue;
            ++coded;
            QCOMPARE(theirs.method, std::string("rtn"));
            QCOMPARE(ours.method, std::string("clip-search"));
            QCOMPARE(ours.device, std::string("cpu"));
            QCOMPARE(ours.bitsPerWeight, theirs.bitsPerWeight);
            QVERIFY(ours.metricError && theirs.metricError);
            QVERIFY2(*ours.metricError < 0.97 * *theirs.metricError, ours.name.c_str());
        }
        QVERIFY(coded > 10);
    }

    void aCorrectionOnTopSaysBoth()
    {
        const RunResult result = run(R"("preset":"l2qer-w4","solver":"clip-search")");
        for (const TensorResult& tensor : result.tensors)
            QVERIFY2(tensor.method == "keep" || tensor.method == "clip-search+l2qer", tensor.method.c_str());
    }

    void aSolverThatCannotUseTheGridIsReplacedBeforeTheRun()
    {
        QuantizationPlan plan;
        plan.layers.resize(m_model->tensors().size());
        const auto tensor = m_model->find("model.layers.0.self_attn.q_proj.weight");
        QVERIFY(tensor);
        plan.layers[*tensor] = {.keep = false, .grid = "q4_1", .solver = "clip-search"};
        const auto checked = preflight(*m_model, plan, *m_backend, {});
        QVERIFY(checked);
        QCOMPARE(checked->plan.layers[*tensor].solver, std::string("nearest"));
        QCOMPARE(checked->fallbacks.size(), std::size_t(1));
        QCOMPARE(checked->fallbacks[0].detail,
                 std::string("solver nearest instead of clip-search, which has nothing to choose on q4_1"));
    }

    void factorsInEightBitCostHalfAndLittleError()
    {
        const RunResult wide = run(R"("preset":"l2qer-w4")");
        const RunResult narrow = run(R"("preset":"l2qer-w4","factor_bits":8)");
        QCOMPARE(narrow.writtenBytes, narrow.estimate.total);
        QVERIFY(narrow.estimate.factors < wide.estimate.factors * 0.54);
        for (std::size_t i = 0; i < narrow.tensors.size(); ++i) {
            const TensorResult& ours = narrow.tensors[i];
            const TensorResult& theirs = wide.tensors[i];
            if (ours.method == "keep")
                continue;
            QVERIFY(ours.bitsPerWeight < theirs.bitsPerWeight);
            QVERIFY2(*ours.metricError < 1.005 * *theirs.metricError, ours.name.c_str());
            QVERIFY(*ours.metricError != *theirs.metricError);
            QVERIFY(ours.publishedBits < theirs.publishedBits);
        }
    }
};

QTEST_GUILESS_MAIN(PipelineSolversTest)
#include "tst_pipeline_solvers.moc"
