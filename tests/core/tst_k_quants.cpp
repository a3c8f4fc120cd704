// SPDX-License-Identifier: GPL-3.0-or-later
//
// Super-block grids apart from llama.cpp (tests/interop compares bytes): scales, instruction sets, and what happens
// where importances are of no use.
#include "core/compute/ops/RowBlockEncode.h"

#include "core/base/Random.h"
#include "core/compute/ops/SuperBlockEncode.h"
#include "core/grid/Grid.h"
#include "core/solve/Solver.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace sigmascope;

namespace {

constexpr std::array kTypes{DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K};
constexpr std::uint64_t kRows = 9;
constexpr std::uint64_t kCols = 768;

std::vector<float> gaussian(std::size_t count, double deviation = 0.02)
{
    std::vector<float> values(count);
    fillNormal<float>(31, values, deviation);
    return values;
}

std::vector<float> importances()
{
    std::vector<float> values(kCols);
    for (std::size_t i = 0; i < kCols; ++i)
        values[i] = static_cast<float>(std::exp(3 * std::sin(0.7 * static_cast<double>(i))));
    return values;
}

std::size_t bytesOf(DType type, std::size_t elements)
{
    return elements / 256 * (info(type).blockBits / 8);
}

struct Coded {
    std::vector<std::byte> bytes;
    std::string note;
};

Coded coded(DType type, const std::vector<float>& weights, const std::vector<float>& importance,
            const kernels::SearchTable& table = searchTable())
{
    Coded result{std::vector<std::byte>(bytesOf(type, weights.size()), std::byte{0x77}), {}};
    auto note = encodeSuperBlocks(type, weights, weights.size() / kCols, kCols, importance, result.bytes, {}, table);
    if (!note)
        qFatal("%s", note.error().detail.c_str());
    result.note = std::move(*note);
    return result;
}

const Grid& gridOfType(DType type)
{
    for (const GridFamily& family : gridFamilies()) {
        const auto grid = findGrid(family.id);
        if (grid && (*grid)->ggufType() == type)
            return **grid;
    }
    qFatal("no grid of %s", std::string(info(type).name).c_str());
}

double weightedLoss(const Grid& grid, const std::vector<float>& weights, const std::vector<std::byte>& codes,
                    const std::vector<float>& importance)
{
    std::vector<float> values(weights.size());
    grid.decode(codes, weights.size() / kCols, kCols, values);
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
        sum += static_cast<double>(importance[i % kCols]) * std::pow(static_cast<double>(weights[i]) - values[i], 2);
    return sum;
}

}  // namespace

class TestKQuants : public QObject {
    Q_OBJECT

private:
    static void addTypes()
    {
        QTest::addColumn<int>("type");
        for (const DType type : kTypes)
            QTest::newRow(info(type).name.data()) << static_cast<int>(type);
    }

private slots:
    void everyLevelWritesTheSameBytes_data() { addTypes(); }
    void everyLevelWritesTheSameBytes()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        const auto weights = gaussian(kRows * kCols);
        for (const std::vector<float>& importance : {std::vector<float>(), importances()}) {
            const auto expected = coded(dtype, weights, importance, kernels::kKernelsSearchScalar);
            for (const kernels::KernelTable* table : usableKernelTables()) {
                QCOMPARE(searchTableOf(*table).level, table->level);
                QVERIFY(coded(dtype, weights, importance, searchTableOf(*table)).bytes == expected.bytes);
            }
        }
    }

    void decodedWeightsAreLevelsOfTheirRuns_data() { addTypes(); }
    void decodedWeightsAreLevelsOfTheirRuns()
    {
        QFETCH(int, type);
        const Grid& grid = gridOfType(static_cast<DType>(type));
        const auto weights = gaussian(kRows * kCols);
        const auto codes = coded(static_cast<DType>(type), weights, {}).bytes;
        const auto levels = grid.levels();
        QCOMPARE(levels.size(), std::size_t{1} << grid.bits());
        const auto scales = grid.groupScales(codes, kRows, kCols);
        QCOMPARE(scales.size(), weights.size() / grid.groupSize());
        std::vector<float> values(weights.size());
        grid.decode(codes, kRows, kCols, values);
        double lost = 0;
        double whole = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const auto& [scale, offset] = scales[i / grid.groupSize()];
            QVERIFY(std::ranges::any_of(
                levels, [&](double level) { return static_cast<float>(level) * scale + offset == values[i]; }));
            lost += std::pow(static_cast<double>(weights[i]) - values[i], 2);
            whole += std::pow(static_cast<double>(weights[i]), 2);
        }
        // Root mean squares of formats.md §8 on Gaussians, 10 % of leeway: they are of one small sample.
        const std::array published{0.290, 0.154, 0.066, 0.0345, 0.0176};
        const double expected = published[static_cast<std::size_t>(grid.bits() - 2)];
        QVERIFY2(std::abs(std::sqrt(lost / whole) / expected - 1) < 0.1,
                 qPrintable(QString::number(std::sqrt(lost / whole))));
    }

    void importancesLowerWhatIsLostUnderThem_data() { addTypes(); }
    void importancesLowerWhatIsLostUnderThem()
    {
        QFETCH(int, type);
        const Grid& grid = gridOfType(static_cast<DType>(type));
        const auto weights = gaussian(kRows * kCols);
        const auto plain = coded(static_cast<DType>(type), weights, {});
        const auto weighed = coded(static_cast<DType>(type), weights, importances());
        QVERIFY(weighed.note.empty());
        QVERIFY(weightedLoss(grid, weights, weighed.bytes, importances())
                < 0.95 * weightedLoss(grid, weights, plain.bytes, importances()));
    }

    void columnsWithoutCalibrationAreCodedAsEquallyImportant_data() { addTypes(); }
    void columnsWithoutCalibrationAreCodedAsEquallyImportant()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        const auto weights = gaussian(kRows * kCols);
        auto given = importances();
        std::fill(given.begin() + 256, given.begin() + 512, 0.0F);
        auto meant = importances();
        std::fill(meant.begin() + 256, meant.begin() + 512, 1.0F);
        const auto found = coded(dtype, weights, given);
        QVERIFY(found.bytes == coded(dtype, weights, meant).bytes);
        QVERIFY2(found.note.find("1 of 3 runs of 256 columns") != std::string::npos, found.note.c_str());
        std::vector<float> values(weights.size());
        gridOfType(dtype).decode(found.bytes, kRows, kCols, values);
        QVERIFY(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }));
    }

    void importancesThatAreNoneBecomeTheMeanOfTheOthers_data() { addTypes(); }
    void importancesThatAreNoneBecomeTheMeanOfTheOthers()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        const auto weights = gaussian(kRows * kCols);
        std::vector<float> given(kCols, 2.0F);
        const std::vector<float> meant = given;
        given[3] = std::numeric_limits<float>::quiet_NaN();
        given[300] = std::numeric_limits<float>::infinity();
        given[301] = -1;
        const auto found = coded(dtype, weights, given);
        QVERIFY(found.bytes == coded(dtype, weights, meant).bytes);
        QVERIFY2(found.note.find("2 of 3 runs of 256 columns") != std::string::npos, found.note.c_str());
    }

    void importancesBeyondFloatsAreLeftOut_data() { addTypes(); }
    void importancesBeyondFloatsAreLeftOut()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        const auto weights = gaussian(kRows * kCols, 1000.0);
        std::vector<float> values(weights.size());
        // Sums of such weights are infinite; what comes of them must be finite, or the block is coded without.
        const auto found = coded(dtype, weights, std::vector<float>(kCols, 3e38F));
        gridOfType(dtype).decode(found.bytes, kRows, kCols, values);
        QVERIFY(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }));
    }

    void wrongRowsAndValuesAreRefused()
    {
        std::vector<float> weights(2 * kCols, 1.0F);
        std::vector<std::byte> out(bytesOf(DType::Q4_K, weights.size()));
        const auto refused = [&](DType type, std::uint64_t rows, std::uint64_t cols) {
            const auto done = encodeSuperBlocks(type, weights, rows, cols, {}, out, {});
            return done ? ErrorCode{} : done.error().code;
        };
        QCOMPARE(refused(DType::Q4_K, 16, 96), ErrorCode::ShapeMismatch);
        QCOMPARE(refused(DType::Q4_0, 2, kCols), ErrorCode::UnsupportedType);
        weights[kCols + 300] = 3e38F;
        QCOMPARE(refused(DType::Q4_K, 2, kCols), ErrorCode::ScaleOutOfRange);
        const auto overflow = encodeSuperBlocks(DType::Q4_K, weights, 2, kCols, {}, out, {});
        QVERIFY2(overflow.error().detail.find("row 1, columns 256 to 511") != std::string::npos,
                 overflow.error().detail.c_str());
        weights[kCols + 2] = std::numeric_limits<float>::quiet_NaN();
        QCOMPARE(refused(DType::Q4_K, 2, kCols), ErrorCode::NonFinite);
        std::stop_source stop;
        stop.request_stop();
        const auto cancelled = encodeSuperBlocks(DType::Q4_K, weights, 2, kCols, {}, out, {.stop = stop.get_token()});
        QVERIFY(!cancelled && cancelled.error().code == ErrorCode::Cancelled);
    }

    void blocksOf32TakeImportancesToo()
    {
        const auto weights = gaussian(kRows * kCols);
        for (const DType type : {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1}) {
            const Grid& grid = gridOfType(type);
            std::vector<std::byte> plain(kRows * grid.rowBytes(kCols));
            QVERIFY(grid.encode(weights, kRows, kCols, plain));
            auto weighed = plain;
            auto note = encodeRowBlocks(type, weights, kRows, kCols, importances(), weighed, {});
            QVERIFY(note && note->empty());
            QVERIFY(weightedLoss(grid, weights, weighed, importances())
                    < 0.95 * weightedLoss(grid, weights, plain, importances()));
            auto given = importances();
            std::fill(given.begin() + 32, given.begin() + 64, 0.0F);
            auto meant = given;
            std::fill(meant.begin() + 32, meant.begin() + 64, 1.0F);
            QVERIFY(encodeRowBlocks(type, weights, kRows, kCols, meant, weighed, {}));
            note = encodeRowBlocks(type, weights, kRows, kCols, given, plain, {});
            QVERIFY2(note && note->find("1 of 24 runs of 32 columns") != std::string::npos, note ? note->c_str() : "");
            QVERIFY(plain == weighed);
            const std::vector<float> large(kCols, 3e38F);
            QCOMPARE(
                encodeRowBlocks(type, large, 1, kCols, importances(), std::span(plain).first(grid.rowBytes(kCols)), {})
                    .error()
                    .code,
                ErrorCode::ScaleOutOfRange);
        }
        QVERIFY(gridOfType(DType::Q8_0).importanceSearch() == nullptr);
    }

    /// Experts in one tensor have importances of their own.
    void stackedMatricesAreWeighedApart()
    {
        const auto weights = gaussian(2 * kCols);
        auto first = importances();
        auto second = first;
        std::ranges::reverse(second);
        const Grid& grid = gridOfType(DType::Q3_K);
        Metric metric{.kind = MetricKind::DiagonalRms, .scale = std::vector<float>(kCols, 1.0F)};
        metric.meanSquares = first;
        metric.meanSquares.insert(metric.meanSquares.end(), second.begin(), second.end());
        const auto solution = findSolver("imatrix")->solve(
            {.weights = weights, .rows = 2, .cols = kCols, .grid = &grid, .metric = &metric}, {});
        QVERIFY2(solution, solution ? "" : solution.error().detail.c_str());
        auto expected = coded(DType::Q3_K, {weights.begin(), weights.begin() + kCols}, first).bytes;
        const auto rest = coded(DType::Q3_K, {weights.begin() + kCols, weights.end()}, second).bytes;
        expected.insert(expected.end(), rest.begin(), rest.end());
        QVERIFY(solution->quantized.codes == expected);
    }
};

QTEST_APPLESS_MAIN(TestKQuants)
#include "tst_k_quants.moc"
