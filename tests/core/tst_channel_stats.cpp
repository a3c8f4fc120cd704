// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/analysis/ChannelStats.h"
#include "core/base/Parallel.h"
#include "core/base/Random.h"

#include <QTest>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

using namespace sigmascope;

namespace {

/// A matrix in memory whose grid rounds to steps of 1/64.
struct Matrix {
    std::uint64_t rows, cols;
    std::vector<float> weights;

    Matrix(std::uint64_t rows_, std::uint64_t cols_) : rows(rows_), cols(cols_), weights(rows_ * cols_)
    {
        fillNormal<float>(11, weights, 0.1);
    }
    static float rounded(float w) { return std::nearbyint(w * 64.0F) / 64.0F; }
    [[nodiscard]] MatrixRows view(bool hasGrid = false, bool hasScale = false) const
    {
        MatrixRows view{.rows = rows, .cols = cols};
        view.weights = [this](std::uint64_t first, std::span<float> out) -> Status {
            std::copy_n(weights.begin() + static_cast<std::ptrdiff_t>(first * cols), out.size(), out.begin());
            return {};
        };
        if (hasGrid)
            view.residual = [](std::span<const float> w, std::span<float> e) -> Status {
                for (std::size_t i = 0; i < w.size(); ++i)
                    e[i] = w[i] - rounded(w[i]);
                return {};
            };
        for (std::uint64_t j = 0; hasScale && j < cols; ++j)
            view.scale.push_back(0.25F + 0.5F * static_cast<float>(j % 7));
        return view;
    }
};

/// By the definition, element by element, in long double.
struct Direct {
    double absMax = 0, rms = 0;
};

template <class Value>
Direct direct(std::uint64_t count, const Value& value)
{
    Direct result;
    long double sum = 0;
    std::uint64_t finite = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        const double v = value(i);
        if (!std::isfinite(v))
            continue;
        ++finite;
        result.absMax = std::max(result.absMax, std::fabs(v));
        sum += static_cast<long double>(v) * static_cast<long double>(v);
    }
    result.rms = finite == 0 ? 0 : static_cast<double>(std::sqrt(sum / static_cast<long double>(finite)));
    return result;
}

bool agrees(const ChannelSeries& series, std::uint64_t channel, const Direct& expected)
{
    // The largest magnitude is exact but for the one product that E S takes in double; sums differ in their order.
    return std::fabs(series.absMax[channel] - expected.absMax) <= 1e-15 * expected.absMax
        && std::fabs(series.rms[channel] - expected.rms) <= 1e-12 * expected.rms;
}

}  // namespace

class ChannelStatsTest : public QObject {
    Q_OBJECT

private slots:
    void everyChannelAgreesWithItsDefinition_data();
    void everyChannelAgreesWithItsDefinition();
    void withoutAGridThereIsNoErrorAndWithoutAScaleNoWeightedOne();
    void valuesThatAreNotFiniteAreLeftOutAndCounted();
    void aChannelWithoutAFiniteValueIsZero();
    void anyNumberOfThreadsGivesTheSameBits();
    void anErrorOfTheReaderIsPassedOn();
    void aStoppedJobIsCancelled();
    void outliersAreThoseFarAboveTheMedian();
    void aNarrowSpreadHasNoOutliers();
    void aWideSpreadAsksForMoreThanThreeTimesTheMedian();
};

void ChannelStatsTest::everyChannelAgreesWithItsDefinition_data()
{
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("cols");
    QTest::newRow("1 x 1") << 1 << 1;
    QTest::newRow("one row") << 1 << 1031;
    QTest::newRow("one column") << 1031 << 1;
    QTest::newRow("primes") << 37 << 53;
    QTest::newRow("several readings a part") << 2053 << 257;
    QTest::newRow("a row longer than a reading") << 3 << 140001;
}

void ChannelStatsTest::everyChannelAgreesWithItsDefinition()
{
    QFETCH(int, rows);
    QFETCH(int, cols);
    const Matrix matrix(static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols));
    const MatrixRows view = matrix.view(true, true);
    const auto stats = channelStats(view, {});
    QVERIFY(stats.has_value());
    QCOMPARE(stats->nonFinite, std::uint64_t{0});
    const auto w = [&](std::uint64_t i, std::uint64_t j) { return static_cast<double>(matrix.weights[i * matrix.cols + j]); };
    const auto e = [&](std::uint64_t i, std::uint64_t j) {
        const float weight = matrix.weights[i * matrix.cols + j];
        return static_cast<double>(weight - Matrix::rounded(weight));
    };
    const auto es = [&](std::uint64_t i, std::uint64_t j) { return e(i, j) * static_cast<double>(view.scale[j]); };
    for (std::uint64_t j = 0; j < matrix.cols; ++j) {
        const auto down = [&](const auto& value) { return direct(matrix.rows, [&](std::uint64_t i) { return value(i, j); }); };
        QVERIFY(agrees(stats->inputs.w, j, down(w)));
        QVERIFY(agrees(stats->inputs.e, j, down(e)));
        QVERIFY(agrees(stats->inputs.es, j, down(es)));
    }
    for (std::uint64_t i = 0; i < matrix.rows; ++i) {
        const auto across = [&](const auto& value) { return direct(matrix.cols, [&](std::uint64_t j) { return value(i, j); }); };
        QVERIFY(agrees(stats->outputs.w, i, across(w)));
        QVERIFY(agrees(stats->outputs.e, i, across(e)));
        QVERIFY(agrees(stats->outputs.es, i, across(es)));
    }
}

void ChannelStatsTest::withoutAGridThereIsNoErrorAndWithoutAScaleNoWeightedOne()
{
    const Matrix matrix(5, 9);
    const auto bare = channelStats(matrix.view(), {});
    QVERIFY(bare->inputs.e.isEmpty() && bare->outputs.e.isEmpty() && bare->inputs.es.isEmpty());
    const auto plain = channelStats(matrix.view(true), {});
    QCOMPARE(plain->inputs.e.rms.size(), std::size_t{9});
    QCOMPARE(plain->outputs.e.rms.size(), std::size_t{5});
    QVERIFY(plain->inputs.es.isEmpty() && plain->outputs.es.isEmpty());
}

void ChannelStatsTest::valuesThatAreNotFiniteAreLeftOutAndCounted()
{
    Matrix matrix(300, 40);
    matrix.weights[7 * 40 + 3] = std::numeric_limits<float>::quiet_NaN();
    matrix.weights[7 * 40 + 4] = -std::numeric_limits<float>::infinity();
    matrix.weights[299 * 40 + 3] = std::numeric_limits<float>::infinity();
    const auto stats = channelStats(matrix.view(), {});
    QCOMPARE(stats->nonFinite, std::uint64_t{3});
    for (const std::uint64_t j : {std::uint64_t{3}, std::uint64_t{4}, std::uint64_t{5}})
        QVERIFY(agrees(stats->inputs.w, j, direct(300, [&](std::uint64_t i) { return matrix.weights[i * 40 + j]; })));
    for (const std::uint64_t i : {std::uint64_t{7}, std::uint64_t{8}, std::uint64_t{299}})
        QVERIFY(agrees(stats->outputs.w, i, direct(40, [&](std::uint64_t j) { return matrix.weights[i * 40 + j]; })));
}

void ChannelStatsTest::aChannelWithoutAFiniteValueIsZero()
{
    Matrix matrix(2, 3);
    matrix.weights[1] = matrix.weights[4] = std::numeric_limits<float>::quiet_NaN();
    const auto stats = channelStats(matrix.view(), {});
    QCOMPARE(stats->inputs.w.rms[1], 0.0);
    QCOMPARE(stats->inputs.w.absMax[1], 0.0);
    QVERIFY(stats->inputs.w.rms[0] > 0);
}

void ChannelStatsTest::anyNumberOfThreadsGivesTheSameBits()
{
    const Matrix matrix(1500, 300);
    const int before = threadCount();
    setThreadCount(1);
    const auto one = channelStats(matrix.view(true, true), {});
    for (const int threads : {2, 5, 16}) {
        setThreadCount(threads);
        const auto many = channelStats(matrix.view(true, true), {});
        QVERIFY(many->inputs.w.rms == one->inputs.w.rms && many->inputs.es.rms == one->inputs.es.rms);
        QVERIFY(many->outputs.e.rms == one->outputs.e.rms && many->inputs.e.absMax == one->inputs.e.absMax);
    }
    setThreadCount(before);
}

void ChannelStatsTest::anErrorOfTheReaderIsPassedOn()
{
    const Matrix matrix(2000, 200);
    MatrixRows view = matrix.view(true);
    view.residual = [](std::span<const float>, std::span<float>) -> Status { return fail(ErrorCode::NonFinite, "row 7"); };
    const auto stats = channelStats(view, {});
    QVERIFY(!stats);
    QCOMPARE(stats.error().code, ErrorCode::NonFinite);
    QCOMPARE(QString::fromStdString(stats.error().detail), QStringLiteral("row 7"));
}

void ChannelStatsTest::aStoppedJobIsCancelled()
{
    const Matrix matrix(4000, 200);
    std::stop_source stop;
    MatrixRows view = matrix.view();
    std::atomic<int> readings = 0;
    const auto read = view.weights;
    view.weights = [&, read](std::uint64_t first, std::span<float> out) -> Status {
        if (++readings == 2)
            stop.request_stop();
        return read(first, out);
    };
    const auto stats = channelStats(view, {.stop = stop.get_token()});
    QVERIFY(!stats);
    QCOMPARE(stats.error().code, ErrorCode::Cancelled);
    QVERIFY(readings < 16);
}

void ChannelStatsTest::outliersAreThoseFarAboveTheMedian()
{
    std::vector<double> values;
    for (int i = 0; i < 1000; ++i)
        values.push_back(1.0 + 0.1 * std::sin(i));
    values[17] = 6;
    values[900] = 40;
    values[3] = 6;
    values[5] = 0;
    const auto outliers = outlierChannels(values);
    QCOMPARE(outliers.size(), std::size_t{3});
    QCOMPARE(outliers[0].channel, std::uint64_t{900});
    QCOMPARE(outliers[1].channel, std::uint64_t{3});
    QCOMPARE(outliers[2].channel, std::uint64_t{17});
    QVERIFY(std::fabs(outliers[0].ratio - 40) < 1);
}

void ChannelStatsTest::aNarrowSpreadHasNoOutliers()
{
    // All but one equal: far outside in deviations, and yet only twice the others.
    std::vector<double> values(100, 1.0);
    values[4] = 2;
    QVERIFY(outlierChannels(values).empty());
    values[4] = 3.5;
    QCOMPARE(outlierChannels(values).size(), std::size_t{1});
    QVERIFY(outlierChannels(std::vector<double>{1, 1, 1, 1, 1, 1, 90}).empty());
    QVERIFY(outlierChannels(std::vector<double>(50, 0.0)).empty());
}

void ChannelStatsTest::aWideSpreadAsksForMoreThanThreeTimesTheMedian()
{
    std::vector<double> values;
    for (int i = 0; i < 1000; ++i)
        values.push_back(std::exp(3.0 * i / 999.0));  // log-uniform: the median deviation is 0.75
    values.push_back(std::exp(1.5) * 20);             // twenty times the median
    QVERIFY(outlierChannels(values).empty());
    values.push_back(std::exp(1.5) * 400);
    QCOMPARE(outlierChannels(values).size(), std::size_t{1});
}

QTEST_GUILESS_MAIN(ChannelStatsTest)
#include "tst_channel_stats.moc"
