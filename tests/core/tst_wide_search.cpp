// SPDX-License-Identifier: GPL-3.0-or-later
// The wider search: no block is worse than ggml's encoders leave it, over distributions and metrics; every type gains;
// and its parts of a block are those that the decoders read.

#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/solve/Solver.h"
#include "core/solve/solvers/BlockParts.h"
#include "core/tensor/Decode.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace sigmascope;

namespace {

constexpr DType kTypes[] = {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0,   DType::Q2_K,
                            DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS};

std::vector<float> gaussian(std::size_t size, double scale)
{
    std::vector<float> values(size);
    fillNormal<float>(size + 5, values, scale);
    return values;
}

/// One distribution after another: Gaussian, heavy-tailed, shifted, constant runs, zeros, tiny, large, few values.
std::vector<float> distribution(int kind, std::size_t size)
{
    auto values = gaussian(size, 0.02);
    const auto other = gaussian(size + 256, 1.0);
    for (std::size_t i = 0; i < size; ++i) {
        if (kind == 1)
            values[i] *= other[i] * other[i];
        if (kind == 2)
            values[i] += 0.03F;
        if (kind == 3)
            values[i] = i / 16 % 3 == 0 ? -0.5F : i / 16 % 3 == 1 ? 0.0F : values[i];
        if (kind == 4)
            values[i] *= 1e-7F;
        if (kind == 5)
            values[i] *= 1e5F;
        if (kind == 6)
            values[i] = static_cast<float>(i % 3) - 1.0F;
        if (kind == 7)
            values[i] = i % 64 == 11 ? 0.7F : 1e-6F * other[i];
    }
    return values;
}

Metric metricOf(int kind, std::uint64_t cols)
{
    Metric metric;
    if (kind == 0)
        return metric;
    metric.kind = MetricKind::DiagonalRms;
    const auto spread = gaussian(cols, 1.0);
    for (std::uint64_t j = 0; j < cols; ++j) {
        metric.scale.push_back(kind == 2 && (j % 7 == 3 || j / 32 == 2) ? 0.0F : std::exp(spread[j]));
        metric.meanSquares.push_back(metric.scale.back() * metric.scale.back());
    }
    return metric;
}

/// sum of s_j^2 (w_j - q_j)^2 of every block.
std::vector<double> lossesOf(const Grid& grid, const std::vector<float>& weights, std::span<const std::byte> codes,
                             const Metric& metric, std::uint64_t cols)
{
    std::vector<float> values(weights.size());
    grid.decode(codes, weights.size() / cols, cols, values);
    const std::size_t block = info(*grid.ggufType()).blockElements;
    std::vector<double> sums(weights.size() / block);
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const double s = metric.isPlain() ? 1.0 : static_cast<double>(metric.scale[i % cols]);
        const double rest = s * (static_cast<double>(weights[i]) - values[i]);
        sums[i / block] += rest * rest;
    }
    return sums;
}

const Grid* gridOfType(DType type)
{
    return *findGrid(QString::fromUtf8(info(type).name.data()).toLower().toStdString());
}

}  // namespace

class WideSearchTest : public QObject {
    Q_OBJECT

private slots:
    void noBlockIsWorseThanGgmls_data() { everyType(); }
    void noBlockIsWorseThanGgmls()
    {
        QFETCH(DType, type);
        const Grid* grid = gridOfType(type);
        const std::uint64_t rows = 3;
        const std::uint64_t cols = 512;
        const Solver* wide = findSolver("wide");
        QVERIFY(wide != nullptr && wide->accepts(*grid));
        for (int kind = 0; kind < 8; ++kind) {
            for (int weighted = 0; weighted < 3; ++weighted) {
                const auto weights = distribution(kind, rows * cols);
                const Metric metric = metricOf(weighted, cols);
                const SolveProblem problem{weights, rows, cols, grid, &metric, nullptr};
                const auto ours = wide->solve(problem, {});
                QVERIFY2(ours, ours ? "" : ours.error().detail.c_str());
                const auto found = lossesOf(*grid, weights, ours->quantized.codes, metric, cols);
                for (const char* id : {"nearest", "imatrix"}) {
                    const auto theirs = findSolver(id)->solve(problem, {});
                    QVERIFY(theirs);
                    const auto bound = lossesOf(*grid, weights, theirs->quantized.codes, metric, cols);
                    for (std::size_t block = 0; block < found.size(); ++block)
                        QVERIFY2(found[block] <= bound[block] * (1 + 1e-12),
                                 qPrintable(QStringLiteral("distribution %1, metric %2, block %3: %4 against %5 of %6")
                                                .arg(kind)
                                                .arg(weighted)
                                                .arg(block)
                                                .arg(found[block])
                                                .arg(bound[block])
                                                .arg(QLatin1String(id))));
                }
            }
        }
    }

    /// What it tells is the error against the better one of ggml's two, and it is a gain.
    void everyTypeGainsAndSaysHowMuch_data() { everyType(); }
    void everyTypeGainsAndSaysHowMuch()
    {
        QFETCH(DType, type);
        const Grid* grid = gridOfType(type);
        const std::uint64_t rows = 8;
        const std::uint64_t cols = 768;
        const auto weights = gaussian(rows * cols, 0.02);
        for (const int weighted : {0, 1}) {
            const Metric metric = metricOf(weighted, cols);
            const SolveProblem problem{weights, rows, cols, grid, &metric, nullptr};
            const auto total = [&](const char* id) {
                const auto solution = findSolver(id)->solve(problem, {});
                const auto losses = lossesOf(*grid, weights, solution->quantized.codes, metric, cols);
                double sum = 0;
                for (const double loss : losses)
                    sum += loss;
                return sum;
            };
            const auto solution = findSolver("wide")->solve(problem, {});
            QVERIFY(solution && solution->searchGain);
            const double theirs = std::min(total("nearest"), total("imatrix"));
            const double expected = 1 - std::sqrt(total("wide") / theirs);
            QVERIFY(std::fabs(*solution->searchGain - expected) <= 1e-9);
            QVERIFY2(*solution->searchGain > 0.002, qPrintable(QString::number(*solution->searchGain)));
            qInfo("%s, %s: error %.2f %% below ggml's", info(type).name.data(), weighted == 0 ? "plain" : "weighted",
                  100 * *solution->searchGain);
        }
    }

    void solversWithoutASearchOfTheirOwnTellNoGain()
    {
        const auto weights = gaussian(512, 0.02);
        const Metric metric = metricOf(1, 512);
        for (const char* id : {"nearest", "imatrix"}) {
            const auto solution
                = findSolver(id)->solve({weights, 1, 512, gridOfType(DType::Q4_K), &metric, nullptr}, {});
            QVERIFY(solution && !solution->searchGain);
        }
        QVERIFY(!findSolver("wide")->accepts(**findGrid("int4-g128")));
        QVERIFY(!findSolver("wide")->accepts(**findGrid("mxfp4")));
    }

    /// Parts of any numbers, written, are what the decoder makes of them, and are read back.
    void partsAreWhatDecodersRead_data() { everyType(); }
    void partsAreWhatDecodersRead()
    {
        QFETCH(DType, type);
        const BlockShape& shape = *blockShapeOf(type);
        SplitMix64 random(7);
        const auto between = [&random](int low, int high) {
            return low + static_cast<int>(random.next() % static_cast<std::uint64_t>(high - low + 1));
        };
        for (int round = 0; round < 20; ++round) {
            BlockParts parts;
            parts.d
                = f16ToFloat(floatToF16(static_cast<float>(between(1, 900)) * (shape.scaleLow < 0 ? -1e-3F : 1e-3F)));
            parts.m = shape.hasMinimum() ? f16ToFloat(floatToF16(static_cast<float>(between(1, 900)) * 1e-4F)) : 0.0F;
            for (std::size_t run = 0; run < shape.runs(); ++run) {
                parts.scale[run] = between(shape.scaleLow, shape.scaleHigh);
                parts.minimum[run] = between(shape.minimumLow, shape.minimumHigh);
            }
            for (std::size_t e = 0; e < shape.elements; ++e)
                parts.code[e] = static_cast<std::uint8_t>(between(0, shape.highest - shape.lowest));
            std::vector<std::byte> stored(info(type).blockBits / 8, std::byte{0xFF});
            writeBlock(shape, parts, stored);
            std::vector<float> values(shape.elements);
            decode(type, stored, values);
            BlockParts read;
            readScales(shape, stored, read);
            QCOMPARE(read.d, parts.d);
            QCOMPARE(read.m, parts.m);
            for (std::size_t e = 0; e < shape.elements; ++e) {
                const std::size_t run = e / shape.run;
                QCOMPARE(read.scale[run], parts.scale[run]);
                QCOMPARE(read.minimum[run], parts.minimum[run]);
                const double level = shape.uneven ? kUnevenLevels[parts.code[e]] : parts.code[e] + shape.lowest;
                const double scale = parts.d * static_cast<float>(parts.scale[run]);
                const double minimum = parts.m * static_cast<float>(parts.minimum[run]);
                QVERIFY(std::fabs(values[e] - (scale * level - minimum))
                        <= 1e-6 * (std::fabs(scale * level) + minimum));
            }
        }
    }

private:
    static void everyType()
    {
        QTest::addColumn<DType>("type");
        for (const DType type : kTypes)
            QTest::newRow(info(type).name.data()) << type;
    }
};

QTEST_GUILESS_MAIN(WideSearchTest)
#include "tst_wide_search.moc"
