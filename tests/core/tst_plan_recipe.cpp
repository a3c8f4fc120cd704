// SPDX-License-Identifier: GPL-3.0-or-later
// A recipe that is edited: rules that decide, patterns that break, plans that grow out of a recipe and back into one.
#include "cli/TinyModel.h"
#include "core/plan/NameMatcher.h"
#include "core/plan/Plan.h"
#include "core/plan/TargetGrids.h"

#include <QTemporaryDir>
#include <QTest>

using namespace sigmascope;

namespace {

struct Sample {
    std::shared_ptr<const Checkpoint> checkpoint;
    std::unique_ptr<ModelTopology> topology;
};

const Sample& sample()
{
    static const Sample model = [] {
        auto opened = Checkpoint::open(std::filesystem::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample");
        if (!opened)
            qFatal("%s", opened.error().detail.c_str());
        return Sample{*opened, std::make_unique<ModelTopology>(**opened)};
    }();
    return model;
}

Recipe recipeOfText(std::string_view json)
{
    auto recipe = parseRecipe(json, "r.json");
    if (!recipe)
        qFatal("%s", recipe.error().detail.c_str());
    return *recipe;
}

std::size_t at(std::string_view name)
{
    return sample().checkpoint->find(name).value();
}

constexpr std::string_view kBase = R"({"schema":1,"seed":4,"default":{"preset":"l2qer-w4"},
    "rules":[{"match":"layers\\.0\\.","bits":8},{"match":"down_proj","bits":5,"rank":16}],"pins":["lm_head.weight"]})";

}  // namespace

class PlanRecipeTest : public QObject {
    Q_OBJECT

private slots:
    void theFirstRuleFoundDecidesATensor();
    void anEditedPlanGoesBackIntoItsRecipe();
    void anUntouchedPlanGivesItsOwnRecipeBack();
    void aRecipeHoldsWithAndWithoutACalibration();
    void aPatternBreaksWhereItsLongestGoodBeginningEnds_data();
    void aPatternBreaksWhereItsLongestGoodBeginningEnds();
    void onlyTargetsThatMergeProjectionsNeedThemAlike();
};

void PlanRecipeTest::theFirstRuleFoundDecidesATensor()
{
    const auto rules = decidingRules(recipeOfText(kBase), *sample().checkpoint);
    QVERIFY(rules);
    QCOMPARE(rules->size(), sample().checkpoint->tensors().size());
    QCOMPARE(rules->at(at("model.layers.0.mlp.down_proj.weight")), std::size_t(0));
    QCOMPARE(rules->at(at("model.layers.1.mlp.down_proj.weight")), std::size_t(1));
    QCOMPARE(rules->at(at("model.layers.1.mlp.up_proj.weight")), SIZE_MAX);
    Recipe broken;
    broken.rules.push_back({.match = "("});
    QVERIFY(!decidingRules(broken, *sample().checkpoint));
}

void PlanRecipeTest::anEditedPlanGoesBackIntoItsRecipe()
{
    const Recipe base = recipeOfText(kBase);
    auto resolved = resolve(base, *sample().checkpoint, *sample().topology);
    QVERIFY(resolved);
    QuantizationPlan plan = resolved->plan;
    LayerPlan& down = plan.layers[at("model.layers.2.mlp.down_proj.weight")];
    down.rank = 7;
    down.pinned = true;
    plan.layers[at("model.layers.3.mlp.up_proj.weight")] = {};  // kept
    LayerPlan& output = plan.layers[at("lm_head.weight")];
    output = {.keep = false, .grid = "q8_0", .metric = MetricKind::Plain};
    const auto recipe = recipeOf(plan, *sample().checkpoint, *sample().topology, base);
    QVERIFY(recipe);
    // The rules a person wrote survive, behind the three that say what was changed by hand.
    QCOMPARE(recipe->rules.size(), std::size_t(5));
    QCOMPARE(recipe->rules[3].match, base.rules[0].match);
    QCOMPARE(recipe->rules[4].match, base.rules[1].match);
    QCOMPARE(recipe->pins, std::vector<std::string>{"model.layers.2.mlp.down_proj.weight"});
    const auto text = parseRecipe(dumpJson(toJson(*recipe)), "saved.json");
    QVERIFY(text);
    const auto again = resolve(*text, *sample().checkpoint, *sample().topology);
    QVERIFY(again);
    QVERIFY(again->plan == plan);
    // Once more, from the recipe that came out: the exact rules do not pile up.
    plan.layers[at("model.layers.2.mlp.down_proj.weight")].rank = 9;
    const auto second = recipeOf(plan, *sample().checkpoint, *sample().topology, *recipe);
    QVERIFY(second);
    QCOMPARE(second->rules.size(), std::size_t(5));
    QVERIFY(resolve(*second, *sample().checkpoint, *sample().topology)->plan == plan);
}

void PlanRecipeTest::anUntouchedPlanGivesItsOwnRecipeBack()
{
    const Recipe base = recipeOfText(kBase);
    const auto resolved = resolve(base, *sample().checkpoint, *sample().topology);
    const auto recipe = recipeOf(resolved->plan, *sample().checkpoint, *sample().topology, base);
    QCOMPARE(dumpJson(toJson(*recipe)), dumpJson(toJson(base)));
}

/// Mixtures of IQ4 give early down projections more bits where there is no calibration. What was run is what is saved.
void PlanRecipeTest::aRecipeHoldsWithAndWithoutACalibration()
{
    std::vector<test::TinyTensor> tensors;
    for (int block = 0; block < 16; ++block)
        tensors.push_back(test::floats("model.layers." + std::to_string(block) + ".mlp.down_proj.weight", {4, 256},
                                       std::vector<float>(4 * 256, 0.5F)));
    const QTemporaryDir folder;
    const std::filesystem::path path = folder.filePath(QStringLiteral("model.safetensors")).toStdString();
    test::writeFile(path, test::safetensorsBytes(tensors));
    const auto model = Checkpoint::open(path);
    QVERIFY(model);
    const ModelTopology topology(**model);
    const auto base = recipeFromPreset("gguf-iq4_xs-mix");
    QVERIFY(base);
    bool differed = false;
    for (const bool wasCalibrated : {false, true}) {
        const auto run = resolve(*base, **model, topology, wasCalibrated);
        QVERIFY(run);
        const auto other = resolve(*base, **model, topology, !wasCalibrated);
        differed = differed || run->plan.layers != other->plan.layers;
        const auto saved = recipeOf(run->plan, **model, topology, *base);
        QVERIFY(saved);
        for (const bool isCalibrated : {false, true}) {
            const auto again = resolve(*saved, **model, topology, isCalibrated);
            QVERIFY(again);
            for (std::size_t i = 0; i < tensors.size(); ++i)
                QCOMPARE(again->plan.layers[i].grid, run->plan.layers[i].grid);
        }
    }
    QVERIFY(differed);  // or nothing was shown
}

void PlanRecipeTest::aPatternBreaksWhereItsLongestGoodBeginningEnds_data()
{
    QTest::addColumn<QString>("pattern");
    QTest::addColumn<int>("at");  // -1: a good pattern
    QTest::newRow("plain") << QStringLiteral("down_proj") << -1;
    QTest::newRow("alternatives") << QStringLiteral("(q|k|v)_proj") << -1;
    QTest::newRow("unclosed group") << QStringLiteral("mlp(gate|up") << 3;
    QTest::newRow("stray bracket") << QStringLiteral("up)_proj") << 2;
    QTest::newRow("unclosed class") << QStringLiteral("layers[01") << 6;
    QTest::newRow("nothing to repeat") << QStringLiteral("*proj") << 0;
    QTest::newRow("escape at the end") << QStringLiteral("proj\\") << 4;
    QTest::newRow("back-reference") << QStringLiteral("(a)\\1") << 3;
    QTest::newRow("empty") << QString() << 0;
}

void PlanRecipeTest::aPatternBreaksWhereItsLongestGoodBeginningEnds()
{
    QFETCH(QString, pattern);
    QFETCH(int, at);
    const auto fault = faultOf(pattern.toStdString());
    QCOMPARE(fault ? static_cast<int>(fault->at) : -1, at);
    QCOMPARE(!fault, NameMatcher::compile({pattern.toStdString()}).has_value());
    QVERIFY(!fault || !fault->detail.empty());
}

void PlanRecipeTest::onlyTargetsThatMergeProjectionsNeedThemAlike()
{
    QVERIFY(!needsFusedAlike("gguf"));
    QVERIFY(!needsFusedAlike("bf16"));
    QVERIFY(needsFusedAlike("compressed-tensors"));
    QVERIFY(needsFusedAlike("gptq"));
}

QTEST_APPLESS_MAIN(PlanRecipeTest)
#include "tst_plan_recipe.moc"
