// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/CompareRuns.h"

#include <QTest>

#include <cmath>

using namespace sigmascope;

namespace {

TensorResult layer(const std::string& name, double error, double bits = 4.5, std::uint32_t rank = 0)
{
    TensorResult result{.name = name, .grid = "q4_0", .method = "rtn", .bitsPerWeight = bits, .rank = rank};
    result.weightError = error;
    return result;
}

TensorResult kept(const std::string& name)
{
    TensorResult result{.name = name, .grid = "f32", .method = "keep", .bitsPerWeight = 32};
    result.weightError = 0;
    return result;
}

ComparedRun run(std::vector<TensorResult> layers, std::uint64_t elements = 64)
{
    ComparedRun made{std::move(layers), {}};
    made.elements.assign(made.layers.size(), elements);
    return made;
}

std::string block(int index)
{
    return "model.layers." + std::to_string(index) + ".mlp.down_proj.weight";
}

}  // namespace

class CompareRunsTest : public QObject {
    Q_OBJECT

private slots:
    void aRunEqualsItself()
    {
        const ComparedRun a = run({layer("x", 0.05), kept("norm")});
        const RunComparison found = compareRuns(a, a, ErrorKind::Weight);
        QCOMPARE(found.layers.size(), std::size_t(2));
        for (const RunDifference& pair : found.layers)
            QCOMPARE(pair.verdict, LayerVerdict::Same);
        QCOMPARE(found.layers[0].change(), std::optional(0.0));
        QCOMPARE(found.layers[1].change(), std::optional<double>());
        QCOMPARE(found.a.error, found.b.error);
    }

    void verdictsAreOfBSeenFromA()
    {
        const ComparedRun a = run({layer("better", 0.10), layer("worse", 0.10), layer("changed", 0.10), layer("same", 0.10)});
        const ComparedRun b = run({layer("better", 0.05), layer("worse", 0.11), layer("changed", 0.1002, 5.5), layer("same", 0.1002)});
        const RunComparison found = compareRuns(a, b, ErrorKind::Weight);
        QCOMPARE(found.layers[0].verdict, LayerVerdict::Better);
        QCOMPARE(found.layers[0].change(), std::optional(-0.5));
        QCOMPARE(found.layers[1].verdict, LayerVerdict::Worse);
        QCOMPARE(found.layers[2].verdict, LayerVerdict::Changed);
        QCOMPARE(found.layers[3].verdict, LayerVerdict::Same);
    }

    void layersPairByNameInAnyOrderAndAcrossFormats()
    {
        const ComparedRun a = run({layer(block(0), 0.1), layer(block(1), 0.2), layer("mine", 0.3)});
        const ComparedRun b = run({layer("yours", 0.3), layer("blk.1.ffn_down.weight", 0.2), layer("blk.0.ffn_down.weight", 0.1)});
        const RunComparison found = compareRuns(a, b, ErrorKind::Weight);
        QCOMPARE(found.layers.size(), std::size_t(2));
        QCOMPARE(found.layers[0].b, std::size_t(2));
        QCOMPARE(found.layers[1].errorB, std::optional(0.2));
        QCOMPARE(found.onlyA, std::vector<std::size_t>{2});
        QCOMPARE(found.onlyB, std::vector<std::size_t>{0});
    }

    void totalsAreThoseOfTheBytesAndWeights()
    {
        ComparedRun a = run({layer("small", 0.1, 4), layer("large", 0.2, 8)});
        a.elements = {100, 300};
        ComparedRun b = a;
        b.layers[0].bitsPerWeight = 8.08;  // 101 bytes
        RunComparison found = compareRuns(a, b, ErrorKind::Weight);
        QCOMPARE(found.a.bytes, std::optional<Bytes>(50 + 300));
        QCOMPARE(found.b.bytes, std::optional<Bytes>(101 + 300));
        QCOMPARE(found.a.bitsPerWeight, std::optional(8.0 * 350 / 400));
        QVERIFY(std::abs(*found.a.error - std::sqrt((0.01 * 100 + 0.04 * 300) / 400)) < 1e-15);
        a.elements[1] = 0;  // the model is gone: no size is made up, the mean is over layers
        found = compareRuns(a, b, ErrorKind::Weight);
        QVERIFY(!found.a.bytes && !found.a.bitsPerWeight);
        QVERIFY(std::abs(*found.a.error - std::sqrt((0.01 + 0.04) / 2)) < 1e-15);
    }

    void outputErrorIsOfferedWhereBothMeasuredIt()
    {
        ComparedRun a = run({layer("x", 0.1), kept("norm")}), b = a;
        QVERIFY(canCompareBy(ErrorKind::Weight, a, b));
        QVERIFY(!canCompareBy(ErrorKind::Output, a, b));
        a.layers[0].metricError = 0.04;
        QVERIFY(!canCompareBy(ErrorKind::Output, a, b));
        b.layers[0].metricError = 0.02;
        QVERIFY(canCompareBy(ErrorKind::Output, a, b));
        const RunComparison found = compareRuns(a, b, ErrorKind::Output);
        QCOMPARE(found.layers[0].change(), std::optional(-0.5));
        QCOMPARE(found.layers[1].errorA, std::optional(0.0));  // kept exactly, in any metric
    }

    void betterIsSaidOnlyWhereTheIntervalExcludesOne()
    {
        std::vector<TensorResult> a, clear, unclear;
        for (int i = 0; i < 8; ++i) {
            a.push_back(layer(block(i), 0.1));
            clear.push_back(layer(block(i), i % 2 == 0 ? 0.05 : 0.06));
            unclear.push_back(layer(block(i), i % 2 == 0 ? 0.05 : 0.19));
        }
        const auto found = compareRuns(run(a), run(clear), ErrorKind::Weight).ratio;
        QVERIFY(found.has_value());
        QCOMPARE(found->layers, std::size_t(8));
        QVERIFY(std::abs(found->mean - std::sqrt(0.5 * 0.6)) < 1e-12);
        // Logs are ±d around their mean; s = d √(8/7), half width t(7) s / √8, t(7) = 2.3646.
        const double d = std::log(0.6 / 0.5) / 2;
        QVERIFY(std::abs(std::log(found->upper / found->mean) - 2.3646 * d / std::sqrt(7.0)) < 1e-4);
        QCOMPARE(found->verdict(), LayerVerdict::Better);
        QCOMPARE(compareRuns(run(clear), run(a), ErrorKind::Weight).ratio->verdict(), LayerVerdict::Worse);
        QCOMPARE(compareRuns(run(a), run(unclear), ErrorKind::Weight).ratio->verdict(), LayerVerdict::Same);
        a.resize(3);
        QVERIFY(!compareRuns(run(a), run(clear), ErrorKind::Weight).ratio);
    }
};

QTEST_GUILESS_MAIN(CompareRunsTest)
#include "tst_compare_runs.moc"
