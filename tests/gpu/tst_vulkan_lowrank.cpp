// SPDX-License-Identifier: GPL-3.0-or-later
// Encode, clip search, residual sketch and Gram of one layer on a device, as `quantize --device vulkan` runs them.

#include "SoftwareDevice.h"

#include "core/calibration/Metric.h"
#include "core/compute/DeviceLog.h"
#include "core/compute/ops/Residual.h"
#include "core/lowrank/LowRank.h"
#include "core/solve/CodeFormatOf.h"
#include "core/solve/Solver.h"
#include "core/tensor/Blas.h"

#include "core/base/Random.h"

#include <cmath>
#include <vector>

using namespace sigmascope;

namespace {

std::vector<float> normal(std::size_t size, double scale)
{
    std::vector<float> values(size);
    fillNormal<float>(size, values, scale);
    return values;
}

}  // namespace

class VulkanLowRank : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_gpu = validatedBackend();
        QVERIFY2(m_gpu, "a software Vulkan device (lavapipe) is needed");
    }
    void cleanupTestCase() { QCOMPARE(validationMessages(*m_gpu), QString()); }

    /// The best rank-k part of white noise is hard to find: what the device's basis captures is within 1 % of what the
    /// whole solution does (a step is taken as long as it adds a thousandth of the energy).
    void aCorrectionCapturesWhatTheCpusDoes_data()
    {
        QTest::addColumn<QString>("grid");
        QTest::addColumn<quint64>("rows");
        QTest::addColumn<quint64>("cols");
        QTest::addColumn<bool>("scaled");
        QTest::newRow("more rows") << QStringLiteral("q4_0") << quint64{160} << quint64{96} << false;
        QTest::newRow("more columns, metric") << QStringLiteral("int3-g32-asym") << quint64{64} << quint64{192} << true;
        QTest::newRow("a grid without a kernel")
            << QStringLiteral("int4-g64-f32") << quint64{64} << quint64{96} << false;
        QTest::newRow("one row") << QStringLiteral("q8_0") << quint64{1} << quint64{32} << false;
    }
    void aCorrectionCapturesWhatTheCpusDoes()
    {
        QFETCH(QString, grid);
        QFETCH(quint64, rows);
        QFETCH(quint64, cols);
        QFETCH(bool, scaled);
        const auto weights = normal(rows * cols, 0.02);
        auto scale = normal(scaled ? cols : 0, 1.0);
        for (float& s : scale)
            s = std::fabs(s);
        const Grid* target = *findGrid(grid.toStdString());
        DeviceLog log;
        const JobContext job = log.listening({});
        const auto solution = findSolver("nearest")->solve(
            {.weights = weights, .rows = rows, .cols = cols, .grid = target, .backend = m_gpu.get()}, job);
        QVERIFY2(solution, solution ? "" : solution.error().detail.c_str());
        std::vector<float> residual(rows * cols);
        target->decode(solution->quantized.codes, rows, cols, residual);
        for (std::size_t i = 0; i < residual.size(); ++i)
            residual[i] = weights[i] - residual[i];
        const auto format = codeFormatOf(*target);
        const auto products
            = m_gpu->products(format ? ResidualSource{weights, rows, cols, format, solution->quantized.codes}
                                     : ResidualSource{residual, rows, cols, std::nullopt, {}},
                              job);
        QVERIFY(products);
        const auto found = lowRank({residual, rows, cols, scale, products->get()}, 8, {}, job);
        QVERIFY2(found, found ? "" : found.error().detail.c_str());
        const auto expected = lowRank({residual, rows, cols, scale}, 8, {});
        QVERIFY(expected);
        QCOMPARE(found->rank(), expected->rank());
        QVERIFY2(found->captured >= 0.99 * expected->captured && found->captured <= 1.0001 * expected->captured,
                 qPrintable(QStringLiteral("%1 of %2").arg(found->captured).arg(expected->captured)));
        QVERIFY(std::fabs(found->total - found->captured - found->tail) <= 1e-12 * found->total);

        const std::string id = m_gpu->device().id;
        QCOMPARE(log.summary(), format ? id : "cpu, sketch " + id + ", gram " + id);
        QCOMPARE(log.reasons().empty(), format.has_value());
    }

    /// Same seed, same bits: also where parts of the matrix come and go.
    void theSameBitsOnASmallDevice()
    {
        const auto weights = normal(96 * 160, 0.02);
        const auto small = validatedBackend({.bindingBytes = 40000, .memoryBytes = Bytes{1} << 20});
        QVERIFY(small);
        std::vector<MatrixF> lefts;
        for (ComputeBackend* backend : {m_gpu.get(), small.get()}) {
            const ResidualSource source{weights, 96, 160, std::nullopt, {}};
            const auto products = backend->products(source, {});
            QVERIFY(products);
            const auto found = lowRank({weights, 96, 160, {}, products->get()}, 4, {}, {});
            QVERIFY2(found, found ? "" : found.error().detail.c_str());
            lefts.push_back(found->left);
        }
        QVERIFY(lefts[0] == lefts[1]);
        QCOMPARE(validationMessages(*small), QString());
    }

    void clipSearchRunsThereAndIsNeverWorseThanNearest()
    {
        const auto weights = normal(48 * 256, 0.02);
        Metric metric;
        metric.kind = MetricKind::DiagonalRms;
        metric.scale = normal(256, 1.0);
        for (float& s : metric.scale)
            s = std::fabs(s);
        const Grid* grid = *findGrid("int3-g64");
        const SolveProblem problem{weights, 48, 256, grid, &metric, m_gpu.get()};
        DeviceLog log;
        const auto clipped = findSolver("clip-search")->solve(problem, log.listening({}));
        QVERIFY2(clipped, clipped ? "" : clipped.error().detail.c_str());
        QCOMPARE(log.summary(), m_gpu->device().id);
        const auto nearest = findSolver("nearest")->solve(problem, {});
        SolveProblem onCpu = problem;
        const auto cpu = makeCpuBackend();
        onCpu.backend = cpu.get();
        const auto expected = findSolver("clip-search")->solve(onCpu, {});
        QVERIFY(nearest);
        QVERIFY(expected);
        const auto left = [&](const Solution& solution) {
            const ResidualSource source{weights, 48, 256, codeFormatOf(*grid), solution.quantized.codes};
            return residualSums(source, metric.scale, {})->scaledResidual;
        };
        QVERIFY(left(*clipped) < left(*nearest));
        QVERIFY(left(*clipped) <= 1.0001 * left(*expected));
    }

private:
    std::unique_ptr<ComputeBackend> m_gpu;
};

int main(int argc, char** argv)
{
    sigmascope::blas::correctKernelChoice(argv);
    VulkanLowRank test;
    return QTest::qExec(&test, argc, argv);
}
#include "tst_vulkan_lowrank.moc"
