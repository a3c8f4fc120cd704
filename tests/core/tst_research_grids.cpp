// SPDX-License-Identifier: GPL-3.0-or-later
//
// MXINT in both variants and NormalFloat: published goldens, layout byte by byte, exact bits.
// (What every grid promises is in tests/conformance.)

#include "core/grid/grids/Grids.h"
#include "core/solve/Solver.h"

#include "core/base/Half.h"
#include "core/base/Random.h"

#include <QTest>

#include <array>
#include <cmath>
#include <cstring>
#include <vector>

using namespace sigmascope;

namespace {

const Grid& grid(std::string_view id)
{
    const auto found = findGrid(id);
    if (!found)
        qFatal("%s", found.error().detail.c_str());
    return **found;
}

std::vector<std::byte> coded(const Grid& g, const std::vector<float>& weights)
{
    std::vector<std::byte> out(g.rowBytes(weights.size()));
    const Status done = g.encode(weights, 1, weights.size(), out);
    if (!done)
        qFatal("%s", done.error().detail.c_str());
    return out;
}

std::vector<float> roundTrip(const Grid& g, const std::vector<float>& weights)
{
    std::vector<float> values(weights.size());
    g.decode(coded(g, weights), 1, weights.size(), values);
    return values;
}

std::vector<float> gaussian(std::size_t count, std::uint64_t seed = 3, double deviation = 0.02)
{
    std::vector<float> values(count);
    fillNormal<float>(seed, values, deviation);
    return values;
}

double relativeError(const std::vector<float>& weights, const std::vector<float>& values)
{
    double lost = 0;
    double energy = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        lost += std::pow(double{weights[i]} - values[i], 2);
        energy += std::pow(double{weights[i]}, 2);
    }
    return lost / energy;
}

/// Of methods-lowrank §3.1.
const std::vector<float> kGolden{1, 0.5F, 0.3F, -0.26F, 0.06F, -1, 0, 0.13F};

}  // namespace

class ResearchGridsTest : public QObject {
    Q_OBJECT

private slots:
    void goldensOfBothMxintVariants()
    {
        QCOMPARE(roundTrip(grid("bfp4-b16"), kGolden),
                 (std::vector<float>{0.875F, 0.5F, 0.25F, -0.25F, 0, -0.875F, 0, 0.125F}));
        QCOMPARE(roundTrip(grid("mxint4-b16"), kGolden), (std::vector<float>{1, 0.5F, 0.25F, -0.25F, 0, -1, 0, 0.25F}));
    }

    void variantsAgreeUnlessTheLargestIsAPowerOfTwo()
    {
        for (int bits = 2; bits <= 8; ++bits) {
            const auto weights = gaussian(4096);  // no power of two among them
            const std::string width = std::to_string(bits);
            QCOMPARE(roundTrip(grid("mxint" + width + "-b32"), weights), roundTrip(grid("bfp" + width + "-b32"), weights));
        }
    }

    void twoBitsAreTernary()
    {
        QCOMPARE(roundTrip(grid("mxint2-b16"), {0.9F, -0.26F, 0.24F, -0.7F}), (std::vector<float>{0.5F, -0.5F, 0, -0.5F}));
    }

    /// F1: idempotent, but for bfp when its largest value has become a power of two.
    void codingTwiceChangesNothingInMxint()
    {
        for (int bits = 2; bits <= 8; ++bits) {
            const Grid& g = grid("mxint" + std::to_string(bits) + "-b16");
            const auto once = roundTrip(g, gaussian(1024));
            QCOMPARE(roundTrip(g, once), once);
        }
        const Grid& bfp = grid("bfp4-b16");
        QCOMPARE(roundTrip(bfp, {0.55F}), (std::vector<float>{0.5F}));
        QCOMPARE(roundTrip(bfp, {0.5F}), (std::vector<float>{0.4375F}));
    }

    /// F2: sign symmetry, scaling by powers of two, order inside a block.
    void mxintCommutesWithSignsPowersOfTwoAndOrder_data()
    {
        QTest::addColumn<QString>("id");
        for (const char* id : {"mxint3-b16", "mxint8-b32", "bfp4-b16", "bfp5-b32"})
            QTest::newRow(id) << id;
    }
    void mxintCommutesWithSignsPowersOfTwoAndOrder()
    {
        QFETCH(QString, id);
        const Grid& g = grid(id.toStdString());
        const auto weights = gaussian(g.groupSize());
        const auto values = roundTrip(g, weights);
        std::vector<float> negated;
        std::vector<float> scaled;
        for (const float w : weights) {
            negated.push_back(-w);
            scaled.push_back(w * 1024);
        }
        const std::vector<float> turned(weights.rbegin(), weights.rend());
        const auto ofNegated = roundTrip(g, negated);
        const auto ofScaled = roundTrip(g, scaled);
        const auto ofTurned = roundTrip(g, turned);
        for (std::size_t i = 0; i < weights.size(); ++i) {
            QCOMPARE(ofNegated[i], -values[i]);
            QCOMPARE(ofScaled[i], 1024 * values[i]);
            QCOMPARE(ofTurned[weights.size() - 1 - i], values[i]);
        }
    }

    void mxintRowIsExponentsThenCodes()
    {
        // 17 elements: a full block of largest 1 (E = 0) and a short one of -0.3 (E = -2).
        std::vector<float> weights(17, 0.0F);
        weights[0] = 1;
        weights[16] = -0.3F;
        const auto bytes = coded(grid("mxint4-b16"), weights);
        QCOMPARE(bytes.size(), std::size_t{2 + 9});
        QCOMPARE(std::to_integer<int>(bytes[0]), 127);
        QCOMPARE(std::to_integer<int>(bytes[1]), 125);
        QCOMPARE(std::to_integer<int>(bytes[2]), 0x7B);        // 1 = 4 steps of 1/4: code 11; 0: code 7
        QCOMPARE(std::to_integer<int>(bytes[10]) & 15, 7 - 5);  // -0.3 = -5 steps of 1/16
        QCOMPARE(std::to_integer<int>(coded(grid("bfp4-b16"), weights)[0]), 127);  // e = 0, clipped to 7/8
        const std::vector<float> zeros(32, 0.0F);
        QCOMPARE(std::to_integer<int>(coded(grid("bfp4-b32"), zeros)[0]), 0);
    }

    void mxintReachesFromTheSmallestNormalToTheLargestFloat()
    {
        constexpr float kMax = std::numeric_limits<float>::max();
        constexpr float kMin = std::numeric_limits<float>::min();
        for (const char* id : {"mxint8-b16", "bfp8-b16", "mxint2-b16", "bfp2-b16"}) {
            for (const float value : roundTrip(grid(id), {kMax, -kMax}))
                QVERIFY(std::isfinite(value) && std::abs(value) >= kMax / 2.01F);
        }
        QCOMPARE(roundTrip(grid("mxint8-b16"), {kMin, kMin / 2}), (std::vector<float>{kMin, 0}));  // subnormals go
        QCOMPARE(roundTrip(grid("bfp8-b16"), {1.5F * kMin, kMin / 2}), (std::vector<float>{1.5F * kMin, kMin / 2}));
    }

    void bitsAreExact_data()
    {
        QTest::addColumn<QString>("id");
        QTest::addColumn<double>("bits");
        QTest::newRow("mxint4-b16") << "mxint4-b16" << 4.5;
        QTest::newRow("mxint4-b32") << "mxint4-b32" << 4.25;
        QTest::newRow("mxint8-b32") << "mxint8-b32" << 8.25;
        QTest::newRow("bfp3-b32") << "bfp3-b32" << 3.25;
        QTest::newRow("nf4-g64") << "nf4-g64" << 4.25;
        QTest::newRow("nf4-g128") << "nf4-g128" << 4.125;
        QTest::newRow("nf3-g64") << "nf3-g64" << 3.25;
        QTest::newRow("nf4-g64-dq") << "nf4-g64-dq" << 4 + 8.0 / 64 + 32.0 / (64 * 256);  // 4.127: QLoRA's
    }
    void bitsAreExact()
    {
        QFETCH(QString, id);
        QFETCH(double, bits);
        constexpr std::uint64_t kCols = 64 * 256;
        QCOMPARE(8.0 * static_cast<double>(grid(id.toStdString()).rowBytes(kCols)) / kCols, bits);
    }

    void normalFloatLevelsAreTheQuantilesThatTheRuleGives()
    {
        // The inverse of the normal distribution by bisection of erfc, as §4.1 defines the levels.
        const auto quantile = [](double p) {
            double low = -10;
            double high = 10;
            for (int i = 0; i < 200; ++i) {
                const double middle = (low + high) / 2;
                (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
            }
            return (low + high) / 2;
        };
        constexpr double kOffset = 0.9677083;
        for (const int bits : {3, 4}) {
            const int half = 1 << (bits - 1);
            std::vector<double> expected{0};
            for (int i = 0; i < half; ++i)
                expected.push_back(quantile(kOffset + (0.5 - kOffset) * i / half));
            for (int i = 0; i < half - 1; ++i)
                expected.push_back(-quantile(kOffset + (0.5 - kOffset) * i / (half - 1)));
            std::ranges::sort(expected);
            const auto levels = grid(bits == 4 ? "nf4-g64" : "nf3-g64").levels();
            QCOMPARE(levels.size(), expected.size());
            for (std::size_t i = 0; i < levels.size(); ++i)
                QVERIFY(std::abs(levels[i] - expected[i] / expected.back()) < 2e-7);
        }
    }

    void normalFloatTakesTheNearestLevelAndTheLowerOfTwo()
    {
        const Grid& g = grid("nf4-g64");
        const auto levels = g.levels();
        std::vector<float> weights{1.0F};
        for (std::size_t i = 0; i + 1 < levels.size(); ++i)
            weights.push_back(static_cast<float>((levels[i] + levels[i + 1]) / 2));
        const auto values = roundTrip(g, weights);
        QCOMPARE(values[0], 1.0F);
        for (std::size_t i = 1; i < weights.size(); ++i) {
            // A middle is a float here, or has been rounded by less than 2^-25 to either side.
            const auto lower = static_cast<float>(levels[i - 1]);
            const auto upper = static_cast<float>(levels[i]);
            const double middle = (levels[i - 1] + levels[i]) / 2;
            QCOMPARE(values[i], double{weights[i]} <= middle ? lower : upper);
        }
    }

    /// methods-grid §9.6: one scale for 40,000 normals, best scale by search.
    void bestScalesOnANormalSampleAreThePublishedOnes_data()
    {
        QTest::addColumn<int>("kind");
        QTest::addColumn<int>("bits");
        QTest::addColumn<double>("error");
        QTest::newRow("NF4") << 0 << 4 << 0.009810;
        QTest::newRow("NF3") << 0 << 3 << 0.040997;
        QTest::newRow("INT4 -7...7") << 1 << 4 << 0.012904;
    }
    void bestScalesOnANormalSampleAreThePublishedOnes()
    {
        QFETCH(int, kind);
        QFETCH(int, bits);
        QFETCH(double, error);
        const auto sample = gaussian(40000, 99, 1.0);
        const auto g = kind == 0 ? makeNormalFloat(bits, 0, false) : makeIntGroup({bits, 0, false, ScaleType::F64});
        const Metric plain;
        const auto solution
            = findSolver("clip-search")->solve({.weights = sample, .rows = 1, .cols = 40000, .grid = g.get(), .metric = &plain}, {});
        QVERIFY(solution);
        std::vector<float> values(sample.size());
        g->decode(solution->quantized.codes, 1, 40000, values);
        const double found = relativeError(sample, values);
        // Printed to five digits there, with the best scale; our last step is 1/160 of the range.
        QVERIFY2(std::abs(found / error - 1) < 2e-3, qPrintable(QString::number(found, 'g', 8)));
        QVERIFY(relativeError(sample, roundTrip(*g, sample)) > 1.1 * found);
    }

    void codedScalesLoseLittle()
    {
        const auto weights = gaussian(64 * 600);  // three runs of 256 groups, the last one short
        const double plain = relativeError(weights, roundTrip(grid("nf4-g64"), weights));
        const double coded8 = relativeError(weights, roundTrip(grid("nf4-g64-dq"), weights));
        QVERIFY2(coded8 < 1.01 * plain, qPrintable(QString::number(coded8 / plain)));
        QVERIFY(coded8 != plain);
        QCOMPARE(grid("nf4-g64-dq").rowBytes(64 * 600), std::size_t{3 * 4 + 600 + 32 * 600});
    }

    void aSmallGroupBesideALargeOneIsNotLost()
    {
        std::vector<float> weights(128, 0.0F);
        weights[0] = 1000;
        weights[64] = 0.25F;  // 1/4000 of the largest: rounds to 0 of 255, kept at 1
        const auto values = roundTrip(grid("nf4-g64-dq"), weights);
        QCOMPARE(values[0], 1000.0F);
        QVERIFY(std::abs(values[64]) < 0.5F);
        const auto scales = grid("nf4-g64-dq").groupScales(coded(grid("nf4-g64-dq"), weights), 1, 128);
        QCOMPARE(scales[1].scale, static_cast<float>(1000.0 / 255));
    }
};

QTEST_APPLESS_MAIN(ResearchGridsTest)
#include "tst_research_grids.moc"
