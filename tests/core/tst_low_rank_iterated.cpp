// SPDX-License-Identifier: GPL-3.0-or-later
// The iterated route of lowRank(): R1-R4 of methods-lowrank §13, threads, cancellation.

#include "core/base/Parallel.h"
#include "core/lowrank/LowRank.h"
#include "core/lowrank/Spectrum.h"
#include "tests/golden/LowRankGolden.h"

#include <QTest>

#include <cstring>

using namespace sigmascope;
using namespace sigmascope::golden;

namespace {

constexpr std::size_t kWideRows = 640;  // more than what is solved whole
constexpr std::size_t kWideCols = 1376;
constexpr std::size_t kRank = 32;

struct Wide {
    std::vector<float> values = wideError(kWideRows, kWideCols);
    std::vector<float> scale = wideScale(kWideCols);

    [[nodiscard]] ScaledMatrix plain() const { return {values, kWideRows, kWideCols, {}}; }
    [[nodiscard]] ScaledMatrix weighted() const { return {values, kWideRows, kWideCols, scale}; }
};

const Wide& wide()
{
    static const Wide value;
    return value;
}

double tailAfter(const std::vector<double>& values, std::size_t rank)
{
    double tail = 0;
    for (std::size_t i = values.size(); i-- > rank;)
        tail += values[i] * values[i];
    return tail;
}

/// What the best correction of either wide matrix leaves.
double optimalTail(bool isWeighted, std::size_t rank)
{
    static const std::vector<double> plain = fullSpectrum(wide().plain()).value().values;
    static const std::vector<double> weighted = fullSpectrum(wide().weighted()).value().values;
    return tailAfter(isWeighted ? weighted : plain, rank);
}

bool sameBits(const MatrixF& a, const MatrixF& b)
{
    return a.size() == b.size()
        && std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
}

/// Restores the thread count whatever a test does.
struct Threads {
    int before = threadCount();
    ~Threads() { setThreadCount(before); }
};

}  // namespace

class LowRankIterated : public QObject {
    Q_OBJECT

private slots:
    void r1CapturedAndTailMakeUpTheTotal();
    void r1CapturedNeverFallsWithMoreIterations();
    void r2SameSeedGivesTheSameBitsOnAnyThreadCount();
    void r2AnotherSeedGivesTheSameError();
    void r3TailIsWithinOnePercentOfTheOptimum_data();
    void r3TailIsWithinOnePercentOfTheOptimum();
    void r4ProjectorIdentityHoldsForAnyOrthonormalBasis();
    void ranksPastTheBasisAreSolvedWhole();
    void wideBlocksOfLargeMatricesKeepTheNewestOnly();
    void reportedTailIsTheErrorLeft();
    void cancelledJobReturnsCancelled();
};

void LowRankIterated::r1CapturedAndTailMakeUpTheTotal()
{
    for (const ScaledMatrix& matrix : {wide().plain(), wide().weighted()}) {
        const auto found = lowRank(matrix, kRank, {});
        QVERIFY(found);
        QCOMPARE(found->captured + found->tail, found->total);
        QCOMPARE(found->total, energy(matrix));
        // Ritz values are the energy of each rank, and never above the exact ones.
        double sum = 0;
        for (std::size_t i = 0; i < kRank; ++i)
            sum += found->ritzValues[i] * found->ritzValues[i];
        QVERIFY(std::abs(sum - found->captured) < 1e-5 * found->captured);
        QVERIFY(found->ritzValues.size() >= kRank);
    }
}

void LowRankIterated::r1CapturedNeverFallsWithMoreIterations()
{
    for (const bool isWeighted : {false, true}) {
        const ScaledMatrix matrix = isWeighted ? wide().weighted() : wide().plain();
        const double best = energy(matrix) - optimalTail(isWeighted, kRank);
        double before = 0;
        for (int q = 0; q <= 5; ++q) {
            const auto found = lowRank(matrix, kRank, {.powerIterations = q, .seed = 5});
            QVERIFY(found);
            QVERIFY(found->captured >= before * (1 - 1e-6));
            QVERIFY(found->captured <= best * (1 + 1e-6));
            before = found->captured;
        }
        QVERIFY(before > 0.98 * best);
    }
}

void LowRankIterated::r2SameSeedGivesTheSameBitsOnAnyThreadCount()
{
    const Threads restore;
    for (const std::size_t rank : {kRank, std::size_t(200)}) {
        setThreadCount(1);
        const auto one = lowRank(wide().weighted(), rank, {.seed = 9});
        setThreadCount(4);
        const auto four = lowRank(wide().weighted(), rank, {.seed = 9});
        QVERIFY(one && four);
        QVERIFY(sameBits(one->left, four->left));
        QVERIFY(sameBits(one->right, four->right));
        QCOMPARE(one->captured, four->captured);
        QCOMPARE(one->ritzValues, four->ritzValues);
    }
}

void LowRankIterated::r2AnotherSeedGivesTheSameError()
{
    const auto a = lowRank(wide().weighted(), kRank, {.powerIterations = 6, .seed = 1});
    const auto b = lowRank(wide().weighted(), kRank, {.powerIterations = 6, .seed = 2});
    QVERIFY(a && b);
    QVERIFY(!sameBits(a->left, b->left));
    QVERIFY(std::abs(a->tail - b->tail) < 1e-3 * a->tail);
}

void LowRankIterated::r3TailIsWithinOnePercentOfTheOptimum_data()
{
    QTest::addColumn<bool>("isWeighted");
    QTest::addColumn<int>("rank");
    for (const int rank : {8, 32, 64}) {
        QTest::addRow("plain rank %d", rank) << false << rank;
        QTest::addRow("weighted rank %d", rank) << true << rank;
    }
}

void LowRankIterated::r3TailIsWithinOnePercentOfTheOptimum()
{
    QFETCH(bool, isWeighted);
    QFETCH(int, rank);
    const ScaledMatrix matrix = isWeighted ? wide().weighted() : wide().plain();
    const auto found = lowRank(matrix, static_cast<std::size_t>(rank), {.oversample = 16, .powerIterations = 3});
    QVERIFY(found);
    const double optimum = optimalTail(isWeighted, static_cast<std::size_t>(rank));
    QVERIFY(found->tail <= 1.01 * optimum);
    QVERIFY(found->tail >= (1 - 1e-5) * optimum);
}

void LowRankIterated::r4ProjectorIdentityHoldsForAnyOrthonormalBasis()
{
    // Methods-lowrank §7.5: || A - U U^T A ||^2 = || A ||^2 - || U^T A ||^2, with a U that has nothing to do with A.
    const MatrixD a = scaled(heavyWeights(), rmsScale(activations()));
    const MatrixD random = gauss(900, kRows, 12);
    std::vector<float> flat = toFloat(random);
    const auto u = lowRank({flat, kRows, 12, {}}, 12, {});  // an orthonormal basis of a random range
    QVERIFY(u);
    const MatrixD basis = u->left.cast<double>();
    const MatrixD inside = basis.transpose() * a;
    const double left = (a - basis * inside).squaredNorm();
    QVERIFY(std::abs(left - (a.squaredNorm() - inside.squaredNorm())) < 1e-6 * a.squaredNorm());
    QVERIFY(left > 0.1 * a.squaredNorm());
}

void LowRankIterated::ranksPastTheBasisAreSolvedWhole()
{
    // 300 + 16 vectors times 4 steps are more than a short side of 640 has.
    const auto found = lowRank(wide().plain(), 300, {});
    QVERIFY(found);
    QCOMPARE(found->rank(), std::size_t(300));
    QVERIFY(std::abs(found->tail / optimalTail(false, 300) - 1) < 1e-5);
}

void LowRankIterated::wideBlocksOfLargeMatricesKeepTheNewestOnly()
{
    // Too wide for a Krylov basis, too large to solve whole: plain subspace iteration.
    constexpr std::size_t kSide = 2100;
    const std::vector<float> values = wideError(kSide, kSide + 40);
    const ScaledMatrix matrix{values, kSide, kSide + 40, {}};
    const auto once = lowRank(matrix, 320, {.powerIterations = 0});
    const auto found = lowRank(matrix, 320, {.powerIterations = 4});
    const auto narrower = lowRank(matrix, 64, {});
    QVERIFY(once && found && narrower);
    QCOMPARE(found->rank(), std::size_t(320));
    QVERIFY(found->captured > 1.3 * once->captured);
    QVERIFY(found->captured > 3 * narrower->captured);
    // No 320 directions hold more than 320 times the square of the noise edge.
    const double edge = marchenkoPasturEdge(found->total, kSide, kSide + 40);
    QVERIFY(found->captured < 320 * edge * edge);
}

void LowRankIterated::reportedTailIsTheErrorLeft()
{
    const auto found = lowRank(wide().weighted(), kRank, {});
    QVERIFY(found);
    const MatrixD e = ConstMatrixMapF(wide().values.data(), kWideRows, kWideCols).cast<double>();
    const std::vector<double> s(wide().scale.begin(), wide().scale.end());
    const double left = error(e - found->left.cast<double>() * found->right.cast<double>(), s);
    QVERIFY(std::abs(left - found->tail) < 1e-5 * found->tail);
}

void LowRankIterated::cancelledJobReturnsCancelled()
{
    std::stop_source source;
    source.request_stop();
    const JobContext job{.stop = source.get_token()};
    for (const std::size_t rank : {kRank, kWideRows}) {
        const auto found = lowRank(wide().plain(), rank, {}, job);
        QVERIFY(!found);
        QCOMPARE(found.error().code, ErrorCode::Cancelled);
    }
}

QTEST_APPLESS_MAIN(LowRankIterated)
#include "tst_low_rank_iterated.moc"
