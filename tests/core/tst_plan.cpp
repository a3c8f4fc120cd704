// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/Plan.h"
#include "support/FileBuilders.h"

#include <QTemporaryDir>
#include <QTest>

#include <map>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

constexpr std::size_t kMatrices = 28;  // of the sample: 4 blocks of 7

struct Model {
    std::shared_ptr<const Checkpoint> checkpoint;
    std::unique_ptr<ModelTopology> topology;

    explicit Model(const std::filesystem::path& path)
    {
        auto opened = Checkpoint::open(path);
        if (!opened)
            qFatal("%s", opened.error().detail.c_str());
        checkpoint = *opened;
        topology = std::make_unique<ModelTopology>(*checkpoint);
    }
    Result<ResolvedPlan> tryPlan(std::string_view json) const
    {
        const auto recipe = parseRecipe(json, "r.json");
        if (!recipe)
            return passOn(recipe);
        return resolve(*recipe, *checkpoint, *topology);
    }
    ResolvedPlan plan(std::string_view json) const
    {
        auto resolved = tryPlan(json);
        if (!resolved)
            qFatal("%s", resolved.error().detail.c_str());
        return std::move(*resolved);
    }
    std::size_t at(std::string_view name) const
    {
        const auto index = checkpoint->find(name);
        if (!index)
            qFatal("no tensor of that name");
        return *index;
    }
};

const Model& sample()
{
    static const Model model(std::filesystem::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample");
    return model;
}

constexpr std::string_view kDown = "model.layers.1.mlp.down_proj.weight";
constexpr std::string_view kUp = "model.layers.1.mlp.up_proj.weight";
constexpr std::string_view kNorm = "model.layers.1.input_layernorm.weight";
constexpr std::string_view kEmbedding = "model.embed_tokens.weight";
constexpr std::string_view kOutput = "lm_head.weight";

std::string withDefault(std::string_view inside)
{
    return R"({"schema":1,"default":{"preset":"l2qer-w4")" + std::string(inside) + "}}";
}

/// F16 matrices of the given shapes, named as a llama's so that a plan covers them.
std::string safetensorsOf(const std::vector<std::pair<std::string, std::vector<std::uint64_t>>>& tensors, std::string_view dtype,
                          std::size_t elementBytes)
{
    std::string header = "{";
    std::uint64_t at = 0;
    for (const auto& [name, shape] : tensors) {
        std::uint64_t bytes = elementBytes;
        for (const std::uint64_t n : shape)
            bytes *= n;
        header += (at == 0 ? "" : ",") + entry(name, dtype, shape, at, at + bytes);
        at += bytes;
    }
    return safetensors(header + "}", at);
}

}  // namespace

class PlanTest : public QObject {
    Q_OBJECT

private slots:
    void presetCoversTheBlocksMatricesAndNothingElse();
    void mixturesCoverEmbeddingAndOutputAndGiveWayToRules();
    void everyOptionChangesThePlan_data();
    void everyOptionChangesThePlan();
    void exampleOfTheManualMeansWhatItSays();
    void firstMatchingRuleWinsEvenIfEqualToTheDefault();
    void rulesReachWhatTheDefaultLeaves();
    void presetInARuleResetsWhatTheDefaultAsked();
    void withoutADefaultOnlyRulesQuantize();
    void pinsMarkTheirTensors();
    void widthsThatTheTargetLacksNameTheNearestPlan_data();
    void widthsThatTheTargetLacksNameTheNearestPlan();
    void rankOverTheMatrixIsRefusedWithBothNumbers();
    void rankOfAPresetIsCutToTheMatrix();
    void rowsThatDoNotDivideStayWithTheirCost();
    void oneDimensionAndLookUpTablesTakeNoCorrection();
    void eightBitFactorsNeedWholeBlocksOnGguf();
    void recipeOfAPlanGivesThePlanBack_data();
    void recipeOfAPlanGivesThePlanBack();
    void recipeOfManyDifferentTensorsStaysLinear();
    void methodIsTheOneThatRuns();

private:
    std::filesystem::path write(std::string_view bytes) const
    {
        return writeFile(std::filesystem::path(m_folder.path().toStdString()) / "model.safetensors", bytes);
    }
    QTemporaryDir m_folder;
};

void PlanTest::presetCoversTheBlocksMatricesAndNothingElse()
{
    for (const Preset& preset : presets()) {
        if (preset.mix)  // those cover embedding and output too
            continue;
        const auto recipe = recipeFromPreset(preset.id);
        const auto resolved = resolve(*recipe, *sample().checkpoint, *sample().topology);
        QVERIFY2(resolved, resolved ? "" : resolved.error().detail.c_str());
        QVERIFY(resolved->fallbacks.empty() || preset.rank > 128);
        std::size_t planned = 0;
        for (std::size_t i = 0; i < resolved->plan.layers.size(); ++i) {
            const LayerPlan& layer = resolved->plan.layers[i];
            QCOMPARE(!layer.keep, sample().topology->isQuantizable(i));
            if (layer.keep) {
                QCOMPARE(layer, LayerPlan{});
                continue;
            }
            ++planned;
            QCOMPARE(layer.preset, std::string(preset.id));
            const Shape& shape = sample().checkpoint->tensors()[i].shape;
            QCOMPARE(std::uint64_t{layer.rank}, std::min({std::uint64_t{preset.rank}, shape[0], shape[1]}));
            QCOMPARE(layer.solver, std::string(preset.solver));
            QCOMPARE(layer.metric, preset.metric);
            const auto grid = findGrid(layer.grid);
            QVERIFY(grid && (*grid)->bits() == preset.bits && (*grid)->ggufType());
        }
        QCOMPARE(planned, kMatrices);
        for (const std::string_view name : {kNorm, kEmbedding, kOutput})
            QVERIFY(resolved->plan.layers[sample().at(name)].keep);
    }
}

void PlanTest::mixturesCoverEmbeddingAndOutputAndGiveWayToRules()
{
    const auto plan = sample().plan(R"({"schema":1,"default":{"preset":"gguf-q4_k_m"},
        "rules":[{"match":"q_proj","bits":8},{"match":"o_proj","skip":true},{"match":"up_proj","preset":"gguf-q2_k"}]})");
    const auto gridOf = [&](const std::string& name) { return plan.plan.layers[sample().at(name)].grid; };
    QVERIFY(plan.plan.layers[sample().at(kNorm)].keep);
    QCOMPARE(gridOf(std::string(kEmbedding)), std::string("q4_k"));
    QCOMPARE(gridOf(std::string(kOutput)), std::string("q6_k"));
    QCOMPARE(gridOf("model.layers.0.self_attn.q_proj.weight"), std::string("q8_0"));
    QCOMPARE(gridOf("model.layers.0.self_attn.k_proj.weight"), std::string("q4_k"));
    QVERIFY(plan.plan.layers[sample().at("model.layers.0.self_attn.o_proj.weight")].keep);
    QCOMPARE(gridOf("model.layers.0.mlp.up_proj.weight"), std::string("q2_k"));
    QCOMPARE(gridOf("model.layers.3.self_attn.v_proj.weight"), std::string("q6_k"));
    for (const char* target : {"research", "bf16"}) {
        const auto refused = recipeFromPreset("gguf-q4_k_m", target);
        QVERIFY(!refused && refused.error().code == ErrorCode::NotRepresentable);
        QVERIFY2(refused.error().detail.find("nearest: rtn-w4") != std::string::npos, refused.error().detail.c_str());
    }
}

void PlanTest::everyOptionChangesThePlan_data()
{
    QTest::addColumn<QString>("json");
    const auto row = [](const char* title, const std::string& json) { QTest::newRow(title) << QString::fromStdString(json); };
    row("seed", R"({"schema":1,"seed":3,"default":{"preset":"l2qer-w4"}})");
    row("pins", R"({"schema":1,"default":{"preset":"l2qer-w4"},"pins":["lm_head.weight"]})");
    row("preset", R"({"schema":1,"default":{"preset":"lqer-w4"}})");
    row("bits", withDefault(R"(,"bits":5)"));
    row("grid", withDefault(R"(,"grid":"q4_1")"));
    row("rank", withDefault(R"(,"rank":31)"));
    row("factor_bits", withDefault(R"(,"factor_bits":32)"));
    row("metric", withDefault(R"(,"metric":"lqer")"));
    row("skip", withDefault(R"(,"skip":true)"));
    row("match", withDefault(R"(,"match":"down_proj")"));
    for (const char* option : {R"("preset":"rtn-w5")", R"("bits":8)", R"("grid":"q5_1")", R"("rank":0)",
                               R"("factor_bits":32)", R"("metric":"plain")", R"("skip":true)"})
        row(option, R"({"schema":1,"default":{"preset":"l2qer-w4"},"rules":[{"match":"up_proj",)" + std::string(option) + "}]}");
}

void PlanTest::everyOptionChangesThePlan()
{
    QFETCH(QString, json);
    QVERIFY(!(sample().plan(json.toStdString()).plan == sample().plan(withDefault("")).plan));
}

void PlanTest::exampleOfTheManualMeansWhatItSays()
{
    const auto resolved = sample().plan(R"({"schema":1, "seed":0, "target":"gguf",
        "default":{"preset":"l2qer-w4", "grid":"q4_0", "rank":32},
        "rules":[{"match":"down_proj", "bits":8, "rank":0}], "pins":["NAME"]})");
    const LayerPlan& up = resolved.plan.layers[sample().at(kUp)];
    QCOMPARE(up.grid, std::string("q4_0"));
    QCOMPARE(up.preset, std::string("l2qer-w4"));
    QCOMPARE(up.rank, 32U);
    const LayerPlan& down = resolved.plan.layers[sample().at(kDown)];
    QCOMPARE(down.grid, std::string("q8_0"));
    QCOMPARE(down.rank, 0U);
    QCOMPARE(down.preset, std::string());  // no longer what the preset fixes
}

void PlanTest::firstMatchingRuleWinsEvenIfEqualToTheDefault()
{
    const auto resolved = sample().plan(R"({"schema":1,"default":{"preset":"rtn-w4"},
        "rules":[{"match":"layers\\.1\\.","preset":"rtn-w4"},{"match":"down_proj","bits":8},{"match":"proj","rank":1}]})");
    QCOMPARE(resolved.plan.layers[sample().at(kDown)].grid, std::string("q4_0"));
    QCOMPARE(resolved.plan.layers[sample().at(kDown)].rank, 0U);
    QCOMPARE(resolved.plan.layers[sample().at("model.layers.2.mlp.down_proj.weight")].grid, std::string("q8_0"));
    QCOMPARE(resolved.plan.layers[sample().at("model.layers.2.mlp.up_proj.weight")].rank, 1U);
}

void PlanTest::rulesReachWhatTheDefaultLeaves()
{
    const auto resolved = sample().plan(R"({"schema":1,"default":{"preset":"rtn-w4"},
        "rules":[{"match":"lm_head|embed_tokens","bits":8}]})");
    QCOMPARE(resolved.plan.layers[sample().at(kOutput)].grid, std::string("q8_0"));
    QCOMPARE(resolved.plan.layers[sample().at(kEmbedding)].grid, std::string("q8_0"));
    QVERIFY(resolved.plan.layers[sample().at(kNorm)].keep);
    QVERIFY(resolved.fallbacks.empty());
}

void PlanTest::presetInARuleResetsWhatTheDefaultAsked()
{
    const auto resolved = sample().plan(R"({"schema":1,"default":{"preset":"l2qer-w4","grid":"q4_1","rank":7,"factor_bits":32},
        "rules":[{"match":"down_proj","preset":"rtn-w8"}]})");
    QCOMPARE(resolved.plan.layers[sample().at(kDown)],
             (LayerPlan{.keep = false, .preset = "rtn-w8", .grid = "q8_0", .rank = 0, .metric = MetricKind::Plain}));
    QCOMPARE(resolved.plan.layers[sample().at(kUp)],
             (LayerPlan{.keep = false, .preset = "l2qer-w4", .grid = "q4_1", .rank = 7, .factors = FactorType::F32}));
}

void PlanTest::withoutADefaultOnlyRulesQuantize()
{
    const auto resolved = sample().plan(R"({"schema":1,"rules":[{"match":"down_proj","grid":"q5_0"}]})");
    QCOMPARE(resolved.plan.layers[sample().at(kDown)].grid, std::string("q5_0"));
    QCOMPARE(std::ranges::count(resolved.plan.layers, false, &LayerPlan::keep), std::ptrdiff_t(4));
}

void PlanTest::pinsMarkTheirTensors()
{
    const auto resolved = sample().plan(R"({"schema":1,"default":{"preset":"rtn-w4"},"pins":["lm_head.weight","not there"]})");
    for (std::size_t i = 0; i < resolved.plan.layers.size(); ++i)
        QCOMPARE(resolved.plan.layers[i].pinned, i == sample().at(kOutput));
}

void PlanTest::widthsThatTheTargetLacksNameTheNearestPlan_data()
{
    QTest::addColumn<QString>("json");
    QTest::addColumn<QString>("nearest");
    const auto row = [](const char* title, const std::string& json, const char* nearest) {
        QTest::newRow(title) << QString::fromStdString(json) << nearest;
    };
    row("preset w7", R"({"schema":1,"default":{"preset":"l2qer-w7"}})", "nearest: l2qer-w8 (q8_0)");
    row("bits 7", R"({"schema":1,"default":{"preset":"rtn-w4","bits":7}})", "nearest: rtn-w8 (q8_0)");
    row("bits 7 with rank", withDefault(R"(,"bits":7)"), "nearest: l2qer-w8 (q8_0)");
    row("bits 7 by a rule", R"({"schema":1,"rules":[{"match":"x","bits":7}]})", "rules[0] 'x': gguf has no 7-bit type");
    row("int4-g128", withDefault(R"(,"grid":"int4-g128")"), "cannot carry grid 'int4-g128'; nearest: q4_0");
    row("int8-row-asym-f32", withDefault(R"(,"grid":"int8-row-asym-f32")"), "nearest: q8_0");
    row("int-g64 at 5", withDefault(R"(,"grid":"int-g64","bits":5)"), "cannot carry grid 'int5-g64'; nearest: q5_0");
}

void PlanTest::widthsThatTheTargetLacksNameTheNearestPlan()
{
    QFETCH(QString, json);
    QFETCH(QString, nearest);
    const auto resolved = sample().tryPlan(json.toStdString());
    QVERIFY(!resolved);
    QCOMPARE(resolved.error().code, ErrorCode::NotRepresentable);
    QVERIFY2(resolved.error().detail.find(nearest.toStdString()) != std::string::npos, resolved.error().detail.c_str());
}

/// reliability 78.
void PlanTest::rankOverTheMatrixIsRefusedWithBothNumbers()
{
    const auto resolved = sample().tryPlan(R"({"schema":1,"default":{"preset":"rtn-w4"},"rules":[{"match":"1.*k_proj","rank":129}]})");
    QVERIFY(!resolved);
    QCOMPARE(resolved.error().code, ErrorCode::InvalidRecipe);
    const std::string& detail = resolved.error().detail;
    QVERIFY2(detail.find("model.layers.1.self_attn.k_proj.weight") != std::string::npos, detail.c_str());
    QVERIFY2(detail.find("rank 129 is over min(rows, cols) = 128") != std::string::npos, detail.c_str());
    QVERIFY(sample().tryPlan(R"({"schema":1,"default":{"preset":"rtn-w4"},"rules":[{"match":"k_proj","rank":128}]})"));
}

void PlanTest::rankOfAPresetIsCutToTheMatrix()
{
    const Model model(write(safetensorsOf({{"model.layers.0.mlp.up_proj.weight", {20, 64}}}, "F16", 2)));
    const auto resolved = model.plan(withDefault(""));
    QCOMPARE(resolved.plan.layers[0].rank, 20U);
    QCOMPARE(resolved.fallbacks.size(), std::size_t(1));
    QVERIFY2(resolved.fallbacks[0].detail.find("rank 20 instead of the preset's 32") != std::string::npos,
             resolved.fallbacks[0].detail.c_str());
    QVERIFY(!model.tryPlan(withDefault(R"(,"rank":32)")));
}

/// formats.md §2.5: "row length not divisible" is shown before the run with its cost.
void PlanTest::rowsThatDoNotDivideStayWithTheirCost()
{
    const Model half(write(safetensorsOf({{"model.layers.0.mlp.up_proj.weight", {64, 100}},
                                          {"model.layers.0.mlp.down_proj.weight", {100, 64}}}, "F16", 2)));
    const auto resolved = half.plan(R"({"schema":1,"default":{"preset":"rtn-w4"}})");
    QCOMPARE(resolved.fallbacks.size(), std::size_t(1));
    const std::size_t up = half.at("model.layers.0.mlp.up_proj.weight");
    QCOMPARE(resolved.fallbacks[0].tensor, up);
    QCOMPARE(resolved.fallbacks[0].detail,
             std::string("row length 100 is no multiple of 32: F16 instead of q4_0, +11.5 bits per weight"));
    QVERIFY(resolved.plan.layers[up].keep);
    QVERIFY(!resolved.plan.layers[1 - up].keep);

    const Model brain(write(safetensorsOf({{"model.layers.0.mlp.up_proj.weight", {4, 33}}}, "BF16", 2)));
    QCOMPARE(brain.plan(R"({"schema":1,"default":{"preset":"rtn-w8"}})").fallbacks[0].detail,
             std::string("row length 33 is no multiple of 32: BF16 instead of q8_0, +7.5 bits per weight"));
}

void PlanTest::oneDimensionAndLookUpTablesTakeNoCorrection()
{
    const auto resolved = sample().plan(R"({"schema":1,"rules":[{"match":".*","preset":"l2qer-w8"}]})");
    QVERIFY(resolved.plan.layers[sample().at(kNorm)].keep);
    QCOMPARE(resolved.plan.layers[sample().at(kEmbedding)].rank, 0U);
    QCOMPARE(resolved.plan.layers[sample().at(kEmbedding)].grid, std::string("q8_0"));
    QCOMPARE(resolved.plan.layers[sample().at(kOutput)].rank, 32U);
    std::map<std::size_t, std::string> reasons;
    for (const Fallback& fallback : resolved.fallbacks)
        reasons[fallback.tensor] = fallback.detail;
    QCOMPARE(reasons.size(), std::size_t(9 + 1));  // 4 x 2 norms, the last norm, the embedding
    QVERIFY(reasons[sample().at(kNorm)].find("one dimension") != std::string::npos);
    QVERIFY(reasons[sample().at(kEmbedding)].find("rank 0 instead of 32") != std::string::npos);
}

void PlanTest::recipeOfAPlanGivesThePlanBack_data()
{
    QTest::addColumn<QString>("json");
    const auto row = [](const char* title, const std::string& json) { QTest::newRow(title) << QString::fromStdString(json); };
    for (const Preset& preset : presets())
        row(std::string(preset.id).c_str(), R"({"schema":1,"seed":9,"default":{"preset":")" + std::string(preset.id) + "\"}}");
    row("nothing", R"({"schema":1})");
    row("everything", R"({"schema":1,"rules":[{"match":".*","preset":"l2qer-w8"}],"pins":["lm_head.weight"]})");
    row("mixed", R"({"schema":1,"default":{"preset":"l2qer-w4","factor_bits":32},"pins":["model.norm.weight"],
        "rules":[{"match":"layers\\.0","skip":true},{"match":"down_proj","bits":8,"rank":0},{"match":"q_proj","metric":"lqer"},
                 {"match":"up_proj","grid":"q4_1"},{"match":"o_proj","rank":256},{"match":"lm_head","bits":8}]})");
    row("solver and 8-bit factors", R"({"schema":1,"default":{"preset":"l2qer-w4","solver":"clip-search","factor_bits":8},
        "rules":[{"match":"q_proj","solver":"nearest"},{"match":"o_proj","rank":20}]})");
    row("research", R"({"schema":1,"target":"research","default":{"preset":"l2qer-w3","factor_bits":8},
        "rules":[{"match":"q_proj","grid":"nf4-g64","solver":"clip-search"},{"match":"down_proj","bits":2}]})");
}

void PlanTest::eightBitFactorsNeedWholeBlocksOnGguf()
{
    const auto gguf = sample().plan(R"({"schema":1,"default":{"preset":"l2qer-w4","factor_bits":8},
        "rules":[{"match":"layers\\.0\\.self_attn\\.o_proj","rank":20}]})");
    std::size_t wide = 0;
    for (std::size_t i = 0; i < gguf.plan.layers.size(); ++i) {
        const LayerPlan& layer = gguf.plan.layers[i];
        if (layer.keep)
            continue;
        QCOMPARE(layer.factors, layer.rank == 20 ? FactorType::F16 : FactorType::Q8_0);
        wide += layer.rank == 20 ? 1U : 0U;
    }
    QCOMPARE(wide, std::size_t(1));
    QCOMPARE(gguf.fallbacks.size(), std::size_t(1));
    const std::string& detail = gguf.fallbacks[0].detail;
    QVERIFY2(detail.find("factors in F16 instead of Q8_0, +") != std::string::npos && detail.find("rank 20") != std::string::npos,
             detail.c_str());

    const auto research = sample().plan(R"({"schema":1,"target":"research","default":{"preset":"l2qer-w4","factor_bits":8,"rank":20}})");
    QVERIFY(research.fallbacks.empty());
    for (const LayerPlan& layer : research.plan.layers)
        QVERIFY(layer.keep || (layer.factors == FactorType::I8 && layer.grid == "bfp4-b16" && layer.rank == 20));
}

void PlanTest::recipeOfAPlanGivesThePlanBack()
{
    QFETCH(QString, json);
    const QuantizationPlan plan = sample().plan(json.toStdString()).plan;
    const Recipe recipe = recipeOf(plan, *sample().checkpoint, *sample().topology);
    const auto again = sample().tryPlan(dumpJson(toJson(recipe)));
    QVERIFY2(again, again ? "" : again.error().detail.c_str());
    QVERIFY(again->plan == plan);
}

void PlanTest::recipeOfManyDifferentTensorsStaysLinear()
{
    std::vector<std::pair<std::string, std::vector<std::uint64_t>>> tensors;
    for (int block = 0; block < 4000; ++block)
        tensors.push_back({"model.layers." + std::to_string(block) + ".mlp.up_proj.weight", {2, 32}});
    const Model model(write(safetensorsOf(tensors, "F16", 2)));
    QuantizationPlan plan = model.plan(R"({"schema":1,"default":{"preset":"rtn-w4"}})").plan;
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
        plan.layers[i].rank = static_cast<std::uint32_t>(i % 3);
        plan.layers[i].pinned = i % 2 == 0;
    }
    const Recipe recipe = recipeOf(plan, *model.checkpoint, *model.topology);
    QVERIFY(recipe.rules.size() > 2000);
    const auto again = model.tryPlan(dumpJson(toJson(recipe)));
    QVERIFY2(again, again ? "" : again.error().detail.c_str());
    QVERIFY(again->plan == plan);
}

void PlanTest::methodIsTheOneThatRuns()
{
    const Metric plain;
    const Metric diagonal{.kind = MetricKind::DiagonalRms, .scale = {1, 2}};
    LayerPlan layer;
    QCOMPARE(methodOf(layer, diagonal), std::string("keep"));
    layer.keep = false;
    QCOMPARE(methodOf(layer, diagonal), std::string("rtn"));
    layer.rank = 1;
    QCOMPARE(methodOf(layer, diagonal), std::string("l2qer"));
    QCOMPARE(methodOf(layer, plain), std::string("lqer"));
    QVERIFY(usesMetric(layer));
    layer.solver = "clip-search";
    QCOMPARE(methodOf(layer, diagonal), std::string("clip-search+l2qer"));
    layer.rank = 0;
    QCOMPARE(methodOf(layer, diagonal), std::string("clip-search"));
    QVERIFY(usesMetric(layer));  // it chooses ranges by it
    layer.solver = "nearest";
    QVERIFY(!usesMetric(layer));
}

QTEST_GUILESS_MAIN(PlanTest)
#include "tst_plan.moc"
