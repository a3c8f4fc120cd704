// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/analysis/HeatMap.h"
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

struct Matrix {
    std::uint64_t rows, cols;
    std::vector<float> weights;
    std::vector<float> scale;

    Matrix(std::uint64_t rows_, std::uint64_t cols_) : rows(rows_), cols(cols_), weights(rows_ * cols_)
    {
        fillNormal<float>(5, weights, 0.1);
        for (std::uint64_t j = 0; j < cols; ++j)
            scale.push_back(1.0F + static_cast<float>(j % 5));
    }
    [[nodiscard]] MatrixRows view() const
    {
        MatrixRows view{.rows = rows, .cols = cols, .scale = scale};
        view.weights = [this](std::uint64_t first, std::span<float> out) -> Status {
            std::copy_n(weights.begin() + static_cast<std::ptrdiff_t>(first * cols), out.size(), out.begin());
            return {};
        };
        view.residual = [](std::span<const float> w, std::span<float> e) -> Status {
            for (std::size_t i = 0; i < w.size(); ++i)
                e[i] = w[i] - std::nearbyint(w[i] * 16.0F) / 16.0F;
            return {};
        };
        return view;
    }
    [[nodiscard]] float magnitude(HeatQuantity quantity, std::uint64_t i, std::uint64_t j) const
    {
        const float w = weights[i * cols + j];
        const float e = w - std::nearbyint(w * 16.0F) / 16.0F;
        return std::fabs(quantity == HeatQuantity::W ? w : quantity == HeatQuantity::E ? e : e * scale[j]);
    }
    /// By the definition.
    [[nodiscard]] float cell(HeatQuantity quantity, const HeatWindow& window, std::uint64_t x, std::uint64_t y) const
    {
        float top = 0;
        for (std::uint64_t i = (window.y + y) << window.levelY; i < std::min(rows, (window.y + y + 1) << window.levelY); ++i)
            for (std::uint64_t j = (window.x + x) << window.levelX; j < std::min(cols, (window.x + x + 1) << window.levelX); ++j)
                top = std::max(top, magnitude(quantity, i, j));
        return top;
    }
};

}  // namespace

class HeatMapTest : public QObject {
    Q_OBJECT

private slots:
    void everyCellHoldsTheLargestOfItsElements_data();
    void everyCellHoldsTheLargestOfItsElements();
    void coarserMapsPooledFromFinerOnesAreTheSame();
    void onlyTheRowsUnderTheWindowAreRead();
    void theOverviewHasAtMostTheCellsAskedFor();
    void nanAndInfinityAreNotLostInPooling();
    void anyNumberOfThreadsGivesTheSameMap();
    void anErrorOfTheReaderIsPassedOn();
    void aStoppedJobIsCancelled();
    void quantilesSkipZerosAndWhatIsNotFinite();
};

void HeatMapTest::everyCellHoldsTheLargestOfItsElements_data()
{
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("cols");
    QTest::addColumn<HeatWindow>("window");
    QTest::newRow("one element") << 1 << 1 << HeatWindow{0, 0, 0, 0, 1, 1};
    QTest::newRow("each element, a part") << 37 << 53 << HeatWindow{0, 0, 11, 5, 40, 30};
    QTest::newRow("ragged ends") << 37 << 53 << HeatWindow{3, 2, 0, 0, 7, 10};
    QTest::newRow("rows alone are pooled") << 300 << 20 << HeatWindow{0, 5, 3, 2, 17, 8};
    QTest::newRow("columns alone are pooled") << 20 << 300 << HeatWindow{5, 0, 2, 3, 8, 17};
    QTest::newRow("several readings a cell") << 1000 << 700 << HeatWindow{6, 9, 0, 0, 11, 2};
    QTest::newRow("all in one cell") << 100 << 90 << HeatWindow{7, 7, 0, 0, 1, 1};
}

void HeatMapTest::everyCellHoldsTheLargestOfItsElements()
{
    QFETCH(int, rows);
    QFETCH(int, cols);
    QFETCH(HeatWindow, window);
    const Matrix matrix(static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols));
    for (const HeatQuantity quantity : {HeatQuantity::W, HeatQuantity::E, HeatQuantity::ES}) {
        const auto map = heatMap(matrix.view(), quantity, window, {});
        QVERIFY(map.has_value());
        QCOMPARE(map->values.size(), static_cast<std::size_t>(window.width * window.height));
        for (std::uint64_t y = 0; y < window.height; ++y)
            for (std::uint64_t x = 0; x < window.width; ++x)
                QVERIFY(map->at(x, y) == matrix.cell(quantity, window, x, y));
    }
}

void HeatMapTest::coarserMapsPooledFromFinerOnesAreTheSame()
{
    const Matrix matrix(333, 517);
    const auto fine = heatMap(matrix.view(), HeatQuantity::E, {1, 2, 0, 0, cellsAt(517, 1), cellsAt(333, 2)}, {});
    for (const HeatWindow& window : {HeatWindow{1, 2, 7, 3, 20, 30}, HeatWindow{4, 2, 5, 8, 28, 40},
                                     HeatWindow{3, 5, 0, 0, cellsAt(517, 3), cellsAt(333, 5)}}) {
        const auto straight = heatMap(matrix.view(), HeatQuantity::E, window, {});
        QVERIFY(pooled(*fine, window).values == straight->values);
        QVERIFY(pooled(*fine, window).window == window);
    }
}

void HeatMapTest::onlyTheRowsUnderTheWindowAreRead()
{
    const Matrix matrix(5000, 64);
    MatrixRows view = matrix.view();
    std::atomic<std::uint64_t> lowest = 5000, highest = 0, read = 0;
    const auto reader = view.weights;
    const int before = threadCount();
    setThreadCount(1);
    view.weights = [&, reader](std::uint64_t first, std::span<float> out) -> Status {
        lowest = std::min(lowest.load(), first);
        highest = std::max(highest.load(), first + out.size() / 64);
        read += out.size() / 64;
        return reader(first, out);
    };
    const auto map = heatMap(view, HeatQuantity::W, {0, 2, 0, 100, 64, 256}, {});
    setThreadCount(before);
    QVERIFY(map.has_value());
    QCOMPARE(lowest.load(), std::uint64_t{400});
    QCOMPARE(highest.load(), std::uint64_t{400 + 1024});
    QCOMPARE(read.load(), std::uint64_t{1024});
}

void HeatMapTest::theOverviewHasAtMostTheCellsAskedFor()
{
    const HeatWindow small = overviewOf(256, 704, 1024);
    QVERIFY((small == HeatWindow{0, 0, 0, 0, 704, 256}));
    const HeatWindow large = overviewOf(128256, 1025, 1024);
    QCOMPARE(large.levelX, 1);
    QCOMPARE(large.width, std::uint64_t{513});
    QCOMPARE(large.levelY, 7);
    QCOMPARE(large.height, std::uint64_t{1002});
}

void HeatMapTest::nanAndInfinityAreNotLostInPooling()
{
    Matrix matrix(64, 64);
    matrix.weights[10 * 64 + 9] = -std::numeric_limits<float>::infinity();
    matrix.weights[40 * 64 + 33] = std::numeric_limits<float>::quiet_NaN();
    matrix.weights[40 * 64 + 34] = std::numeric_limits<float>::infinity();
    const auto map = heatMap(matrix.view(), HeatQuantity::W, {3, 3, 0, 0, 8, 8}, {});
    QVERIFY(std::isinf(map->at(1, 1)) && map->at(1, 1) > 0);
    QVERIFY(std::isnan(map->at(4, 5)));
    QVERIFY(std::isfinite(map->at(0, 0)));
    QVERIFY(std::isnan(pooled(*map, {6, 6, 0, 0, 1, 1}).at(0, 0)));
    QVERIFY(std::isfinite(largestOf(*map)));
    QVERIFY(largestOf(*map) > 0.2);
}

void HeatMapTest::anyNumberOfThreadsGivesTheSameMap()
{
    const Matrix matrix(2000, 300);
    const int before = threadCount();
    setThreadCount(1);
    const HeatWindow window = overviewOf(2000, 300, 128);
    const auto one = heatMap(matrix.view(), HeatQuantity::ES, window, {});
    for (const int threads : {2, 7}) {
        setThreadCount(threads);
        QVERIFY(heatMap(matrix.view(), HeatQuantity::ES, window, {})->values == one->values);
    }
    setThreadCount(before);
}

void HeatMapTest::anErrorOfTheReaderIsPassedOn()
{
    const Matrix matrix(2000, 300);
    MatrixRows view = matrix.view();
    view.weights = [](std::uint64_t, std::span<float>) -> Status { return fail(ErrorCode::FileBroken, "pages vanished"); };
    const auto map = heatMap(view, HeatQuantity::W, overviewOf(2000, 300, 64), {});
    QVERIFY(!map);
    QCOMPARE(map.error().code, ErrorCode::FileBroken);
}

void HeatMapTest::aStoppedJobIsCancelled()
{
    const Matrix matrix(4000, 300);
    MatrixRows view = matrix.view();
    std::stop_source stop;
    std::atomic<int> readings = 0;
    const auto reader = view.weights;
    view.weights = [&, reader](std::uint64_t first, std::span<float> out) -> Status {
        if (++readings == 2)
            stop.request_stop();
        return reader(first, out);
    };
    const auto map = heatMap(view, HeatQuantity::W, overviewOf(4000, 300, 1024), {.stop = stop.get_token()});
    QVERIFY(!map);
    QCOMPARE(map.error().code, ErrorCode::Cancelled);
    QVERIFY(readings <= 2 + threadCount());
}

void HeatMapTest::quantilesSkipZerosAndWhatIsNotFinite()
{
    HeatMap map{.window = {0, 0, 0, 0, 8, 1}, .values = {0, 0, 4, 1, 3, 2, 5, std::numeric_limits<float>::quiet_NaN()}};
    QCOMPARE(quantileOf(map, 0), 1.0);
    QCOMPARE(quantileOf(map, 0.5), 3.0);
    QCOMPARE(quantileOf(map, 1), 5.0);
    QCOMPARE(quantileOf(HeatMap{.window = {0, 0, 0, 0, 2, 1}, .values = {0, 0}}, 0.5), 0.0);
}

QTEST_GUILESS_MAIN(HeatMapTest)
#include "tst_heat_map.moc"
