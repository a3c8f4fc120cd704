// SPDX-License-Identifier: GPL-3.0-or-later
//
// The promises of Grid, held by every family of the registry at every width and scale storage.

#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/grid/Grid.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

using namespace sigmascope;

namespace {

constexpr std::uint64_t kRows = 5;
constexpr std::uint64_t kCols = 256;  ///< every grid takes rows of it

/// Row lengths that a grid must cope with; block formats take multiples of their block only.
std::vector<std::uint64_t> lengthsOf(const Grid& grid)
{
    std::vector<std::uint64_t> lengths;
    for (const std::uint64_t cols : {1, 2, 31, 32, 33, 64, 127, 128, 160, 256, 257, 768}) {
        if (grid.accepts(cols))
            lengths.push_back(cols);
    }
    return lengths;
}

std::vector<float> gaussian(std::uint64_t rows, std::uint64_t cols, double deviation = 0.02)
{
    std::vector<float> values(rows * cols);
    fillNormal<float>(17 + rows * 1000 + cols, values, deviation);
    return values;
}

std::vector<std::byte> coded(const Grid& grid, const std::vector<float>& weights, std::uint64_t rows,
                             std::byte fill = std::byte{0})
{
    const std::uint64_t cols = weights.size() / rows;
    std::vector<std::byte> out(rows * grid.rowBytes(cols), fill);
    const Status done = grid.encode(weights, rows, cols, out);
    if (!done)
        qFatal("%s: %s", grid.id().c_str(), done.error().detail.c_str());
    return out;
}

std::vector<float> decoded(const Grid& grid, const std::vector<std::byte>& codes, std::uint64_t rows, std::uint64_t cols)
{
    std::vector<float> values(rows * cols, std::numeric_limits<float>::quiet_NaN());
    grid.decode(codes, rows, cols, values);
    return values;
}

std::uint64_t groupLength(const Grid& grid, std::uint64_t cols)
{
    return grid.groupSize() == 0 ? cols : grid.groupSize();
}

/// Furthest that a stored value may lie from the weight, for one group: half of the widest gap between levels, and what
/// storage takes away: a parameter rounded to f16 moves by 2^-11 of itself (2^-25 below the normal range), the scale's
/// share growing with the code. Q4_0 and Q5_0 put the value of largest magnitude at their lowest code -8 or -16, and
/// have one level less on the other side: there a whole step may be missing. So it may where the scale is a power of
/// two, since the range then ends up to a step above the highest level.
/// @param rowScale  largest scale of the row: coded scales lie within half of 1/255 of it.
double boundOf(const Grid& grid, const Grid::GroupScale& group, double rowScale)
{
    const auto levels = grid.levels();
    const double codes = std::max(std::abs(levels.front()), std::abs(levels.back()));
    const double range = levels.back() - levels.front();
    double gap = 0;
    for (std::size_t i = 0; i + 1 < levels.size(); ++i)
        gap = std::max(gap, levels[i + 1] - levels[i]);
    const bool isLopsided = grid.ggufType() && levels.front() < 0 && -levels.front() != levels.back();
    const bool isPowerOfTwo = grid.id().starts_with("mxint") || grid.id().starts_with("bfp") || grid.id() == "mxfp4";
    if (levels.size() == 2)  // signs of a mean magnitude: an outlier may lie anywhere (tst_coded_block)
        return std::numeric_limits<double>::max();
    if (grid.id() == "nvfp4")  // scales of four significant bits, or steps of 2^-9
        return std::abs(group.scale) * gap / 2 + codes * std::max(std::abs(double{group.scale}) / 15, 0x1.01p-10);
    const bool hasCodedScales = grid.id().ends_with("-dq");
    // Searched scales clip the outermost weights, and are coded relative to the largest of their super-block.
    if (grid.id().ends_with("_k"))
        return 1.5 * gap * rowScale + 128 * range * 0x1.0p-25;  // codes of scales up to 128 times what f16 rounds away
    const auto rounding = [](double value) { return std::max(std::abs(value) * 0x1.0p-11, 0x1.0p-25); };
    const double stored = std::max(codes, range) * rounding(group.scale) + (group.offset != 0 ? rounding(group.offset) : 0)
                          + (hasCodedScales ? codes * rowScale / 510 : 0);
    // 1e-6: decode rounds its product to float once.
    return std::abs(group.scale) * gap * (isLopsided || isPowerOfTwo ? 1.0 : 0.5) + stored * (1 + 0x1.0p-11)
           + 1e-6 * codes * std::abs(group.scale);
}

void compareWithinBound(const Grid& grid, const std::vector<float>& weights, std::uint64_t rows)
{
    const std::uint64_t cols = weights.size() / rows;
    const auto codes = coded(grid, weights, rows);
    const auto values = decoded(grid, codes, rows, cols);
    const auto scales = grid.groupScales(codes, rows, cols);
    const std::uint64_t length = groupLength(grid, cols);
    const std::uint64_t perRow = (cols + length - 1) / length;
    QCOMPARE(scales.size(), static_cast<std::size_t>(rows * perRow));
    std::vector<double> bounds;
    for (std::size_t i = 0; i < scales.size(); ++i) {
        QVERIFY(std::isfinite(scales[i].scale) && std::isfinite(scales[i].offset));
        const auto row = std::span(scales).subspan(i / perRow * perRow, perRow);
        bounds.push_back(boundOf(grid, scales[i], std::abs(std::ranges::max(row, {}, [](const auto& g) { return std::abs(g.scale); }).scale)));
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const std::size_t group = i / cols * perRow + i % cols / length;
        if (std::abs(static_cast<double>(weights[i]) - values[i]) <= bounds[group])
            continue;
        QFAIL(qPrintable(QStringLiteral("%1 columns, element %2: %3 became %4, scale %5, bound %6")
                             .arg(cols).arg(i).arg(weights[i]).arg(values[i]).arg(scales[group].scale).arg(bounds[group])));
    }
}

}  // namespace

Q_DECLARE_METATYPE(const sigmascope::Grid*)

class GridConformanceTest : public QObject {
    Q_OBJECT

private slots:
    void idsLeadToGridsAndBack_data() { everyGrid(); }
    void idsLeadToGridsAndBack();
    void sameInputGivesTheSameBytes_data() { everyGrid(); }
    void sameInputGivesTheSameBytes();
    void everyByteOfARowIsWritten_data() { everyGrid(); }
    void everyByteOfARowIsWritten();
    void decodedValuesLieWithinTheBound_data() { everyGrid(); }
    void decodedValuesLieWithinTheBound();
    void decodedValuesAreLevelsOfTheirGroup_data() { everyGrid(); }
    void decodedValuesAreLevelsOfTheirGroup();
    void zerosStayZeros_data() { everyGrid(); }
    void zerosStayZeros();
    void nonFiniteWeightsAreRefusedByPlaceAndNumber_data() { everyGrid(); }
    void nonFiniteWeightsAreRefusedByPlaceAndNumber();
    void rowPermutationCommutesWithEncoding_data() { everyGrid(); }
    void rowPermutationCommutesWithEncoding();
    void thinMatricesAreCoded_data() { everyGrid(); }
    void thinMatricesAreCoded();
    void oddRowsGiveFiniteScales_data() { everyGrid(); }
    void oddRowsGiveFiniteScales();
    void codesTakeTheirWidthAndScalesTheRest_data() { everyGrid(); }
    void codesTakeTheirWidthAndScalesTheRest();
    void clippedRangesLoseWhatTheySay_data() { everyGrid(); }
    void clippedRangesLoseWhatTheySay();
    void everyOptionChangesTheResult();
    void wrongIdsNameTheNearest_data();
    void wrongIdsNameTheNearest();

private:
    void everyGrid();
    static std::vector<const Grid*> allGrids();
};

std::vector<const Grid*> GridConformanceTest::allGrids()
{
    std::vector<const Grid*> grids;
    for (const GridFamily& family : gridFamilies()) {
        for (const int bits : family.bits) {
            const auto first = gridOf(family.id, bits);
            if (!first)
                qFatal("%s", first.error().detail.c_str());
            grids.push_back(*first);
            for (const char* storage : {"-f32", "-f64"}) {
                if (const auto other = findGrid((*first)->id() + storage))
                    grids.push_back(*other);
            }
        }
    }
    return grids;
}

void GridConformanceTest::everyGrid()
{
    QTest::addColumn<const Grid*>("grid");
    for (const Grid* grid : allGrids())
        QTest::newRow(grid->id().c_str()) << grid;
}

void GridConformanceTest::idsLeadToGridsAndBack()
{
    QFETCH(const Grid*, grid);
    const auto found = findGrid(grid->id());
    QVERIFY(found);
    QCOMPARE(*found, grid);
    const GridFamily& family = familyOf(*grid);
    QVERIFY(std::ranges::find(family.bits, grid->bits()) != family.bits.end());
    const auto ofFamily = gridOf(family.id, grid->bits());
    QVERIFY(ofFamily);
    QVERIFY(grid->id().starts_with((*ofFamily)->id()));
    QVERIFY(!family.title.empty() && !family.source.empty());
}

void GridConformanceTest::sameInputGivesTheSameBytes()
{
    QFETCH(const Grid*, grid);
    const std::uint64_t cols = kCols;
    const std::uint64_t rows = 1000;  // several chunks, so that several threads take part
    const auto weights = gaussian(rows, cols);
    const int threads = threadCount();
    setThreadCount(1);
    const auto alone = coded(*grid, weights, rows);
    const auto valuesAlone = decoded(*grid, alone, rows, cols);
    for (const int count : {2, 5}) {
        setThreadCount(count);
        QVERIFY(coded(*grid, weights, rows) == alone);
        QVERIFY(decoded(*grid, alone, rows, cols) == valuesAlone);
    }
    setThreadCount(threads);
}

void GridConformanceTest::everyByteOfARowIsWritten()
{
    QFETCH(const Grid*, grid);
    for (const std::uint64_t cols : lengthsOf(*grid)) {
        const auto weights = gaussian(kRows, cols);
        QCOMPARE(coded(*grid, weights, kRows, std::byte{0xFF}), coded(*grid, weights, kRows, std::byte{0}));
    }
}

void GridConformanceTest::decodedValuesLieWithinTheBound()
{
    QFETCH(const Grid*, grid);
    for (const std::uint64_t cols : lengthsOf(*grid)) {
        compareWithinBound(*grid, gaussian(kRows, cols), kRows);
        auto shifted = gaussian(kRows, cols, 0.1);
        for (float& value : shifted)
            value += 0.5F;
        compareWithinBound(*grid, shifted, kRows);
        compareWithinBound(*grid, gaussian(kRows, cols, 1e-6), kRows);  // scales below f16's normal range
    }
}

void GridConformanceTest::decodedValuesAreLevelsOfTheirGroup()
{
    QFETCH(const Grid*, grid);
    const auto levels = grid->levels();
    QVERIFY(std::ranges::is_sorted(levels) && !levels.empty());
    QVERIFY(levels.size() <= std::size_t(1) << grid->bits());
    const std::uint64_t cols = kCols;
    const auto codes = coded(*grid, gaussian(kRows, cols), kRows);
    const auto values = decoded(*grid, codes, kRows, cols);
    const auto scales = grid->groupScales(codes, kRows, cols);
    const std::uint64_t length = groupLength(*grid, cols);
    const std::uint64_t perRow = (cols + length - 1) / length;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto& group = scales[i / cols * perRow + i % cols / length];
        const double level = (static_cast<double>(values[i]) - group.offset) / group.scale;
        const double nearest = *std::ranges::min_element(levels, {}, [&](double known) { return std::abs(level - known); });
        QVERIFY(std::abs(level - nearest) < 1e-3);
    }
}

void GridConformanceTest::zerosStayZeros()
{
    QFETCH(const Grid*, grid);
    for (const float zero : {0.0F, -0.0F}) {
        const std::vector<float> weights(kRows * kCols, zero);
        const auto codes = coded(*grid, weights, kRows);
        for (const float value : decoded(*grid, codes, kRows, kCols))
            QCOMPARE(value, 0.0F);
        for (const auto& group : grid->groupScales(codes, kRows, kCols))
            QCOMPARE(group.scale, 0.0F);
    }
    // One row of zeros among others stays zeros too.
    auto mixed = gaussian(3, kCols);
    std::fill_n(mixed.begin() + kCols, kCols, 0.0F);
    const auto values = decoded(*grid, coded(*grid, mixed, 3), 3, kCols);
    QVERIFY(std::all_of(values.begin() + kCols, values.begin() + 2 * kCols, [](float value) { return value == 0; }));
}

void GridConformanceTest::nonFiniteWeightsAreRefusedByPlaceAndNumber()
{
    QFETCH(const Grid*, grid);
    constexpr float kInf = std::numeric_limits<float>::infinity();
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInf, -kInf}) {
        auto weights = gaussian(kRows, kCols);
        weights[2 * kCols + 7] = bad;
        weights[4 * kCols] = bad;
        std::vector<std::byte> out(kRows * grid->rowBytes(kCols));
        const Status done = grid->encode(weights, kRows, kCols, out);
        QVERIFY(!done);
        QCOMPARE(done.error().code, ErrorCode::NonFinite);
        const std::string& detail = done.error().detail;
        QVERIFY2(detail.find("non-finite values: 2, first at row 2, column 7") != std::string::npos, detail.c_str());
    }
}

void GridConformanceTest::rowPermutationCommutesWithEncoding()
{
    QFETCH(const Grid*, grid);
    for (const std::uint64_t cols : lengthsOf(*grid)) {
        const auto weights = gaussian(kRows, cols);
        const auto codes = coded(*grid, weights, kRows);
        const std::size_t rowBytes = grid->rowBytes(cols);
        std::vector<float> turned(weights.size());
        std::vector<std::byte> expected(codes.size());
        for (std::size_t row = 0; row < kRows; ++row) {
            const std::size_t to = (row * 3 + 1) % kRows;
            std::copy_n(weights.begin() + static_cast<std::ptrdiff_t>(row * cols), cols,
                        turned.begin() + static_cast<std::ptrdiff_t>(to * cols));
            std::copy_n(codes.begin() + static_cast<std::ptrdiff_t>(row * rowBytes), rowBytes,
                        expected.begin() + static_cast<std::ptrdiff_t>(to * rowBytes));
        }
        QCOMPARE(coded(*grid, turned, kRows), expected);
    }
}

/// reliability 79: 1 x N, N x 1, 1 x 1 and rows that no group divides.
void GridConformanceTest::thinMatricesAreCoded()
{
    QFETCH(const Grid*, grid);
    for (const std::uint64_t cols : lengthsOf(*grid)) {
        compareWithinBound(*grid, gaussian(1, cols), 1);
        compareWithinBound(*grid, gaussian(131, cols), 131);
    }
    QVERIFY(grid->ggufType() || grid->accepts(1));
    for (const std::uint64_t cols : {1, 31, 33, 100})
        QVERIFY(!grid->ggufType() || !grid->accepts(cols));
}

/// reliability 71 to 75: whatever finite values a row holds, its scales are finite, or the encoder
/// says that they would not be.
void GridConformanceTest::oddRowsGiveFiniteScales()
{
    QFETCH(const Grid*, grid);
    constexpr float kSubnormal = std::numeric_limits<float>::denorm_min();
    constexpr float kMax = std::numeric_limits<float>::max();
    const std::uint64_t cols = kCols;
    std::vector<std::vector<float>> rows{
        std::vector<float>(cols, 0.37F),  std::vector<float>(cols, -0.37F), std::vector<float>(cols, 65504.0F),
        std::vector<float>(cols, kMax),   std::vector<float>(cols, -0.0F),  std::vector<float>(cols, kSubnormal),
        std::vector<float>(cols, 1e-38F), std::vector<float>(cols, 1e-5F),
    };
    for (std::size_t i = 0; i < cols; ++i)
        rows[5][i] *= static_cast<float>(i);  // subnormals only
    rows[7][20] = 1e38F;                      // one outlier beside 1e-5
    for (const auto& row : rows) {
        std::vector<std::byte> out(grid->rowBytes(cols));
        const Status done = grid->encode(row, 1, cols, out);
        if (!done) {
            QCOMPARE(done.error().code, ErrorCode::ScaleOutOfRange);
            QVERIFY(std::abs(*std::ranges::max_element(row, {}, [](float v) { return std::abs(v); })) > 65504.0F);
            QVERIFY2(done.error().detail.find("row 0, column") != std::string::npos, done.error().detail.c_str());
            continue;
        }
        for (const auto& group : grid->groupScales(out, 1, cols))
            QVERIFY(std::isfinite(group.scale) && std::isfinite(group.offset));
        for (const float value : decoded(*grid, out, 1, cols))
            QVERIFY(std::isfinite(value));
    }
}

void GridConformanceTest::codesTakeTheirWidthAndScalesTheRest()
{
    QFETCH(const Grid*, grid);
    for (const std::uint64_t cols : lengthsOf(*grid)) {
        const QuantizedTensor tensor{grid, kRows, cols, coded(*grid, gaussian(kRows, cols), kRows)};
        QVERIFY(tensor.bitsPerWeight() > grid->bits() || grid->id() == "tq1_0");  // five base-3 digits share a byte
        QCOMPARE(tensor.codes.size(), static_cast<std::size_t>(kRows * grid->rowBytes(cols)));
    }
    // At the length of a super-block the overhead is what scales and zero points take, plus at most a byte each.
    const std::uint64_t length = groupLength(*grid, kCols);
    const double overhead = 8.0 * static_cast<double>(grid->rowBytes(kCols)) - static_cast<double>(kCols) * grid->bits();
    QVERIFY(overhead <= (64 + 16) * (static_cast<double>(kCols) / static_cast<double>(std::min(kCols, length))) + 16);
}

/// What ClipRange foretells is what a decoder then reads; groups that keep their range keep their bytes.
void GridConformanceTest::clippedRangesLoseWhatTheySay()
{
    QFETCH(const Grid*, grid);
    const ClipRange* clip = grid->clipRange();
    const bool isClippable = grid->ggufType() ? grid->id() == "q4_0" || grid->id() == "q5_0" || grid->id() == "q8_0"
                                              : !grid->id().ends_with("-dq");
    QCOMPARE(clip != nullptr, isClippable);
    if (clip == nullptr)
        return;
    QVERIFY(clip->widestReach() >= 1);
    const std::uint64_t cols = 160;
    const auto weights = gaussian(1, cols);
    const std::size_t length = groupLength(*grid, cols);
    std::vector<double> importance(cols);
    for (std::size_t i = 0; i < cols; ++i)
        importance[i] = static_cast<double>(i % 7);
    const auto whole = coded(*grid, weights, 1);
    std::vector<double> reach((cols + length - 1) / length, 1.0);
    auto bytes = whole;
    clip->recode(weights, reach, bytes);
    QCOMPARE(bytes, whole);

    for (const double narrowed : {1.05, 0.95, 0.7, 0.31}) {
        for (std::size_t g = 0; g < reach.size(); ++g)
            reach[g] = g % 2 == 0 ? narrowed : 1.0;
        bytes = whole;
        clip->recode(weights, reach, bytes);
        const auto values = decoded(*grid, bytes, 1, cols);
        const auto before = decoded(*grid, whole, 1, cols);
        for (std::size_t g = 0; g < reach.size(); ++g) {
            const std::size_t begin = g * length;
            const std::size_t count = std::min<std::size_t>(length, cols - begin);
            double lost = 0;
            for (std::size_t i = begin; i < begin + count; ++i) {
                const double error = static_cast<double>(weights[i]) - values[i];
                lost += importance[i] * (error * error);
                QVERIFY(reach[g] != 1 || values[i] == before[i]);
            }
            const auto group = std::span(weights).subspan(begin, count);
            const double foretold = clip->clippedError(group, std::span(importance).subspan(begin, count), reach[g]);
            if (reach[g] != 1)
                QCOMPARE(foretold, lost);
        }
    }
}

/// Width, group, symmetry, storage of the scale, variant: no two grids store the same values.
void GridConformanceTest::everyOptionChangesTheResult()
{
    const std::uint64_t cols = 512;
    auto weights = gaussian(4, cols);
    weights[3] = 0.125F;  // a power of two as the largest of its group: there the two MXINT differ
    std::map<std::vector<float>, std::string> seen;
    for (const Grid* grid : allGrids()) {
        // Decoded to float, a scale of 64 bits times 0 or 1 is one of 32.
        if (grid->bits() == 2 && grid->id().ends_with("-f64"))
            continue;
        if (grid->id() == "tq2_0" || grid->id() == "q2_0")  // the values of TQ1_0 and of int2-g64, packed otherwise
            continue;
        const auto [other, isNew] = seen.emplace(decoded(*grid, coded(*grid, weights, 4), 4, cols), grid->id());
        QVERIFY2(isNew, (grid->id() + " stores what " + other->second + " stores").c_str());
    }
}

void GridConformanceTest::wrongIdsNameTheNearest_data()
{
    QTest::addColumn<QString>("id");
    QTest::addColumn<QString>("nearest");
    QTest::newRow("bits 0") << "int0-g128" << "int2-g128";
    QTest::newRow("bits 1") << "int1-g128" << "int2-g128";
    QTest::newRow("bits 9") << "int9-g128" << "int8-g128";
    QTest::newRow("bits 16") << "int16-row" << "int8-row";
    QTest::newRow("bits of 40 digits") << "int9999999999999999999999999999999999999999-g64" << "int2-g64";
    QTest::newRow("group 127") << "int4-g127" << "int4-g128";
    QTest::newRow("case") << "Q4_0" << "q4_0";
    QTest::newRow("typo") << "q4_00" << "q4_0";
    QTest::newRow("storage") << "int4-row-f31" << "int4-row-f32";
    QTest::newRow("MXINT block") << "mxint4-b64" << "mxint4-b16";
    QTest::newRow("MXINT width") << "mxint9-b32" << "mxint8-b32";
    QTest::newRow("NormalFloat width") << "nf2-g64" << "nf3-g64";
    QTest::newRow("empty") << "" << "";
    QTest::newRow("control characters") << "q4_0\n" << "q4_0";
    QTest::newRow("a megabyte") << QString(1 << 20, QLatin1Char('x')) << "";
}

void GridConformanceTest::wrongIdsNameTheNearest()
{
    QFETCH(QString, id);
    QFETCH(QString, nearest);
    const auto found = findGrid(id.toStdString());
    QVERIFY(!found);
    QCOMPARE(found.error().code, ErrorCode::InvalidOption);
    const std::string& detail = found.error().detail;
    QVERIFY2(detail.find("nearest: " + nearest.toStdString()) != std::string::npos, detail.c_str());
    QVERIFY(detail.size() < 400 && detail.find('\n') == std::string::npos);
    const std::string named = detail.substr(detail.find("nearest: ") + 9);
    QVERIFY2(findGrid(named), detail.c_str());

    for (const int bits : {-1, 0, 1, 9, 16}) {
        const auto wide = gridOf("int-g128", bits);
        QVERIFY(!wide);
        QCOMPARE(wide.error().code, ErrorCode::InvalidOption);
        QVERIFY(wide.error().detail.find("2, 3, 4, 5, 6, 7, 8") != std::string::npos);
    }
    QVERIFY(!gridOf("int-g129", 4));
}

QTEST_APPLESS_MAIN(GridConformanceTest)
#include "tst_grid_conformance.moc"
