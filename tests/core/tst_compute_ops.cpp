// SPDX-License-Identifier: GPL-3.0-or-later
// The references that devices are held to, held to something else themselves.

#include "core/compute/ComputeBackend.h"
#include "core/base/Random.h"  // not first: moc cannot read <numbers>
#include "core/compute/DeviceLog.h"
#include "core/compute/ops/ClipReach.h"
#include "core/compute/ops/GroupEncode.h"
#include "core/compute/ops/Residual.h"
#include "core/grid/Grid.h"
#include "core/tensor/Blas.h"

#include <QtTest>

#include <cmath>
#include <limits>
#include <vector>

using namespace sigmascope;

namespace {

std::vector<float> normal(std::size_t size, double scale = 0.02)
{
    std::vector<float> values(size);
    fillNormal<float>(size, values, scale);
    return values;
}

}  // namespace

class TestComputeOps : public QObject {
    Q_OBJECT

private slots:
    void groupsAreTheGridsBytesAndValues()
    {
        for (const char* id : {"int2-g32", "int3-g64-asym", "int4-g128", "int5-row", "int8-row-asym"}) {
            const auto grid = findGrid(id);
            QVERIFY(grid);
            const std::string text(id);
            const GroupFormat format{(*grid)->bits(), (*grid)->groupSize(), text.ends_with("-asym")};
            QCOMPARE(format.id(), text);
            const std::uint64_t cols = 131;
            const auto weights = normal(7 * cols);
            std::vector<std::byte> expected(7 * (*grid)->rowBytes(cols));
            std::vector<std::byte> found(7 * format.rowBytes(cols));
            QCOMPARE(found.size(), expected.size());
            QVERIFY((*grid)->encode(weights, 7, cols, expected));
            QVERIFY(encodeGroups(format, weights, 7, cols, found, {}));
            QVERIFY(found == expected);
            std::vector<float> theirs(weights.size());
            std::vector<float> ours(weights.size());
            (*grid)->decode(expected, 7, cols, theirs);
            decodeGroups(format, found, 7, cols, ours);
            QVERIFY(ours == theirs);
        }
    }

    void oneElementIsThatOfItsRow_data()
    {
        QTest::addColumn<bool>("blocks");
        QTest::newRow("blocks") << true;
        QTest::newRow("groups") << false;
    }
    void oneElementIsThatOfItsRow()
    {
        QFETCH(bool, blocks);
        const CodeFormat format = blocks ? CodeFormat{.block = DType::Q4_0} : CodeFormat{.groups = {3, 64, true}};
        const auto weights = normal(5 * 96);
        std::vector<std::byte> codes(5 * format.rowBytes(96));
        const auto cpu = makeCpuBackend();
        QVERIFY(cpu->encodeMeasured(format, weights, 5, 96, {}, codes, {}));
        const ResidualSource source{weights, 5, 96, format, codes};
        std::vector<float> rows(3 * 96);
        residualRows(source, 2, 3, rows);
        for (std::uint64_t i = 0; i < rows.size(); ++i)
            QCOMPARE(static_cast<float>(residualElement(source, 2 + i / 96, i % 96)), rows[i]);
    }

    void errorSumsAreTheFormula()
    {
        const std::vector<float> weights{3, -4, 0, 2};
        const std::vector<float> scale{1, 0.5F};
        const auto sums = residualSums({weights, 2, 2, std::nullopt, {}}, scale, {});
        QVERIFY(sums);
        QCOMPARE(sums->residual, 29.0);
        QCOMPARE(sums->weight, 29.0);
        QCOMPARE(sums->scaledWeight, 9.0 + 4.0 + 0.0 + 1.0);
        QCOMPARE(sums->scaledResidual, sums->scaledWeight);
    }

    void edgesBelongToTheBinAboveThem()
    {
        const float infinity = std::numeric_limits<float>::infinity();
        const std::vector<float> values{-2, -1, -0.0F, 0, 0.5F, 1, 7, infinity, -infinity, std::nanf("")};
        const TensorView view{DType::F32, {values.size()}, std::as_bytes(std::span<const float>(values))};
        const auto counts = makeCpuBackend()->binned(view, std::vector<float>{-1, 0, 1}, {});
        QVERIFY(counts);
        QCOMPARE(*counts, (std::vector<std::uint64_t>{1, 1, 3, 2, 3}));
    }

    void aNarrowerRangePaysForAnOutlier()
    {
        // One weight of 4 beside many of 1: at 3 bits the full range codes those as 1.33.
        std::vector<float> group(64, 1.0F);
        group[7] = 4.0F;
        const GroupFormat format{3, 64, false};
        const int best = bestReach(format, group, {});
        QVERIFY(best < kReachParts);
        QVERIFY(clippedLoss(format, group, {}, best) < clippedLoss(format, group, {}, kReachParts));
        // Where only the outlier matters its range stays.
        std::vector<float> scale(64, 0.0F);
        scale[7] = 1;
        QCOMPARE(bestReach(format, group, scale), kReachParts);
    }

    void theLogNamesDevicesByOpAndWhy()
    {
        DeviceLog log;
        QVERIFY(log.summary().empty());
        const JobContext job = log.listening({});
        job.reportRan("encode", "vulkan:0");
        job.reportRan("sketch", "vulkan:0");
        QCOMPARE(log.summary(), std::string("vulkan:0"));
        QVERIFY(log.reasons().empty());
        job.reportRan("sketch", "cpu", "vulkan:0 was lost");
        job.reportRan("sketch", "cpu", "vulkan:0 failed earlier in this run");
        QCOMPARE(log.summary(), std::string("vulkan:0, sketch vulkan:0+cpu"));
        QCOMPARE(log.reasons(), std::string("sketch on cpu: vulkan:0 was lost"));
    }
};

int main(int argc, char** argv)
{
    sigmascope::blas::correctKernelChoice(argv);
    TestComputeOps test;
    return QTest::qExec(&test, argc, argv);
}
#include "tst_compute_ops.moc"
