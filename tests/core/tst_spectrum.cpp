// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/base/Parallel.h"
#include "core/lowrank/Spectrum.h"
#include "core/tensor/Blas.h"
#include "tests/golden/LowRankGolden.h"

#include <QTest>

#include <chrono>
#include <thread>

using namespace sigmascope;
using namespace sigmascope::golden;

namespace {

constexpr std::size_t kWideRows = 640;
constexpr std::size_t kWideCols = 1376;

struct Wide {
    std::vector<float> values = wideError(kWideRows, kWideCols);
    std::vector<float> scale = wideScale(kWideCols);
    MatrixD exact = ConstMatrixMapF(values.data(), kWideRows, kWideCols).cast<double>();

    [[nodiscard]] ScaledMatrix view(bool weighted) const
    {
        return {values, kWideRows, kWideCols, weighted ? std::span<const float>(scale) : std::span<const float>()};
    }
    [[nodiscard]] const std::vector<double>& truth(bool weighted) const
    {
        static const std::vector<double> plainValues = byLapack(false);
        static const std::vector<double> weightedValues = byLapack(true);
        return weighted ? weightedValues : plainValues;
    }

private:
    /// By LAPACK's own SVD in double: another algorithm than any under test.
    [[nodiscard]] std::vector<double> byLapack(bool weighted) const
    {
        const std::vector<double> s(scale.begin(), scale.end());
        MatrixD a = scaled(exact, weighted ? std::span<const double>(s) : std::span<const double>());
        std::vector<double> out(kWideRows);
        return blas::singularValues(kWideRows, kWideCols, a.data(), kWideCols, out) ? out : std::vector<double>();
    }
};

const Wide& wide()
{
    static const Wide value;
    return value;
}

struct Threads {
    int before = threadCount();
    ~Threads() { setThreadCount(before); }
};

}  // namespace

class SpectrumTest : public QObject {
    Q_OBJECT

private slots:
    void energyIsTheSumOfSquares();
    void leadingValuesAreWithinOnePercent_data();
    void leadingValuesAreWithinOnePercent();
    void leadingValuesNeverExceedTheTrueOnes_data() { leadingValuesAreWithinOnePercent_data(); }
    void leadingValuesNeverExceedTheTrueOnes();
    void tallMatricesHaveTheValuesOfTheirTranspose();
    void tailIsTheFrobeniusRest();
    void tighterToleranceGivesTighterValues();
    void fewPassesCertifyFewerValuesAndSaySo();
    void smallMatricesAreSolvedWhole();
    void fullSpectrumMatchesLapack_data() { leadingValuesAreWithinOnePercent_data(); }
    void fullSpectrumMatchesLapack();
    void valuesUnderTheFloorAreMarked();
    void matrixOfLowRankEndsInNoise();
    void equalValuesAreAllFound();
    void noiseEdgeIsNearTheLargestValueOfNoise();
    void sameBitsOnAnyThreadCount();
    void zeroMatrixHasZeroValues();
    void nonFiniteInputIsRefused();
    void cancelledJobStopsBetweenProducts();
};

void SpectrumTest::energyIsTheSumOfSquares()
{
    const std::vector<float> values{1, 2, 3, 4};
    const std::vector<float> scale{10, 0.5F};
    QCOMPARE(energy({values, 2, 2, {}}), 30.0);
    QCOMPARE(energy({values, 2, 2, scale}), 100.0 + 1.0 + 900.0 + 4.0);
    QCOMPARE(energy({}), 0.0);
    QVERIFY(std::abs(energy(wide().view(false)) - wide().exact.squaredNorm()) < 1e-12 * wide().exact.squaredNorm());
}

void SpectrumTest::leadingValuesAreWithinOnePercent_data()
{
    QTest::addColumn<bool>("weighted");
    QTest::newRow("plain") << false;
    QTest::newRow("weighted") << true;
}

void SpectrumTest::leadingValuesAreWithinOnePercent()
{
    QFETCH(bool, weighted);
    const auto& truth = wide().truth(weighted);
    QCOMPARE(truth.size(), kWideRows);
    const auto found = leadingSpectrum(wide().view(weighted), {.count = 64, .tolerance = 0.01, .exactSide = 0});
    QVERIFY(found);
    QCOMPARE(found->values.size(), std::size_t(64));
    QCOMPARE(found->certified, std::size_t(64));
    QVERIFY(!found->complete);
    for (std::size_t i = 0; i < 64; ++i)
        QVERIFY2(std::abs(found->values[i] - truth[i]) <= 0.01 * truth[i], qPrintable(QString::number(i)));
}

void SpectrumTest::leadingValuesNeverExceedTheTrueOnes()
{
    QFETCH(bool, weighted);
    const auto& truth = wide().truth(weighted);
    const auto found = leadingSpectrum(wide().view(weighted), {.count = 64, .tolerance = 0.1, .exactSide = 0});
    QVERIFY(found && found->lowerBound);
    for (std::size_t i = 0; i < found->values.size(); ++i)
        QVERIFY(found->values[i] <= truth[i] * (1 + 1e-6));
    QVERIFY(std::is_sorted(found->values.rbegin(), found->values.rend()));
}

void SpectrumTest::tallMatricesHaveTheValuesOfTheirTranspose()
{
    const MatrixD turned = wide().exact.transpose();
    const std::vector<float> values = toFloat(turned);
    const auto tall = leadingSpectrum({values, kWideCols, kWideRows, {}}, {.count = 32, .exactSide = 0});
    QVERIFY(tall);
    QCOMPARE(tall->certified, std::size_t(32));
    const auto& truth = wide().truth(false);
    for (std::size_t i = 0; i < 32; ++i)
        QVERIFY(std::abs(tall->values[i] - truth[i]) <= 0.01 * truth[i]);

    // With a scale, columns are the short side here: another path through the products.
    const std::vector<float> scale = wideScale(kWideRows);
    const std::vector<double> s(scale.begin(), scale.end());
    MatrixD a = scaled(turned, s);
    std::vector<double> expected(kWideRows);
    QVERIFY(blas::singularValues(kWideCols, kWideRows, a.data(), kWideRows, expected));
    const auto found = leadingSpectrum({values, kWideCols, kWideRows, scale}, {.count = 32, .exactSide = 0});
    QVERIFY(found);
    for (std::size_t i = 0; i < 32; ++i)
        QVERIFY(std::abs(found->values[i] - expected[i]) <= 0.01 * expected[i]);
}

void SpectrumTest::tailIsTheFrobeniusRest()
{
    const auto found = leadingSpectrum(wide().view(true), {.count = 16, .exactSide = 0});
    QVERIFY(found);
    QCOMPARE(found->totalEnergy, energy(wide().view(true)));
    QCOMPARE(found->captured + found->unresolvedEnergy, found->totalEnergy);
    const auto& truth = wide().truth(true);
    double rest = 0;
    for (std::size_t i = truth.size(); i-- > 16;)
        rest += truth[i] * truth[i];
    QVERIFY(std::abs(found->unresolvedEnergy - rest) < 0.01 * rest);
}

void SpectrumTest::tighterToleranceGivesTighterValues()
{
    const auto& truth = wide().truth(false);
    const auto found = leadingSpectrum(wide().view(false), {.count = 16, .tolerance = 1e-4, .exactSide = 0});
    QVERIFY(found);
    QCOMPARE(found->certified, std::size_t(16));
    for (std::size_t i = 0; i < 16; ++i)
        QVERIFY(std::abs(found->values[i] - truth[i]) <= 1e-4 * truth[i]);
}

void SpectrumTest::fewPassesCertifyFewerValuesAndSaySo()
{
    const auto found = leadingSpectrum(wide().view(false), {.count = 64, .tolerance = 0.01, .maxPasses = 10, .exactSide = 0});
    QVERIFY(found);
    QCOMPARE(found->values.size(), std::size_t(64));
    QVERIFY(found->certified < 64);
    QVERIFY(found->passes <= 12);
    QVERIFY(found->lowerBound);
}

void SpectrumTest::smallMatricesAreSolvedWhole()
{
    const MatrixD w = heavyWeights();
    const MatrixD e = w - integerSymmetric(w, 3, 64);
    const std::vector<float> values = toFloat(e);
    const auto found = leadingSpectrum({values, kRows, kCols, {}}, {.count = 8});
    QVERIFY(found && found->complete && !found->lowerBound);
    QCOMPARE(found->values.size(), static_cast<std::size_t>(kRows));
    QCOMPARE(found->unresolvedEnergy, 0.0);
    MatrixD a = e;
    std::vector<double> truth(kRows);
    QVERIFY(blas::singularValues(kRows, kCols, a.data(), kCols, truth));
    for (std::size_t i = 0; i < truth.size(); ++i)
        QVERIFY(std::abs(found->values[i] - truth[i]) <= 1e-6 * truth[0]);
}

void SpectrumTest::fullSpectrumMatchesLapack()
{
    QFETCH(bool, weighted);
    const auto& truth = wide().truth(weighted);
    const auto found = fullSpectrum(wide().view(weighted));
    QVERIFY(found && found->complete);
    QCOMPARE(found->values.size(), kWideRows);
    QCOMPARE(found->certified, kWideRows);
    for (std::size_t i = 0; i < kWideRows; ++i)
        QVERIFY(std::abs(found->values[i] - truth[i]) <= 1e-6 * truth[i]);
}

void SpectrumTest::valuesUnderTheFloorAreMarked()
{
    // Singular values 1 and 1e-9: the Gram squares them past what a double holds beside 1.
    std::vector<float> values(64 * 64, 0.0F);
    for (std::size_t i = 0; i < 64; ++i)
        values[i * 65] = i < 10 ? 1.0F : 1e-9F;
    const auto found = fullSpectrum({values, 64, 64, {}});
    QVERIFY(found);
    QVERIFY(found->floor > 1e-9 && found->floor < 1e-6);
    QCOMPARE(found->certified, std::size_t(10));
    for (std::size_t i = 10; i < 64; ++i)
        QVERIFY(found->values[i] <= found->floor);
}

void SpectrumTest::matrixOfLowRankEndsInNoise()
{
    const MatrixD low = gauss(601, 600, 6) * gauss(602, 6, 700);
    const std::vector<float> values = toFloat(low);
    const auto found = leadingSpectrum({values, 600, 700, {}}, {.count = 12, .exactSide = 0});
    QVERIFY(found);
    QCOMPARE(found->certified, std::size_t(12));
    QVERIFY(found->values[5] > 100 * found->floor);
    for (std::size_t i = 6; i < 12; ++i)
        QVERIFY(found->values[i] <= found->floor);
    QVERIFY(found->unresolvedEnergy < 1e-6 * found->totalEnergy);
}

void SpectrumTest::equalValuesAreAllFound()
{
    // 100 values of 3, the rest 1: more equal ones than a block has vectors.
    constexpr std::size_t kSide = 600;
    std::vector<float> values(kSide * kSide, 0.0F);
    for (std::size_t i = 0; i < kSide; ++i)
        values[i * (kSide + 1)] = i % 6 == 0 ? 3.0F : 1.0F;
    const auto found = leadingSpectrum({values, kSide, kSide, {}}, {.count = 70, .exactSide = 0});
    QVERIFY(found);
    QCOMPARE(found->certified, std::size_t(70));
    for (std::size_t i = 0; i < 70; ++i)
        QVERIFY(std::abs(found->values[i] - 3.0) < 0.03);
}

void SpectrumTest::noiseEdgeIsNearTheLargestValueOfNoise()
{
    QVERIFY(std::abs(marchenkoPasturEdge(100.0 * 400.0, 100, 400) - 30.0) < 1e-12);  // tau = 1: 10 + 20
    const auto plain = leadingSpectrum(wide().view(false), {.count = 4, .exactSide = 0});
    QVERIFY(plain);
    QVERIFY(std::abs(plain->values[0] / plain->noiseEdge - 1) < 0.03);
    QCOMPARE(leadingSpectrum(wide().view(true), {.count = 4, .exactSide = 0})->noiseEdge, 0.0);
}

void SpectrumTest::sameBitsOnAnyThreadCount()
{
    const Threads restore;
    setThreadCount(1);
    const auto one = leadingSpectrum(wide().view(true), {.count = 64, .seed = 3, .exactSide = 0});
    const auto oneFull = fullSpectrum(wide().view(true));
    setThreadCount(4);
    const auto four = leadingSpectrum(wide().view(true), {.count = 64, .seed = 3, .exactSide = 0});
    const auto fourFull = fullSpectrum(wide().view(true));
    QVERIFY(one && four && oneFull && fourFull);
    QCOMPARE(one->values, four->values);
    QCOMPARE(one->passes, four->passes);
    QCOMPARE(oneFull->values, fourFull->values);
}

void SpectrumTest::zeroMatrixHasZeroValues()
{
    const std::vector<float> zeros(600 * 600, 0.0F);
    for (const std::size_t side : {std::size_t(4), std::size_t(600)}) {
        const auto found = leadingSpectrum({std::span(zeros).first(side * side), side, side, {}}, {.count = 3, .exactSide = 0});
        QVERIFY(found && found->complete);
        QCOMPARE(found->values, std::vector<double>(side, 0.0));
        QCOMPARE(found->unresolvedEnergy, 0.0);
    }
    QVERIFY(leadingSpectrum({}, {})->values.empty());
}

void SpectrumTest::nonFiniteInputIsRefused()
{
    std::vector<float> values = wide().values;
    values[3 * kWideCols + 17] = std::numeric_limits<float>::infinity();
    for (const auto& found :
         {leadingSpectrum({values, kWideRows, kWideCols, {}}, {}), fullSpectrum({values, kWideRows, kWideCols, {}})}) {
        QVERIFY(!found);
        QCOMPARE(found.error().code, ErrorCode::NonFinite);
        QVERIFY(found.error().detail.find("row 3, column 17") != std::string::npos);
    }
}

void SpectrumTest::cancelledJobStopsBetweenProducts()
{
    std::stop_source source;
    std::thread canceller([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        source.request_stop();
    });
    // A tolerance that cannot be met keeps it busy far longer than that.
    const auto found = leadingSpectrum(wide().view(false), {.count = 64, .tolerance = 1e-9, .maxPasses = 100000, .exactSide = 0},
                                       {.stop = source.get_token()});
    canceller.join();
    QVERIFY(!found);
    QCOMPARE(found.error().code, ErrorCode::Cancelled);
    const auto full = fullSpectrum(wide().view(false), {.stop = source.get_token()});
    QVERIFY(!full);
    QCOMPARE(full.error().code, ErrorCode::Cancelled);
}

QTEST_APPLESS_MAIN(SpectrumTest)
#include "tst_spectrum.moc"
