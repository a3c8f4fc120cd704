// SPDX-License-Identifier: GPL-3.0-or-later
// Golden numbers of methods-lowrank §14: generator, matrices, statistics, tail energies, the tiny case.

#include "core/calibration/Metric.h"
#include "core/grid/Grid.h"
#include "core/lowrank/ErrorSpectrum.h"
#include "core/lowrank/ExactLowRank.h"
#include "core/lowrank/LowRank.h"
#include "core/lowrank/Spectrum.h"
#include "tests/golden/LowRankGolden.h"

#include <QTest>

using namespace sigmascope;
using namespace sigmascope::golden;

namespace {

constexpr std::array<std::size_t, 5> kRanks{0, 1, 4, 8, 16};

struct TailRow {
    const char* weights;
    const char* format;
    const char* metric;
    std::array<double, 5> tails;
};

constexpr TailRow kTails[] = {
    {"WG", "int3", "plain", {.315885316, .304834014, .27550717, .240305339, .181767653}},
    {"WG", "int3", "lqer", {3.99595339, 3.38371838, 2.14453726, 1.38168492, .754802251}},
    {"WG", "int3", "rms", {1.95367864, 1.65945357, 1.06398537, .692626097, .376158472}},
    {"WG", "int3", "G", {1.88501656, 1.58789279, 1.03591131, .666260559, .343860265}},
    {"WH", "int3", "plain", {2.86078881, 2.7178478, 2.35996799, 1.97789993, 1.39928162}},
    {"WH", "int3", "lqer", {35.2586984, 29.5287864, 19.2058507, 11.9940328, 6.22678534}},
    {"WH", "int3", "rms", {17.3125633, 14.4705306, 9.5355202, 5.99877517, 3.11092612}},
    {"WH", "int3", "G", {16.892835, 14.291754, 9.16225933, 5.66155604, 2.78478218}},
    {"WH", "mxint4", "plain", {.803523566, .751181264, .647302343, .541366514, .385404052}},
    {"WH", "mxint4", "rms", {5.32570771, 4.51505339, 2.79473008, 1.74110091, .860122152}},
    {"WH", "mxint4", "G", {5.33136444, 4.40705467, 2.73969091, 1.66803947, .78502235}},
    {"WL", "int3", "plain", {5.16917668, 4.84726365, 4.18840395, 3.46148303, 2.40613057}},
    {"WL", "int3", "rms", {30.157943, 25.6323765, 16.7354976, 10.4975755, 5.42149595}},
};

MatrixD weights(const QString& name)
{
    return name == "WG" ? gaussianWeights() : name == "WH" ? heavyWeights() : structuredWeights();
}

/// W - Q in double.
MatrixD residualOf(const MatrixD& w, const QString& format)
{
    return w - (format == "int3" ? integerSymmetric(w, 3, 64) : mxint(w, 4, 32));
}

std::vector<double> scaleOf(const QString& metric)
{
    const MatrixD x = activations();
    if (metric == "lqer")
        return lqerScale(batches(x), static_cast<std::size_t>(kCols));
    return metric == "rms" ? rmsScale(x) : std::vector<double>();
}

bool near(double found, double expected, double relative)
{
    const bool good = std::abs(found - expected) <= relative * std::abs(expected);
    if (!good)
        qWarning("found %.12g, expected %.12g", found, expected);
    return good;
}

double tailAfter(const std::vector<double>& squares, std::size_t rank)
{
    double sum = 0;
    for (std::size_t i = squares.size(); i-- > rank;)
        sum += squares[i];
    return sum;
}

/// The float pipeline has plain and diagonal metrics only.
void addTailRows(bool withGram)
{
    QTest::addColumn<int>("row");
    for (int i = 0; i < static_cast<int>(std::size(kTails)); ++i)
        if (withGram || QString(kTails[i].metric) != "G")
            QTest::addRow("%s %s %s", kTails[i].weights, kTails[i].format, kTails[i].metric) << i;
}

/// The 4 x 8 case that can be checked by hand.
MatrixD tinyWeights()
{
    MatrixD w(4, 8);
    w << 10, -3, 7, 2, -8, 5, 1, -6, 4, 9, -2, -7, 3, -1, 8, 6, -5, 2, 6, 10, -4, 7, -9, 3, 1, -8, 5, -2, 9, -6, 4, 7;
    return w / 10;
}

const std::vector<double> kTinyScale{1, 2, .5, 4, 1, .25, 3, 1};

}  // namespace

class GoldenLowRank : public QObject {
    Q_OBJECT

private slots:
    void generatorGivesThePublishedStream();
    void matricesHaveTheirChecksums_data();
    void matricesHaveTheirChecksums();
    void activationStatisticsMatch();
    void exactTailEnergiesMatch_data() { addTailRows(true); }
    void exactTailEnergiesMatch();
    void floatPipelineReachesTheSameTails_data() { addTailRows(false); }
    void floatPipelineReachesTheSameTails();
    void registeredGridGivesTheGoldenResidual_data();
    void registeredGridGivesTheGoldenResidual();
    void solversRankAsPublishedInTheGramMetric_data();
    void solversRankAsPublishedInTheGramMetric();
    void tinyCaseMatchesTheHandComputation();
    void tinyCaseGivesTheSameProductInFloat();
};

void GoldenLowRank::generatorGivesThePublishedStream()
{
    SplitMix64 random(42);
    QCOMPARE(random.next(), 0xbdd732262feb6e95ULL);
    QCOMPARE(random.next(), 0x28efe333b266f103ULL);
    QCOMPARE(random.next(), 0x47526757130f9f52ULL);
    const MatrixD normals = gauss(42, 1, 4);
    QVERIFY(near(normals(0, 0), .414719750432, 1e-11));
    QVERIFY(near(normals(0, 1), .652681222152, 1e-11));
    QVERIFY(near(normals(0, 2), -.891886213628, 1e-11));
    QVERIFY(near(normals(0, 3), 1.32683356281, 1e-11));
}

void GoldenLowRank::matricesHaveTheirChecksums_data()
{
    QTest::addColumn<double>("sum");
    QTest::addColumn<double>("energy");
    QTest::addColumn<double>("largest");
    QTest::newRow("WG") << -2.130010129 << 4.92012673 << .08092658288;
    QTest::newRow("WH") << -.8777725099 << 20.17325974 << 1.146720049;
    QTest::newRow("WL") << 2.566677053 << 82.2606213 << .5421850937;
    QTest::newRow("X") << -28.79520795 << 403898.7653 << 29.91146111;
}

void GoldenLowRank::matricesHaveTheirChecksums()
{
    const QString name = QTest::currentDataTag();
    const MatrixD matrix = name == "X" ? activations() : weights(name);
    QFETCH(double, sum);
    QFETCH(double, energy);
    QFETCH(double, largest);
    QVERIFY(near(matrix.sum(), sum, 1e-9));
    QVERIFY(near(matrix.squaredNorm(), energy, 1e-9));
    QVERIFY(near(matrix.cwiseAbs().maxCoeff(), largest, 1e-9));
}

void GoldenLowRank::activationStatisticsMatch()
{
    const MatrixD x = activations();
    const auto lqer = lqerScale(batches(x), static_cast<std::size_t>(kCols));
    const auto rms = rmsScale(x);
    const MatrixD g = gram(x);
    QVERIFY(near(*std::min_element(lqer.begin(), lqer.end()), .06991475, 1e-7));
    QVERIFY(near(*std::max_element(lqer.begin(), lqer.end()), 14.303133, 1e-7));
    QVERIFY(near(lqer[0], 1.2176129887, 1e-10));
    QVERIFY(near(lqer[1], 1.0810113342, 1e-10));
    QVERIFY(near(lqer[2], 1.2169750642, 1e-10));
    QVERIFY(near(*std::min_element(rms.begin(), rms.end()), .051428191, 1e-7));
    QVERIFY(near(*std::max_element(rms.begin(), rms.end()), 10.197802, 1e-7));
    QVERIFY(near(rms[0], .8525881662, 1e-9));
    QVERIFY(near(rms[1], .7603274849, 1e-9));
    QVERIFY(near(rms[2], .8593768389, 1e-9));
    QVERIFY(near(g.trace(), 788.86478, 1e-8));
    QVERIFY(near(g(0, 0), .7269065812, 1e-9));
    QVERIFY(near(g(0, 1), -.012323161, 1e-8));
    QVERIFY(near(g(0, 2), .1061032591, 1e-9));
}

void GoldenLowRank::exactTailEnergiesMatch()
{
    QFETCH(int, row);
    const TailRow& golden = kTails[row];
    const MatrixD e = residualOf(weights(golden.weights), golden.format);
    const QString metric = golden.metric;
    const auto found = metric == "G" ? lowRankGram(e, gram(activations()), 16) : lowRankExact(e, scaleOf(metric), 16);
    QVERIFY(found);
    // Published with nine digits: half a unit of the last is at most 5e-9 of the value.
    for (std::size_t i = 0; i < kRanks.size(); ++i)
        QVERIFY(near(tailAfter(found->squares, kRanks[i]), golden.tails[i], 5.1e-9));
    QVERIFY(near(found->total, golden.tails[0], 5.1e-9));
}

void GoldenLowRank::floatPipelineReachesTheSameTails()
{
    QFETCH(int, row);
    const TailRow& golden = kTails[row];
    const std::vector<float> e = toFloat(residualOf(weights(golden.weights), golden.format));
    const std::vector<float> s = toFloat(scaleOf(golden.metric));
    const ScaledMatrix residual{e, kRows, kCols, s};
    const auto spectrum = fullSpectrum(residual);
    QVERIFY(spectrum && spectrum->complete);
    const ErrorSpectrum errors(spectrum->values, spectrum->totalEnergy, 1.0);
    for (std::size_t i = 0; i < kRanks.size(); ++i) {
        QVERIFY(near(errors.errorAtRank(kRanks[i]), std::sqrt(golden.tails[i]), 1e-5));
        const auto correction = lowRank(residual, kRanks[i], {});
        QVERIFY(correction);
        QVERIFY(near(correction->tail, golden.tails[i], 1e-5));
    }
}

void GoldenLowRank::registeredGridGivesTheGoldenResidual_data()
{
    QTest::addColumn<double>("energy");
    QTest::newRow("WG") << .315885316;
    QTest::newRow("WH") << 2.86078881;
    QTest::newRow("WL") << 5.16917668;
}

void GoldenLowRank::registeredGridGivesTheGoldenResidual()
{
    // The program's own INT grid with its scales in double; weights enter it as float.
    const auto grid = findGrid("int3-g64-f64");
    QVERIFY2(grid, grid ? "" : grid.error().detail.c_str());
    const std::vector<float> w = toFloat(weights(QTest::currentDataTag()));
    std::vector<std::byte> codes(kRows * (*grid)->rowBytes(kCols));
    QVERIFY((*grid)->encode(w, kRows, kCols, codes));
    std::vector<float> e(w.size());
    (*grid)->decode(codes, kRows, kCols, e);
    for (std::size_t i = 0; i < e.size(); ++i)
        e[i] = w[i] - e[i];
    QFETCH(double, energy);
    QVERIFY(near(sigmascope::energy({e, kRows, kCols, {}}), energy, 1e-5));
}

void GoldenLowRank::solversRankAsPublishedInTheGramMetric_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("bits");
    QTest::addColumn<double>("plain");
    QTest::addColumn<double>("lqer");
    QTest::addColumn<double>("rms");
    QTest::addColumn<double>("exact");
    QTest::newRow("WG int3") << "WG" << 3 << .7636 << .3706 << .3702 << .3535;
    QTest::newRow("WH int3") << "WH" << 3 << .7291 << .3513 << .3505 << .3352;
    QTest::newRow("WL int2") << "WL" << 2 << .5469 << .2822 << .2822 << .2723;
}

void GoldenLowRank::solversRankAsPublishedInTheGramMetric()
{
    QFETCH(QString, name);
    QFETCH(int, bits);
    const MatrixD w = weights(name);
    const MatrixD e = w - integerSymmetric(w, bits, 64);
    const MatrixD g = gram(activations());
    const auto left
        = [&](const Result<ExactCorrection>& c) { return gramError(e - c->left * c->right, g) / gramError(e, g); };
    QFETCH(double, plain);
    QFETCH(double, lqer);
    QFETCH(double, rms);
    QFETCH(double, exact);
    // Published with four digits.
    QVERIFY(std::abs(left(lowRankExact(e, {}, 8)) - plain) < 6e-5);
    QVERIFY(std::abs(left(lowRankExact(e, scaleOf("lqer"), 8)) - lqer) < 6e-5);
    QVERIFY(std::abs(left(lowRankExact(e, scaleOf("rms"), 8)) - rms) < 6e-5);
    QVERIFY(std::abs(left(lowRankGram(e, g, 8)) - exact) < 6e-5);
}

void GoldenLowRank::tinyCaseMatchesTheHandComputation()
{
    const MatrixD w = tinyWeights();
    const MatrixD e = w - integerSymmetric(w, 2, 8);
    MatrixD expected(4, 8);
    expected << 0, -3, -3, 2, 2, 5, 1, 4, 4, 0, -2, 2, 3, -1, -1, -3, -5, 2, -4, 0, -4, -3, 1, 3, 1, 1, -4, -2, 0, 3, 4,
        -2;
    QVERIFY((10 * e - expected).cwiseAbs().maxCoeff() < 1e-12);

    const auto plain = lowRankExact(e, {}, 1);
    const auto weighted = lowRankExact(e, kTinyScale, 1);
    QVERIFY(plain && weighted);
    const double plainSigma[] = {.9914123622, .8785193106, .6692764353, .4768379203};
    const double weightedSigma[] = {1.754606318, 1.080164698, .9180936891, .5759382537};
    for (std::size_t i = 0; i < 4; ++i) {
        QVERIFY(near(std::sqrt(plain->squares[i]), plainSigma[i], 1e-9));
        QVERIFY(near(std::sqrt(weighted->squares[i]), weightedSigma[i], 1e-9));
    }
    const MatrixD leftByPlain = e - plain->left * plain->right;
    const MatrixD correction = weighted->left * weighted->right;
    QVERIFY(near(error(leftByPlain), 1.447101528, 1e-9));
    QVERIFY(near(error(e, kTinyScale), 5.42, 1e-12));
    QVERIFY(near(error(leftByPlain, kTinyScale), 4.178893756, 1e-9));
    QVERIFY(near(error(e - correction, kTinyScale), 2.341356669, 1e-9));
    const double row0[] = {.0808620243,  -.0783769444, .0698368014,  .1099122819,
                           .1062519085, -.012314513,  -.1188847436, .0259859947};
    for (Eigen::Index j = 0; j < 8; ++j)
        QVERIFY(std::abs(correction(0, j) - row0[j]) < 1e-10);
}

void GoldenLowRank::tinyCaseGivesTheSameProductInFloat()
{
    const MatrixD w = tinyWeights();
    const std::vector<float> e = toFloat(w - integerSymmetric(w, 2, 8));
    const std::vector<float> s = toFloat(kTinyScale);
    const auto correction = lowRank({e, 4, 8, s}, 1, {});
    QVERIFY(correction);
    QCOMPARE(correction->rank(), std::size_t(1));
    QVERIFY(near(correction->total, 5.42, 1e-6));
    QVERIFY(near(correction->tail, 2.341356669, 1e-6));
    const MatrixF product = correction->left * correction->right;
    QVERIFY(std::abs(product(0, 0) - .0808620243F) < 1e-7F);
    QVERIFY(std::abs(product(0, 3) - .1099122819F) < 1e-7F);
}

QTEST_APPLESS_MAIN(GoldenLowRank)
#include "tst_golden_lowrank.moc"
