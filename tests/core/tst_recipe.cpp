// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/NameMatcher.h"
#include "core/plan/Plan.h"

#include <QTest>

#include <chrono>

using namespace sigmascope;

namespace {

std::string rule(std::string_view inside)
{
    return R"({"schema":1,"default":{"preset":"rtn-w4"},"rules":[{"match":"down",)" + std::string(inside) + "}]}";
}

std::string matching(std::string_view pattern)
{
    Json json = Json::parse(R"({"schema":1,"default":{"preset":"rtn-w4"},"rules":[{"match":"","bits":8}]})");
    json["rules"][0]["match"] = std::string(pattern);
    return json.dump();
}

std::optional<std::size_t> firstMatch(const std::vector<std::string>& patterns, std::string_view name)
{
    const auto matcher = NameMatcher::compile(patterns);
    if (!matcher)
        qFatal("%s", matcher.error().detail.c_str());
    return matcher->firstMatch(name);
}

}  // namespace

class RecipeTest : public QObject {
    Q_OBJECT

private slots:
    void exampleOfTheManualIsRead();
    void whatIsWrittenIsReadBack();
    void wrongRecipesAreRefusedByName_data();
    void wrongRecipesAreRefusedByName();
    void patternsAreSearchedAndTheFirstWins();
    void exactPatternsMatchTheirNameOnly();
    void hungryPatternsEndSoon();
    void presetsThatRunAreListedAndOthersNameTheNearest();
    void researchTargetsCarryEverything();
    void solversAndFactorsInEightBit_data();
    void solversAndFactorsInEightBit();
};

void RecipeTest::exampleOfTheManualIsRead()
{
    const auto recipe = parseRecipe(R"({"schema":1, "seed":7, "target":"gguf",
        "default":{"preset":"l2qer-w4", "grid":"q4_0", "rank":32},
        "rules":[{"match":"REGEX", "bits":8, "rank":0}, {"match":"x", "skip":true, "factor_bits":32,
                  "solver":"nearest", "metric":"lqer"}], "pins":["NAME"]})", "r.json");
    QVERIFY2(recipe, recipe ? "" : recipe.error().detail.c_str());
    QCOMPARE(recipe->seed, std::uint64_t(7));
    QCOMPARE(recipe->target, std::string("gguf"));
    QCOMPARE(*recipe->defaults.preset, std::string("l2qer-w4"));
    QCOMPARE(*recipe->defaults.grid, std::string("q4_0"));
    QCOMPARE(*recipe->defaults.rank, 32U);
    QCOMPARE(recipe->rules.size(), std::size_t(2));
    QCOMPARE(recipe->rules[0].match, std::string("REGEX"));
    QCOMPARE(*recipe->rules[0].bits, 8);
    QCOMPARE(*recipe->rules[0].rank, 0U);
    QVERIFY(!recipe->rules[0].preset && !recipe->rules[0].skip);
    QVERIFY(recipe->rules[1].skip);
    QCOMPARE(*recipe->rules[1].factorBits, 32);
    QCOMPARE(*recipe->rules[1].metric, std::string("lqer"));
    QCOMPARE(recipe->pins, std::vector<std::string>{"NAME"});
    QVERIFY(parseRecipe(R"({"schema":1})", "r.json"));
}

void RecipeTest::whatIsWrittenIsReadBack()
{
    Recipe recipe{.seed = 18446744073709551615ULL};
    recipe.defaults = {.match = "proj", .preset = "lqer-w5", .rank = 3, .metric = "rms"};
    recipe.rules = {{.match = "a\\.b", .bits = 8}, {.match = "\"ü", .skip = true}, {.match = "c", .grid = "q5_1", .factorBits = 32}};
    recipe.pins = {"p", "q"};
    const std::string text = dumpJson(toJson(recipe));
    const auto back = parseRecipe(text, "r.json");
    QVERIFY2(back, back ? "" : back.error().detail.c_str());
    QCOMPARE(dumpJson(toJson(*back)), text);
    QCOMPARE(back->seed, recipe.seed);
    QCOMPARE(back->defaults.match, recipe.defaults.match);
    QCOMPARE(back->rules[1].match, recipe.rules[1].match);
    QVERIFY(back->rules[1].skip);
    QCOMPARE(*back->rules[2].factorBits, 32);
}

void RecipeTest::wrongRecipesAreRefusedByName_data()
{
    QTest::addColumn<QString>("json");
    QTest::addColumn<QString>("named");
    const auto row = [](const char* title, const std::string& json, const char* named) {
        QTest::newRow(title) << QString::fromStdString(json) << named;
    };
    row("no JSON", "{", "r.json");
    row("no object", "[]", "object");
    row("no schema", "{}", "schema");
    row("schema 2", R"({"schema":2})", "schema 2");
    row("schema as text", R"({"schema":"1"})", "schema");
    row("unknown key", R"({"schema":1,"defaults":{}})", "'defaults'");
    row("unknown key in a rule", rule(R"("wifth":4)"), "'wifth' in rules[0]");
    row("unknown key in the default", R"({"schema":1,"default":{"bit":4}})", "'bit' in default");
    row("key twice", R"({"schema":1,"schema":1})", "schema");
    row("seed below 0", R"({"schema":1,"seed":-1})", "seed");
    row("seed as 1.0", R"({"schema":1,"seed":1.0})", "seed");
    row("rules as an object", R"({"schema":1,"rules":{}})", "rules");
    row("rule without match", R"({"schema":1,"rules":[{"bits":4}]})", "rules[0]");
    row("rule as text", R"({"schema":1,"rules":["x"]})", "rules[0]");
    row("pins of numbers", R"({"schema":1,"pins":[1]})", "pins");
    row("bits 0", rule(R"("bits":0)"), "0 bits are out of range, 2 to 8");
    row("bits 1", rule(R"("bits":1)"), "1 bits are out of range, 2 to 8");
    row("bits 9", rule(R"("bits":9)"), "9 bits are out of range, 2 to 8");
    row("bits 16", rule(R"("bits":16)"), "16 bits are out of range, 2 to 8");
    row("bits as text", rule(R"("bits":"4")"), "rules[0].bits");
    row("rank below 0", rule(R"("rank":-1)"), "rules[0].rank");
    row("rank of 2^32", rule(R"("rank":4294967296)"), "rules[0].rank");
    row("factor_bits 4", rule(R"("factor_bits":4)"), "factor_bits 4: expected 8, 16 or 32");
    row("unknown solver", rule(R"("solver":"gptq")"), "no solver 'gptq'; expected nearest, clip-search");
    row("unknown metric", rule(R"("metric":"gram")"), "no metric 'gram'; expected plain, rms or lqer");
    row("unknown grid", rule(R"("grid":"q4_2")"), "no grid 'q4_2'; nearest: q4_0");
    row("unknown group", rule(R"("grid":"int4-g100")"), "no grid 'int4-g100'; nearest: int4-g128");
    row("grid against bits", rule(R"("grid":"q4_0","bits":8)"), "grid 'q4_0' has 4 bits, 'bits' says 8");
    row("unknown preset", rule(R"("preset":"magic-w4")"), "no preset 'magic-w4'");
    row("skip as text", rule(R"("skip":"yes")"), "rules[0].skip");
    row("unknown target", R"({"schema":1,"target":"floppy"})", "no target 'floppy'");
    row("rule that asks nothing", R"({"schema":1,"rules":[{"match":"x"}]})", "rules[0] 'x'");
    row("pattern that does not close", matching("(down"), "'(down'");
    row("pattern with a back-reference", matching("(a)\\1"), "back-references");
    row("pattern too long", matching(std::string(1001, '.')), "1001 bytes");
    row("pattern that explodes", matching("((a{50}){50}){50}"), "counted repetitions");
    row("pattern of many look-aheads", matching("(?=.*(?=.*(?=.*a)))"), "look-aheads");
    row("pattern with a huge count", matching("a{99999999999999999999}"), "counted repetitions");
}

void RecipeTest::wrongRecipesAreRefusedByName()
{
    QFETCH(QString, json);
    QFETCH(QString, named);
    const auto recipe = parseRecipe(json.toStdString(), "r.json");
    QVERIFY(!recipe);
    const std::string& detail = recipe.error().detail;
    QVERIFY2(recipe.error().code == ErrorCode::InvalidRecipe, detail.c_str());
    QVERIFY2(detail.find(named.toStdString()) != std::string::npos, detail.c_str());
    QVERIFY2(detail.find("r.json") != std::string::npos, detail.c_str());
}

void RecipeTest::patternsAreSearchedAndTheFirstWins()
{
    const std::string name = "model.layers.3.mlp.down_proj.weight";
    QCOMPARE(firstMatch({"up", "layers\\.[0-3]\\.", "down"}, name), std::optional<std::size_t>(1));
    QCOMPARE(firstMatch({"up", exactPattern(name), "down"}, name), std::optional<std::size_t>(1));
    QCOMPARE(firstMatch({"(?=.*down).*mlp"}, name), std::optional<std::size_t>(0));
    QCOMPARE(firstMatch({"^down", "proj$", "Down"}, name), std::optional<std::size_t>());
    QCOMPARE(firstMatch({}, name), std::optional<std::size_t>());
}

void RecipeTest::exactPatternsMatchTheirNameOnly()
{
    for (const std::string name : {"blk.0.ffn_down.weight", "a+b(c)[d]{2}^$|\\x/y", "", "line\nbreak", "$", "\\"}) {
        QCOMPARE(firstMatch({exactPattern(name)}, name), std::optional<std::size_t>(0));
        QVERIFY(!firstMatch({exactPattern(name)}, name + "x"));
        QVERIFY(!firstMatch({exactPattern(name)}, "x" + name));
    }
    QVERIFY(!firstMatch({exactPattern("blk.0.w")}, "blkx0xw"));
    QCOMPARE(firstMatch({"^a", "^a$", "^a$"}, "a"), std::optional<std::size_t>(0));
    QCOMPARE(firstMatch({"^a$", "^a$"}, "a"), std::optional<std::size_t>(0));
}

/// Patterns that take a back-tracking matcher longer than the age of the universe, and a name that would take a
/// recursive one its stack.
void RecipeTest::hungryPatternsEndSoon()
{
    const auto start = std::chrono::steady_clock::now();
    const std::string name = std::string(64, 'a') + "!";
    for (const char* pattern : {"(a+)+$", "(a|aa)+$", "(.*)*x$", "(a*)*(a*)*(a*)*b"})
        QVERIFY(!firstMatch({pattern}, name));
    QVERIFY(firstMatch({"^a.*"}, std::string(10'000'000, 'a')));
    QVERIFY(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

void RecipeTest::presetsThatRunAreListedAndOthersNameTheNearest()
{
    QCOMPARE(presets().size(), std::size_t(19 + 31));  // of GGUF's own types, and three methods at six widths
    for (const Preset& preset : presets()) {
        const auto recipe = recipeFromPreset(preset.id);
        QVERIFY(recipe);
        QCOMPARE(*recipe->defaults.preset, std::string(preset.id));
        QCOMPARE(findPreset(preset.id), &preset);
        QCOMPARE(preset.needs.empty(), preset.metric == MetricKind::Plain || preset.mix.has_value());
        QVERIFY(!preset.title.empty() && !preset.source.empty());
    }
    const std::vector<std::pair<const char*, const char*>> refused{
        {"rtn-w7", "gguf has no 7-bit type in this version; nearest: rtn-w8 (q8_0)"},
        {"l2qer-w7", "nearest: l2qer-w8 (q8_0)"}, {"qera-w4", "nearest: l2qer-w4"},
        {"gptq-w3", "nearest: rtn-w3"},           {"gguf-iq2_m", "nearest: gguf-q2_k"},
    };
    for (const auto& [id, nearest] : refused) {
        const auto recipe = recipeFromPreset(id);
        QVERIFY2(!recipe, id);
        QCOMPARE(recipe.error().code, ErrorCode::NotRepresentable);
        QVERIFY2(recipe.error().detail.find(nearest) != std::string::npos, recipe.error().detail.c_str());
    }
    for (const char* id : {"rtn-w0", "rtn-w9", "rtn-w16", "rtn", "", "nonsense", "rtn-w4x", "rtn-w99999999999"}) {
        const auto recipe = recipeFromPreset(id);
        QVERIFY2(!recipe, id);
        QCOMPARE(recipe.error().code, ErrorCode::InvalidOption);
    }
    for (const char* target : {"gptq", "awq", "compressed-tensors"}) {
        const auto recipe = recipeFromPreset("rtn-w5", target);
        QVERIFY(!recipe);
        QCOMPARE(recipe.error().code, ErrorCode::NotRepresentable);
        const std::string nearest = target == std::string("awq") ? "rtn-w4 (int4-g128-asym)" : "rtn-w8 (int8-g128)";
        QVERIFY2(recipe.error().detail.find("nearest: " + nearest) != std::string::npos, recipe.error().detail.c_str());
    }
}

/// Every grid there is, and the widths of the papers.
void RecipeTest::researchTargetsCarryEverything()
{
    for (const char* target : {"research", "bf16"}) {
        const std::string head = "{\"schema\":1,\"target\":\"" + std::string(target) + "\",\"default\":{";
        for (const GridFamily& family : gridFamilies()) {
            for (const int bits : family.bits) {
                const std::string id = (*gridOf(family.id, bits))->id();
                const auto recipe = parseRecipe(head + "\"grid\":\"" + id + "\"}}", "r.json");
                QVERIFY2(recipe, recipe ? "" : recipe.error().detail.c_str());
                const auto onGguf = parseRecipe("{\"schema\":1,\"default\":{\"grid\":\"" + id + "\"}}", "r.json");
                QCOMPARE(onGguf.has_value(), (*gridOf(family.id, bits))->ggufType().has_value());
                if (!onGguf)
                    QVERIFY2(onGguf.error().detail.find("gguf cannot carry grid '" + id + "'; nearest: q") != std::string::npos,
                             onGguf.error().detail.c_str());
            }
        }
        QCOMPARE(presets(target).size(), std::size_t(21));
        for (const Preset& preset : presets(target)) {
            const auto recipe = recipeFromPreset(preset.id, target);
            QVERIFY(recipe && parseRecipe(dumpJson(toJson(*recipe)), "r.json"));
            QCOMPARE(recipe->target, std::string(target));
        }
        const std::vector<std::pair<const char*, const char*>> refused{
            {"gptq-w3", "nearest: rtn-w3"}, {"qera-w4", "nearest: l2qer-w4"}};
        for (const auto& [id, nearest] : refused) {
            const auto recipe = recipeFromPreset(id, target);
            QVERIFY(!recipe && recipe.error().code == ErrorCode::NotRepresentable);
            QVERIFY2(recipe.error().detail.find(nearest) != std::string::npos, recipe.error().detail.c_str());
        }
    }
}

void RecipeTest::solversAndFactorsInEightBit_data()
{
    QTest::addColumn<QString>("rule");
    QTest::addColumn<QString>("problem");
    const auto row = [](const char* rule, const char* problem) { QTest::newRow(rule) << rule << problem; };
    row(R"("grid":"q4_0","solver":"clip-search")", "");
    row(R"("preset":"rtn-w8","solver":"clip-search")", "");
    row(R"("grid":"q4_1","solver":"clip-search")", "solver 'clip-search' has nothing to choose on grid 'q4_1'; nearest: solver 'nearest'");
    row(R"("grid":"q4_0","solver":"clipsearch")", "no solver 'clipsearch'; expected nearest, clip-search");
    row(R"("grid":"q4_0","rank":32,"factor_bits":8)", "");
    row(R"("grid":"q4_0","rank":32,"factor_bits":4)", "factor_bits 4: expected 8, 16 or 32");
}

void RecipeTest::solversAndFactorsInEightBit()
{
    QFETCH(QString, rule);
    QFETCH(QString, problem);
    const auto recipe = parseRecipe(("{\"schema\":1,\"default\":{" + rule + "}}").toStdString(), "r.json");
    QCOMPARE(recipe.has_value(), problem.isEmpty());
    if (!recipe)
        QVERIFY2(recipe.error().detail.find(problem.toStdString()) != std::string::npos, recipe.error().detail.c_str());
}

QTEST_APPLESS_MAIN(RecipeTest)
#include "tst_recipe.moc"
