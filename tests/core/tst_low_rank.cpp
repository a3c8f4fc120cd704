// SPDX-License-Identifier: GPL-3.0-or-later
// The closed form of a low-rank correction: C1-C11 of methods-lowrank §13, and its edge cases.

#include "core/lowrank/ExactLowRank.h"
#include "core/lowrank/LowRank.h"
#include "core/lowrank/Spectrum.h"
#include "core/tensor/Blas.h"
#include "tests/golden/LowRankGolden.h"

#include <QTest>

#include <numeric>

using namespace sigmascope;
using namespace sigmascope::golden;

namespace {

/// int3, groups of 64, of the heavy-tailed matrix, with the RMS scale of the activations.
struct Case {
    MatrixD e;
    std::vector<double> s;
    MatrixD g;
};

const Case& heavy()
{
    static const Case value = [] {
        const MatrixD w = heavyWeights();
        const MatrixD x = activations();
        return Case{w - integerSymmetric(w, 3, 64), rmsScale(x), gram(x)};
    }();
    return value;
}

double tailAfter(const std::vector<double>& squares, std::size_t rank)
{
    double sum = 0;
    for (std::size_t i = squares.size(); i-- > rank;)
        sum += squares[i];
    return sum;
}

MatrixD product(const ExactCorrection& correction)
{
    return correction.left * correction.right;
}

MatrixD product(const LowRankCorrection& correction)
{
    return correction.left.cast<double>() * correction.right.cast<double>();
}

MatrixD exact(const MatrixD& e, std::span<const double> scale, std::size_t rank)
{
    return product(lowRankExact(e, scale, rank).value());
}

double largest(const MatrixD& matrix)
{
    return matrix.cwiseAbs().maxCoeff();
}

/// A matrix as the float interface wants it.
struct FloatCase {
    FloatCase(const MatrixD& e, std::span<const double> scale)
        : values(toFloat(e))
        , s(toFloat(scale))
        , rows(static_cast<std::size_t>(e.rows()))
        , cols(static_cast<std::size_t>(e.cols()))
    {
    }
    [[nodiscard]] ScaledMatrix view() const { return {values, rows, cols, s}; }

    std::vector<float> values, s;
    std::size_t rows, cols;
};

/// Textbook: SVD of E S through the other side's eigenvectors, then division by s.
MatrixD textbook(const MatrixD& e, const MatrixD& factor, const MatrixD& inverseFactor, std::size_t rank)
{
    const MatrixD a = e * factor;
    MatrixD v = a.transpose() * a;
    const auto n = static_cast<std::size_t>(v.rows());
    std::vector<double> values(n);
    if (!blas::symmetricEigen(n, v.data(), n, values, true))
        return {};
    const MatrixD leading = v.rightCols(static_cast<Eigen::Index>(rank));
    return (a * leading) * (leading.transpose() * inverseFactor);
}

}  // namespace

class LowRankClosedForm : public QObject {
    Q_OBJECT

private slots:
    void c1ErrorLeftIsTheTailEnergyInDouble();
    void c1ErrorLeftIsTheTailEnergyInFloat();
    void c2InverseFreeFormEqualsTheTextbook();
    void c3WeightedErrorNeverGrowsWithRankAndVanishesAtFullRank();
    void c4NoOtherCorrectionOfTheRankIsBetter();
    void c5MetricScaleDoesNotMatterAndAConstantOneIsPlain();
    void c6DeadChannelsAreHarmless();
    void c7RankDeficientGramIsHarmless();
    void c8ErrorOfExactRankIsRemovedWhole();
    void c9PermutationsAndTranspositionCommute();
    void c10LeftFactorIsOrthonormal();
    void c11DiagonalGramGivesTheDiagonalSolution();
    void largestEntryOfEachLeftColumnIsPositive();
    void zeroResidualHasRankZero();
    void rankIsClampedToTheShortSide();
    void singleRowAndSingleColumnAreExact();
    void tinyAndHugeMagnitudesKeepTheirShape();
    void nonFiniteInputIsRefusedByPosition();
};

void LowRankClosedForm::c1ErrorLeftIsTheTailEnergyInDouble()
{
    const Case& c = heavy();
    for (const std::size_t rank : {0, 1, 4, 8, 40, 80}) {
        for (const std::vector<double>& s : {std::vector<double>(), c.s}) {
            const auto found = lowRankExact(c.e, s, rank);
            QVERIFY(found);
            const double tail = tailAfter(found->squares, rank);
            QVERIFY(std::abs(error(c.e - product(*found), s) - tail) <= 1e-10 * tail);
        }
        const auto found = lowRankGram(c.e, c.g, rank);
        QVERIFY(found);
        const double tail = tailAfter(found->squares, rank);
        QVERIFY(std::abs(gramError(c.e - product(*found), c.g) - tail) <= 1e-10 * tail);
    }
}

void LowRankClosedForm::c1ErrorLeftIsTheTailEnergyInFloat()
{
    const Case& c = heavy();
    for (const std::vector<double>& s : {std::vector<double>(), c.s}) {
        const FloatCase f(c.e, s);
        const auto spectrum = fullSpectrum(f.view());
        QVERIFY(spectrum);
        for (const std::size_t rank : {0, 1, 4, 8, 40}) {
            const auto found = lowRank(f.view(), rank, {});
            QVERIFY(found);
            double tail = spectrum->totalEnergy;
            for (std::size_t i = 0; i < rank; ++i)
                tail -= spectrum->values[i] * spectrum->values[i];
            const double left = error(c.e - product(*found), s);
            QVERIFY(std::abs(left - tail) <= 1e-5 * tail);
            QVERIFY(std::abs(found->tail - tail) <= 1e-5 * tail);
        }
    }
}

void LowRankClosedForm::c2InverseFreeFormEqualsTheTextbook()
{
    const Case& c = heavy();
    const MatrixD s = Eigen::Map<const VectorD>(c.s.data(), kCols).asDiagonal();
    const MatrixD inverse = s.diagonal().cwiseInverse().asDiagonal();
    QVERIFY(largest(exact(c.e, c.s, 8) - textbook(c.e, s, inverse, 8)) < 1e-9);

    MatrixD p = c.g;
    std::vector<double> lambda(kCols);
    QVERIFY(blas::symmetricEigen(kCols, p.data(), kCols, lambda, true));
    QVERIFY(lambda.front() > 0);
    const VectorD root = Eigen::Map<const VectorD>(lambda.data(), kCols).cwiseSqrt();
    const MatrixD factor = p * root.asDiagonal() * p.transpose();
    const MatrixD inverseFactor = p * root.cwiseInverse().asDiagonal() * p.transpose();
    QVERIFY(largest(product(lowRankGram(c.e, c.g, 8).value()) - textbook(c.e, factor, inverseFactor, 8)) < 1e-9);
}

void LowRankClosedForm::c3WeightedErrorNeverGrowsWithRankAndVanishesAtFullRank()
{
    const Case& c = heavy();
    const FloatCase f(c.e, c.s);
    double before = error(c.e, c.s);
    const double total = before;
    for (std::size_t rank = 1; rank <= static_cast<std::size_t>(kRows); ++rank) {
        const auto found = lowRank(f.view(), rank, {});
        QVERIFY(found);
        const double left = error(c.e - product(*found), c.s);
        QVERIFY2(left <= before + 1e-12 * total, qPrintable(QString("rank %1").arg(rank)));
        before = left;
    }
    QVERIFY(before < 1e-12 * total);
    QVERIFY(error(c.e - exact(c.e, c.s, kRows), c.s) < 1e-24 * total);
    QVERIFY(gramError(c.e - product(lowRankGram(c.e, c.g, kRows).value()), c.g) < 1e-24 * gramError(c.e, c.g));
}

void LowRankClosedForm::c4NoOtherCorrectionOfTheRankIsBetter()
{
    const Case& c = heavy();
    constexpr Eigen::Index kRank = 8;
    const auto best = lowRankExact(c.e, c.s, kRank).value();
    const double bestError = error(c.e - product(best), c.s);
    const MatrixD plain = exact(c.e, {}, kRank);
    QVERIFY(bestError < error(c.e - plain, c.s));
    QVERIFY(error(c.e - plain) < error(c.e - product(best)));
    for (std::uint64_t i = 0; i < 100; ++i) {
        const double size = std::exp2(-static_cast<double>(i % 20));
        const MatrixD left = best.left + size * gauss(1000 + i, kRows, kRank);
        const MatrixD right = best.right + size * gauss(2000 + i, kRank, kCols);
        QVERIFY(error(c.e - left * right, c.s) >= bestError);
        QVERIFY(error(c.e - gauss(3000 + i, kRows, kRank, 0.1) * gauss(4000 + i, kRank, kCols, 0.1), c.s) > bestError);
    }
}

void LowRankClosedForm::c5MetricScaleDoesNotMatterAndAConstantOneIsPlain()
{
    const Case& c = heavy();
    std::vector<double> larger = c.s;
    for (double& value : larger)
        value *= 7.3;
    QVERIFY(largest(exact(c.e, c.s, 8) - exact(c.e, larger, 8)) < 1e-12);
    QVERIFY(largest(product(lowRankGram(c.e, c.g, 8).value()) - product(lowRankGram(c.e, 7.3 * c.g, 8).value()))
            < 1e-12);
    const std::vector<double> constant(kCols, 0.25);
    QVERIFY(largest(exact(c.e, constant, 8) - exact(c.e, {}, 8)) < 1e-12);
    const FloatCase plain(c.e, {});
    const FloatCase flat(c.e, constant);
    QVERIFY(largest(product(lowRank(plain.view(), 8, {}).value()) - product(lowRank(flat.view(), 8, {}).value()))
            < 1e-6);
}

void LowRankClosedForm::c6DeadChannelsAreHarmless()
{
    const Case& c = heavy();
    std::vector<double> s = c.s;
    SplitMix64 random(77);
    int dead = 0;
    for (double& value : s)
        if (random.uniform() < 0.1) {
            value = 0;
            ++dead;
        }
    QVERIFY(dead > 3);
    const auto found = lowRank(FloatCase(c.e, s).view(), 8, {});
    QVERIFY(found);
    const MatrixD residual = c.e - product(*found);
    QVERIFY(residual.allFinite());
    const double tail = tailAfter(lowRankExact(c.e, s, 8)->squares, 8);
    QVERIFY(std::abs(error(residual, s) - tail) <= 1e-5 * tail);
    for (Eigen::Index j = 0; j < kCols; ++j)
        if (s[static_cast<std::size_t>(j)] == 0)
            QVERIFY(residual.col(j).norm() <= c.e.col(j).norm() * (1 + 1e-6));

    // Golden: column 9 alone is dead.
    std::vector<double> one = c.s;
    one[9] = 0;
    const MatrixD left = c.e - exact(c.e, one, 8);
    QVERIFY(std::abs(error(left, one) / error(c.e, one) - .34575971) < 1e-8);
    QVERIFY(std::abs(left.col(9).norm() / c.e.col(9).norm() - .9371) < 5e-5);
}

void LowRankClosedForm::c7RankDeficientGramIsHarmless()
{
    const Case& c = heavy();
    const MatrixD channel = gauss(202, 1, kCols).array().exp().matrix();
    MatrixD x = gauss(211, 40, kCols);
    x.array().rowwise() *= channel.row(0).array();
    const MatrixD g = x.transpose() * x / 40.0;
    const double whole = gramError(c.e, g);
    const auto found = lowRankGram(c.e, g, 8).value();
    QVERIFY(found.left.allFinite() && found.right.allFinite());
    const double share = gramError(c.e - product(found), g) / whole;
    QVERIFY(std::abs(share - .28115819) < 1e-8);
    QVERIFY(std::abs(share - tailAfter(found.squares, 8) / whole) < 1e-10);
    for (const std::size_t rank : {40, 41, 60})
        QVERIFY(std::abs(gramError(c.e - product(lowRankGram(c.e, g, rank).value()), g)) < 1e-14 * whole);
}

void LowRankClosedForm::c8ErrorOfExactRankIsRemovedWhole()
{
    const Case& c = heavy();
    const MatrixD e = gauss(501, kRows, 5) * gauss(502, 5, kCols, 0.01);
    for (const std::size_t rank : {5, 6, 20}) {
        QVERIFY(error(e - exact(e, c.s, rank), c.s) < 1e-12 * error(e, c.s));
        const auto found = lowRank(FloatCase(e, c.s).view(), rank, {});
        QVERIFY(found);
        QVERIFY(error(e - product(*found), c.s) < 1e-12 * error(e, c.s));
        const double first = static_cast<double>(found->right.row(0).norm());
        for (std::size_t i = 5; i < rank; ++i)  // ranks past the fifth carry rounding only
            QVERIFY(static_cast<double>(found->right.row(static_cast<Eigen::Index>(i)).norm()) < 1e-5 * first);
    }
    QVERIFY(error(e - exact(e, c.s, 4), c.s) > 1e-4 * error(e, c.s));
}

void LowRankClosedForm::c9PermutationsAndTranspositionCommute()
{
    const Case& c = heavy();
    MatrixD rowsTurned(kRows, kCols);
    MatrixD colsTurned(kRows, kCols);
    std::vector<double> turnedScale(kCols);
    const MatrixD c8 = exact(c.e, c.s, 8);
    for (Eigen::Index i = 0; i < kRows; ++i)
        rowsTurned.row(i) = c.e.row((i * 31 + 7) % kRows);
    for (Eigen::Index j = 0; j < kCols; ++j) {
        colsTurned.col(j) = c.e.col((j * 37 + 5) % kCols);
        turnedScale[static_cast<std::size_t>(j)] = c.s[static_cast<std::size_t>((j * 37 + 5) % kCols)];
    }
    const MatrixD byRows = exact(rowsTurned, c.s, 8);
    const MatrixD byCols = exact(colsTurned, turnedScale, 8);
    for (Eigen::Index i = 0; i < kRows; ++i)
        QVERIFY((byRows.row(i) - c8.row((i * 31 + 7) % kRows)).cwiseAbs().maxCoeff() < 1e-12);
    for (Eigen::Index j = 0; j < kCols; ++j)
        QVERIFY((byCols.col(j) - c8.col((j * 37 + 5) % kCols)).cwiseAbs().maxCoeff() < 1e-12);

    const MatrixD turned = c.e.transpose();
    QVERIFY(largest(exact(turned, {}, 8).transpose() - exact(c.e, {}, 8)) < 1e-12);
    // In float the short side is the columns here: the other route to the same correction.
    QVERIFY(
        largest(MatrixD(product(lowRank(FloatCase(turned, {}).view(), 8, {}).value()).transpose()) - exact(c.e, {}, 8))
        < 1e-6);
}

void LowRankClosedForm::c10LeftFactorIsOrthonormal()
{
    const Case& c = heavy();
    const std::vector<float> wide = wideError(640, 1376);
    const std::vector<float> scale = wideScale(1376);
    const auto check = [](const ScaledMatrix& matrix, std::size_t rank) {
        const auto found = lowRank(matrix, rank, {});
        if (!found || found->rank() != rank)
            return false;
        const MatrixD left = found->left.cast<double>();
        const auto side = static_cast<Eigen::Index>(rank);
        return largest(left.transpose() * left - MatrixD::Identity(side, side)) < 1e-5;
    };
    QVERIFY(check(FloatCase(c.e, c.s).view(), 8));
    QVERIFY(check(FloatCase(c.e, c.s).view(), kRows));
    QVERIFY(check(FloatCase(c.e.transpose(), {}).view(), 60));
    QVERIFY(check({wide, 640, 1376, scale}, 32));
    QVERIFY(check({wide, 640, 1376, {}}, 200));
    QVERIFY(check({wide, 1376, 640, {}}, 32));
}

void LowRankClosedForm::c11DiagonalGramGivesTheDiagonalSolution()
{
    const Case& c = heavy();
    MatrixD g = MatrixD::Zero(kCols, kCols);
    for (Eigen::Index j = 0; j < kCols; ++j)
        g(j, j) = c.s[static_cast<std::size_t>(j)] * c.s[static_cast<std::size_t>(j)];
    const MatrixD byGram = product(lowRankGram(c.e, g, 8).value());
    QVERIFY(largest(byGram - exact(c.e, c.s, 8)) < 1e-12);
    QVERIFY(largest(byGram - product(lowRank(FloatCase(c.e, c.s).view(), 8, {}).value())) < 1e-5);
}

void LowRankClosedForm::largestEntryOfEachLeftColumnIsPositive()
{
    const auto found = lowRank(FloatCase(heavy().e, heavy().s).view(), 24, {});
    QVERIFY(found);
    for (Eigen::Index i = 0; i < 24; ++i) {
        Eigen::Index row = 0;
        found->left.col(i).cwiseAbs().maxCoeff(&row);
        QVERIFY(found->left(row, i) > 0);
    }
}

void LowRankClosedForm::zeroResidualHasRankZero()
{
    const std::vector<float> zeros(12, 0.0F);
    const auto found = lowRank({zeros, 3, 4, {}}, 2, {});
    QVERIFY(found);
    QCOMPARE(found->rank(), std::size_t(0));
    QCOMPARE(found->left.rows(), Eigen::Index(3));
    QCOMPARE(found->right.cols(), Eigen::Index(4));
    QCOMPARE(found->total, 0.0);
    // A scale that silences every nonzero column is the same.
    const std::vector<float> oneColumn{1, 0, 2, 0};
    const std::vector<float> silent{0, 1};
    QCOMPARE(lowRank({oneColumn, 2, 2, silent}, 1, {})->rank(), std::size_t(0));
}

void LowRankClosedForm::rankIsClampedToTheShortSide()
{
    const auto found = lowRank(FloatCase(heavy().e, heavy().s).view(), 1000, {});
    QVERIFY(found);
    QCOMPARE(found->rank(), static_cast<std::size_t>(kRows));
    QVERIFY(found->tail <= 1e-12 * found->total + 1e-6 * found->total);
    QCOMPARE(found->captured + found->tail, found->total);
}

void LowRankClosedForm::singleRowAndSingleColumnAreExact()
{
    std::vector<float> line(37);
    std::iota(line.begin(), line.end(), -5.0F);
    for (const bool asRow : {true, false}) {
        const ScaledMatrix matrix{line, asRow ? std::size_t(1) : line.size(), asRow ? line.size() : std::size_t(1), {}};
        const auto found = lowRank(matrix, 3, {});
        QVERIFY(found);
        QCOMPARE(found->rank(), std::size_t(1));
        const MatrixF back = found->left * found->right;
        for (std::size_t i = 0; i < line.size(); ++i)
            QVERIFY(std::abs(back.data()[i] - line[i]) < 1e-4F);
    }
}

void LowRankClosedForm::tinyAndHugeMagnitudesKeepTheirShape()
{
    // Powers of two, so that only range and never rounding can differ.
    const std::vector<float> wide = wideError(640, 704);
    const auto shareCaptured = [&](int exponent) {
        std::vector<float> values = wide;
        for (float& value : values)
            value = std::ldexp(value, exponent);
        const auto found = lowRank({values, 640, 704, {}}, 8, {});
        return found ? found->captured / found->total : -1.0;
    };
    const double share = shareCaptured(0);
    QVERIFY(share > 0);
    QVERIFY(std::abs(shareCaptured(-70) - share) < 1e-6);
    QVERIFY(std::abs(shareCaptured(90) - share) < 1e-6);
}

void LowRankClosedForm::nonFiniteInputIsRefusedByPosition()
{
    std::vector<float> values(12, 1.0F);
    values[7] = std::numeric_limits<float>::quiet_NaN();
    const auto found = lowRank({values, 3, 4, {}}, 1, {});
    QVERIFY(!found);
    QCOMPARE(found.error().code, ErrorCode::NonFinite);
    QVERIFY(found.error().detail.find("row 1, column 3") != std::string::npos);

    const std::vector<float> good(12, 1.0F);
    const std::vector<float> scale{1, 1, -1, 1};
    const auto negative = lowRank({good, 3, 4, scale}, 1, {});
    QVERIFY(!negative);
    QVERIFY(negative.error().detail.find("column 2") != std::string::npos);
}

QTEST_APPLESS_MAIN(LowRankClosedForm)
#include "tst_low_rank.moc"
