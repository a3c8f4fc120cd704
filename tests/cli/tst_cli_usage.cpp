// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/CliRun.h"
#include "cli/TinyModel.h"

#include <QSet>
#include <QTemporaryDir>
#include <QTest>

using namespace sigmascope::test;

class TestCliUsage : public QObject
{
    Q_OBJECT

private slots:
    void wrongUsageEndsWithTwo_data();
    void wrongUsageEndsWithTwo();
    void verbsNotBuiltAreAbsent();
    void helpAndVersionAreDone();
    void unknownPresetNamesTheKnownOnes();
    void aWidthTheTargetLacksNamesTheNearestPlan();
    void absentModelFailsNamingIt();
    void brokenFileNamesFileTensorAndOffset();
    void absentDeviceFails();
    void devicesHaveTheirKeys();
    void methodsHaveTheirKeys();
    void fullDiskBehindStandardOutputIsAFailure();
    void closedPipeIsNoCrash();
};

static QSet<QString> keysOf(const QJsonObject& object)
{
    const QStringList keys = object.keys();
    return {keys.begin(), keys.end()};
}

void TestCliUsage::wrongUsageEndsWithTwo_data()
{
    QTest::addColumn<QStringList>("arguments");
    const QString model = sampleFolder();
    QTest::newRow("no verb") << QStringList{};
    QTest::newRow("unknown verb") << QStringList{"improve", model};
    QTest::newRow("unknown flag") << QStringList{"inspect", model, "--fast"};
    QTest::newRow("no model") << QStringList{"inspect"};
    QTest::newRow("two models") << QStringList{"inspect", model, model};
    QTest::newRow("bins without histogram") << QStringList{"inspect", model, "--bins", "10"};
    QTest::newRow("no bins") << QStringList{"inspect", model, "--histogram", "--bins", "0"};
    QTest::newRow("bins are no number") << QStringList{"inspect", model, "--histogram", "--bins", "many"};
    QTest::newRow("grid without spectrum") << QStringList{"inspect", model, "--grid", "q4_0"};
    QTest::newRow("calibration without spectrum") << QStringList{"inspect", model, "--calibration", sampleImatrix()};
    QTest::newRow("spectrum of nothing") << QStringList{"inspect", model, "--spectrum", "0"};
    QTest::newRow("solver without grid") << QStringList{"inspect", model, "--spectrum", "2", "--solver", "clip-search"};
    QTest::newRow("unknown solver")
        << QStringList{"inspect", model, "--spectrum", "2", "--grid", "q4_0", "--solver", "magic"};
    QTest::newRow("solver with nothing to choose")
        << QStringList{"inspect", model, "--spectrum", "2", "--grid", "q4_1", "--solver", "clip-search"};
    QTest::newRow("unknown grid") << QStringList{"inspect", model, "--spectrum", "2", "--grid", "int9-g128"};
    QTest::newRow("neither preset nor recipe")
        << QStringList{"quantize", model, "--to", "gguf", "-o", "/nowhere/x.gguf"};
    QTest::newRow("preset and recipe") << QStringList{"quantize", model,  "--preset", "rtn-w4", "--recipe",
                                                      "r.json",   "--to", "gguf",     "-o",     "/nowhere/x.gguf"};
    QTest::newRow("unknown preset") << QStringList{"quantize", model,  "--preset", "magic-w4",
                                                   "--to",     "gguf", "-o",       "/nowhere/x.gguf"};
    QTest::newRow("no target") << QStringList{"quantize", model, "--preset", "rtn-w4", "-o", "/nowhere/x.gguf"};
    QTest::newRow("unknown target") << QStringList{"quantize", model,  "--preset", "rtn-w4",
                                                   "--to",     "onnx", "-o",       "/nowhere/x"};
    QTest::newRow("no output") << QStringList{"quantize", model, "--preset", "rtn-w4", "--to", "gguf"};
    QTest::newRow("unknown device") << QStringList{"quantize", model, "--preset",   "rtn-w4",   "--to",
                                                   "gguf",     "-o",  "/nowhere/x", "--device", "abacus"};
    QTest::newRow("device without index") << QStringList{"quantize", model, "--preset",   "rtn-w4",   "--to",
                                                         "gguf",     "-o",  "/nowhere/x", "--device", "vulkan:"};
    QTest::newRow("no threads") << QStringList{"quantize", model, "--preset",   "rtn-w4",    "--to",
                                               "gguf",     "-o",  "/nowhere/x", "--threads", "0"};
    QTest::newRow("plan without output") << QStringList{"plan", model, "--preset", "rtn-w4"};
    QTest::newRow("report without output") << QStringList{"report", "session.sgms"};
    QTest::newRow("devices take no file") << QStringList{"devices", model};
}

void TestCliUsage::wrongUsageEndsWithTwo()
{
    QFETCH(QStringList, arguments);
    const CliRun run = cli(arguments);
    QVERIFY(!run.crashed);
    QCOMPARE(run.exitCode, 2);
    QVERIFY(run.out.isEmpty());
    QVERIFY(!run.err.isEmpty());
}

void TestCliUsage::verbsNotBuiltAreAbsent()
{
    const QByteArray help = cli({"--help"}).out;
    for (const char* verb : {"inspect", "plan", "quantize", "compare", "verify", "report", "devices", "methods"})
        QVERIFY2(help.contains(verb), verb);
    for (const char* verb : {"calibrate", "evaluate"}) {
        QVERIFY2(!help.contains(verb), verb);
        QCOMPARE(cli({verb, sampleFolder()}).exitCode, 2);
    }
    QVERIFY(!cli({"plan", "--help"}).out.contains("--budget"));
}

void TestCliUsage::helpAndVersionAreDone()
{
    for (const char* verb : {"inspect", "plan", "quantize", "compare", "verify", "report", "devices", "methods"}) {
        const CliRun run = cli({verb, "--help"});
        QCOMPARE(run.exitCode, 0);
        QVERIFY(run.err.isEmpty());
        QVERIFY(run.out.contains("--json"));
    }
    const CliRun version = cli({"--version"});
    QCOMPARE(version.exitCode, 0);
    QVERIFY(version.out.startsWith("sigmascope-cli "));
}

void TestCliUsage::unknownPresetNamesTheKnownOnes()
{
    const CliRun run = cli({"plan", sampleFolder(), "--preset", "magic-w4", "-o", "/nowhere/r.json"});
    QCOMPARE(run.exitCode, 2);
    QVERIFY(run.err.contains("magic-w4"));
    QVERIFY(run.err.contains("l2qer-w4,"));
}

void TestCliUsage::aWidthTheTargetLacksNamesTheNearestPlan()
{
    const CliRun run = cli({"plan", sampleFolder(), "--preset", "l2qer-w7", "-o", "/nowhere/r.json"});
    QCOMPARE(run.exitCode, 1);
    QVERIFY2(run.err.contains("nearest: l2qer-w8 (q8_0)"), run.err.constData());
}

void TestCliUsage::absentModelFailsNamingIt()
{
    const CliRun run = cli({"inspect", "/nowhere/model.safetensors"});
    QCOMPARE(run.exitCode, 1);
    QVERIFY(run.out.isEmpty());
    QVERIFY(run.err.startsWith("sigmascope-cli: error: "));
    QVERIFY(run.err.contains("/nowhere/model.safetensors"));
}

void TestCliUsage::brokenFileNamesFileTensorAndOffset()
{
    const QTemporaryDir folder;
    const std::filesystem::path path = folder.filePath("broken.safetensors").toStdString();
    TinyTensor wrong = floats("layer.weight", {2, 2}, {1, 2, 3, 4});
    wrong.shape = {2, 3};
    writeFile(path, safetensorsBytes({wrong}));
    const CliRun run = cli({"inspect", qpath(path)});
    QCOMPARE(run.exitCode, 1);
    QVERIFY2(run.err.contains("broken.safetensors"), run.err);
    QVERIFY2(run.err.contains("layer.weight"), run.err);
    QVERIFY2(run.err.contains("at byte"), run.err);
}

void TestCliUsage::absentDeviceFails()
{
    const QTemporaryDir folder;
    const QString output = folder.filePath("x.gguf");
    const CliRun run = cli(
        {"quantize", sampleFolder(), "--preset", "rtn-w4", "--to", "gguf", "-o", output, "--device", "vulkan:97"});
    QCOMPARE(run.exitCode, 1);
    QVERIFY(!run.err.isEmpty());
    QVERIFY(!QFile::exists(output));
}

void TestCliUsage::devicesHaveTheirKeys()
{
    const CliRun run = cli({"devices", "--json"});
    QCOMPARE(run.exitCode, 0);
    const QJsonArray devices = run.json()[u"devices"].toArray();
    QVERIFY(!devices.isEmpty());
    for (const QJsonValue& device : devices)
        QCOMPARE(keysOf(device.toObject()),
                 (QSet<QString>{"id", "name", "kind", "memory_bytes", "driver", "usable", "reason"}));
    QCOMPARE(devices[0].toObject()[u"id"].toString(), QString("cpu"));
    QCOMPARE(devices[0].toObject()[u"usable"].toBool(), true);
    QVERIFY(devices[0].toObject()[u"memory_bytes"].toDouble() > 1e8);
    QVERIFY(cli({"devices"}).out.contains("cpu"));
}

void TestCliUsage::methodsHaveTheirKeys()
{
    const CliRun run = cli({"methods", "--json"});
    QCOMPARE(run.exitCode, 0);
    const QJsonObject object = run.json();
    QCOMPARE(keysOf(object), (QSet<QString>{"presets", "grids", "solvers", "corrections"}));
    QStringList presets;
    for (const QJsonValue& preset : object[u"presets"].toArray()) {
        QCOMPARE(keysOf(preset.toObject()), (QSet<QString>{"id", "title", "source", "needs"}));
        presets << preset[u"id"].toString();
        if (presets.last().startsWith("l2qer"))
            QCOMPARE(preset[u"needs"].toString(), QString("calibration"));
        if (presets.last().startsWith("rtn"))
            QVERIFY(preset[u"needs"].isNull());
    }
    for (const char* id : {"rtn-w4", "lqer-w4", "l2qer-w4", "lqer-w7", "gguf-q4_k_m"})
        QVERIFY2(presets.contains(id), id);
    QStringList grids;
    for (const QJsonValue& grid : object[u"grids"].toArray())
        grids << grid[u"id"].toString();
    for (const char* id : {"q4_0", "q8_0", "int-g128"})
        QVERIFY2(grids.contains(id), id);
    QVERIFY(!object[u"solvers"].toArray().isEmpty());
    const QByteArray text = cli({"methods"}).out;
    for (const QString& id : presets + grids)
        QVERIFY(text.contains(id.toUtf8()));
}

void TestCliUsage::fullDiskBehindStandardOutputIsAFailure()
{
    const CliRun run = runProgram("/bin/sh", {"-c", "exec \"$0\" devices > /dev/full", cliPath()});
    QVERIFY(!run.crashed);
    QCOMPARE(run.exitCode, 1);
    QVERIFY(run.err.contains("standard output"));
}

void TestCliUsage::closedPipeIsNoCrash()
{
    // The reader is gone long before the first byte is written.
    const CliRun run
        = runProgram("/bin/sh", {"-c", "(sleep 0.5; \"$0\" methods; echo status $? >&2) | true", cliPath()});
    QVERIFY(!run.crashed);
    QCOMPARE(run.err.trimmed(), QByteArray("status 1"));
}

QTEST_GUILESS_MAIN(TestCliUsage)
#include "tst_cli_usage.moc"
