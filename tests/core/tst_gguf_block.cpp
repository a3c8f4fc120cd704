// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/grids/Grids.h"

#include "core/base/Random.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace sigmascope;

class TestGgufBlock : public QObject {
    Q_OBJECT

private slots:
    void everyTypeHasItsGrid_data()
    {
        QTest::addColumn<int>("type");
        QTest::addColumn<QString>("id");
        QTest::addColumn<int>("bits");
        QTest::addColumn<int>("levels");
        QTest::addColumn<double>("lowest");
        QTest::addColumn<int>("blockBytes");
        QTest::newRow("q8_0") << static_cast<int>(DType::Q8_0) << "q8_0" << 8 << 255 << -127.0 << 34;
        QTest::newRow("q4_0") << static_cast<int>(DType::Q4_0) << "q4_0" << 4 << 16 << -8.0 << 18;
        QTest::newRow("q4_1") << static_cast<int>(DType::Q4_1) << "q4_1" << 4 << 16 << 0.0 << 20;
        QTest::newRow("q5_0") << static_cast<int>(DType::Q5_0) << "q5_0" << 5 << 32 << -16.0 << 22;
        QTest::newRow("q5_1") << static_cast<int>(DType::Q5_1) << "q5_1" << 5 << 32 << 0.0 << 24;
    }

    void everyTypeHasItsGrid()
    {
        QFETCH(int, type);
        QFETCH(QString, id);
        QFETCH(int, bits);
        QFETCH(int, levels);
        QFETCH(double, lowest);
        QFETCH(int, blockBytes);
        const Grid& grid = ggufBlockGrid(static_cast<DType>(type));
        QCOMPARE(QString::fromStdString(grid.id()), id);
        QCOMPARE(grid.bits(), bits);
        QCOMPARE(grid.ggufType(), static_cast<DType>(type));
        QCOMPARE(grid.groupSize(), std::uint64_t{32});
        QCOMPARE(grid.levels().size(), static_cast<std::size_t>(levels));
        QCOMPARE(grid.levels().front(), lowest);
        QVERIFY(std::ranges::is_sorted(grid.levels()));
        QCOMPARE(grid.rowBytes(96), static_cast<std::size_t>(3 * blockBytes));
        QVERIFY(grid.accepts(4096) && !grid.accepts(4100));
    }

    void decodedWeightsAreLevelsAndNearest_data() { everyTypeHasItsGrid_data(); }

    void decodedWeightsAreLevelsAndNearest()
    {
        QFETCH(int, type);
        const Grid& grid = ggufBlockGrid(static_cast<DType>(type));
        constexpr std::uint64_t kRows = 20;
        constexpr std::uint64_t kCols = 96;
        std::vector<float> weights(kRows * kCols);
        fillNormal<float>(17, weights, 0.03);
        std::vector<std::byte> codes(kRows * grid.rowBytes(kCols));
        QVERIFY(grid.encode(weights, kRows, kCols, codes).has_value());
        std::vector<float> decoded(weights.size());
        grid.decode(codes, kRows, kCols, decoded);
        const auto scales = grid.groupScales(codes, kRows, kCols);
        const auto levels = grid.levels();
        QCOMPARE(scales.size(), weights.size() / 32);
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const auto [scale, offset] = scales[i / 32];
            double nearest = std::numeric_limits<double>::max();
            bool isLevel = false;
            for (const double level : levels) {
                const auto value = static_cast<float>(level) * scale + offset;
                isLevel = isLevel || value == decoded[i];
                nearest = std::min(nearest, std::fabs(double{value} - double{weights[i]}));
            }
            QVERIFY(isLevel);
            // Codes are chosen by the unrounded scale: f16's rounding of scale and minimum (2^-11 each) moves a
            // level by at most that share of the block's width.
            const double slack = 0x1p-10 * std::fabs(scale) * static_cast<double>(levels.size()) + 0x1p-11 * std::fabs(offset);
            QVERIFY(std::fabs(double{decoded[i]} - double{weights[i]}) <= nearest + slack);
        }
    }

    void nonFiniteWeightsAreRefusedWithTheirPlace()
    {
        std::vector<float> weights(128, 1.0F);
        weights[70] = std::numeric_limits<float>::quiet_NaN();
        const Grid& grid = ggufBlockGrid(DType::Q4_0);
        std::vector<std::byte> codes(2 * grid.rowBytes(64));
        const Status status = grid.encode(weights, 2, 64, codes);
        QVERIFY(!status);
        QCOMPARE(status.error().code, ErrorCode::NonFinite);
        QVERIFY(status.error().detail.find("1, first at row 1, column 6") != std::string::npos);
    }

    void zeroBlocksDecodeToZero_data() { everyTypeHasItsGrid_data(); }

    void zeroBlocksDecodeToZero()
    {
        QFETCH(int, type);
        const Grid& grid = ggufBlockGrid(static_cast<DType>(type));
        const std::vector<float> zeros(64);
        std::vector<std::byte> codes(grid.rowBytes(64));
        QVERIFY(grid.encode(zeros, 1, 64, codes).has_value());
        std::vector<float> decoded(64, 1.0F);
        grid.decode(codes, 1, 64, decoded);
        QVERIFY(std::ranges::all_of(decoded, [](float v) { return v == 0.0F; }));
    }
};

QTEST_APPLESS_MAIN(TestGgufBlock)
#include "tst_gguf_block.moc"
