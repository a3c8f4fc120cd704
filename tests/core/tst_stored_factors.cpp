// SPDX-License-Identifier: GPL-3.0-or-later
// How factors are stored, the error measured after that, and the two ways of counting bits (A1).

#include "core/lowrank/LowRank.h"
#include "tests/golden/LowRankGolden.h"

#include <QTest>

using namespace sigmascope;
using namespace sigmascope::golden;

namespace {

LowRankCorrection correctionOf(const MatrixF& left, const MatrixF& right)
{
    LowRankCorrection out;
    out.left = left;
    out.right = right;
    return out;
}

LowRankCorrection heavyCorrection(std::size_t rank, const std::vector<float>& scale)
{
    const MatrixD w = heavyWeights();
    const std::vector<float> e = toFloat(w - integerSymmetric(w, 3, 64));
    return lowRank({e, kRows, kCols, scale}, rank, {}).value();
}

}  // namespace

class StoredFactorsTest : public QObject {
    Q_OBJECT

private slots:
    void balancingByPowersOfTwoKeepsTheProductInF32();
    void balancedFactorsMeetInTheMiddle();
    void f16FactorsCostLessThanThePublishedDifference();
    void overflowingF16BecomesBf16();
    void decodedFactorsAreTheStoredOnes();
    void rankZeroStoresNothing();
    void eightBitLosesLittleAndTakesHalf_data();
    void eightBitLosesLittleAndTakesHalf();
    void int8IsOneScalePerRankVector();
    void blocksOfQ8_0NeedMultiplesOf32();
    void vectorsBeyondF16ScalesBecomeZeros();
    void fillingUpAddsZerosInEveryType();
    void errorIsMeasuredByHand();
    void sumsOfSlicesAreThoseOfTheWhole();
    void errorIsMeasuredOnTheRoundedFactors();
    void bitsMatchThePublishedTables_data();
    void bitsMatchThePublishedTables();
};

void StoredFactorsTest::balancingByPowersOfTwoKeepsTheProductInF32()
{
    const auto correction = heavyCorrection(8, {});
    const StoredFactors stored = storeFactors(correction, FactorType::F32);
    const MatrixF before = correction.left * correction.right;
    const MatrixF after = stored.decodedLeft() * stored.decodedRight();
    QCOMPARE(after.rows(), before.rows());
    QCOMPARE((after - before).cwiseAbs().maxCoeff(), 0.0F);
}

void StoredFactorsTest::balancedFactorsMeetInTheMiddle()
{
    // A row of length 2^-20 would sit in F16's subnormals; a factor of 2^-10 goes to either side.
    MatrixF left = MatrixF::Zero(2, 1);
    left(0, 0) = 1;
    MatrixF right = MatrixF::Zero(1, 3);
    right(0, 1) = std::ldexp(1.0F, -20);
    const StoredFactors stored = storeFactors(correctionOf(left, right), FactorType::F16);
    QCOMPARE(stored.type, FactorType::F16);
    QCOMPARE(stored.decodedLeft()(0, 0), std::ldexp(1.0F, -10));
    QCOMPARE(stored.decodedRight()(0, 1), std::ldexp(1.0F, -10));
}

void StoredFactorsTest::f16FactorsCostLessThanThePublishedDifference()
{
    // Methods-lowrank §12.2: .346498 of the weighted error is left, stored as F16 or not.
    const MatrixD w = heavyWeights();
    const MatrixD e = w - integerSymmetric(w, 3, 64);
    const std::vector<double> s = rmsScale(activations());
    const auto correction = heavyCorrection(8, toFloat(s));
    const StoredFactors stored = storeFactors(correction, FactorType::F16);
    const MatrixD left = e - stored.decodedLeft().cast<double>() * stored.decodedRight().cast<double>();
    QVERIFY(std::abs(error(left, s) / error(e, s) - .346498) < 1e-6);
}

void StoredFactorsTest::overflowingF16BecomesBf16()
{
    MatrixF left = MatrixF::Zero(2, 1);
    left(0, 0) = 1;
    MatrixF right = MatrixF::Zero(1, 2);
    right(0, 0) = 1e12F;  // 2^20 on either side: past 65504
    const StoredFactors stored = storeFactors(correctionOf(left, right), FactorType::F16);
    QCOMPARE(stored.type, FactorType::BF16);
    const MatrixF product = stored.decodedLeft() * stored.decodedRight();
    QVERIFY(std::abs(product(0, 0) - 1e12F) < 1e12F / 128);
    right(0, 0) = 1e8F;
    QCOMPARE(storeFactors(correctionOf(left, right), FactorType::F16).type, FactorType::F16);
}

void StoredFactorsTest::decodedFactorsAreTheStoredOnes()
{
    const auto correction = heavyCorrection(5, {});
    for (const FactorType type : {FactorType::F32, FactorType::F16, FactorType::BF16}) {
        const StoredFactors stored = storeFactors(correction, type);
        const std::size_t bytes = type == FactorType::F32 ? 4 : 2;
        QCOMPARE(stored.left.size(), static_cast<std::size_t>(kRows) * 5 * bytes);
        QCOMPARE(stored.right.size(), static_cast<std::size_t>(kCols) * 5 * bytes);
        const double unit = type == FactorType::F32 ? 1e-6 : type == FactorType::F16 ? 1.0 / 2048 : 1.0 / 256;
        const MatrixD before = correction.left.cast<double>() * correction.right.cast<double>();
        const MatrixD after = stored.decodedLeft().cast<double>() * stored.decodedRight().cast<double>();
        QVERIFY((before - after).norm() <= 2 * unit * before.norm());
        QVERIFY(type == FactorType::F32 || (before - after).norm() > 0.01 * unit * before.norm());
    }
}

void StoredFactorsTest::rankZeroStoresNothing()
{
    const StoredFactors stored = storeFactors(correctionOf(MatrixF(3, 0), MatrixF(0, 4)), FactorType::F16);
    QCOMPARE(stored.rank, std::size_t(0));
    QCOMPARE(stored.rows, std::size_t(3));
    QCOMPARE(stored.cols, std::size_t(4));
    QVERIFY(stored.left.empty() && stored.right.empty());
}

void StoredFactorsTest::eightBitLosesLittleAndTakesHalf_data()
{
    QTest::addColumn<int>("type");
    QTest::newRow("Q8_0") << static_cast<int>(FactorType::Q8_0);
    QTest::newRow("I8") << static_cast<int>(FactorType::I8);
}

/// methods-lowrank §12.2: 8 bit costs less than 0.0002 of the weighted error.
void StoredFactorsTest::eightBitLosesLittleAndTakesHalf()
{
    QFETCH(int, type);
    const MatrixD w = heavyWeights();
    const std::vector<float> weights = toFloat(w);
    const std::vector<float> residual = toFloat(w - integerSymmetric(w, 3, 64));
    const auto correction = lowRank({residual, kRows, kCols, {}}, 32, {}).value();
    const StoredFactors wide = storeFactors(correction, FactorType::F32);
    const StoredFactors narrow = storeFactors(correction, static_cast<FactorType>(type));
    const Metric plain;
    const double exact = reconstructionError({weights, kRows, kCols, {}}, {residual, kRows, kCols, {}}, &wide, plain).weightError;
    const double rounded = reconstructionError({weights, kRows, kCols, {}}, {residual, kRows, kCols, {}}, &narrow, plain).weightError;
    QVERIFY2(std::abs(rounded / exact - 1) < 1e-3, qPrintable(QString::number(rounded / exact, 'g', 10)));
    QVERIFY(rounded != exact);
    QCOMPARE(narrow.bytes(), factorBytes(narrow.type, kRows, kCols, 32));
    QVERIFY(narrow.bytes() < 0.54 * static_cast<double>(factorBytes(FactorType::F16, kRows, kCols, 32)));
    QCOMPARE(factorBits(narrow.type), 8);
}

void StoredFactorsTest::int8IsOneScalePerRankVector()
{
    MatrixF left(3, 2);
    left << 1, 0.5F, -0.25F, 0, 0.1F, -2;
    MatrixF right(2, 4);
    right << 1, -1, 0.3F, 0, 0.2F, 0.1F, -0.4F, 0.9F;
    const StoredFactors stored = storeFactors(correctionOf(left, right), FactorType::I8);
    QCOMPARE(stored.left.size(), std::size_t(6));
    QCOMPARE(stored.right.size(), std::size_t(8));
    QCOMPARE(stored.leftScales.size(), std::size_t(4));
    QCOMPARE(stored.rightScales.size(), std::size_t(4));
    QCOMPARE(static_cast<int>(static_cast<std::int8_t>(stored.left[0])), 127);    // 1 of a column of largest 1
    QCOMPARE(static_cast<int>(static_cast<std::int8_t>(stored.left[2])), -32);    // -0.25
    QCOMPARE(static_cast<int>(static_cast<std::int8_t>(stored.left[5])), -127);   // -2 of a column of largest 2
    QCOMPARE(static_cast<int>(static_cast<std::int8_t>(stored.right[1])), -127);
    QCOMPARE(static_cast<int>(static_cast<std::int8_t>(stored.right[7])), 127);
    const MatrixF product = stored.decodedLeft() * stored.decodedRight();
    QVERIFY((product - left * right).cwiseAbs().maxCoeff() < 0.02F);
}

void StoredFactorsTest::blocksOfQ8_0NeedMultiplesOf32()
{
    QVERIFY(canStore(FactorType::Q8_0, 64, 32));
    QVERIFY(!canStore(FactorType::Q8_0, 64, 31));
    QVERIFY(!canStore(FactorType::Q8_0, 100, 32));
    QVERIFY(canStore(FactorType::I8, 100, 7) && canStore(FactorType::F16, 100, 7));
    QCOMPARE(factorBytes(FactorType::Q8_0, 10, 64, 32), std::size_t(10 * 34 + 32 * 68));
    QCOMPARE(factorBytes(FactorType::I8, 10, 64, 7), std::size_t(70 + 448 + 28));
    QCOMPARE(factorBytes(FactorType::F32, 10, 64, 7), std::size_t(4 * 7 * 74));
    QCOMPARE(factorBytes(FactorType::BF16, 10, 64, 0), std::size_t(0));
    // What does not fill blocks is stored in F16, and says so.
    const auto odd = storeFactors(heavyCorrection(7, {}), FactorType::Q8_0);
    QCOMPARE(odd.type, FactorType::F16);
    QCOMPARE(odd.bytes(), factorBytes(FactorType::Q8_0, kRows, kCols, 7));
}

void StoredFactorsTest::vectorsBeyondF16ScalesBecomeZeros()
{
    MatrixF left = MatrixF::Constant(32, 32, 0.5F);
    MatrixF right = MatrixF::Constant(32, 64, 0.25F);
    left.col(3).setConstant(3e30F);
    right.row(3).setConstant(3e30F);
    for (const FactorType type : {FactorType::Q8_0, FactorType::I8}) {
        const StoredFactors stored = storeFactors(correctionOf(left, right), type);
        QVERIFY(stored.decodedLeft().allFinite() && stored.decodedRight().allFinite());
        QCOMPARE(stored.decodedLeft().col(3).cwiseAbs().maxCoeff(), 0.0F);
        QCOMPARE(stored.decodedRight().row(3).cwiseAbs().maxCoeff(), 0.0F);
        QVERIFY(stored.decodedLeft()(0, 2) > 0);
    }
}

void StoredFactorsTest::fillingUpAddsZerosInEveryType()
{
    const auto correction = heavyCorrection(8, {});
    for (const FactorType type : {FactorType::F32, FactorType::F16, FactorType::BF16, FactorType::Q8_0, FactorType::I8}) {
        const StoredFactors stored = storeFactors(correction, type, 32);
        QCOMPARE(stored.rank, std::size_t(32));
        QCOMPARE(stored.bytes(), factorBytes(type, kRows, kCols, 32));
        QCOMPARE(stored.decodedRight().bottomRows(24).cwiseAbs().maxCoeff(), 0.0F);
        if (!canStore(type, kCols, 8))
            continue;
        const StoredFactors bare = storeFactors(correction, type);
        QVERIFY(bare.decodedLeft() == stored.decodedLeft().leftCols(8));
    }
}

void StoredFactorsTest::errorIsMeasuredByHand()
{
    const std::vector<float> w{3, 0, 0, 4};
    const std::vector<float> e{0, 2, 1, 0};
    const ReconstructionError plain = reconstructionError({w, 2, 2, {}}, {e, 2, 2, {}}, nullptr, {});
    QVERIFY(std::abs(plain.weightError - std::sqrt(5.0) / 5.0) < 1e-15);
    QVERIFY(!plain.metricError);

    Metric metric;
    metric.kind = MetricKind::DiagonalRms;
    metric.scale = {2, 1};
    const ReconstructionError weighted = reconstructionError({w, 2, 2, {}}, {e, 2, 2, {}}, nullptr, metric);
    QVERIFY(std::abs(weighted.weightError - plain.weightError) < 1e-15);
    // || E S ||^2 = 2^2 + (1 * 2)^2, || W S ||^2 = (3 * 2)^2 + 4^2
    QVERIFY(std::abs(*weighted.metricError - std::sqrt(8.0 / 52.0)) < 1e-15);

    // L R = [0 2; 0 0] takes the larger entry away.
    MatrixF left(2, 1);
    left << 1, 0;
    MatrixF right(1, 2);
    right << 0, 2;
    const StoredFactors stored = storeFactors(correctionOf(left, right), FactorType::F16);
    const ReconstructionError corrected = reconstructionError({w, 2, 2, {}}, {e, 2, 2, {}}, &stored, metric);
    QVERIFY(std::abs(corrected.weightError - 1.0 / 5.0) < 1e-15);
    QVERIFY(std::abs(*corrected.metricError - std::sqrt(4.0 / 52.0)) < 1e-15);
}

void StoredFactorsTest::sumsOfSlicesAreThoseOfTheWhole()
{
    // 75 columns leave a few behind the last lane; 100 rows end within a tile, and so do the slices.
    constexpr std::size_t kAll = 100, kWide = 75, kSlice = 7;
    std::vector<float> w(kAll * kWide), e(w.size()), scale(kWide);
    fillNormal<float>(1, w);
    fillNormal<float>(2, e, 0.1);
    fillNormal<float>(3, scale);
    Metric weighted;
    weighted.kind = MetricKind::DiagonalRms;
    weighted.scale = scale;
    for (const Metric& metric : {Metric(), weighted}) {
        const ScaledMatrix residual{e, kAll, kWide, metric.scale};
        const auto whole = reconstructionSums({w, kAll, kWide, metric.scale}, residual, nullptr, metric);
        std::vector<ReconstructionSums> parts(kAll);
        for (std::size_t row = 0; row < kAll; row += kSlice) {
            const std::size_t rows = std::min(kSlice, kAll - row);
            rowReconstruction({std::span(w).subspan(row * kWide, rows * kWide), rows, kWide, metric.scale},
                              std::span(e).subspan(row * kWide, rows * kWide), std::span(parts).subspan(row, rows));
        }
        const ReconstructionSums sliced = joined(parts);
        QCOMPARE(sliced.weight, whole.weight);
        QVERIFY(sliced.residual == whole.residual && sliced.scaledWeight == whole.scaledWeight
                && sliced.scaledResidual == whole.scaledResidual);
        double expected = 0;
        for (std::size_t i = 0; i < e.size(); ++i) {
            const double s = metric.isPlain() ? 0.0 : static_cast<double>(scale[i % kWide]);
            expected += (static_cast<double>(e[i]) * s) * (static_cast<double>(e[i]) * s);
        }
        QVERIFY(std::abs(whole.scaledResidual - expected) <= 1e-13 * expected);
    }
}

void StoredFactorsTest::errorIsMeasuredOnTheRoundedFactors()
{
    const MatrixD wd = heavyWeights();
    const MatrixD ed = wd - integerSymmetric(wd, 3, 64);
    const std::vector<float> w = toFloat(wd);
    const std::vector<float> e = toFloat(ed);
    // All of E is corrected: what is left is the rounding of the factors and nothing else.
    const auto correction = heavyCorrection(kRows, {});
    const StoredFactors stored = storeFactors(correction, FactorType::BF16);
    const double found = reconstructionError({w, kRows, kCols, {}}, {e, kRows, kCols, {}}, &stored, {}).weightError;
    const MatrixD left = ed - stored.decodedLeft().cast<double>() * stored.decodedRight().cast<double>();
    QVERIFY(std::abs(found - left.norm() / wd.norm()) < 1e-6 * found);
    QVERIFY(found > 1e-5);  // not the zero that unrounded factors would show
}

void StoredFactorsTest::bitsMatchThePublishedTables_data()
{
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("cols");
    QTest::addColumn<double>("published");
    QTest::addColumn<double>("honest");
    // Methods-lowrank §3.6: W4 and 8-bit factors, 4 exponent bits shared by 16 values, rank 32.
    QTest::newRow("attention 4096 x 4096") << 4096 << 4096 << 4.3115 << 4.3789;
    QTest::newRow("gate, up 11008 x 4096") << 11008 << 4096 << 4.2924 << 4.3384;
    QTest::newRow("down 4096 x 11008") << 4096 << 11008 << 4.2924 << 4.3384;
}

void StoredFactorsTest::bitsMatchThePublishedTables()
{
    QFETCH(int, rows);
    QFETCH(int, cols);
    QFETCH(double, published);
    QFETCH(double, honest);
    const auto m = static_cast<std::size_t>(rows);
    const auto n = static_cast<std::size_t>(cols);
    const double codeBits = 4 + 4.0 / 16;
    const double factorBits = 8 + 4.0 / 16;
    QVERIFY(std::abs(publishedLqerBits(codeBits, factorBits, m, n, 32) - published) < 6e-5);
    QVERIFY(std::abs(honestBits(codeBits, factorBits, m, n, 32) - honest) < 6e-5);
    QCOMPARE(honestBits(codeBits, factorBits, m, n, 0), codeBits);
}

QTEST_APPLESS_MAIN(StoredFactorsTest)
#include "tst_stored_factors.moc"
