// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/analysis/GridDensity.h"
#include "core/base/Parallel.h"
#include "core/base/Random.h"

#include <QTest>

#include <cmath>
#include <numeric>
#include <vector>

using namespace sigmascope;

namespace {

const std::vector<double> kFourBits{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};

/// A matrix on a grid of 4 bits: one scale and offset a group, nearest level, the levels' ends clip.
struct Coded {
    std::uint64_t rows, cols, group;
    std::vector<float> weights, restored;
    std::vector<CodedMatrix::Group> groups;

    Coded(std::uint64_t rows_, std::uint64_t cols_, std::uint64_t group_)
        : rows(rows_), cols(cols_), group(group_), weights(rows_ * cols_), restored(rows_ * cols_)
    {
        fillNormal<float>(7, weights, 0.05);
        const std::uint64_t perRow = (cols + group - 1) / group;
        for (std::uint64_t g = 0; g < rows * perRow; ++g)
            groups.push_back({(g % 2 == 0 ? 1.0F : -1.0F) * (0.008F + 0.0001F * static_cast<float>(g % 17)),
                              0.001F * static_cast<float>(g % 3)});
        for (std::uint64_t i = 0; i < weights.size(); ++i) {
            const auto& [scale, offset] = groups[i / cols * perRow + i % cols / group];
            const float level = std::min(7.0F, std::max(-8.0F, std::nearbyint((weights[i] - offset) / scale)));
            restored[i] = offset + scale * level;
        }
    }
    [[nodiscard]] CodedMatrix view() const { return {weights, restored, rows, cols, group, groups}; }
};

}  // namespace

class GridDensityTest : public QObject {
    Q_OBJECT

private slots:
    void aSmallMatrixIsPlacedAsComputedByHand();
    void everyWeightAndEveryErrorIsCountedOnce();
    void weightsOnALevelStandAtItsCode();
    void theClippedErrorIsOfWeightsPastHalfAStep();
    void aGroupWithoutScaleStandsAtZero();
    void aShortLastGroupHasItsOwnScale();
    void coarserBinsAreSumsOfFinerOnes();
    void aZoomLeavesOutWhatLiesOutside();
    void anyNumberOfThreadsGivesTheSameBits();
    void aStoppedJobIsCancelled();
};

void GridDensityTest::aSmallMatrixIsPlacedAsComputedByHand()
{
    // Two rows of two groups of two; positions 1.5, -2 | 3, 1 and -0.5, 0 | 9, -4.
    const std::vector<float> w{0.75F, -1.0F, -0.75F, -0.25F, 0.5F, 1.0F, 18.0F, -8.0F};
    const std::vector<CodedMatrix::Group> groups{{0.5F, 0}, {-0.25F, 0}, {1.0F, 1.0F}, {2.0F, 0}};
    const std::vector<float> q{1.0F, -1.0F, -0.75F, -0.25F, 1.0F, 1.0F, 14.0F, -8.0F};
    const auto density = gridDensity({w, q, 2, 4, 2, groups}, kFourBits, {});
    QVERIFY(density.has_value());
    QCOMPARE(density->min, -4.0);
    QCOMPARE(density->max, 9.0);
    QCOMPARE(density->elements, std::uint64_t(8));
    QCOMPARE(density->squaredError, 0.0625 + 0.25 + 16.0);
    QCOMPARE(density->clippedError, 16.0);
    QCOMPARE(density->below, std::uint64_t(0));
    QCOMPARE(density->above, std::uint64_t(1));
    const GridBins steps = rebinned(*density, -4, 10, 1);
    QCOMPARE(steps.lower, -4.0);
    QCOMPARE(steps.counts, (std::vector<std::uint64_t>{1, 0, 1, 1, 1, 2, 0, 1, 0, 0, 0, 0, 0, 1}));
    QCOMPARE(steps.errors, (std::vector<double>{0, 0, 0, 0.25, 0, 0.0625, 0, 0, 0, 0, 0, 0, 0, 16}));
}

void GridDensityTest::everyWeightAndEveryErrorIsCountedOnce()
{
    const Coded coded(97, 130, 32);
    const auto density = gridDensity(coded.view(), kFourBits, {});
    QVERIFY(density.has_value());
    long double truth = 0;
    for (std::size_t i = 0; i < coded.weights.size(); ++i)
        truth += std::pow(static_cast<long double>(coded.weights[i]) - coded.restored[i], 2.0L);
    QCOMPARE(std::accumulate(density->counts.begin(), density->counts.end(), std::uint64_t{0}), std::uint64_t(97 * 130));
    // 12,610 additions in double: well within 1e-12.
    QVERIFY(std::fabs(density->squaredError - static_cast<double>(truth)) <= 1e-12 * static_cast<double>(truth));
    const double binned = std::accumulate(density->errors.begin(), density->errors.end(), 0.0);
    QVERIFY(std::fabs(binned - static_cast<double>(truth)) <= 1e-12 * static_cast<double>(truth));
}

void GridDensityTest::weightsOnALevelStandAtItsCode()
{
    std::vector<float> w;
    const std::vector<CodedMatrix::Group> groups{{0.125F, 3.0F}, {-0.5F, 0}};
    for (const CodedMatrix::Group& group : groups)
        for (const double level : kFourBits)
            w.push_back(group.offset + group.scale * static_cast<float>(level));
    const auto density = gridDensity({w, w, 1, 32, 16, groups}, kFourBits, {});
    QVERIFY(density.has_value());
    QCOMPARE(density->squaredError, 0.0);
    const GridBins bins = rebinned(*density, -8, 8, 1);
    QCOMPARE(bins.counts, std::vector<std::uint64_t>(16, 2));
    // Within its step each stands at the very left edge: on the level itself.
    for (const double level : kFourBits)
        QCOMPARE(density->counts[static_cast<std::size_t>((level - density->lower) / density->width)], std::uint64_t(2));
}

void GridDensityTest::theClippedErrorIsOfWeightsPastHalfAStep()
{
    const Coded coded(40, 128, 64);
    const auto density = gridDensity(coded.view(), kFourBits, {});
    QVERIFY(density.has_value());
    QCOMPARE(density->clipFrom, -8.5);
    QCOMPARE(density->clipTo, 7.5);
    double clipped = 0;
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < coded.weights.size(); ++i) {
        const double error = static_cast<double>(coded.weights[i]) - coded.restored[i];
        const auto& [scale, offset] = coded.groups[i / 64];
        if (std::fabs(error) <= 0.5000001 * std::fabs(scale))
            continue;
        clipped += error * error;
        ++count;
    }
    QVERIFY(count > 10);
    QCOMPARE(density->below + density->above, count);
    QVERIFY(std::fabs(density->clippedError - clipped) <= 1e-12 * clipped);
}

void GridDensityTest::aGroupWithoutScaleStandsAtZero()
{
    const std::vector<float> w{0, 0, 1, -1}, q{0, 0, 1, -1};
    const std::vector<CodedMatrix::Group> groups{{0, 0}, {1, 0}};
    const auto density = gridDensity({w, q, 1, 4, 2, groups}, kFourBits, {});
    QVERIFY(density.has_value());
    QCOMPARE(rebinned(*density, -1, 2, 1).counts, (std::vector<std::uint64_t>{1, 2, 1}));
}

void GridDensityTest::aShortLastGroupHasItsOwnScale()
{
    const std::vector<float> w{1, 2, 3, 40, 1, 2, 3, 50}, q = w;
    const std::vector<CodedMatrix::Group> groups{{1, 0}, {10, 0}, {1, 0}, {10, 0}};
    const auto density = gridDensity({w, q, 2, 4, 3, groups}, kFourBits, {});
    QVERIFY(density.has_value());
    QCOMPARE(rebinned(*density, 1, 6, 1).counts, (std::vector<std::uint64_t>{2, 2, 2, 1, 1}));
}

void GridDensityTest::coarserBinsAreSumsOfFinerOnes()
{
    const Coded coded(64, 96, 32);
    const auto density = gridDensity(coded.view(), kFourBits, {});
    QVERIFY(density.has_value());
    const GridBins fine = rebinned(*density, -16, 16, 0.125);
    const GridBins coarse = rebinned(*density, -16, 16, 1);
    QCOMPARE(coarse.counts.size(), std::size_t(32));
    QCOMPARE(fine.counts.size(), std::size_t(256));
    for (std::size_t bin = 0; bin < coarse.counts.size(); ++bin) {
        const auto from = fine.counts.begin() + static_cast<std::ptrdiff_t>(8 * bin);
        QCOMPARE(std::accumulate(from, from + 8, std::uint64_t{0}), coarse.counts[bin]);
    }
    // No finer than what was counted.
    QCOMPARE(rebinned(*density, 0, 1, 1e-9).width, density->width);
}

void GridDensityTest::aZoomLeavesOutWhatLiesOutside()
{
    const Coded coded(64, 96, 32);
    const auto density = gridDensity(coded.view(), kFourBits, {});
    QVERIFY(density.has_value());
    const GridBins part = rebinned(*density, 2, 4, 0.25);
    QCOMPARE(part.lower, 2.0);
    QCOMPARE(part.counts.size(), std::size_t(8));
    std::uint64_t expected = 0;
    for (std::size_t i = 0; i < coded.weights.size(); ++i) {
        const auto& [scale, offset] = coded.groups[i / 32];
        const double x = (static_cast<double>(coded.weights[i]) - offset) / scale;
        expected += x >= 2 && x < 4 ? 1 : 0;
    }
    QVERIFY(expected > 0);
    QCOMPARE(std::accumulate(part.counts.begin(), part.counts.end(), std::uint64_t{0}), expected);
}

void GridDensityTest::anyNumberOfThreadsGivesTheSameBits()
{
    const Coded coded(211, 257, 32);
    const int before = threadCount();
    setThreadCount(1);
    const auto one = gridDensity(coded.view(), kFourBits, {});
    setThreadCount(7);
    const auto seven = gridDensity(coded.view(), kFourBits, {});
    setThreadCount(before);
    QVERIFY(one.has_value() && seven.has_value());
    QCOMPARE(one->counts, seven->counts);
    QVERIFY(one->errors == seven->errors);
    QVERIFY(one->squaredError == seven->squaredError && one->clippedError == seven->clippedError);
}

void GridDensityTest::aStoppedJobIsCancelled()
{
    const Coded coded(8, 32, 32);
    std::stop_source stop;
    stop.request_stop();
    const auto density = gridDensity(coded.view(), kFourBits, JobContext{.stop = stop.get_token()});
    QVERIFY(!density.has_value());
    QCOMPARE(density.error().code, ErrorCode::Cancelled);
}

QTEST_APPLESS_MAIN(GridDensityTest)
#include "tst_grid_density.moc"
