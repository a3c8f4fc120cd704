// SPDX-License-Identifier: GPL-3.0-or-later
//
// The promises of an export, held by every row of the registry: same bytes on any number of threads, sizes known before,
// values within the grid's bound, zeros that stay, non-finite weights refused or kept, and no option without effect.
// (What a run leaves whose system fails it: tests/core/tst_interrupted.cpp, also for every row.)

#include "support/ResumeFixture.h"

#include "core/base/MappedFile.h"
#include "core/base/Parallel.h"
#include "core/checkpoint/readers/ShardContent.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/plan/TargetGrids.h"

#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <utility>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

constexpr const char* kDown = "model.layers.0.mlp.down_proj.weight";
constexpr const char* kGate = "model.layers.0.mlp.gate_proj.weight";

/// Restores the thread count whatever a test does.
struct Threads {
    int before = threadCount();
    ~Threads() { setThreadCount(before); }
};

}  // namespace

class TestExporterConformance : public QObject, private ResumeFixture {
    Q_OBJECT

private slots:
    void anyNumberOfThreadsGivesTheSameBytes_data() { targets(); }
    void anyNumberOfThreadsGivesTheSameBytes();
    void sizesAreTheEstimate_data() { targets(); }
    void sizesAreTheEstimate();
    void storedValuesLieWithinTheBound_data() { targets(); }
    void storedValuesLieWithinTheBound();
    void zerosStayZeros_data() { targets(); }
    void zerosStayZeros();
    void nonFiniteWeightsAreKeptOrRefused_data() { targets(); }
    void nonFiniteWeightsAreKeptOrRefused();
    void everyOptionChangesTheResult_data();
    void everyOptionChangesTheResult();
    void theLimitOfOneFileChangesTheFiles_data() { targets(); }
    void theLimitOfOneFileChangesTheFiles();
    void aModelThatChangesUnderARunEndsIt_data();
    void aModelThatChangesUnderARunEndsIt();
    void aPlaceThatCannotBeWrittenIsRefusedBeforeAnyWork_data() { targets(); }
    void aPlaceThatCannotBeWrittenIsRefusedBeforeAnyWork();
    void aRunKeepsTheModelItBeganWith_data() { targets(); }
    void aRunKeepsTheModelItBeganWith();

private:
    static void targets()
    {
        QTest::addColumn<QString>("target");
        for (const ExporterRow& row : exporters())
            QTest::addRow("%s", row.id.data()) << QString::fromStdString(std::string(row.id));
    }
    void begin()
    {
        QFETCH(QString, target);
        useTarget(target);
        makeModel();
    }
    /// The model with one tensor's values replaced.
    void changeModel(const char* name, const std::vector<float>& values)
    {
        auto tensors = tinyLlama();
        named(tensors, name).bytes = rawBytes(values);
        m_model = writeFolder(m_folder, tensors);
        QVERIFY(m_model);
    }
    [[nodiscard]] std::shared_ptr<const Checkpoint> reopened(const ExportRequest& r) const
    {
        auto opened = Checkpoint::open(r.output, {.strict = true, .coded = &codedFormats()});
        if (!opened)
            qWarning("%s", opened.error().detail.c_str());
        return opened ? *opened : nullptr;
    }
    /// The name a tensor of the folder bears in the export.
    [[nodiscard]] std::string nameOf(const char* name) const
    {
        return m_exporter->id == "gguf" ? ggufNameOf(name).value_or(name) : name;
    }
    /// Types and bytes of every tensor of every file: what headers say of a run does not count.
    [[nodiscard]] std::map<std::string, std::string> tensorBytes() const
    {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::recursive_directory_iterator(m_out)) {
            const fs::path& path = entry.path();
            if (path.extension() != ".gguf" && path.extension() != ".safetensors")
                continue;
            const auto file = MappedFile::open(path);
            const auto opened = !file ? passOn(file) : path.extension() == ".gguf" ? readGguf(**file, {}) : readSafetensors(**file, {});
            if (!opened)
                continue;
            for (const TensorInfo& tensor : opened->tensors) {
                const auto bytes = (*file)->bytes().subspan(tensor.offset, tensor.bytes);
                all[tensor.name] = std::string(info(tensor.dtype).name) + ' '
                    + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            }
        }
        return all;
    }
    /// What a recipe with these keys writes. @param keys  of the default rule, @param rules  the list.
    [[nodiscard]] std::map<std::string, std::string> written(const std::string& keys, const std::string& rules)
    {
        clear();
        // No raw string: moc 6.4 would lose the class behind one with brackets that do not match.
        const std::string text = "{\"schema\":1,\"target\":\"" + std::string(m_exporter->id) + "\",\"default\":{" + keys
            + "},\"rules\":[" + rules + "]}";
        const auto recipe = parseRecipe(text, "r.json");
        const auto resolved = recipe ? resolve(*recipe, *m_model, ModelTopology(*m_model)) : passOn(recipe);
        if (!resolved) {
            qWarning("%s: %s", text.c_str(), resolved.error().detail.c_str());
            return {};
        }
        ExportRequest r = plan();
        r.plan = resolved->plan;
        r.splitMaxBytes = 5'000'000'000;
        r.calibration = &m_calibration;
        const auto result = run(r);
        if (!result)
            qWarning("%s: %s", text.c_str(), result.error().detail.c_str());
        return result ? tensorBytes() : std::map<std::string, std::string>();
    }

    Imatrix m_calibration;
};

void TestExporterConformance::anyNumberOfThreadsGivesTheSameBytes()
{
    begin();
    const Threads restore;
    setThreadCount(1);
    const auto alone = run(plan());
    QVERIFY2(alone, alone ? "" : alone.error().detail.c_str());
    const auto expected = files();
    QVERIFY(expected.size() > 1);
    for (const int threads : {2, 5}) {
        clear();
        setThreadCount(threads);
        const auto result = run(plan());
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        QVERIFY2(files() == expected, qPrintable(QString("%1 threads").arg(threads)));
        for (std::size_t i = 0; i < result->tensors.size(); ++i)
            QVERIFY(result->tensors[i].weightError == alone->tensors[i].weightError);
    }
}

void TestExporterConformance::sizesAreTheEstimate()
{
    begin();
    for (const std::uint32_t rank : {0U, 3U}) {
        clear();
        const ExportRequest r = plan(rank);
        const auto estimate = m_exporter->estimate(r);
        QVERIFY2(estimate, estimate ? "" : estimate.error().detail.c_str());
        const auto result = run(r);
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        Bytes sum = 0;
        for (const OutputFile& output : estimate->outputs) {
            QCOMPARE(Bytes{fs::file_size(output.path)}, output.bytes);
            sum += output.bytes;
        }
        QCOMPARE(files().size(), estimate->outputs.size());
        QCOMPARE(sum, estimate->total);
        QCOMPARE(result->writtenBytes, estimate->total);
        QCOMPARE(estimate->codes + estimate->kept + estimate->factors + estimate->overhead, estimate->total);
    }
}

void TestExporterConformance::storedValuesLieWithinTheBound()
{
    begin();
    const ExportRequest r = plan(0);
    const auto result = run(r);
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    const auto found = reopened(r);
    QVERIFY(found);
    for (const char* name : {kDown, kGate}) {  // rows of q and k stand in another order in a GGUF
        const auto original = valuesOf(*m_model, name);
        const auto stored = valuesOf(*found, nameOf(name));
        QCOMPARE(stored.size(), original.size());
        double lost = 0;
        double energy = 0;
        for (std::size_t i = 0; i < original.size(); ++i) {
            double most = 0;
            for (std::size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j)
                most = std::max(most, std::abs(double{original[j]}));
            const double error = std::abs(double{stored[i]} - original[i]);
            // q4_0: its step is an eighth of the largest of 32, a whole one at the side with one code less; then the
            // scale's rounding to F16 and, dequantized, the value's to BF16. INT grids stay within half a step of a
            // seventh, or of a fifteenth of the range.
            QVERIFY(error <= most / 8 * (1 + 0x1p-7) + most * 0x1p-8);
            lost += error * error;
            energy += double{original[i]} * original[i];
        }
        const auto& tensor = *std::ranges::find(result->tensors, name, &TensorResult::name);
        QVERIFY(tensor.weightError && std::abs(*tensor.weightError - std::sqrt(lost / energy)) < 1e-9);
    }
}

void TestExporterConformance::zerosStayZeros()
{
    begin();
    changeModel(kDown, std::vector<float>(kEmbedding * kFeedForward, 0.0F));
    const ExportRequest r = plan(2);
    const auto result = run(r);
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    const auto found = reopened(r);
    QVERIFY(found);
    const auto stored = valuesOf(*found, nameOf(kDown));
    QCOMPARE(stored.size(), std::size_t{kEmbedding * kFeedForward});
    QVERIFY(std::ranges::all_of(stored, [](float value) { return value == 0; }));
    const auto& tensor = *std::ranges::find(result->tensors, kDown, &TensorResult::name);
    QCOMPARE(tensor.rank, 0U);  // nothing to correct
    QCOMPARE(tensor.grid, std::string(m_exporter->id == "bf16" ? tensor.grid : gridFor(m_exporter->id)));
}

/// By policy a tensor with such weights is kept as it is and named; told to refuse, the run does not begin.
void TestExporterConformance::nonFiniteWeightsAreKeptOrRefused()
{
    begin();
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        clear();
        std::vector<float> values(kEmbedding * kFeedForward, 0.25F);
        values[77] = bad;
        changeModel(kDown, values);
        const ExportRequest r = plan(2);
        const auto refused = quantize(r, *m_exporter, *m_backend, {.refuseFallback = true}, {});
        QVERIFY(!refused);
        QVERIFY2(refused.error().detail.find(kDown) != std::string::npos, refused.error().detail.c_str());
        QVERIFY(files().empty());
        const auto result = run(r);
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        const auto& tensor = *std::ranges::find(result->tensors, kDown, &TensorResult::name);
        QCOMPARE(tensor.method, std::string("keep"));
        QVERIFY2(tensor.fallback.find("non-finite values: 1, first at element 77") != std::string::npos, tensor.fallback.c_str());
        const auto found = reopened(r);
        QVERIFY(found);
        const auto stored = valuesOf(*found, nameOf(kDown));
        QVERIFY(std::memcmp(stored.data(), values.data(), 4 * values.size()) == 0);
    }
}

void TestExporterConformance::everyOptionChangesTheResult_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<QString>("from");
    QTest::addColumn<QString>("to");
    QTest::addColumn<QString>("rules");
    for (const ExporterRow& row : exporters()) {
        const QString target = QString::fromStdString(std::string(row.id));
        const auto add = [&](const char* key, const char* from, const char* to, const char* rules = "") {
            QTest::addRow("%s, %s", row.id.data(), key) << target << from << to << rules;
        };
        const bool isPacked = needsFusedAlike(row.id);
        const bool isAwq = row.id == "awq";
        add("preset", R"("preset":"l2qer-w4")", R"("preset":"rtn-w4")");
        if (!isAwq)  // which has one width
            add("bits", R"("preset":"rtn-w4","bits":4)", isPacked ? R"("preset":"rtn-w4","bits":8)" : R"("preset":"rtn-w4","bits":5)");
        if (isPacked)
            add("grid", R"("preset":"rtn-w4","grid":"int4-g32-asym")", R"("preset":"rtn-w4","grid":"int4-row-asym")");
        else
            add("grid", R"("preset":"rtn-w4","grid":"q4_0")", R"("preset":"rtn-w4","grid":"q4_1")");
        add("rank", R"("preset":"l2qer-w4","rank":2)", R"("preset":"l2qer-w4","rank":3)");
        add("factor_bits", R"("preset":"l2qer-w4","rank":2,"factor_bits":16)", R"("preset":"l2qer-w4","rank":2,"factor_bits":32)");
        add("solver", R"("preset":"rtn-w4","solver":"nearest")", R"("preset":"rtn-w4","solver":"clip-search")");
        add("metric", R"("preset":"l2qer-w4","rank":2,"metric":"rms")", R"("preset":"l2qer-w4","rank":2,"metric":"plain")");
        // From an imatrix the two differ where a channel is silent: LQER's statistic never is.
        add("metric of LQER", R"("preset":"l2qer-w4","rank":2,"metric":"rms")", R"("preset":"l2qer-w4","rank":2,"metric":"lqer")");
        add("skip", R"("preset":"rtn-w4")", R"("preset":"rtn-w4")", R"({"match":"down_proj","skip":true})");
        add("match", R"("preset":"rtn-w4")", R"("preset":"rtn-w4")",
            isAwq ? R"({"match":"gate_proj","rank":2})" : R"({"match":"gate_proj|up_proj","bits":8})");
    }
}

/// Every key of a rule, one at a time. (`seed` moves only what is sketched, sides over 512: tst_low_rank_iterated. `pins`
/// protect a plan from edits in the studio.)
void TestExporterConformance::everyOptionChangesTheResult()
{
    begin();
    QFETCH(QString, from);
    QFETCH(QString, to);
    QFETCH(QString, rules);
    m_calibration.path = "calibration";
    for (const TensorInfo& tensor : m_model->tensors()) {
        if (tensor.shape.size() != 2)
            continue;
        std::vector<float> meanSquares(tensor.shape[1]);
        for (std::size_t i = 0; i < meanSquares.size(); ++i)
            meanSquares[i] = i == 5 ? 0 : static_cast<float>(std::exp(3 * std::sin(static_cast<double>(i))));
        m_calibration.entries.insert_or_assign(tensor.name, ImatrixEntry{std::move(meanSquares), 1, 512});
    }
    const auto before = written(from.toStdString(), {});
    const auto after = written(to.toStdString(), rules.toStdString());
    QVERIFY(before.size() >= m_model->tensors().size() && after.size() >= m_model->tensors().size());
    QVERIFY(before != after);
    QVERIFY(written(from.toStdString(), {}) == before);
}

/// Where the target comes in several files; a GGUF is one.
void TestExporterConformance::theLimitOfOneFileChangesTheFiles()
{
    begin();
    ExportRequest r = plan();
    r.splitMaxBytes = 5'000'000'000;
    QVERIFY(run(r));
    const auto whole = files();
    clear();
    r.splitMaxBytes = 90'000;
    QVERIFY(run(r));
    QCOMPARE(files() != whole, writesFolder());
}

void TestExporterConformance::aModelThatChangesUnderARunEndsIt_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<QString>("change");
    for (const ExporterRow& row : exporters()) {
        for (const char* change : {"truncated", "written to", "replaced", "deleted"})
            QTest::addRow("%s, %s", row.id.data(), change) << QString::fromStdString(std::string(row.id)) << change;
    }
}

/// reliability 87: named as changed, no SIGBUS, no target; the model as it was takes the run up again.
void TestExporterConformance::aModelThatChangesUnderARunEndsIt()
{
    begin();
    QFETCH(QString, change);
    const fs::path weights = m_folder / "model.safetensors";
    const std::string bytes = readFile(weights);
    bool isChanged = false;
    const auto result = quantize(plan(), *m_exporter, *m_backend,
                                 {.onLayer =
                                      [&](const TensorResult&) {
                                          if (std::exchange(isChanged, true))
                                              return;
                                          if (change == "truncated")
                                              fs::resize_file(weights, bytes.size() / 8);
                                          if (change == "written to") {
                                              writeFile(weights, bytes.substr(0, bytes.size() - 1) + "x");
                                              // Clocks of file systems tick slowly, and the model is milliseconds old.
                                              fs::last_write_time(weights, fs::last_write_time(weights) + std::chrono::seconds(1));
                                          }
                                          if (change == "deleted" || change == "replaced")
                                              fs::remove(weights);
                                          if (change == "replaced")
                                              writeFile(weights, bytes);
                                      }},
                                 {});
    QVERIFY(isChanged && !result);
    const Error& error = result.error();
    QVERIFY2(error.code == ErrorCode::FileChanged || error.code == ErrorCode::FileBroken, error.detail.c_str());
    QVERIFY2(error.detail.find("model.safetensors") != std::string::npos, error.detail.c_str());
    QVERIFY(finishedFiles().empty());
    fs::remove(weights);
    writeFile(weights, bytes);
    m_model = *Checkpoint::open(m_folder);
    const auto again = run(plan(), Unfinished::Resume);
    QVERIFY2(again, again ? "" : again.error().detail.c_str());
}

/// reliability 82. /proc refuses new files even to root, as a read-only file system does.
void TestExporterConformance::aPlaceThatCannotBeWrittenIsRefusedBeforeAnyWork()
{
    begin();
    const fs::path locked = m_out / "locked";
    fs::create_directory(locked);
    fs::permissions(locked, fs::perms::owner_read | fs::perms::owner_exec);
    const bool isRoot = std::ofstream(locked / "probe").good();  // whom permissions do not stop
    for (const fs::path& folder : {fs::path("/proc"), fs::path("/proc/sys"), m_out / "absent", locked}) {
        if (folder == locked && isRoot)
            continue;
        ExportRequest r = plan();
        r.output = folder / r.output.filename();
        int layers = 0;
        const auto result = quantize(r, *m_exporter, *m_backend, {.onLayer = [&](const TensorResult&) { ++layers; }}, {});
        QVERIFY(!result);
        const Error& error = result.error();
        QVERIFY2(error.code == ErrorCode::PermissionDenied || error.code == ErrorCode::NotFound, error.detail.c_str());
        QVERIFY2(error.detail.find(folder.string()) != std::string::npos, error.detail.c_str());
        QCOMPARE(layers, 0);
    }
    fs::permissions(locked, fs::perms::owner_all);
}

/// reliability 107: whoever opens another model meanwhile takes nothing from the run.
void TestExporterConformance::aRunKeepsTheModelItBeganWith()
{
    begin();
    const ExportRequest before = plan();
    QVERIFY(run(before));
    const auto expected = files();
    clear();
    ExportRequest request = plan();
    const std::weak_ptr<const Checkpoint> held = m_model;
    m_model.reset();
    bool isGone = false;
    const auto result = quantize(request, *m_exporter, *m_backend,
                                 {.onLayer = [&](const TensorResult&) { isGone = isGone || held.expired(); }}, {});
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QVERIFY(!isGone && files() == expected);
}

QTEST_GUILESS_MAIN(TestExporterConformance)
#include "tst_exporter_conformance.moc"
