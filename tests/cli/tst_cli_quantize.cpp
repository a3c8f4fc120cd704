// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/CliRun.h"
#include "cli/TinyModel.h"

#include <QElapsedTimer>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <csignal>

using namespace sigmascope::test;

namespace
{

const QString kChanged = QStringLiteral("model.layers.2.mlp.up_proj.weight");

QStringList quantizeTo(const QString& output, const QString& preset, const QString& model = sampleFolder())
{
    return {"quantize", model,  "--preset", preset, "--calibration", sampleImatrix(),
            "--to",     "gguf", "-o",       output, "--json"};
}

std::string bytesOf(const QString& path)
{
    return readFile(path.toStdString());
}

QStringList sorted(QStringList keys)
{
    keys.sort();
    return keys;
}

/// Everything of a result but the times.
QJsonObject untimed(QJsonObject tensor)
{
    tensor.remove("seconds");
    return tensor;
}


/// Overwrites one BF16 weight of the layer kChanged in a copy of the sample.
void setWeight(const std::filesystem::path& model, std::size_t index, std::uint16_t bf16)
{
    const std::filesystem::path weights = model / "model.safetensors";
    std::filesystem::permissions(weights, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    std::string bytes = readFile(weights);
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    const QJsonObject header = QJsonDocument::fromJson(QByteArray(bytes.data() + 8, static_cast<int>(length))).object();
    const auto begin = static_cast<std::size_t>(header[kChanged][u"data_offsets"][0].toDouble());
    std::memcpy(bytes.data() + 8 + length + begin + 2 * index, &bf16, sizeof bf16);
    writeFile(weights, bytes);
}

} // namespace

class TestCliQuantize : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase();
    void jsonHasExactlyTheDocumentedKeys();
    void estimateIsTheWrittenSizeIsTheFilesSize();
    void fileBytesAreTheReportedBits();
    void correctionLowersTheErrorOfItsMetric();
    void writtenFileReadsBackAsPlanned();
    void bytesDoNotDependOnThreads();
    void bytesDoNotDependOnTheKernels_data();
    void bytesDoNotDependOnTheKernels();
    void bytesDoNotDependOnTheLocale();
    void oneChangedWeightChangesItsLayerOnly();
    void existingFileIsKeptUnlessOverwriteIsAsked();
    void inputIsNeverReplaced();
    void withoutCalibrationEveryNumberSaysSo();
    void refusedFallbackWritesNothing();
    void nonFiniteLayerIsKeptAndSaid();
    void deviceIsNamed();
    void ggufIsASourceToo();
    void templateGivesTheMetadata();
    void interruptBeforeALayerLeavesNothingBehind();
    void tableShowsErrorsOutputsAndHowToLoad();

private:
    [[nodiscard]] QString path(const char* name) const { return m_folder.filePath(name); }
    QTemporaryDir m_folder;
    QJsonObject m_result; // of the L²QER job
};

void TestCliQuantize::initTestCase()
{
    const CliRun run = cli(quantizeTo(path("l2qer.gguf"), "l2qer-w4"));
    QVERIFY2(run.exitCode == 0, run.err);
    m_result = run.json();
}

void TestCliQuantize::jsonHasExactlyTheDocumentedKeys()
{
    QCOMPARE(m_result.keys(), sorted({"tensors", "totals", "outputs", "notes"}));
    QVERIFY(m_result[u"notes"].toArray().isEmpty());  // the sample lacks nothing that a GGUF holds
    QCOMPARE(m_result[u"totals"].toObject().keys(),
             sorted({"estimated_bytes", "written_bytes", "bits_per_weight", "seconds"}));
    QCOMPARE(m_result[u"tensors"].toArray().size(), 39);
    for (const QJsonValue& tensor : m_result[u"tensors"].toArray())
        QCOMPARE(tensor.toObject().keys(),
                 sorted({"name", "preset", "grid", "method", "bits_per_weight", "rank", "weight_rel_error",
                         "metric_rel_error", "search_gain", "seconds", "device", "fallback"}));
    for (const QJsonValue& output : m_result[u"outputs"].toArray())
        QCOMPARE(output.toObject().keys(), sorted({"path", "kind", "bytes"}));
}

void TestCliQuantize::estimateIsTheWrittenSizeIsTheFilesSize()
{
    const QJsonObject totals = m_result[u"totals"].toObject();
    QCOMPARE(totals[u"estimated_bytes"].toDouble(), totals[u"written_bytes"].toDouble());
    const QJsonArray outputs = m_result[u"outputs"].toArray();
    QCOMPARE(outputs.size(), 2);
    QCOMPARE(outputs[0][u"kind"].toString(), QString("model"));
    QCOMPARE(outputs[1][u"kind"].toString(), QString("adapter"));
    QCOMPARE(outputs[1][u"path"].toString(), path("l2qer-lora.gguf"));
    double sum = 0;
    for (const QJsonValue& output : outputs) {
        QCOMPARE(static_cast<double>(QFile(output[u"path"].toString()).size()), output[u"bytes"].toDouble());
        sum += output[u"bytes"].toDouble();
    }
    QCOMPARE(sum, totals[u"written_bytes"].toDouble());
    QVERIFY(sum > 1e6);
}

/// A3 of methods-lowrank §13: what the table calls bits is what stands in the files, but for headers and padding.
void TestCliQuantize::fileBytesAreTheReportedBits()
{
    const QJsonArray inspected = cli({"inspect", sampleFolder(), "--json"}).json()[u"tensors"].toArray();
    double reported = 0;
    double elements = 0;
    for (const QJsonValue& tensor : inspected) {
        double count = 1;
        for (const QJsonValue& extent : tensor[u"shape"].toArray())
            count *= extent.toDouble();
        elements += count;
        reported += tensorNamed(m_result, tensor[u"name"].toString())[u"bits_per_weight"].toDouble() * count / 8;
    }
    const CliRun plan = cli({"plan", sampleFolder(), "--preset", "l2qer-w4", "--calibration", sampleImatrix(), "-o",
                             path("a3.json"), "--json"});
    QVERIFY2(plan.exitCode == 0, plan.err);
    const double written = m_result[u"totals"][u"written_bytes"].toDouble();
    const double overhead = plan.json()[u"totals"][u"overhead_bytes"].toDouble();
    QVERIFY(overhead > 0 && overhead < 100'000);
    QVERIFY(std::abs(written - overhead - reported) < 0.5);
    QVERIFY(std::abs(m_result[u"totals"][u"bits_per_weight"].toDouble() - 8 * written / elements) < 1e-9);
}

void TestCliQuantize::correctionLowersTheErrorOfItsMetric()
{
    const CliRun rtn = cli(quantizeTo(path("rtn.gguf"), "rtn-w4"));
    QVERIFY2(rtn.exitCode == 0, rtn.err);
    QCOMPARE(rtn.json()[u"outputs"].toArray().size(), 1);
    const CliRun lqer = cli(quantizeTo(path("lqer.gguf"), "lqer-w4"));
    QVERIFY2(lqer.exitCode == 0, lqer.err);
    int corrected = 0;
    for (const QJsonValue& value : m_result[u"tensors"].toArray()) {
        const QJsonObject tensor = value.toObject();
        const QJsonObject base = tensorNamed(rtn.json(), tensor[u"name"].toString());
        const QJsonObject plain = tensorNamed(lqer.json(), tensor[u"name"].toString());
        if (tensor[u"method"].toString() == "keep") {
            QCOMPARE(tensor[u"weight_rel_error"].toDouble(-1), 0.0);
            QVERIFY(tensor[u"preset"].isNull());
            continue;
        }
        ++corrected;
        QCOMPARE(tensor[u"method"].toString(), QString("l2qer"));
        QCOMPARE(base[u"method"].toString(), QString("rtn"));
        QCOMPARE(plain[u"method"].toString(), QString("lqer"));
        QVERIFY(tensor[u"rank"].toInt() > 0 && base[u"rank"].toInt() == 0);
        QVERIFY(tensor[u"bits_per_weight"].toDouble() > base[u"bits_per_weight"].toDouble());
        QVERIFY(tensor[u"metric_rel_error"].toDouble() < base[u"metric_rel_error"].toDouble());
        // Each is best in its own metric at the same rank.
        QVERIFY(tensor[u"metric_rel_error"].toDouble() < plain[u"metric_rel_error"].toDouble());
        QVERIFY(plain[u"weight_rel_error"].toDouble() < tensor[u"weight_rel_error"].toDouble());
    }
    QCOMPARE(corrected, 28);
}

void TestCliQuantize::writtenFileReadsBackAsPlanned()
{
    const CliRun run = cli({"inspect", path("l2qer.gguf"), "--strict", "--json"});
    QVERIFY2(run.exitCode == 0, run.err);
    const QJsonObject down = tensorNamed(run.json(), "blk.0.ffn_down.weight");
    QCOMPARE(down[u"dtype"].toString(), QString("Q4_0"));
    QCOMPARE(down[u"shape"].toArray(), (QJsonArray{256, 768}));
    const QJsonObject original
        = tensorNamed(cli({"inspect", sampleFolder(), "--json"}).json(), "model.layers.0.mlp.down_proj.weight");
    QVERIFY(std::abs(down[u"stddev"].toDouble() / original[u"stddev"].toDouble() - 1) < 0.05);
    const int rank = tensorNamed(m_result, "model.layers.0.mlp.down_proj.weight")[u"rank"].toInt();
    const CliRun adapter = cli({"inspect", path("l2qer-lora.gguf"), "--strict", "--json"});
    QVERIFY2(adapter.exitCode == 0, adapter.err);
    QCOMPARE(tensorNamed(adapter.json(), "blk.0.ffn_down.weight.lora_a")[u"shape"].toArray(), (QJsonArray{rank, 768}));
    QCOMPARE(tensorNamed(adapter.json(), "blk.0.ffn_down.weight.lora_b")[u"shape"].toArray(), (QJsonArray{256, rank}));
}

void TestCliQuantize::bytesDoNotDependOnThreads()
{
    const std::string model = bytesOf(path("l2qer.gguf"));
    const std::string adapter = bytesOf(path("l2qer-lora.gguf"));
    for (const char* threads : {"1", "2", "4"}) {
        const QString output = path("threads.gguf");
        const CliRun run = cli(quantizeTo(output, "l2qer-w4") + QStringList{"--threads", threads, "--overwrite"});
        QVERIFY2(run.exitCode == 0, run.err);
        QVERIFY(bytesOf(output) == model);
        QVERIFY(bytesOf(path("threads-lora.gguf")) == adapter);
    }
}

void TestCliQuantize::bytesDoNotDependOnTheKernels_data()
{
    QTest::addColumn<QString>("preset");
    for (const char* preset : {"rtn-w4", "rtn-w5", "rtn-w8"})
        QTest::newRow(preset) << QString(preset);
}

void TestCliQuantize::bytesDoNotDependOnTheKernels()
{
    QFETCH(QString, preset);
    std::string reference;
    for (const char* level : {"scalar", "avx2", "avx512"}) {
        const QString output = path("simd.gguf");
        const CliRun run = cli(quantizeTo(output, preset) + QStringList{"--overwrite", "--device", "cpu"},
                               {{"SIGMASCOPE_SIMD", level}});
        QVERIFY2(run.exitCode == 0, run.err);
        if (reference.empty())
            reference = bytesOf(output);
        QVERIFY(!reference.empty() && bytesOf(output) == reference);
    }
}

void TestCliQuantize::bytesDoNotDependOnTheLocale()
{
    const QString output = path("locale.gguf");
    for (const char* locale : {"C", "de_DE.UTF-8", "tr_TR.UTF-8"}) {
        const CliRun run = cli(quantizeTo(output, "l2qer-w4") + QStringList{"--overwrite"},
                               {{"LC_ALL", locale}, {"LC_NUMERIC", locale}});
        QVERIFY2(run.exitCode == 0, run.err);
        QVERIFY(bytesOf(output) == bytesOf(path("l2qer.gguf")));
        QCOMPARE(untimed(tensorNamed(run.json(), kChanged)), untimed(tensorNamed(m_result, kChanged)));
    }
}

/// No number is made up: one weight more than it was, and that layer's numbers move, and no other's.
void TestCliQuantize::oneChangedWeightChangesItsLayerOnly()
{
    const std::filesystem::path model = path("changed").toStdString();
    copySample(model);
    setWeight(model, 777, 0x4000); // 2.0, far outside the density
    const CliRun run = cli(quantizeTo(path("changed.gguf"), "l2qer-w4", qpath(model)));
    QVERIFY2(run.exitCode == 0, run.err);
    for (const QJsonValue& value : m_result[u"tensors"].toArray()) {
        const QString name = value[u"name"].toString();
        const QJsonObject now = tensorNamed(run.json(), name);
        QCOMPARE(untimed(now) == untimed(value.toObject()), name != kChanged);
    }
    const QJsonObject now = tensorNamed(run.json(), kChanged);
    QVERIFY(now[u"weight_rel_error"].toDouble() != tensorNamed(m_result, kChanged)[u"weight_rel_error"].toDouble());
    QVERIFY(now[u"metric_rel_error"].toDouble() != tensorNamed(m_result, kChanged)[u"metric_rel_error"].toDouble());
    QVERIFY(bytesOf(path("changed.gguf")) != bytesOf(path("l2qer.gguf")));
}

void TestCliQuantize::existingFileIsKeptUnlessOverwriteIsAsked()
{
    const QString output = path("existing.gguf");
    writeFile(output.toStdString(), "mine");
    const CliRun refused = cli(quantizeTo(output, "rtn-w4"));
    QCOMPARE(refused.exitCode, 1);
    QVERIFY(refused.err.contains("existing.gguf"));
    QCOMPARE(bytesOf(output), std::string("mine"));
    QCOMPARE(cli(quantizeTo(output, "rtn-w4") + QStringList{"--overwrite"}).exitCode, 0);
    QVERIFY(bytesOf(output).starts_with("GGUF"));
    // The adapter's name counts too.
    writeFile(path("beside-lora.gguf").toStdString(), "mine");
    QCOMPARE(cli(quantizeTo(path("beside.gguf"), "l2qer-w4")).exitCode, 1);
    QCOMPARE(bytesOf(path("beside-lora.gguf")), std::string("mine"));
    QVERIFY(!QFile::exists(path("beside.gguf")));
}

void TestCliQuantize::inputIsNeverReplaced()
{
    const std::filesystem::path model = path("guarded").toStdString();
    copySample(model);
    const std::filesystem::path weights = model / "model.safetensors";
    const std::string before = readFile(weights);
    std::filesystem::create_hard_link(weights, model / "hard.gguf");
    std::filesystem::create_symlink(weights, model / "soft.gguf");
    for (const char* name : {"model.safetensors", "hard.gguf", "soft.gguf"}) {
        const CliRun run = cli(quantizeTo(qpath(model / name), "rtn-w4", qpath(model)) + QStringList{"--overwrite"});
        QVERIFY2(run.exitCode == 1, name);
        QVERIFY2(run.err.contains(name), run.err);
        QVERIFY(readFile(weights) == before);
    }
    // A calibration is an input like any other.
    const std::filesystem::path imatrix = model / "imatrix.gguf";
    const CliRun run = cli({"quantize", qpath(model), "--preset", "rtn-w4", "--calibration", qpath(imatrix), "--to",
                            "gguf", "-o", qpath(imatrix), "--overwrite"});
    QCOMPARE(run.exitCode, 1);
    QVERIFY(readFile(imatrix) == bytesOf(sampleImatrix()));
}

void TestCliQuantize::withoutCalibrationEveryNumberSaysSo()
{
    const CliRun run
        = cli({"quantize", sampleFolder(), "--preset", "l2qer-w4", "--to", "gguf", "-o", path("plain.gguf"), "--json"});
    QVERIFY2(run.exitCode == 0, run.err);
    const QJsonObject tensor = tensorNamed(run.json(), kChanged);
    QCOMPARE(tensor[u"method"].toString(), QString("lqer"));
    QVERIFY(tensor[u"metric_rel_error"].isNull());
    QVERIFY(tensor[u"fallback"].toString().contains("plain metric"));
    // Asked for the plain metric, a plain metric is no fallback.
    const CliRun lqer = cli({"quantize", sampleFolder(), "--preset", "lqer-w4", "--to", "gguf", "-o",
                             path("plain2.gguf"), "--json", "--refuse-fallback"});
    QVERIFY2(lqer.exitCode == 0, lqer.err);
    QVERIFY(tensorNamed(lqer.json(), kChanged)[u"fallback"].isNull());
}

void TestCliQuantize::refusedFallbackWritesNothing()
{
    const QString output = path("refused.gguf");
    const CliRun run
        = cli({"quantize", sampleFolder(), "--preset", "l2qer-w4", "--to", "gguf", "-o", output, "--refuse-fallback"});
    QCOMPARE(run.exitCode, 1);
    QVERIFY2(run.err.contains("fallback") && run.err.contains("model.layers."), run.err);
    QVERIFY(!QFile::exists(output) && !QFile::exists(path("refused-lora.gguf")));
}

void TestCliQuantize::nonFiniteLayerIsKeptAndSaid()
{
    const std::filesystem::path model = path("nonfinite").toStdString();
    copySample(model);
    setWeight(model, 5, 0x7FC0); // NaN
    const CliRun run = cli(quantizeTo(path("nonfinite.gguf"), "rtn-w4", qpath(model)));
    QVERIFY2(run.exitCode == 0, run.err);
    const QJsonObject tensor = tensorNamed(run.json(), kChanged);
    QCOMPARE(tensor[u"method"].toString(), QString("keep"));
    QCOMPARE(tensor[u"grid"].toString(), QString("bf16"));
    QVERIFY2(tensor[u"fallback"].toString().contains("non-finite values: 1, first at element 5"),
             qPrintable(tensor[u"fallback"].toString()));
    QCOMPARE(run.json()[u"totals"][u"estimated_bytes"].toDouble(), run.json()[u"totals"][u"written_bytes"].toDouble());
    QCOMPARE(
        cli(quantizeTo(path("nonfinite2.gguf"), "rtn-w4", qpath(model)) + QStringList{"--refuse-fallback"}).exitCode,
        1);
    QVERIFY(!QFile::exists(path("nonfinite2.gguf")));
}

void TestCliQuantize::deviceIsNamed()
{
    const CliRun run = cli(quantizeTo(path("device.gguf"), "rtn-w4") + QStringList{"--device", "cpu"});
    QVERIFY2(run.exitCode == 0, run.err);
    QCOMPARE(tensorNamed(run.json(), kChanged)[u"device"].toString(), QString("cpu"));
    QVERIFY(tensorNamed(run.json(), "model.norm.weight")[u"device"].isNull());
}

void TestCliQuantize::ggufIsASourceToo()
{
    const CliRun first = cli(quantizeTo(path("q8.gguf"), "rtn-w8"));
    QVERIFY2(first.exitCode == 0, first.err);
    const CliRun second = cli(quantizeTo(path("q8q4.gguf"), "rtn-w4", path("q8.gguf")));
    QVERIFY2(second.exitCode == 0, second.err);
    const QJsonObject tensor = tensorNamed(second.json(), "blk.2.ffn_up.weight");
    QCOMPARE(tensor[u"grid"].toString(), QString("q4_0"));
    QVERIFY(tensor[u"weight_rel_error"].toDouble() > 0.01);
    QVERIFY(!tensor[u"metric_rel_error"].isNull());
    // What these errors are of must not be left to guess; a model that nobody quantized yet says nothing of it.
    const QString said = QStringLiteral("28 of 28 layers that are rewritten were quantized already (Q8_0)");
    QVERIFY2(second.err.contains(said.toUtf8()), second.err);
    QVERIFY(second.json()[u"notes"].toArray().last().toString().startsWith(said));
    QVERIFY(!first.err.contains("already"));
}

void TestCliQuantize::templateGivesTheMetadata()
{
    // Without its tokenizer the folder alone is not enough; a GGUF of the same model has it.
    const std::filesystem::path model = path("bare").toStdString();
    copySample(model);
    std::filesystem::remove(model / "tokenizer.model");
    std::filesystem::remove(model / "tokenizer.json");
    QCOMPARE(cli(quantizeTo(path("bare.gguf"), "rtn-w4", qpath(model))).exitCode, 1);
    QVERIFY(!QFile::exists(path("bare.gguf")));
    const CliRun run
        = cli(quantizeTo(path("bare.gguf"), "rtn-w4", qpath(model)) + QStringList{"--template", path("l2qer.gguf")});
    QVERIFY2(run.exitCode == 0, run.err);
    QVERIFY(bytesOf(path("bare.gguf")).find("tokenizer.ggml.tokens") != std::string::npos);
}

/// Before a layer is finished there is nothing to keep; what a later interrupt keeps is in tst_cli_resume.
void TestCliQuantize::interruptBeforeALayerLeavesNothingBehind()
{
    const QTemporaryDir folder;
    QProcess process;
    process.setProcessEnvironment(cliEnvironment());
    process.start(cliPath(), quantizeTo(folder.filePath("x.gguf"), "l2qer-w4") + QStringList{"--threads", "1"});
    QVERIFY(process.waitForStarted());
    // The journal, which is also the lock, says that the run is on its way.
    QElapsedTimer timer;
    timer.start();
    while (QDir(folder.path()).isEmpty(QDir::Files | QDir::Hidden) && process.state() == QProcess::Running
           && timer.elapsed() < 60'000)
        process.waitForFinished(1);
    QVERIFY(process.state() == QProcess::Running);
    QCOMPARE(::kill(static_cast<pid_t>(process.processId()), SIGINT), 0);
    QVERIFY(process.waitForFinished(60'000));
    QCOMPARE(process.exitStatus(), QProcess::NormalExit);
    QCOMPARE(process.exitCode(), 1);
    const QByteArray error = process.readAllStandardError();
    QVERIFY2(error.contains("cancelled"), error);
    QVERIFY(QDir(folder.path()).isEmpty(QDir::Files | QDir::Hidden) || error.contains("--resume"));
    QVERIFY(!QFile::exists(folder.filePath("x.gguf")));
}

void TestCliQuantize::tableShowsErrorsOutputsAndHowToLoad()
{
    QStringList arguments = quantizeTo(path("table.gguf"), "l2qer-w4");
    arguments.removeAll("--json");
    const CliRun run = cli(arguments);
    QVERIFY2(run.exitCode == 0, run.err);
    for (const char* text : {"model.layers.3.mlp.down_proj.weight", "l2qer", "q4_0", "bits/w", "paper bits",
                             "metric error", "measured", "table.gguf", "table-lora.gguf", "--lora", "Load it with"})
        QVERIFY2(run.out.contains(text), text);
    QVERIFY(!run.err.contains("%")); // progress of a quick job stays silent when it is no terminal
}

QTEST_GUILESS_MAIN(TestCliQuantize)
#include "tst_cli_quantize.moc"
