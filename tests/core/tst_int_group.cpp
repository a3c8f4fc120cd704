// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/grid/Grid.h"

#include <QTest>

#include <cmath>
#include <cstring>
#include <limits>
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

std::vector<std::byte> coded(const Grid& g, const std::vector<float>& weights, std::uint64_t rows)
{
    const std::uint64_t cols = weights.size() / rows;
    std::vector<std::byte> out(rows * g.rowBytes(cols));
    const Status done = g.encode(weights, rows, cols, out);
    if (!done)
        qFatal("%s", done.error().detail.c_str());
    return out;
}

std::vector<float> roundTrip(const Grid& g, const std::vector<float>& weights, std::uint64_t rows)
{
    const auto codes = coded(g, weights, rows);
    std::vector<float> values(weights.size());
    g.decode(codes, rows, weights.size() / rows, values);
    return values;
}

void compareValues(const std::vector<float>& found, const std::vector<double>& expected, double tolerance)
{
    QCOMPARE(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        QVERIFY2(std::abs(found[i] - expected[i]) <= tolerance,
                 qPrintable(QStringLiteral("element %1: %2, expected %3").arg(i).arg(found[i]).arg(expected[i])));
}

double residualEnergy(const std::vector<double>& weights, std::string_view gridId, std::uint64_t rows)
{
    const std::vector<float> stored(weights.begin(), weights.end());
    const auto values = roundTrip(grid(gridId), stored, rows);
    double sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i)
        sum += (weights[i] - values[i]) * (weights[i] - values[i]);
    return sum;
}

}  // namespace

class IntGroupTest : public QObject {
    Q_OBJECT

private slots:
    void symmetricCodesAreThoseOfTheReference();
    void asymmetricRangeIncludesZero();
    void tinyMatrixIsQuantizedAsByHand();
    void residualsOfTheGoldenMatricesHold_data();
    void residualsOfTheGoldenMatricesHold();
    void tiesGoToEven();
    void scaleIsRoundedBeforeCodesAreChosen();
    void rowIsScalesThenZeroPointsThenCodes();
    void lastGroupOfARowMayBeShort();
    void scaleOutsideF16IsAnErrorOfF16Only();
    void scaleBelowF16TakesTheSmallestOne();
    void largestFloatsDecodeToFiniteValues();
};

/// The reference's own example (golden.txt, section B).
void IntGroupTest::symmetricCodesAreThoseOfTheReference()
{
    const std::vector<float> v{0.9F, 0.5F, 0.3F, -0.26F, 0.06F, -0.85F, 0.0F, 0.13F};
    const double s = 0.9 / 7;
    compareValues(roundTrip(grid("int4-row-f64"), v, 1), {0.9, 4 * s, 2 * s, -2 * s, 0, -0.9, 0, s}, 1e-7);
    compareValues(roundTrip(grid("int2-row-f64"), v, 1), {0.9, 0.9, 0, 0, 0, -0.9, 0, 0}, 1e-7);
}

void IntGroupTest::asymmetricRangeIncludesZero()
{
    const std::vector<float> v{0.9F, 0.5F, 0.3F, -0.26F, 0.06F, -0.85F, 0.0F, 0.13F};
    compareValues(roundTrip(grid("int4-row-asym-f64"), v, 1),
                  {0.9333333, 0.4666667, 0.35, -0.2333333, 0.1166667, -0.8166667, 0, 0.1166667}, 1e-6);
    // All above zero: the range still starts at 0, so that 0 stays a code.
    const auto scales = grid("int4-row-asym-f64").groupScales(coded(grid("int4-row-asym-f64"), {3.0F, 6.0F}, 1), 1, 2);
    QCOMPARE(scales.size(), std::size_t(1));
    QCOMPARE(scales[0].scale, 0.4F);
    QCOMPARE(scales[0].offset, 0.0F);
}

/// methods-lowrank §14, the hand-checkable case.
void IntGroupTest::tinyMatrixIsQuantizedAsByHand()
{
    const std::vector<double> tenths{10, -3, 7, 2, -8, 5, 1, -6, 4, 9, -2, -7, 3, -1, 8, 6,
                                     -5, 2, 6, 10, -4, 7, -9, 3, 1, -8, 5, -2, 9, -6, 4, 7};
    const std::vector<double> errors{0, -3, -3, 2, 2, 5, 1, 4, 4, 0, -2, 2, 3, -1, -1, -3,
                                     -5, 2, -4, 0, -4, -3, 1, 3, 1, 1, -4, -2, 0, 3, 4, -2};
    std::vector<float> weights;
    for (const double w : tenths)
        weights.push_back(static_cast<float>(w / 10));
    const auto values = roundTrip(grid("int2-row-f64"), weights, 4);
    for (std::size_t i = 0; i < tenths.size(); ++i) {
        // ±.45 of a scale of .9 and ±.5 of 1 are ties whose float neighbours decide: only those may differ.
        const double found = 10.0 * (static_cast<double>(weights[i]) - values[i]);
        if (std::abs(std::abs(errors[i]) - 5) > 1e-9)
            QVERIFY2(std::abs(found - errors[i]) < 1e-5, qPrintable(QString::number(static_cast<int>(i))));
        else
            QVERIFY(std::abs(std::abs(found) - 5) < 1e-5);
    }
}

void IntGroupTest::residualsOfTheGoldenMatricesHold_data()
{
    QTest::addColumn<int>("matrix");
    QTest::addColumn<double>("energy");
    QTest::newRow("WG") << 0 << .315885316;
    QTest::newRow("WH") << 1 << 2.86078881;
    QTest::newRow("WL") << 2 << 5.16917668;
}

void IntGroupTest::residualsOfTheGoldenMatricesHold()
{
    QFETCH(int, matrix);
    QFETCH(double, energy);
    constexpr std::size_t m = 96;
    constexpr std::size_t n = 128;
    std::vector<double> w(m * n);
    if (matrix == 0) {
        fillNormal<double>(101, w, .02);
    } else if (matrix == 1) {
        std::vector<double> spread(m * n);
        fillNormal<double>(102, w, .02);
        fillNormal<double>(103, spread);
        for (std::size_t i = 0; i < w.size(); ++i) {
            const std::size_t column = i % n;
            const bool heavy = column == 5 || column == 37 || column == 64 || column == 101;
            w[i] *= std::exp(.6 * spread[i]) * (heavy ? 6 : 1);
        }
    } else {
        std::vector<double> left(m * 3), right(3 * n);
        fillNormal<double>(104, w, .02);
        fillNormal<double>(105, left);
        fillNormal<double>(106, right);
        for (std::size_t i = 0; i < m; ++i) {
            for (std::size_t j = 0; j < n; ++j) {
                for (std::size_t k = 0; k < 3; ++k)
                    w[i * n + j] += .08 * left[i * 3 + k] * right[k * n + j] / std::sqrt(3.0);
            }
        }
    }
    const double found = residualEnergy(w, "int3-g64-f64", m);
    // 1e-6: weights pass through float once (6e-8 each), and the printed golden has nine digits.
    QVERIFY2(std::abs(found - energy) <= 1e-6 * energy, qPrintable(QString::number(found, 'g', 12)));
}

void IntGroupTest::tiesGoToEven()
{
    compareValues(roundTrip(grid("int4-row"), {7.0F, 2.5F, 3.5F, -2.5F, -3.5F, 0.5F, -0.5F}, 1), {7, 2, 4, -2, -4, 0, 0}, 0);
}

void IntGroupTest::scaleIsRoundedBeforeCodesAreChosen()
{
    // 0.1 / 7 rounds down to f16: what was 2.49995 steps is 2.5006 steps of the scale that a reader will see.
    const std::vector<float> v{0.1F, static_cast<float>(2.49995 * 0.1 / 7)};
    const float scale = f16ToFloat(floatToF16(0.1F / 7));
    QCOMPARE(roundTrip(grid("int4-row"), v, 1)[1], 3 * scale);
    QVERIFY(std::abs(roundTrip(grid("int4-row-f64"), v, 1)[1] - 2 * 0.1 / 7) < 1e-8);
}

void IntGroupTest::rowIsScalesThenZeroPointsThenCodes()
{
    // 33 columns in groups of 32: two f16 scales, two 4-bit zero points in one byte, 33 nibbles in 17 bytes.
    const Grid& g = grid("int4-g32-asym");
    QCOMPARE(g.rowBytes(33), std::size_t(2 * 2 + 1 + 17));
    std::vector<float> row(33, 0.0F);
    row[0] = -5;
    row[1] = 10;   // group 0: scale 1, zero point 5
    row[32] = 30;  // group 1: scale 2, zero point 0
    const auto bytes = coded(g, row, 1);
    std::uint16_t scales[2];
    std::memcpy(scales, bytes.data(), sizeof scales);
    QCOMPARE(f16ToFloat(scales[0]), 1.0F);
    QCOMPARE(f16ToFloat(scales[1]), 2.0F);
    QCOMPARE(bytes[4], std::byte{0x05});
    QCOMPARE(bytes[5], std::byte{0xF0});  // codes 0 and 15
    QCOMPARE(bytes[6], std::byte{0x55});  // zeros are the zero point
    QCOMPARE(bytes[21], std::byte{0x0F}); // code 15, then fill
    const auto groups = g.groupScales(bytes, 1, 33);
    QCOMPARE(groups.size(), std::size_t(2));
    QCOMPARE(groups[0].offset, -5.0F);
    QCOMPARE(groups[1].offset, 0.0F);

    const Grid& wide = grid("int8-row-f64");
    QCOMPARE(wide.rowBytes(33), std::size_t(8 + 33));
    QCOMPARE(grid("int3-g128-f32").rowBytes(300), std::size_t(3 * 4 + (300 * 3 + 7) / 8));
}

void IntGroupTest::lastGroupOfARowMayBeShort()
{
    std::vector<float> row(70, 0.25F);
    for (std::size_t i = 64; i < row.size(); ++i)
        row[i] = 100;  // its own scale: the first 64 keep theirs
    const auto values = roundTrip(grid("int8-g64-f32"), row, 1);
    QVERIFY(std::abs(values[0] - 0.25F) < 1e-6F);
    QVERIFY(std::abs(values[69] - 100.0F) < 1e-4F);
}

void IntGroupTest::scaleOutsideF16IsAnErrorOfF16Only()
{
    std::vector<float> weights(2 * 64, 1.0F);
    weights[64 + 40] = 1e6F;  // / 7 = 142857: no f16
    std::vector<std::byte> out(2 * grid("int4-g32").rowBytes(64));
    const Status done = grid("int4-g32").encode(weights, 2, 64, out);
    QVERIFY(!done);
    QCOMPARE(done.error().code, ErrorCode::ScaleOutOfRange);
    QVERIFY2(done.error().detail.find("row 1, column 32") != std::string::npos, done.error().detail.c_str());
    QVERIFY(std::abs(roundTrip(grid("int4-g32-f32"), weights, 2)[64 + 40] - 1e6F) < 1);

    // The border: 65519 rounds down to 65504, 65520 up to infinity.
    const std::vector<float> fits{7 * 65519.0F};
    const std::vector<float> over{7 * 65520.0F};
    std::vector<std::byte> one(grid("int4-row").rowBytes(1));
    QVERIFY(grid("int4-row").encode(fits, 1, 1, one));
    QVERIFY(!grid("int4-row").encode(over, 1, 1, one));
}

void IntGroupTest::scaleBelowF16TakesTheSmallestOne()
{
    const float tiny = 0x1.0p-24F;
    // 2^-25 / 7 would round to a scale of 0 and lose everything; so does nothing above half the smallest step.
    compareValues(roundTrip(grid("int4-row"), {1.5F * tiny, -tiny, 0.25F * tiny}, 1), {2 * tiny, -tiny, 0}, 0);
    compareValues(roundTrip(grid("int4-row"), {0.25F * tiny}, 1), {0}, 0);
}

void IntGroupTest::largestFloatsDecodeToFiniteValues()
{
    constexpr float kMax = std::numeric_limits<float>::max();
    for (const char* id : {"int2-row-f32", "int4-g32-f32", "int7-g32-asym-f32", "int8-row-f64", "int8-g128-asym-f64"}) {
        const auto values = roundTrip(grid(id), {kMax, -kMax, kMax / 3, 0.0F}, 1);
        for (const float value : values)
            QVERIFY2(std::isfinite(value), id);
        QVERIFY2(std::abs(values[0] / kMax - 1) < 0.3, id);
    }
}

QTEST_APPLESS_MAIN(IntGroupTest)
#include "tst_int_group.moc"
