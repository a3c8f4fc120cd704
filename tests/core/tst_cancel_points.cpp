// SPDX-License-Identifier: GPL-3.0-or-later
// How much work a stop still lets pass, counted in units of work, not in time: the stop is requested from inside the
// work, and what is done after it must stay within the stated number.
#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/compute/MatrixProducts.h"
#include "core/grid/FiniteCheck.h"
#include "core/lowrank/Decompositions.h"
#include "core/lowrank/LowRank.h"
#include "core/project/LayerRun.h"
#include "core/solve/Solver.h"
#include "core/tensor/Blas.h"

#include <QTest>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <vector>

using namespace sigmascope;

namespace {

constexpr int kThreads = 2;
constexpr std::uint64_t kCols = 1024;
constexpr std::uint64_t kRows = 4096;
constexpr std::uint64_t kGroup = 32;

/// Requests the stop at the first unit of work; counts what comes after it.
class Stopper {
public:
    void work(std::uint64_t units)
    {
        if (m_source.stop_requested())
            m_after += units;
        else
            m_source.request_stop();
    }
    [[nodiscard]] JobContext job() const { return {.stop = m_source.get_token()}; }
    [[nodiscard]] std::uint64_t after() const { return m_after.load(); }

private:
    std::stop_source m_source;
    std::atomic<std::uint64_t> m_after{0};
};

/// A grid that codes nothing, and tells of every weight it is asked to code, to decode, or to search a range for.
class TellingGrid final : public Grid, public ClipRange {
public:
    Stopper* encoding = nullptr;
    Stopper* decoding = nullptr;
    Stopper* searching = nullptr;

    std::string id() const override { return "telling"; }
    int bits() const override { return 8; }
    std::uint64_t groupSize() const override { return kGroup; }
    bool accepts(std::uint64_t) const override { return true; }
    std::size_t rowBytes(std::uint64_t cols) const override { return static_cast<std::size_t>(cols); }
    std::optional<DType> ggufType() const override { return std::nullopt; }
    Status encode(std::span<const float> weights, std::uint64_t, std::uint64_t, std::span<std::byte>) const override
    {
        if (encoding != nullptr)
            encoding->work(weights.size());
        return {};
    }
    void decode(std::span<const std::byte>, std::uint64_t, std::uint64_t, std::span<float> out) const override
    {
        std::ranges::fill(out, 0.0F);
        if (decoding != nullptr)
            decoding->work(out.size());
    }
    std::vector<double> levels() const override { return {}; }
    std::vector<GroupScale> groupScales(std::span<const std::byte>, std::uint64_t, std::uint64_t) const override { return {}; }
    const ClipRange* clipRange() const override { return this; }
    double clippedError(std::span<const float> group, std::span<const double>, double) const override
    {
        if (searching != nullptr)
            searching->work(group.size());
        return 0;
    }
    void recode(std::span<const float>, std::span<const double>, std::span<std::byte>) const override {}
};

/// A matrix on a "device" whose products tell.
class TellingProducts final : public MatrixProducts {
public:
    TellingProducts(const std::vector<float>& matrix, std::size_t rows, std::size_t cols, int stopAt)
        : m_matrix(matrix), m_rows(rows), m_cols(cols), m_stopAt(stopAt)
    {
    }
    Status timesRows(std::span<const float> panel, std::uint64_t vectors, std::span<float> out, const JobContext&) override
    {
        count();
        blas::gemm(blas::Transpose::No, blas::Transpose::No, vectors, m_cols, m_rows, 1.0F, panel.data(), m_rows, m_matrix.data(),
                   m_cols, 0.0F, out.data(), m_cols);
        return {};
    }
    Status timesCols(std::span<const float> panel, std::uint64_t vectors, std::span<float> out, const JobContext&) override
    {
        count();
        blas::gemm(blas::Transpose::No, blas::Transpose::Yes, vectors, m_rows, m_cols, 1.0F, panel.data(), m_cols, m_matrix.data(),
                   m_cols, 0.0F, out.data(), m_rows);
        return {};
    }
    Status gram(const PanelPair& panels, std::span<double> out, const JobContext&) override
    {
        count();
        for (std::uint64_t i = 0; i < panels.rowsA; ++i)
            for (std::uint64_t j = 0; j < panels.rowsB; ++j) {
                double sum = 0;
                for (std::uint64_t k = 0; k < panels.length; ++k)
                    sum += static_cast<double>(panels.a[i * panels.length + k]) * static_cast<double>(panels.b[j * panels.length + k]);
                out[i * panels.rowsB + j] = sum;
            }
        return {};
    }
    [[nodiscard]] JobContext job() const { return {.stop = m_source.get_token()}; }
    [[nodiscard]] int calls() const { return m_calls; }

private:
    void count()
    {
        if (++m_calls == m_stopAt)
            m_source.request_stop();
    }

    const std::vector<float>& m_matrix;
    std::size_t m_rows, m_cols;
    int m_stopAt;
    int m_calls = 0;
    std::stop_source m_source;
};

}  // namespace

class TestCancelPoints : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_threads = threadCount();
        setThreadCount(kThreads);
        m_weights.resize(kRows * kCols);
        fillNormal<float>(1, m_weights);
    }
    void cleanupTestCase() { setThreadCount(m_threads); }

    void encodingEndsWithTheSliceThatHasBegun()
    {
        Stopper stopper;
        TellingGrid grid;
        grid.encoding = &stopper;
        const auto solved = findSolver("nearest")->solve(
            {.weights = m_weights, .rows = kRows, .cols = kCols, .grid = &grid}, stopper.job());
        QVERIFY(!solved);
        QCOMPARE(solved.error().code, ErrorCode::Cancelled);
        QCOMPARE(stopper.after(), std::uint64_t{0});
    }

    void aClipSearchLooksEverySixteenThousandWeights()
    {
        Stopper stopper;
        TellingGrid grid;
        grid.searching = &stopper;
        const auto solved = findSolver("clip-search")->solve(
            {.weights = m_weights, .rows = kRows, .cols = kCols, .grid = &grid}, stopper.job());
        QVERIFY(!solved);
        QCOMPARE(solved.error().code, ErrorCode::Cancelled);
        // What every thread has begun, each weight with some thirty ranges.
        QVERIFY2(stopper.after() <= kThreads * 16384 * 30, qPrintable(QString::number(stopper.after())));
    }

    void aResidualLooksEveryChunk()
    {
        Stopper stopper;
        TellingGrid grid;
        grid.decoding = &stopper;
        const QuantizedTensor quantized{&grid, kRows, kCols, std::vector<std::byte>(kRows * kCols)};
        static_cast<void>(residualOf(m_weights, quantized, stopper.job()));
        QVERIFY2(stopper.after() <= (kThreads - 1) * kReductionChunk, qPrintable(QString::number(stopper.after())));
    }

    void aCorrectionMakesNoProductAfterTheStop()
    {
        constexpr std::size_t kSide = 96;
        constexpr std::size_t kLength = 200;
        std::vector<float> matrix(kSide * kLength);
        fillNormal<float>(3, matrix);
        TellingProducts whole(matrix, kSide, kLength, 0);
        const ScaledMatrix all{matrix, kSide, kLength, {}, &whole};
        QVERIFY(lowRank(all, 8, {.seed = 5}, whole.job()));
        QVERIFY(whole.calls() > 6);
        for (int stopAt = 1; stopAt < whole.calls(); ++stopAt) {
            TellingProducts products(matrix, kSide, kLength, stopAt);
            const ScaledMatrix residual{matrix, kSide, kLength, {}, &products};
            const auto found = lowRank(residual, 8, {.seed = 5}, products.job());
            QVERIFY(!found);
            QCOMPARE(found.error().code, ErrorCode::Cancelled);
            QCOMPARE(products.calls(), stopAt);
        }
    }

    void productsLeaveOutTheTilesThatHaveNotBegun()
    {
        std::stop_source stop;
        stop.request_stop();
        constexpr std::size_t kSide = 300;
        const std::vector<double> a(kSide * kSide, 1);
        std::vector<double> c(kSide * kSide, -7);
        blas::gemm(blas::Transpose::No, blas::Transpose::No, kSide, kSide, kSide, 1.0, a.data(), kSide, a.data(), kSide, 0.0,
                   c.data(), kSide, stop.get_token());
        QVERIFY(std::ranges::all_of(c, [](double value) { return value == -7; }));
        QCOMPARE(energy({m_weights, kRows, kCols, {}}, stop.get_token()), 0.0);
        QCOMPARE(checkFinite(m_weights, kCols, stop.get_token()).error().code, ErrorCode::Cancelled);
    }

    void aDecompositionIsTheSameOnAThreadOfItsOwn()
    {
        // Large enough for one when a stop is possible; never for a job that cannot be stopped.
        constexpr Eigen::Index kSide = 400;
        MatrixD matrix = MatrixD::Random(kSide, kSide);
        matrix = (matrix + matrix.transpose()).eval();
        const std::stop_source stop;
        const JobContext stoppable{.stop = stop.get_token()};
        const auto here = symmetricEigen(matrix, true, {});
        const auto there = symmetricEigen(matrix, true, stoppable);
        QVERIFY(here && there);
        QVERIFY(here->values == there->values && here->vectors == there->vectors);
        MatrixF panel = MatrixF::Random(200, 2000);
        const auto rowsHere = orthonormalRows(panel, true, {});
        const auto rowsThere = orthonormalRows(panel, true, stoppable);
        QVERIFY(rowsHere && rowsThere);
        QVERIFY(rowsHere->rows == rowsThere->rows && rowsHere->triangle == rowsThere->triangle);
        std::stop_source stopped;
        stopped.request_stop();
        QCOMPARE(symmetricEigen(matrix, true, {.stop = stopped.get_token()}).error().code, ErrorCode::Cancelled);
        QCOMPARE(orthonormalRows(panel, false, {.stop = stopped.get_token()}).error().code, ErrorCode::Cancelled);
    }

private:
    std::vector<float> m_weights;
    int m_threads = 1;
};

QTEST_APPLESS_MAIN(TestCancelPoints)
#include "tst_cancel_points.moc"
