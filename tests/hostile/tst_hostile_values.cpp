// SPDX-License-Identifier: GPL-3.0-or-later
//
// Weights that no encoder expects, through the whole pipeline: reliability 67 to 76, 78 and 79.

#include "cli/TinyModel.h"
#include "core/project/Pipeline.h"
#include "support/FileBuilders.h"

#include <QTemporaryDir>
#include <QTest>

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

constexpr const char* kName = "model.layers.0.mlp.up_proj.weight";
constexpr std::uint64_t kRows = 6;
constexpr std::uint64_t kCols = 64;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kSubnormal = std::numeric_limits<float>::denorm_min();

std::vector<float> ordinary()
{
    std::vector<float> values(kRows * kCols);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(0.02 * std::sin(1.3 * static_cast<double>(i)));
    return values;
}

std::vector<float> with(std::size_t at, float value)
{
    auto values = ordinary();
    values[at] = value;
    return values;
}

LayerPlan planOf(const char* grid)
{
    return {.keep = false, .grid = grid, .rank = 2, .metric = MetricKind::Plain};
}

}  // namespace

class HostileValuesTest : public QObject {
    Q_OBJECT

private slots:
    void nonFiniteWeightsAreCountedAndNamed_data();
    void nonFiniteWeightsAreCountedAndNamed();
    void oddButFiniteWeightsAreCoded_data();
    void oddButFiniteWeightsAreCoded();
    void outlierThatFitsNoF16IsNamedAndKept();
    void minusZeroIsZeroEverywhere();
    void thinAndUndividedMatricesRunOrSayWhy_data();
    void thinAndUndividedMatricesRunOrSayWhy();
    void scalesOfBlocksThatAreNotFiniteAreCountedAndKept_data();
    void scalesOfBlocksThatAreNotFiniteAreCountedAndKept();
    void calibrationThatCannotBeUsedIsPlainAndListed_data();
    void calibrationThatCannotBeUsedIsPlainAndListed();
    void impossibleRanksAndWidthsAreRefusedBeforeTheRun_data();
    void impossibleRanksAndWidthsAreRefusedBeforeTheRun();

private:
    std::shared_ptr<const Checkpoint> opened(const std::vector<float>& values, std::uint64_t rows = kRows)
    {
        const std::filesystem::path path = m_folder.filePath("model.safetensors").toStdString();
        writeFile(path, safetensorsBytes({floats(kName, {rows, values.size() / rows}, values)}));
        auto checkpoint = Checkpoint::open(path);
        if (!checkpoint)
            qFatal("%s", checkpoint.error().detail.c_str());
        return *checkpoint;
    }
    static std::string offsetOf(const Checkpoint& checkpoint)
    {
        return "at byte " + std::to_string(checkpoint.tensors()[0].offset);
    }
    /// What preflight makes of a plan: the reason for which the tensor stays as it is, empty if it does not.
    std::string keptBecause(const Checkpoint& checkpoint, const char* grid)
    {
        const auto looked = preflight(checkpoint, {.layers = {planOf(grid)}}, *m_backend, {});
        if (!looked)
            return "failed: " + looked.error().detail;
        if (!looked->plan.layers[0].keep)
            return "";
        return looked->fallbacks.size() == 1 ? looked->fallbacks[0].detail : "not listed";
    }

    QTemporaryDir m_folder;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
};

/// reliability 68 to 70: refused by the layer, kept unquantized by a run.
void HostileValuesTest::nonFiniteWeightsAreCountedAndNamed_data()
{
    QTest::addColumn<std::vector<float>>("values");
    QTest::addColumn<QString>("found");
    QTest::newRow("68 all NaN") << std::vector<float>(kRows * kCols, kNan)
                                << "non-finite values: 384, first at row 0, column 0";
    QTest::newRow("69 one NaN") << with(3 * kCols + 17, kNan) << "non-finite values: 1, first at row 3, column 17";
    QTest::newRow("70 +Inf") << with(5 * kCols + 63, kInf) << "non-finite values: 1, first at row 5, column 63";
    QTest::newRow("70 -Inf") << with(0, -kInf) << "non-finite values: 1, first at row 0, column 0";
}

void HostileValuesTest::nonFiniteWeightsAreCountedAndNamed()
{
    QFETCH(std::vector<float>, values);
    QFETCH(QString, found);
    const auto checkpoint = opened(values);
    const auto stats = m_backend->statistics(*checkpoint->view(0), {});
    QVERIFY(stats);
    const auto count
        = static_cast<std::uint64_t>(std::ranges::count_if(values, [](float v) { return !std::isfinite(v); }));
    QCOMPARE(stats->nan + stats->inf, count);
    for (const char* grid : {"q4_0", "q8_0", "int4-g32"}) {
        const auto outcome = quantizeLayer(*checkpoint, 0, planOf(grid), nullptr, 0, *m_backend, {});
        QVERIFY(!outcome);
        QCOMPARE(outcome.error().code, ErrorCode::NonFinite);
        for (const std::string& part :
             {std::string("model.safetensors"), std::string(kName), offsetOf(*checkpoint), found.toStdString()})
            QVERIFY2(outcome.error().detail.find(part) != std::string::npos, outcome.error().detail.c_str());
        const std::string reason = keptBecause(*checkpoint, grid);
        // The tensor's index goes with the reason; the element is what the reason has to name.
        const std::string element
            = fmt::format("non-finite values: {}, first at element {}: kept as F32", count, *stats->firstNonFinite);
        QVERIFY2(reason.find(element) != std::string::npos, reason.c_str());
    }
}

/// reliability 71, 72, 74, 75.
void HostileValuesTest::oddButFiniteWeightsAreCoded_data()
{
    QTest::addColumn<std::vector<float>>("values");
    QTest::newRow("71 all zero") << std::vector<float>(kRows * kCols, 0.0F);
    QTest::newRow("72 constant") << std::vector<float>(kRows * kCols, 0.37F);
    QTest::newRow("72 constant, negative") << std::vector<float>(kRows * kCols, -65504.0F);
    QTest::newRow("74 subnormals only") << std::vector<float>(kRows * kCols, 5 * kSubnormal);
    QTest::newRow("75 minus zero") << std::vector<float>(kRows * kCols, -0.0F);
}

void HostileValuesTest::oddButFiniteWeightsAreCoded()
{
    QFETCH(std::vector<float>, values);
    const auto checkpoint = opened(values);
    const auto stats = m_backend->statistics(*checkpoint->view(0), {});
    QVERIFY(stats);
    QCOMPARE(static_cast<float>(stats->min), values[0]);
    QCOMPARE(static_cast<float>(stats->max), values[0]);
    for (const char* grid : {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "int4-g32", "int2-row-asym", "int8-g128-f64"}) {
        const auto outcome = quantizeLayer(*checkpoint, 0, planOf(grid), nullptr, 0, *m_backend, {});
        QVERIFY2(outcome, outcome ? "" : outcome.error().detail.c_str());
        const QuantizedTensor& quantized = *outcome->layer.quantized;
        for (const auto& group : quantized.grid->groupScales(quantized.codes, kRows, kCols))
            QVERIFY(std::isfinite(group.scale) && std::isfinite(group.offset));
        std::vector<float> decoded(values.size());
        quantized.grid->decode(quantized.codes, kRows, kCols, decoded);
        for (const float value : decoded)
            QVERIFY2(std::isfinite(value) && std::abs(value) <= 1.01F * std::abs(values[0]) + 0x1.0p-24F, grid);
        if (outcome->result.weightError)
            QVERIFY(std::isfinite(*outcome->result.weightError));
    }
}

/// reliability 73: 1e38 beside 1e-5.
void HostileValuesTest::outlierThatFitsNoF16IsNamedAndKept()
{
    std::vector<float> values(kRows * kCols, 1e-5F);
    values[4 * kCols + 40] = 1e38F;
    const auto checkpoint = opened(values);
    for (const char* grid : {"q4_0", "q5_1", "q8_0", "int4-g32"}) {
        const auto outcome = quantizeLayer(*checkpoint, 0, planOf(grid), nullptr, 0, *m_backend, {});
        QVERIFY(!outcome);
        QCOMPARE(outcome.error().code, ErrorCode::ScaleOutOfRange);
        for (const std::string& part : {std::string("model.safetensors"), std::string(kName),
                                        std::string("row 4, column"), offsetOf(*checkpoint)})
            QVERIFY2(outcome.error().detail.find(part) != std::string::npos, outcome.error().detail.c_str());
        const std::string reason = keptBecause(*checkpoint, grid);
        QVERIFY2(reason.find("row 4, column") != std::string::npos && reason.find("kept as F32") != std::string::npos,
                 reason.c_str());
    }
}

/// reliability 75: the sign of a zero is no value.
void HostileValuesTest::minusZeroIsZeroEverywhere()
{
    auto minus = ordinary();
    auto plus = ordinary();
    for (std::size_t i = 0; i < minus.size(); i += 3) {
        minus[i] = -0.0F;
        plus[i] = 0.0F;
    }
    const auto stats = m_backend->statistics(*opened(minus)->view(0), {});
    QVERIFY(stats);
    QCOMPARE(stats->zeros, std::uint64_t((minus.size() + 2) / 3));
    for (const char* grid : {"q4_0", "q4_1", "q8_0", "int4-g32", "int4-g32-asym"}) {
        const auto ofMinus = quantizeLayer(*opened(minus), 0, planOf(grid), nullptr, 0, *m_backend, {});
        const auto ofPlus = quantizeLayer(*opened(plus), 0, planOf(grid), nullptr, 0, *m_backend, {});
        QVERIFY(ofMinus && ofPlus);
        QCOMPARE(ofMinus->layer.quantized->codes, ofPlus->layer.quantized->codes);
    }
}

/// reliability 79.
void HostileValuesTest::thinAndUndividedMatricesRunOrSayWhy_data()
{
    QTest::addColumn<quint64>("rows");
    QTest::addColumn<quint64>("cols");
    for (const auto& [rows, cols] : {std::pair{1, 96}, {96, 1}, {1, 1}, {3, 31}, {3, 33}, {2, 100}, {1, 257}, {32, 32}})
        QTest::addRow("%dx%d", rows, cols) << quint64(rows) << quint64(cols);
}

void HostileValuesTest::thinAndUndividedMatricesRunOrSayWhy()
{
    QFETCH(quint64, rows);
    QFETCH(quint64, cols);
    std::vector<float> values(rows * cols);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(0.02 * std::cos(static_cast<double>(i)));
    const auto checkpoint = opened(values, rows);
    const ModelTopology topology(*checkpoint);
    const auto resolved = resolve(*recipeFromPreset("rtn-w4"), *checkpoint, topology);
    QVERIFY(resolved);
    QCOMPARE(resolved->plan.layers[0].keep, cols % 32 != 0);
    QCOMPARE(resolved->fallbacks.size(), std::size_t(cols % 32 != 0 ? 1 : 0));
    for (const char* grid : {"q4_0", "int4-g128", "int3-row-asym"}) {
        if (!(*findGrid(grid))->accepts(cols))
            continue;
        LayerPlan plan = planOf(grid);
        plan.rank = 1;
        const auto outcome = quantizeLayer(*checkpoint, 0, plan, nullptr, 0, *m_backend, {});
        QVERIFY2(outcome, outcome ? "" : outcome.error().detail.c_str());
        QVERIFY(outcome->result.weightError && *outcome->result.weightError < 0.5);
    }
}

/// reliability 67: one block whose scale is no number, one whose scale is the smallest there is.
void HostileValuesTest::scalesOfBlocksThatAreNotFiniteAreCountedAndKept_data()
{
    QTest::addColumn<int>("type");
    QTest::addColumn<int>("scaleAt");
    QTest::addColumn<quint16>("scale");
    for (const auto& [type, at] :
         {std::pair{DType::Q8_0, 0}, {DType::Q4_0, 0}, {DType::Q4_K, 0}, {DType::Q5_K, 0}, {DType::Q6_K, 208}}) {
        QTest::addRow("%s NaN", std::string(info(type).name).c_str())
            << static_cast<int>(type) << at << quint16{0x7E01};
        QTest::addRow("%s Inf", std::string(info(type).name).c_str())
            << static_cast<int>(type) << at << quint16{0x7C00};
    }
}

void HostileValuesTest::scalesOfBlocksThatAreNotFiniteAreCountedAndKept()
{
    QFETCH(int, type);
    QFETCH(int, scaleAt);
    QFETCH(quint16, scale);
    const DTypeInfo& dtype = info(static_cast<DType>(type));
    const std::size_t blockBytes = dtype.blockBits / 8;
    std::string block(blockBytes, '\x11');
    const auto withScale = [&](std::uint16_t value) {
        std::memcpy(block.data() + scaleAt, &value, sizeof value);
        return block;
    };
    GgufBytes file;
    file.tensor("blk.0.ffn_up.weight", {2ULL * dtype.blockElements, 1}, static_cast<std::uint32_t>(dtype.ggmlId), 0);
    file.data = withScale(0x0001) + withScale(scale);
    file.data.resize((file.data.size() + 31) / 32 * 32, '\0');
    const std::filesystem::path path = m_folder.filePath("blocks.gguf").toStdString();
    writeFile(path, file.bytes());
    const auto opened = Checkpoint::open(path, {.strict = true});
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    const auto stats = m_backend->statistics(*(*opened)->view(0), {});
    QVERIFY(stats);
    QCOMPARE(stats->nan + stats->inf, std::uint64_t{dtype.blockElements});
    QCOMPARE(stats->firstNonFinite.value_or(0), std::uint64_t{dtype.blockElements});
    // The subnormal scale, 6e-8, is worth something; the minima that Q4_K and Q5_K have beside it are 6e-4 times 17.
    QVERIFY(stats->absmax() > 0 && stats->absmax() < 0.02);
    const std::string reason = keptBecause(**opened, "q4_1");
    const std::string expected
        = fmt::format("non-finite values: {0}, first at element {0}: kept as {1}", dtype.blockElements, dtype.name);
    QVERIFY2(reason.find(expected) != std::string::npos, reason.c_str());
}

/// reliability 76: what the reader lists as unusable the layer does without, and says so.
void HostileValuesTest::calibrationThatCannotBeUsedIsPlainAndListed_data()
{
    QTest::addColumn<float>("value");
    QTest::addColumn<QString>("reason");
    QTest::newRow("NaN") << kNan << "column 5 is not finite";
    QTest::newRow("Inf") << kInf << "column 5 is not finite";
    QTest::newRow("negative") << -1.0F << "column 5 is negative";
    QTest::newRow("all zero") << 0.0F << "all columns are zero";
}

void HostileValuesTest::calibrationThatCannotBeUsedIsPlainAndListed()
{
    QFETCH(float, value);
    QFETCH(QString, reason);
    const std::string name = "blk.0.ffn_up.weight";
    std::vector<float> squares(kCols, value == 0 ? 0.0F : 1.0F);
    squares[5] = value;
    const std::filesystem::path path = m_folder.filePath("imatrix.dat").toStdString();
    writeFile(path,
              le<std::int32_t>(1) + le(static_cast<std::int32_t>(name.size())) + name + le<std::int32_t>(1)
                  + le(static_cast<std::int32_t>(kCols)) + rawBytes(squares));
    const auto imatrix = readImatrix(path);
    QVERIFY2(imatrix, imatrix ? "" : imatrix.error().detail.c_str());
    const auto checkpoint = opened(ordinary());
    LayerPlan plan = planOf("q4_0");
    plan.metric = MetricKind::DiagonalRms;
    const auto listed = metricFallbacks(*checkpoint, {.layers = {plan}}, &*imatrix);
    QCOMPARE(listed.size(), std::size_t{1});
    QCOMPARE(listed[0].tensor, std::size_t{0});
    QVERIFY2(listed[0].detail.find(reason.toStdString()) != std::string::npos, listed[0].detail.c_str());
    const auto with = quantizeLayer(*checkpoint, 0, plan, &*imatrix, 0, *m_backend, {});
    const auto without = quantizeLayer(*checkpoint, 0, planOf("q4_0"), nullptr, 0, *m_backend, {});
    QVERIFY(with && without);
    QCOMPARE(with->layer.quantized->codes, without->layer.quantized->codes);
    QCOMPARE(*with->result.weightError, *without->result.weightError);
    QVERIFY(!with->result.metricError);
}

/// reliability 78.
void HostileValuesTest::impossibleRanksAndWidthsAreRefusedBeforeTheRun_data()
{
    QTest::addColumn<QString>("option");
    QTest::addColumn<QString>("named");
    QTest::newRow("rank over min(rows, cols)") << R"("rank":7)"
                                               << "rank 7 is over min(rows, cols) = 6";
    QTest::newRow("rank of 2^32 - 1") << R"("rank":4294967295)" << kName;
    QTest::newRow("bits 0") << R"("bits":0)"
                            << "0 bits";
    QTest::newRow("bits 1") << R"("bits":1)"
                            << "1 bits";
    QTest::newRow("bits 9") << R"("bits":9)"
                            << "9 bits";
    QTest::newRow("bits 16") << R"("bits":16)"
                             << "16 bits";
    QTest::newRow("group 12") << R"("grid":"int4-g12")"
                              << "int4-g12";
    QTest::newRow("grid of 1 bit") << R"("grid":"int1-g128")"
                                   << "nearest: int2-g128";
}

void HostileValuesTest::impossibleRanksAndWidthsAreRefusedBeforeTheRun()
{
    QFETCH(QString, option);
    QFETCH(QString, named);
    const std::string json = R"({"schema":1,"default":{"preset":"rtn-w4",)" + option.toStdString() + "}}";
    const auto checkpoint = opened(ordinary());
    const ModelTopology topology(*checkpoint);
    const auto recipe = parseRecipe(json, "r.json");
    const auto resolved = recipe ? resolve(*recipe, *checkpoint, topology) : Result<ResolvedPlan>(passOn(recipe));
    QVERIFY(!resolved);
    QCOMPARE(resolved.error().code, ErrorCode::InvalidRecipe);
    QVERIFY2(resolved.error().detail.find(named.toStdString()) != std::string::npos, resolved.error().detail.c_str());
}

QTEST_GUILESS_MAIN(HostileValuesTest)
#include "tst_hostile_values.moc"
