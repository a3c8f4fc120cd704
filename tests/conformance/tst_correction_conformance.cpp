// SPDX-License-Identifier: GPL-3.0-or-later
//
// C1 to C11 of methods-lowrank §13 with the error that every registered grid leaves. The golden numbers of one grid, and
// the sizes that are solved otherwise, are in tests/core (tst_low_rank, tst_low_rank_iterated, tst_golden_lowrank).
//
// Metric (core/calibration) holds plain and diagonal statistics; no calibration brings a full Gram yet. Where an item
// speaks of G it is asked of lowRankGram(), the closed form in double, which is what such a metric will be held to.

#include "EveryGrid.h"

#include "core/base/Random.h"
#include "core/lowrank/ExactLowRank.h"
#include "core/lowrank/LowRank.h"
#include "core/tensor/Blas.h"
#include "tests/golden/LowRankGolden.h"

#include <cmath>
#include <map>

using namespace sigmascope;
using namespace sigmascope::test;
using golden::error;
using golden::gauss;
using golden::gram;
using golden::gramError;
using golden::scaled;
using golden::toFloat;

namespace {

constexpr Eigen::Index kRows = 20;
constexpr Eigen::Index kCols = 32;
constexpr std::size_t kRank = 4;

/// Log-normal channels, as activations have them; floats, held as doubles.
const std::vector<double>& channels()
{
    static const std::vector<double> values = [] {
        const MatrixD s = MatrixF(gauss(202, 1, kCols).array().exp().matrix().cast<float>()).cast<double>();
        return std::vector<double>(s.data(), s.data() + kCols);
    }();
    return values;
}

/// Gram of so many tokens whose channels are correlated.
MatrixD gramOf(Eigen::Index tokens)
{
    const MatrixD mix = MatrixD::Identity(kCols, kCols) + 0.5 * gauss(203, kCols, kCols) / std::sqrt(double{kCols});
    return gram(scaled(gauss(201, tokens, kCols) * mix, channels()));
}

const MatrixD& fullGram()
{
    static const MatrixD value = gramOf(160);
    return value;
}

/// W - Q of heavy-tailed weights, the first kCols columns of rows that every grid takes. Floats, held as doubles.
const MatrixD& residualOf(const Grid& grid)
{
    static std::map<std::string, MatrixD> known;
    const auto found = known.find(grid.id());
    if (found != known.end())
        return found->second;
    const MatrixD w
        = (gauss(102, kRows, kEveryCols, 0.02).array() * (0.6 * gauss(103, kRows, kEveryCols).array()).exp()).matrix();
    const std::vector<float> weights = toFloat(w);
    std::vector<float> e = roundTrip(grid, weights, kRows);
    for (std::size_t i = 0; i < e.size(); ++i)
        e[i] = weights[i] - e[i];
    const MatrixD whole = ConstMatrixMapF(e.data(), kRows, kEveryCols).cast<double>();
    return known.emplace(grid.id(), whole.leftCols(kCols)).first->second;
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

MatrixD exactGram(const MatrixD& e, const MatrixD& g, std::size_t rank)
{
    return product(lowRankGram(e, g, rank).value());
}

/// As the program computes it, in float.
LowRankCorrection inFloat(const MatrixD& e, std::span<const double> scale, std::size_t rank)
{
    const std::vector<float> values = toFloat(e);
    const std::vector<float> s = toFloat(scale);
    return lowRank({values, static_cast<std::size_t>(e.rows()), static_cast<std::size_t>(e.cols()), s}, rank, {}).value();
}

double tailAfter(const std::vector<double>& squares, std::size_t rank)
{
    double sum = 0;
    for (std::size_t i = squares.size(); i-- > rank;)
        sum += squares[i];
    return sum;
}

double largest(const MatrixD& matrix)
{
    return matrix.cwiseAbs().maxCoeff();
}

/// The largest difference of two corrections of @p e, as a share of its largest value.
double difference(const MatrixD& a, const MatrixD& b, const MatrixD& e)
{
    return largest(a - b) / largest(e);
}

/// Textbook: SVD of E F through the eigenvectors of the other side, then division by F.
MatrixD textbook(const MatrixD& e, const MatrixD& factor, const MatrixD& inverse, std::size_t rank)
{
    const MatrixD a = e * factor;
    MatrixD v = a.transpose() * a;
    std::vector<double> values(kCols);
    if (!blas::symmetricEigen(kCols, v.data(), kCols, values, true))
        return MatrixD::Constant(kRows, kCols, 1e300);
    const MatrixD leading = v.rightCols(static_cast<Eigen::Index>(rank));
    return (a * leading) * (leading.transpose() * inverse);
}

}  // namespace

class CorrectionConformance : public QObject {
    Q_OBJECT

private slots:
    void c1ErrorLeftIsTheTailEnergy_data() { gridRows(); }
    void c1ErrorLeftIsTheTailEnergy();
    void c2InverseFreeFormEqualsTheTextbook_data() { gridRows(); }
    void c2InverseFreeFormEqualsTheTextbook();
    void c3WeightedErrorNeverGrowsWithRankAndVanishesAtFullRank_data() { gridRows(); }
    void c3WeightedErrorNeverGrowsWithRankAndVanishesAtFullRank();
    void c4NoOtherCorrectionOfTheRankIsBetter_data() { gridRows(); }
    void c4NoOtherCorrectionOfTheRankIsBetter();
    void c5MetricScaleDoesNotMatterAndAConstantOneIsPlain_data() { gridRows(); }
    void c5MetricScaleDoesNotMatterAndAConstantOneIsPlain();
    void c6DeadChannelsAreHarmless_data() { gridRows(); }
    void c6DeadChannelsAreHarmless();
    void c7RankDeficientGramIsHarmless_data() { gridRows(); }
    void c7RankDeficientGramIsHarmless();
    void c8ErrorOfExactRankIsRemovedWhole_data() { gridRows(); }
    void c8ErrorOfExactRankIsRemovedWhole();
    void c9PermutationsAndTranspositionCommute_data() { gridRows(); }
    void c9PermutationsAndTranspositionCommute();
    void c10LeftFactorIsOrthonormal_data() { gridRows(); }
    void c10LeftFactorIsOrthonormal();
    void c11DiagonalGramGivesTheDiagonalSolution_data() { gridRows(); }
    void c11DiagonalGramGivesTheDiagonalSolution();
};

void CorrectionConformance::c1ErrorLeftIsTheTailEnergy()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    for (const std::size_t rank : {std::size_t{0}, std::size_t{1}, kRank, std::size_t{12}}) {
        for (const std::vector<double>& s : {std::vector<double>(), channels()}) {
            const auto found = lowRankExact(e, s, rank).value();
            const double tail = tailAfter(found.squares, rank);
            QVERIFY(std::abs(error(e - product(found), s) - tail) <= 1e-10 * tail);
            const LowRankCorrection stored = inFloat(e, s, rank);
            QVERIFY(std::abs(error(e - product(stored), s) - tail) <= 1e-5 * tail);
            // It is a difference of sums in float: as exact as they are, whatever is left.
            QVERIFY(std::abs(stored.tail - tail) <= 1e-6 * stored.total);
        }
        const auto found = lowRankGram(e, fullGram(), rank).value();
        const double tail = tailAfter(found.squares, rank);
        QVERIFY(std::abs(gramError(e - product(found), fullGram()) - tail) <= 1e-10 * tail);
    }
}

void CorrectionConformance::c2InverseFreeFormEqualsTheTextbook()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    const MatrixD s = Eigen::Map<const VectorD>(channels().data(), kCols).asDiagonal();
    const MatrixD inverse = s.diagonal().cwiseInverse().asDiagonal();
    QVERIFY(difference(exact(e, channels(), kRank), textbook(e, s, inverse, kRank), e) < 1e-9);

    MatrixD p = fullGram();
    std::vector<double> lambda(kCols);
    QVERIFY(blas::symmetricEigen(kCols, p.data(), kCols, lambda, true));
    QVERIFY(lambda.front() > 0);
    const VectorD root = Eigen::Map<const VectorD>(lambda.data(), kCols).cwiseSqrt();
    const MatrixD factor = p * root.asDiagonal() * p.transpose();
    const MatrixD inverseFactor = p * root.cwiseInverse().asDiagonal() * p.transpose();
    QVERIFY(difference(exactGram(e, fullGram(), kRank), textbook(e, factor, inverseFactor, kRank), e) < 1e-9);
}

void CorrectionConformance::c3WeightedErrorNeverGrowsWithRankAndVanishesAtFullRank()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    const double total = error(e, channels());
    const double gramTotal = gramError(e, fullGram());
    double before = total;
    double gramBefore = gramTotal;
    for (const std::size_t rank : {1U, 2U, 3U, 5U, 8U, 13U, 20U}) {
        const double left = error(e - product(inFloat(e, channels(), rank)), channels());
        const double gramLeft = gramError(e - exactGram(e, fullGram(), rank), fullGram());
        QVERIFY2(left <= before + 1e-12 * total, qPrintable(QString("rank %1").arg(rank)));
        QVERIFY2(gramLeft <= gramBefore + 1e-12 * gramTotal, qPrintable(QString("rank %1, G").arg(rank)));
        before = left;
        gramBefore = gramLeft;
    }
    QVERIFY(before < 1e-12 * total);
    QVERIFY(std::abs(gramBefore) < 1e-12 * gramTotal);
    QVERIFY(error(e - exact(e, channels(), kRows), channels()) < 1e-24 * total);
}

void CorrectionConformance::c4NoOtherCorrectionOfTheRankIsBetter()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    const auto best = lowRankExact(e, channels(), kRank).value();
    const double bestError = error(e - product(best), channels());
    const MatrixD plain = exact(e, {}, kRank);
    QVERIFY(bestError < error(e - plain, channels()));
    QVERIFY(error(e - plain) < error(e - product(best)));
    constexpr auto kSide = static_cast<Eigen::Index>(kRank);
    static const MatrixD left = gauss(1000, 100 * kRows, kSide);
    static const MatrixD right = gauss(2000, kSide, 100 * kCols);
    for (Eigen::Index i = 0; i < 100; ++i) {
        const MatrixD l = left.middleRows(i * kRows, kRows);
        const MatrixD r = right.middleCols(i * kCols, kCols);
        // Near the optimum, each factor by its own size; and anywhere.
        const double share = std::exp2(-static_cast<double>(i % 20));
        const MatrixD nearby = (best.left + share * l / std::sqrt(double{kRows}))
            * (best.right + share * best.right.norm() / std::sqrt(double{kRank * kCols}) * r);
        QVERIFY(error(e - nearby, channels()) >= bestError);
        const MatrixD anywhere = l * r * (e.norm() / (l * r).norm());
        QVERIFY(error(e - anywhere, channels()) > bestError);
    }
}

void CorrectionConformance::c5MetricScaleDoesNotMatterAndAConstantOneIsPlain()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    std::vector<double> larger = channels();
    for (double& value : larger)
        value *= 7.3;
    QVERIFY(difference(exact(e, channels(), kRank), exact(e, larger, kRank), e) < 1e-10);
    QVERIFY(difference(exactGram(e, fullGram(), kRank), exactGram(e, 7.3 * fullGram(), kRank), e) < 1e-10);
    const std::vector<double> constant(kCols, 0.25);
    QVERIFY(difference(exact(e, constant, kRank), exact(e, {}, kRank), e) < 1e-10);
    QVERIFY(difference(product(inFloat(e, constant, kRank)), product(inFloat(e, {}, kRank)), e) < 1e-5);
}

void CorrectionConformance::c6DeadChannelsAreHarmless()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    std::vector<double> s = channels();
    SplitMix64 random(77);
    for (int dead = 0; dead < 3;) {  // a tenth of them
        double& value = s[random.next() % kCols];
        dead += value != 0 ? 1 : 0;
        value = 0;
    }
    const LowRankCorrection found = inFloat(e, s, kRank);
    const MatrixD left = e - product(found);
    QVERIFY(left.allFinite());
    const double tail = tailAfter(lowRankExact(e, s, kRank).value().squares, kRank);
    QVERIFY(std::abs(error(left, s) - tail) <= 1e-5 * tail);
    for (Eigen::Index j = 0; j < kCols; ++j)
        QVERIFY(s[static_cast<std::size_t>(j)] != 0 || left.col(j).norm() <= e.col(j).norm() * (1 + 1e-6));
}

void CorrectionConformance::c7RankDeficientGramIsHarmless()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    constexpr Eigen::Index kTokens = 12;
    static const MatrixD g = gramOf(kTokens);
    const double whole = gramError(e, g);
    const auto found = lowRankGram(e, g, kRank).value();
    QVERIFY(found.left.allFinite() && found.right.allFinite());
    QVERIFY(std::abs(gramError(e - product(found), g) - tailAfter(found.squares, kRank)) <= 1e-10 * whole);
    QVERIFY(tailAfter(found.squares, kRank) > 1e-3 * whole);
    for (const std::size_t rank : {12U, 13U, 19U})
        QVERIFY(std::abs(gramError(e - exactGram(e, g, rank), g)) < 1e-12 * whole);
}

void CorrectionConformance::c8ErrorOfExactRankIsRemovedWhole()
{
    QFETCH(const Grid*, grid);
    const MatrixD e = exact(residualOf(*grid), {}, 3);
    const double total = error(e, channels());
    for (const std::size_t rank : {3U, 4U, 10U}) {
        QVERIFY(error(e - exact(e, channels(), rank), channels()) < 1e-12 * total);
        const LowRankCorrection found = inFloat(e, channels(), rank);
        QVERIFY(error(e - product(found), channels()) < 1e-12 * total);
        const double first = double{found.right.row(0).norm()};
        for (Eigen::Index i = 3; i < static_cast<Eigen::Index>(rank); ++i)  // they carry rounding only
            QVERIFY(double{found.right.row(i).norm()} < 1e-5 * first);
    }
    QVERIFY(error(e - exact(e, channels(), 2), channels()) > 1e-4 * total);
}

void CorrectionConformance::c9PermutationsAndTranspositionCommute()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    const MatrixD corrected = exact(e, channels(), kRank);
    const auto rowFrom = [](Eigen::Index i) { return (i * 31 + 7) % kRows; };
    const auto colFrom = [](Eigen::Index j) { return (j * 37 + 5) % kCols; };
    MatrixD rowsTurned(kRows, kCols), expectedRows(kRows, kCols), colsTurned(kRows, kCols), expectedCols(kRows, kCols);
    std::vector<double> turnedScale(kCols);
    for (Eigen::Index i = 0; i < kRows; ++i) {
        rowsTurned.row(i) = e.row(rowFrom(i));
        expectedRows.row(i) = corrected.row(rowFrom(i));
    }
    for (Eigen::Index j = 0; j < kCols; ++j) {
        colsTurned.col(j) = e.col(colFrom(j));
        expectedCols.col(j) = corrected.col(colFrom(j));
        turnedScale[static_cast<std::size_t>(j)] = channels()[static_cast<std::size_t>(colFrom(j))];
    }
    QVERIFY(difference(exact(rowsTurned, channels(), kRank), expectedRows, e) < 1e-10);
    QVERIFY(difference(exact(colsTurned, turnedScale, kRank), expectedCols, e) < 1e-10);

    const MatrixD turned = e.transpose();
    const MatrixD plain = exact(e, {}, kRank);
    QVERIFY(difference(exact(turned, {}, kRank).transpose(), plain, e) < 1e-10);
    QVERIFY(difference(product(inFloat(turned, {}, kRank)).transpose(), plain, e) < 1e-5);
}

void CorrectionConformance::c10LeftFactorIsOrthonormal()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    for (const std::size_t rank : {kRank, static_cast<std::size_t>(kRows)}) {
        for (const std::vector<double>& s : {std::vector<double>(), channels()}) {
            const MatrixD left = inFloat(e, s, rank).left.cast<double>();
            const auto side = static_cast<Eigen::Index>(rank);
            QCOMPARE(left.cols(), side);
            QVERIFY(largest(left.transpose() * left - MatrixD::Identity(side, side)) < 1e-5);
        }
    }
}

void CorrectionConformance::c11DiagonalGramGivesTheDiagonalSolution()
{
    QFETCH(const Grid*, grid);
    const MatrixD& e = residualOf(*grid);
    MatrixD g = MatrixD::Zero(kCols, kCols);
    for (Eigen::Index j = 0; j < kCols; ++j)
        g(j, j) = channels()[static_cast<std::size_t>(j)] * channels()[static_cast<std::size_t>(j)];
    const MatrixD byGram = exactGram(e, g, kRank);
    QVERIFY(difference(byGram, exact(e, channels(), kRank), e) < 1e-10);
    QVERIFY(difference(byGram, product(inFloat(e, channels(), kRank)), e) < 1e-5);
}

QTEST_APPLESS_MAIN(CorrectionConformance)
#include "tst_correction_conformance.moc"
