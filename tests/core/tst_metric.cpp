// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/calibration/Metric.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

using namespace sigmascope;

namespace {

constexpr std::size_t kTokens = 512;
constexpr std::size_t kInputs = 128;

/// Activations of methods-lowrank §14: X = (gauss(201) (I + gauss(203) / (2 sqrt n))) * exp(gauss(202)).
std::vector<double> goldenActivations()
{
    std::vector<double> raw(kTokens * kInputs), mix(kInputs * kInputs), channels(kInputs), x(kTokens * kInputs, 0);
    fillNormal<double>(201, raw);
    fillNormal<double>(202, channels);
    fillNormal<double>(203, mix, 0.5);
    for (std::size_t i = 0; i < kInputs * kInputs; ++i)
        mix[i] = mix[i] / std::sqrt(static_cast<double>(kInputs)) + (i / kInputs == i % kInputs ? 1 : 0);
    for (std::size_t t = 0; t < kTokens; ++t) {
        for (std::size_t k = 0; k < kInputs; ++k) {
            for (std::size_t j = 0; j < kInputs; ++j)
                x[t * kInputs + j] += raw[t * kInputs + k] * mix[k * kInputs + j] * std::exp(channels[j]);
        }
    }
    return x;
}

Imatrix imatrixOf(std::string name, std::vector<float> meanSquares, std::uint64_t matrices = 1)
{
    Imatrix imatrix;
    imatrix.entries.emplace(std::move(name), ImatrixEntry{std::move(meanSquares), matrices, 512});
    return imatrix;
}

bool near(double found, double expected, double relative = 1e-7)
{
    return std::abs(found - expected) <= relative * std::abs(expected);
}

}  // namespace

class MetricTest : public QObject {
    Q_OBJECT

private slots:
    void lqerStatisticIsTheGolden();
    void rootMeanSquareIsTheGolden();
    void lqerStatisticIsTheLargestMeanOverBatches();
    void deadChannelsAreClampedByLqerAndZeroInRms();
    void lqerFromAnImatrixIsCentredAndSaysItsAssumption();
    void stackedExpertsShareTheirMean();
    void plainIsPlainWithoutAWord();
    void whatIsMissingIsPlainWithAReason();
    void idsLeadBack();
};

void MetricTest::lqerStatisticIsTheGolden()
{
    const auto x = goldenActivations();
    QVERIFY(near(std::accumulate(x.begin(), x.end(), 0.0), -28.79520795, 1e-8));
    std::vector<std::vector<double>> batches;
    for (std::size_t b = 0; b < 4; ++b)
        batches.emplace_back(x.begin() + static_cast<std::ptrdiff_t>(b * 128 * kInputs),
                             x.begin() + static_cast<std::ptrdiff_t>((b + 1) * 128 * kInputs));
    const auto s = lqerScale(batches, kInputs);
    const auto [low, high] = std::ranges::minmax(s);
    QVERIFY(near(low, .06991475));
    QVERIFY(near(high, 14.303133));
    QVERIFY(near(low * high, 1, 1e-12));
    QVERIFY(near(s[0], 1.2176129887, 1e-9) && near(s[1], 1.0810113342, 1e-9) && near(s[2], 1.2169750642, 1e-9));
}

void MetricTest::rootMeanSquareIsTheGolden()
{
    const auto x = goldenActivations();
    std::vector<float> meanSquares;
    for (std::size_t j = 0; j < kInputs; ++j) {
        double sum = 0;
        for (std::size_t t = 0; t < kTokens; ++t)
            sum += x[t * kInputs + j] * x[t * kInputs + j];
        meanSquares.push_back(static_cast<float>(sum / kTokens));
    }
    const Imatrix imatrix = imatrixOf("blk.0.ffn_up.weight", meanSquares);
    const Metric metric = metricFor(MetricKind::DiagonalRms, &imatrix, "blk.0.ffn_up.weight", kInputs);
    QVERIFY(metric.note.empty());
    QCOMPARE(metric.kind, MetricKind::DiagonalRms);
    QCOMPARE(metric.tokens, 512.0);
    const auto [low, high] = std::ranges::minmax(metric.scale);
    // Squares and root pass through float: 1.2e-7 at most.
    QVERIFY(near(low, .051428191, 2e-7) && near(high, 10.197802, 2e-7));
    QVERIFY(near(metric.scale[0], .8525881662, 2e-7) && near(metric.scale[1], .7603274849, 2e-7));
}

void MetricTest::lqerStatisticIsTheLargestMeanOverBatches()
{
    // Means |x|: batch 1 (2, 1), batch 2 (1, 4); largest (2, 4); centre sqrt 8.
    const auto s = lqerScale({{2, -1, -2, 1}, {1, 4}}, 2);
    QVERIFY(near(s[0], 2 / std::sqrt(8.0), 1e-15));
    QVERIFY(near(s[1], 4 / std::sqrt(8.0), 1e-15));
}

void MetricTest::deadChannelsAreClampedByLqerAndZeroInRms()
{
    const auto s = lqerScale({{0, 1}}, 2);  // clamped to 1e-4, centred by sqrt 1e-4
    QVERIFY(near(s[0], 1e-2, 1e-12) && near(s[1], 1e2, 1e-12));
    const Imatrix imatrix = imatrixOf("w", {0, 4});
    QCOMPARE(metricFor(MetricKind::DiagonalRms, &imatrix, "w", 2).scale, (std::vector{0.0F, 2.0F}));
    const Metric lqer = metricFor(MetricKind::DiagonalLqer, &imatrix, "w", 2);
    QVERIFY(lqer.scale[0] > 0 && std::isfinite(lqer.scale[1]));
}

void MetricTest::lqerFromAnImatrixIsCentredAndSaysItsAssumption()
{
    const Imatrix imatrix = imatrixOf("w", {1, 16, 4});
    const Metric metric = metricFor(MetricKind::DiagonalLqer, &imatrix, "w", 3);
    QCOMPARE(metric.kind, MetricKind::DiagonalLqer);
    QVERIFY(metric.note.find("sqrt(2/pi)") != std::string::npos);
    QCOMPARE(metric.scale, (std::vector{0.5F, 2.0F, 1.0F}));  // sqrt(2/pi) cancels in the centring
}

void MetricTest::stackedExpertsShareTheirMean()
{
    const Imatrix imatrix = imatrixOf("w", {1, 9, 7, 41}, 2);
    QCOMPARE(metricFor(MetricKind::DiagonalRms, &imatrix, "w", 2).scale, (std::vector{2.0F, 5.0F}));
}

void MetricTest::plainIsPlainWithoutAWord()
{
    const Imatrix imatrix = imatrixOf("w", {1, 4});
    const Metric metric = metricFor(MetricKind::Plain, &imatrix, "w", 2);
    QVERIFY(metric.isPlain() && metric.note.empty());
}

void MetricTest::whatIsMissingIsPlainWithAReason()
{
    Imatrix imatrix = imatrixOf("blk.0.ffn_up.weight", {1, 4});
    imatrix.unusable = {"blk.1.ffn_up.weight: column 3 is negative (-1)"};
    const auto noteOf = [](const Imatrix* from, std::string_view name, std::uint64_t cols) {
        const Metric metric = metricFor(MetricKind::DiagonalRms, from, name, cols);
        return metric.isPlain() && metric.kind == MetricKind::Plain ? metric.note : "a metric";
    };
    QVERIFY(noteOf(nullptr, "w", 2).find("no calibration") != std::string::npos);
    QVERIFY(noteOf(&imatrix, "other", 2).find("no calibration of this tensor") != std::string::npos);
    QVERIFY(noteOf(&imatrix, "blk.0.ffn_up.weight", 3).find("2 columns") != std::string::npos);
    QVERIFY(noteOf(&imatrix, "blk.1.ffn_up.weight", 2).find("column 3 is negative") != std::string::npos);
    QVERIFY(noteOf(&imatrix, "model.layers.1.mlp.up_proj.weight", 2).find("column 3 is negative") != std::string::npos);
    QCOMPARE(noteOf(&imatrix, "model.layers.0.mlp.up_proj.weight", 2), std::string("a metric"));
}

void MetricTest::idsLeadBack()
{
    for (const MetricKind kind : {MetricKind::Plain, MetricKind::DiagonalRms, MetricKind::DiagonalLqer})
        QCOMPARE(metricFromId(id(kind)), std::optional(kind));
    QVERIFY(!metricFromId("RMS") && !metricFromId(""));
}

QTEST_APPLESS_MAIN(MetricTest)
#include "tst_metric.moc"
