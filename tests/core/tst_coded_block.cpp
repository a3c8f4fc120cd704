// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/grids/Grids.h"

#include "core/base/Random.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace sigmascope;

class TestCodedBlock : public QObject {
    Q_OBJECT

private slots:
    void everyTypeHasItsGrid_data()
    {
        QTest::addColumn<QString>("id");
        QTest::addColumn<int>("type");
        QTest::addColumn<int>("bits");
        QTest::addColumn<int>("group");
        QTest::addColumn<int>("levels");
        QTest::addColumn<double>("lowest");
        QTest::addColumn<int>("bytesOf256");
        QTest::newRow("mxfp4") << "mxfp4" << static_cast<int>(DType::MXFP4) << 4 << 32 << 15 << -6.0 << 8 * 17;
        QTest::newRow("nvfp4") << "nvfp4" << static_cast<int>(DType::NVFP4) << 4 << 16 << 15 << -6.0 << 4 * 36;
        QTest::newRow("tq1_0") << "tq1_0" << static_cast<int>(DType::TQ1_0) << 2 << 256 << 3 << -1.0 << 54;
        QTest::newRow("tq2_0") << "tq2_0" << static_cast<int>(DType::TQ2_0) << 2 << 256 << 3 << -1.0 << 66;
        QTest::newRow("q1_0") << "q1_0" << static_cast<int>(DType::Q1_0) << 1 << 128 << 2 << -1.0 << 2 * 18;
        QTest::newRow("q2_0") << "q2_0" << static_cast<int>(DType::Q2_0) << 2 << 64 << 4 << -1.0 << 4 * 18;
        QTest::newRow("iq4_nl") << "iq4_nl" << static_cast<int>(DType::IQ4_NL) << 4 << 32 << 16 << -127.0 << 8 * 18;
        QTest::newRow("iq4_xs") << "iq4_xs" << static_cast<int>(DType::IQ4_XS) << 4 << 32 << 16 << -127.0 << 136;
    }

    void everyTypeHasItsGrid()
    {
        QFETCH(QString, id);
        QFETCH(int, type);
        QFETCH(int, bits);
        QFETCH(int, group);
        QFETCH(int, levels);
        QFETCH(double, lowest);
        QFETCH(int, bytesOf256);
        const auto grid = findGrid(id.toStdString());
        QVERIFY(grid);
        QCOMPARE((*grid)->ggufType(), static_cast<DType>(type));
        QCOMPARE((*grid)->bits(), bits);
        QCOMPARE((*grid)->groupSize(), static_cast<std::uint64_t>(group));
        QCOMPARE((*grid)->levels().size(), static_cast<std::size_t>(levels));
        QCOMPARE((*grid)->levels().front(), lowest);
        QCOMPARE((*grid)->rowBytes(768), static_cast<std::size_t>(3 * bytesOf256));
        const std::uint64_t block = info(static_cast<DType>(type)).blockElements;
        QVERIFY((*grid)->accepts(4096) && (*grid)->accepts(block) && !(*grid)->accepts(block + 16)
                && !(*grid)->accepts(0));
        QCOMPARE((*grid)->importanceSearch() != nullptr, id.startsWith("iq4"));
    }

    void decodedWeightsAreLevelsAndNearest_data() { everyTypeHasItsGrid_data(); }

    /// Of the scale as it is stored, up to its rounding: codes are chosen by the scale before.
    void decodedWeightsAreLevelsAndNearest()
    {
        QFETCH(QString, id);
        const Grid& grid = **findGrid(id.toStdString());
        constexpr std::uint64_t kRows = 6;
        constexpr std::uint64_t kCols = 512;
        std::vector<float> weights(kRows * kCols);
        fillNormal<float>(17, weights, 0.5);
        std::vector<std::byte> codes(kRows * grid.rowBytes(kCols));
        QVERIFY(grid.encode(weights, kRows, kCols, codes));
        std::vector<float> decoded(weights.size());
        grid.decode(codes, kRows, kCols, decoded);
        const auto scales = grid.groupScales(codes, kRows, kCols);
        auto levels = grid.levels();
        if (id == "q2_0")
            levels.pop_back();  // ggml never chooses it
        const auto group = static_cast<std::size_t>(grid.groupSize());
        QCOMPARE(scales.size(), weights.size() / group);
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const float scale = scales[i / group].scale;
            double nearest = std::numeric_limits<double>::max();
            bool isLevel = false;
            for (const double level : levels) {
                const auto value = static_cast<float>(level) * scale;
                isLevel = isLevel || value == decoded[i];
                nearest = std::min(nearest, std::abs(double{value} - double{weights[i]}));
            }
            QVERIFY(isLevel);
            // An f16 rounds by 2^-11 of itself, and with it the outermost level.
            const double slack = 0x1p-10 * std::abs(double{scale}) * std::abs(levels.front());
            QVERIFY(std::abs(double{decoded[i]} - double{weights[i]}) <= nearest + slack);
        }
    }

    void zerosStayZerosOfScaleZero_data() { everyTypeHasItsGrid_data(); }

    void zerosStayZerosOfScaleZero()
    {
        QFETCH(QString, id);
        const Grid& grid = **findGrid(id.toStdString());
        for (const float zero : {0.0F, -0.0F}) {
            const std::vector<float> weights(512, zero);
            std::vector<std::byte> codes(grid.rowBytes(512));
            QVERIFY(grid.encode(weights, 1, 512, codes));
            std::vector<float> decoded(512, 1.0F);
            grid.decode(codes, 1, 512, decoded);
            QVERIFY(std::ranges::all_of(decoded, [](float v) { return v == 0.0F; }));
            for (const auto& group : grid.groupScales(codes, 1, 512))
                QVERIFY(group.scale == 0.0F && group.offset == 0.0F);
        }
    }

    void weighingLosesLessWhereItMatters_data()
    {
        QTest::addColumn<QString>("id");
        QTest::newRow("iq4_nl") << "iq4_nl";
        QTest::newRow("iq4_xs") << "iq4_xs";
    }

    void weighingLosesLessWhereItMatters()
    {
        QFETCH(QString, id);
        const Grid& grid = **findGrid(id.toStdString());
        constexpr std::uint64_t kRows = 16;
        constexpr std::uint64_t kCols = 512;
        std::vector<float> weights(kRows * kCols);
        fillNormal<float>(3, weights, 0.02);
        std::vector<float> importance(kCols);
        std::vector<double> cost(kCols);
        for (std::size_t c = 0; c < kCols; ++c) {
            importance[c] = c % 8 == 0 ? 100.0F : 0.01F;
            cost[c] = double{importance[c]};
        }
        const auto lost = [&](const std::vector<std::byte>& codes) {
            std::vector<float> values(weights.size());
            grid.decode(codes, kRows, kCols, values);
            double sum = 0;
            for (std::size_t i = 0; i < values.size(); ++i)
                sum += cost[i % kCols] * std::pow(double{values[i]} - double{weights[i]}, 2);
            return sum;
        };
        std::vector<std::byte> plain(kRows * grid.rowBytes(kCols));
        std::vector<std::byte> weighed(plain.size());
        QVERIFY(grid.encode(weights, kRows, kCols, plain));
        const auto note = grid.importanceSearch()->encodeWeighted(weights, kRows, kCols, importance, weighed, {});
        QVERIFY(note);
        QCOMPARE(*note, std::string());
        QVERIFY(lost(weighed) < 0.9 * lost(plain));
    }
};

QTEST_APPLESS_MAIN(TestCodedBlock)
#include "tst_coded_block.moc"
