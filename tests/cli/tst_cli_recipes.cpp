// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/CliRun.h"
#include "cli/TinyModel.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>

using namespace sigmascope::test;

namespace
{

const QString kUp = QStringLiteral("model.layers.0.mlp.up_proj.weight");
const QString kDown = QStringLiteral("model.layers.0.mlp.down_proj.weight");

} // namespace

class TestCliRecipes : public QObject
{
    Q_OBJECT

private slots:
    void planHasItsKeysAndTheRunsSizes_data();
    void planHasItsKeysAndTheRunsSizes();
    void planWritesARecipeThatGivesTheSameBytes();
    void planNeverReplacesAnInput();
    void planShowsFallbacksBeforeTheRun();
    void rulesChangeWhatTheyName_data();
    void rulesChangeWhatTheyName();
    void firstMatchingRuleWins();
    void tensorTypesWinInTheOrderTyped();
    void wrongTensorTypesEndBeforeTheModelIsOpened();
    void wrongRecipesFail_data();
    void wrongRecipesFail();
    void widthTheTargetLacksNamesTheNearest();
    void nearestTakesWhatTheTargetHas_data();
    void nearestTakesWhatTheTargetHas();
    void targetsMustAgree();

private:
    [[nodiscard]] QString path(const char* name) const { return m_folder.filePath(name); }
    [[nodiscard]] QString recipe(const std::string& json)
    {
        const QString file = m_folder.filePath(QStringLiteral("recipe%1.json").arg(++m_count));
        writeFile(file.toStdString(), json);
        return file;
    }
    [[nodiscard]] CliRun quantize(const QString& recipeFile)
    {
        return cli({"quantize", sampleFolder(), "--recipe", recipeFile, "--calibration", sampleImatrix(), "--to",
                    "gguf", "-o", path("r.gguf"), "--overwrite", "--json"});
    }
    QTemporaryDir m_folder;
    int m_count = 0;
};

void TestCliRecipes::planHasItsKeysAndTheRunsSizes_data()
{
    QTest::addColumn<bool>("isWhole");  // a tensor's bytes are all that is stored for it
    QTest::newRow("gguf") << true;
    QTest::newRow("research") << true;
    QTest::newRow("bf16") << true;
    QTest::newRow("awq") << true;
    QTest::newRow("gptq") << false;  // indices of groups, too
    QTest::newRow("compressed-tensors") << false;  // shapes, too
}

void TestCliRecipes::planHasItsKeysAndTheRunsSizes()
{
    QFETCH(bool, isWhole);
    const QString target = QString::fromUtf8(QTest::currentDataTag());
    const QStringList what{"--preset", "l2qer-w4", "--calibration", sampleImatrix(), "--to", target, "--json"};
    const CliRun plan = cli(QStringList{"plan", sampleFolder(), "-o", path("plan.json")} + what);
    QVERIFY2(plan.exitCode == 0, plan.err);
    const QJsonObject object = plan.json();
    QCOMPARE(object.keys(), (QStringList{"notes", "outputs", "recipe", "tensors", "totals"}));
    const QJsonObject tensor = tensorNamed(object, kUp);
    QCOMPARE(tensor.keys(),
             (QStringList{"bits_per_weight", "bytes", "fallback", "grid", "method", "name", "preset", "rank"}));
    // The name that a plan assumes: adapters name the folder that they correct.
    const QString output = path("model");
    const CliRun run = cli(QStringList{"quantize", sampleFolder(), "-o", output} + what);
    QVERIFY2(run.exitCode == 0, run.err);
    QCOMPARE(object[u"totals"][u"estimated_bytes"].toDouble(), run.json()[u"totals"][u"written_bytes"].toDouble());
    const QJsonObject totals = object[u"totals"].toObject();
    QCOMPARE(totals[u"codes_bytes"].toDouble() + totals[u"kept_bytes"].toDouble() + totals[u"factors_bytes"].toDouble()
                 + totals[u"overhead_bytes"].toDouble(),
             totals[u"estimated_bytes"].toDouble());
    double kept = 0;
    double bytes = 0;
    for (const QJsonValue& planned : object[u"tensors"].toArray()) {
        const QJsonObject done = tensorNamed(run.json(), planned[u"name"].toString());
        QVERIFY(std::abs(planned[u"bits_per_weight"].toDouble() - done[u"bits_per_weight"].toDouble()) < 1e-12);
        QCOMPARE(planned[u"method"].toString(), done[u"method"].toString());
        QCOMPARE(planned[u"grid"].toString(), done[u"grid"].toString());
        QCOMPARE(planned[u"rank"].toInt(), done[u"rank"].toInt());
        (planned[u"method"].toString() == QString("keep") ? kept : bytes) += planned[u"bytes"].toDouble();
    }
    QCOMPARE(kept, totals[u"kept_bytes"].toDouble());
    if (isWhole)
        QCOMPARE(bytes, totals[u"codes_bytes"].toDouble() + totals[u"factors_bytes"].toDouble());
    std::filesystem::remove_all(output.toStdString());
    std::filesystem::remove(path("model-lora.gguf").toStdString());
}

void TestCliRecipes::planWritesARecipeThatGivesTheSameBytes()
{
    const QString rules = recipe(R"({"schema":1,"default":{"preset":"l2qer-w4","rank":8},
        "rules":[{"match":"layers\\.0\\.mlp\\.down","bits":8,"rank":0},{"match":"layers\\.3","skip":true}]})");
    const CliRun direct = quantize(rules);
    QVERIFY2(direct.exitCode == 0, direct.err);
    const std::string model = readFile(path("r.gguf").toStdString());
    const std::string adapter = readFile(path("r-lora.gguf").toStdString());
    const CliRun plan = cli(
        {"plan", sampleFolder(), "--recipe", rules, "--calibration", sampleImatrix(), "-o", path("resolved.json")});
    QVERIFY2(plan.exitCode == 0, plan.err);
    QVERIFY(plan.out.contains("q8_0") && plan.out.contains("resolved.json"));
    const CliRun again = quantize(path("resolved.json"));
    QVERIFY2(again.exitCode == 0, again.err);
    QVERIFY(readFile(path("r.gguf").toStdString()) == model);
    QVERIFY(readFile(path("r-lora.gguf").toStdString()) == adapter);
}

void TestCliRecipes::planNeverReplacesAnInput()
{
    const QString rules = recipe(R"({"schema":1,"default":{"preset":"rtn-w4"}})");
    const std::string before = readFile(rules.toStdString());
    const CliRun run = cli({"plan", sampleFolder(), "--recipe", rules, "-o", rules});
    QCOMPARE(run.exitCode, 1);
    QCOMPARE(readFile(rules.toStdString()), before);
    QVERIFY(run.err.contains("input"));
}

void TestCliRecipes::planShowsFallbacksBeforeTheRun()
{
    const CliRun run = cli({"plan", sampleFolder(), "--preset", "l2qer-w4", "-o", path("fallback.json"), "--json"});
    QVERIFY2(run.exitCode == 0, run.err);
    QVERIFY(tensorNamed(run.json(), kUp)[u"fallback"].toString().contains("plain metric"));
    QCOMPARE(tensorNamed(run.json(), kUp)[u"method"].toString(), QString("lqer"));
    const CliRun table = cli({"plan", sampleFolder(), "--preset", "l2qer-w4", "-o", path("fallback.json")});
    QVERIFY(table.out.contains("Not as asked for"));
}

void TestCliRecipes::rulesChangeWhatTheyName_data()
{
    QTest::addColumn<QString>("rule");
    QTest::addColumn<QString>("grid");
    QTest::addColumn<int>("rank");
    QTest::addColumn<double>("bits");
    // 768 x 256: one unit of rank costs 16 * 1024 / 196608 bits.
    constexpr double kRank = 16.0 * 1024 / 196608;
    QTest::newRow("rank") << R"({"match":"up_proj","rank":5})" << "q4_0" << 5 << 4.5 + 5 * kRank;
    QTest::newRow("grid") << R"({"match":"up_proj","grid":"q4_1","rank":0})" << "q4_1" << 0 << 5.0;
    QTest::newRow("bits") << R"({"match":"up_proj","bits":8,"rank":0})" << "q8_0" << 0 << 8.5;
    QTest::newRow("skip") << R"({"match":"up_proj","skip":true})" << "bf16" << 0 << 16.0;
    QTest::newRow("factor bits") << R"({"match":"up_proj","rank":4,"factor_bits":32})" << "q4_0" << 4
                                 << 4.5 + 8 * kRank;
    QTest::newRow("preset") << R"({"match":"up_proj","preset":"rtn-w5","rank":0})" << "q5_0" << 0 << 5.5;
}

void TestCliRecipes::rulesChangeWhatTheyName()
{
    QFETCH(QString, rule);
    QFETCH(QString, grid);
    QFETCH(int, rank);
    QFETCH(double, bits);
    const CliRun run = quantize(
        recipe(R"({"schema":1,"default":{"preset":"l2qer-w4","rank":2},"rules":[)" + rule.toStdString() + "]}"));
    QVERIFY2(run.exitCode == 0, run.err);
    const QJsonObject named = tensorNamed(run.json(), kUp);
    QCOMPARE(named[u"grid"].toString(), grid);
    QCOMPARE(named[u"rank"].toInt(), rank);
    QVERIFY2(std::abs(named[u"bits_per_weight"].toDouble() - bits) < 1e-9,
             qPrintable(QString::number(named[u"bits_per_weight"].toDouble())));
    const QJsonObject other = tensorNamed(run.json(), kDown);
    QCOMPARE(other[u"grid"].toString(), QString("q4_0"));
    QCOMPARE(other[u"rank"].toInt(), 2);
    QCOMPARE(run.json()[u"totals"][u"estimated_bytes"].toDouble(), run.json()[u"totals"][u"written_bytes"].toDouble());
}

void TestCliRecipes::firstMatchingRuleWins()
{
    const CliRun run = quantize(recipe(R"({"schema":1,"default":{"preset":"rtn-w4"},
        "rules":[{"match":"up_proj","bits":4},{"match":"mlp","bits":8}]})"));
    QVERIFY2(run.exitCode == 0, run.err);
    QCOMPARE(tensorNamed(run.json(), kUp)[u"grid"].toString(), QString("q4_0"));
    QCOMPARE(tensorNamed(run.json(), kDown)[u"grid"].toString(), QString("q8_0"));
}

void TestCliRecipes::tensorTypesWinInTheOrderTyped()
{
    writeFile(path("types.txt").toStdString(), "ffn_up=q5_0\nATTN=q6_k");
    const CliRun run = cli({"plan", sampleFolder(), "--preset", "rtn-w4", "--tensor-type", R"(blk\.0\.attn_q=Q8_0)", "--tensor-type-file",
                            path("types.txt"), "--tensor-type", "ffn_up=q2_k", "--tensor-type", "output=q4_k", "-o", path("typed.json"),
                            "--json"});
    QVERIFY2(run.exitCode == 0, run.err);
    const auto grid = [&](const QString& name) { return tensorNamed(run.json(), name)[u"grid"].toString(); };
    QCOMPARE(grid("model.layers.0.self_attn.q_proj.weight"), QString("q8_0"));
    QCOMPARE(grid("model.layers.1.self_attn.q_proj.weight"), QString("q6_k"));
    QCOMPARE(grid(kUp), QString("q5_0"));
    QCOMPARE(grid(kDown), QString("q4_0"));
    QCOMPARE(grid("lm_head.weight"), QString("q4_k"));
    QCOMPARE(grid("model.norm.weight"), QString("f32"));  // "output_norm": llama-quantize leaves it too
    // The recipe that was written gives the same without them.
    const CliRun again = cli({"plan", sampleFolder(), "--recipe", path("typed.json"), "-o", path("typed2.json"), "--json"});
    QVERIFY2(again.exitCode == 0, again.err);
    QCOMPARE(again.json()[u"tensors"].toArray().size(), run.json()[u"tensors"].toArray().size());
    for (const QJsonValue& tensor : run.json()[u"tensors"].toArray())
        QCOMPARE(tensorNamed(again.json(), tensor[u"name"].toString())[u"grid"], tensor[u"grid"]);
}

void TestCliRecipes::wrongTensorTypesEndBeforeTheModelIsOpened()
{
    for (const char* wrong : {"attn=q9_k", "(attn=q4_k", "attn", "=q4_k"}) {
        const CliRun run = cli({"quantize", path("no-such-model"), "--preset", "rtn-w4", "--tensor-type", wrong, "--to", "gguf", "-o",
                                path("never.gguf")});
        QCOMPARE(run.exitCode, 2);
        QVERIFY2(run.err.contains("tensor type"), run.err);
    }
    const CliRun other = cli({"quantize", sampleFolder(), "--preset", "rtn-w4", "--tensor-type", "attn=q4_k", "--to", "bf16", "-o",
                              path("never")});
    QVERIFY(other.exitCode != 0);
    QVERIFY2(other.err.contains("GGUF"), other.err);
}

void TestCliRecipes::wrongRecipesFail_data()
{
    QTest::addColumn<QString>("json");
    QTest::newRow("not JSON") << "{";
    QTest::newRow("no schema") << R"({"default":{"preset":"rtn-w4"}})";
    QTest::newRow("newer schema") << R"({"schema":2,"default":{"preset":"rtn-w4"}})";
    QTest::newRow("unknown key") << R"({"schema":1,"default":{"preset":"rtn-w4","sparkle":1}})";
    QTest::newRow("unknown preset") << R"({"schema":1,"default":{"preset":"magic-w4"}})";
    QTest::newRow("not a regex") << R"({"schema":1,"default":{"preset":"rtn-w4"},"rules":[{"match":"(","bits":8}]})";
    QTest::newRow("no such grid") << R"({"schema":1,"default":{"preset":"rtn-w4","grid":"q9_9"}})";
    QTest::newRow("no bits") << R"({"schema":1,"default":{"preset":"rtn-w4","bits":0}})";
    QTest::newRow("more rank than the matrix has") << R"({"schema":1,"default":{"preset":"l2qer-w4","rank":5000}})";
}

void TestCliRecipes::wrongRecipesFail()
{
    QFETCH(QString, json);
    const QString file = recipe(json.toStdString());
    const CliRun run = cli({"plan", sampleFolder(), "--recipe", file, "-o", path("wrong.json")});
    QVERIFY(!run.crashed);
    QVERIFY2(run.exitCode == 1, run.err); // a file is wrong, not the command line
    QVERIFY(!run.err.isEmpty());
    QVERIFY(!QFile::exists(path("wrong.json")));
}

void TestCliRecipes::widthTheTargetLacksNamesTheNearest()
{
    const CliRun run = quantize(recipe(R"({"schema":1,"default":{"preset":"rtn-w4","bits":7}})"));
    QCOMPARE(run.exitCode, 1);
    QVERIFY2(run.err.contains("nearest: rtn-w8 (q8_0)"), run.err);
}

void TestCliRecipes::nearestTakesWhatTheTargetHas_data()
{
    QTest::addColumn<QString>("json");
    QTest::addColumn<QString>("up");
    QTest::addColumn<QString>("down");
    QTest::addColumn<QStringList>("told");
    QTest::newRow("a grid, and a width that inherits what became of it")
        << R"({"schema":1,"default":{"preset":"rtn-w4","grid":"int4-g128"},"rules":[{"match":"up_proj","bits":7}]})" << "q8_0" << "q4_0"
        << QStringList{"default: q4_0 instead of int4-g128, +0.375 bits per weight", "rules[0] 'up_proj': 8 bits instead of 7"};
    QTest::newRow("a preset, and a grid in one of several schemes")
        << R"({"schema":1,"target":"awq","default":{"preset":"rtn-w3"},"rules":[{"match":"layers.0.mlp.down","grid":"int8-g64"}]})"
        << "int4-g128-asym" << "int4-g128-asym"
        << QStringList{"default: preset rtn-w4 instead of rtn-w3", "rules[0] 'layers.0.mlp.down': int4-g64-asym instead of int8-g64, -3.938"};
    QTest::newRow("a method that is not built, and a solver")
        << R"({"schema":1,"target":"gptq","default":{"preset":"gptvq-2d-w3"},"rules":[{"match":"down_proj","bits":5,"solver":"wide"}]})"
        << "int3-g128" << "int8-g128"
        << QStringList{"default: preset rtn-w3 instead of gptvq-2d-w3", "solver nearest instead of wide", "int8-g128 instead of int5-g128, +3 bits"};
}

void TestCliRecipes::nearestTakesWhatTheTargetHas()
{
    QFETCH(QString, json);
    QFETCH(QString, up);
    QFETCH(QString, down);
    QFETCH(QStringList, told);
    const QStringList arguments{"plan", sampleFolder(), "--recipe", recipe(json.toStdString()), "-o", path("nearest.json"), "--json"};
    const CliRun refused = cli(arguments);
    QCOMPARE(refused.exitCode, 1);
    QVERIFY2(refused.err.contains("nearest: ") && refused.err.contains("(taken with --nearest)"), refused.err);
    const CliRun run = cli(arguments + QStringList{"--nearest"});
    QVERIFY2(run.exitCode == 0, run.err);
    for (const QString& words : told)
        QVERIFY2(run.err.contains(words.toUtf8()), run.err);
    QCOMPARE(tensorNamed(run.json(), kUp)[u"grid"].toString(), up);
    QCOMPARE(tensorNamed(run.json(), kDown)[u"grid"].toString(), down);
    QVERIFY(run.json()[u"totals"][u"estimated_bytes"].toDouble() > 0);
    // What was written needs no help, and is what was shown.
    const CliRun again = cli({"plan", sampleFolder(), "--recipe", path("nearest.json"), "-o", path("again.json"), "--json"});
    QVERIFY2(again.exitCode == 0 && !again.err.contains("instead of"), again.err);
    QCOMPARE(again.json()[u"totals"], run.json()[u"totals"]);
}

void TestCliRecipes::targetsMustAgree()
{
    const CliRun run = quantize(recipe(R"({"schema":1,"target":"awq","default":{"preset":"rtn-w4"}})"));
    QCOMPARE(run.exitCode, 2);
    QVERIFY(run.err.contains("contradicts the recipe's target awq"));
}

QTEST_GUILESS_MAIN(TestCliRecipes)
#include "tst_cli_recipes.moc"
