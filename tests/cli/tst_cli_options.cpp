// SPDX-License-Identifier: GPL-3.0-or-later
// Every option of the verbs that read and write models, one by one: what changes with it is what it says. An option
// without a row here is a failure.
#include "cli/CliRun.h"
#include "support/ExporterFixture.h"

#include <QRegularExpression>
#include <QSet>

#include <functional>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

const QString kValues = QStringLiteral("model.layers.0.self_attn.v_proj.weight");

/// An importance matrix in llama.cpp's old format: the tiny llama's inputs, the first column far louder than the others.
std::string imatrixBytes()
{
    std::string bytes;
    const auto number = [&bytes](std::int32_t value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); };
    const std::vector<std::pair<std::string, std::uint64_t>> inputs{
        {"attn_q", kEmbedding}, {"attn_k", kEmbedding}, {"attn_v", kEmbedding}, {"attn_output", kEmbedding},
        {"ffn_gate", kEmbedding}, {"ffn_up", kEmbedding}, {"ffn_down", kFeedForward}};
    number(static_cast<std::int32_t>(inputs.size()));
    for (const auto& [part, cols] : inputs) {
        const std::string name = "blk.0." + part + ".weight";
        number(static_cast<std::int32_t>(name.size()));
        bytes += name;
        number(1);
        number(static_cast<std::int32_t>(cols));
        std::vector<float> squares(cols, 0.01F);
        squares.front() = 100;
        bytes += rawBytes(squares);
    }
    return bytes;
}

QJsonArray array(const CliRun& run, const char* key)
{
    return run.json()[QLatin1String(key)].toArray();
}

QString gridOf(const CliRun& run, const QString& tensor = kValues)
{
    return tensorNamed(run.json(), tensor)[u"grid"].toString();
}

}  // namespace

class TestCliOptions : public QObject, private ExporterFixture {
    Q_OBJECT

private slots:
    void initTestCase();
    void optionChangesWhatItSays_data();
    void optionChangesWhatItSays();
    void everyOptionHasARow();

private:
    using Check = std::function<void()>;

    void addQuantizeRows();
    void addNearestRow();
    void addQuantizeFileRows();
    void addPlanRows();
    void addReadingRows();
    [[nodiscard]] QString at(const char* name) const { return qpath(m_out / name); }
    [[nodiscard]] QString model() const { return qpath(m_folder); }
    /// A run with its own output; @p extra replaces nothing.
    [[nodiscard]] CliRun quantize(const QStringList& extra, const QString& preset = "rtn-w4", const QString& to = "gguf")
    {
        m_last = at(("run" + std::to_string(m_runs++) + (to == "gguf" ? ".gguf" : "")).c_str());
        return cli(QStringList{"quantize", model(), "--preset", preset, "--to", to, "-o", m_last, "--json"} + extra);
    }
    [[nodiscard]] CliRun plan(const QStringList& extra, const QString& preset = "rtn-w4") const
    {
        return cli(QStringList{"plan", model(), "--preset", preset, "-o", at("plan.json"), "--json"} + extra);
    }
    [[nodiscard]] std::string bytes(const QString& path) const { return readFile(path.toStdString()); }

    std::map<std::string, Check> m_rows;  // "quantize --to"
    QString m_gguf;  // the model at eight bits
    QString m_last;  // output of the last run
    int m_runs = 0;
};

void TestCliOptions::initTestCase()
{
    makeModel();
    writeFile(m_out / "imatrix.dat", imatrixBytes());
    writeFile(m_out / "types.txt", "attn_v=q8_0\nffn_down=q5_0\n");
    writeFile(m_out / "recipe.json", R"({"schema":1,"default":{"preset":"rtn-w5"}})");
    const CliRun run = quantize({}, "rtn-w8");
    QVERIFY2(run.exitCode == 0, run.err);
    m_gguf = m_last;
    addQuantizeRows();
    addNearestRow();
    addQuantizeFileRows();
    addPlanRows();
    addReadingRows();
}

void TestCliOptions::addQuantizeRows()
{
    m_rows["quantize --preset"] = [this] {
        QCOMPARE(gridOf(quantize({}, "rtn-w4")), QString("q4_0"));
        QCOMPARE(gridOf(quantize({}, "rtn-w8")), QString("q8_0"));
    };
    m_rows["quantize --recipe"] = [this] {
        const CliRun run = cli({"quantize", model(), "--recipe", at("recipe.json"), "--to", "gguf", "-o", at("r.gguf"), "--json"});
        QCOMPARE(gridOf(run), QString("q5_0"));
    };
    m_rows["quantize --tensor-type"] = [this] {
        const CliRun run = quantize({"--tensor-type", "attn_v=q8_0", "--tensor-type", "attn=q5_0"});
        QCOMPARE(gridOf(run), QString("q8_0"));  // the first match wins
        QCOMPARE(gridOf(run, "model.layers.0.self_attn.q_proj.weight"), QString("q5_0"));
        QCOMPARE(gridOf(run, "model.layers.0.mlp.up_proj.weight"), QString("q4_0"));
        QCOMPARE(quantize({"--tensor-type", "attn_v=q8_0"}, "rtn-w4", "gptq").exitCode, 2);
    };
    m_rows["quantize --tensor-type-file"] = [this] {
        const CliRun run = quantize({"--tensor-type-file", at("types.txt")});
        QCOMPARE(gridOf(run), QString("q8_0"));
        QCOMPARE(gridOf(run, "model.layers.0.mlp.down_proj.weight"), QString("q5_0"));
        QCOMPARE(gridOf(run, "model.layers.0.mlp.up_proj.weight"), QString("q4_0"));
    };
    m_rows["quantize --calibration"] = [this] {
        const QJsonObject plain = tensorNamed(quantize({}, "l2qer-w4").json(), kValues);
        const QJsonObject weighed = tensorNamed(quantize({"--calibration", at("imatrix.dat")}, "l2qer-w4").json(), kValues);
        QCOMPARE(plain[u"method"].toString(), QString("lqer"));
        QVERIFY(plain[u"metric_rel_error"].isNull());
        QCOMPARE(weighed[u"method"].toString(), QString("l2qer"));
        QVERIFY(!weighed[u"metric_rel_error"].isNull());
        QVERIFY(weighed[u"weight_rel_error"] != plain[u"weight_rel_error"]);
        QVERIFY(bytes(m_last).find("quantize.imatrix.file") != std::string::npos);
    };
    m_rows["quantize --refuse-fallback"] = [this] {
        QCOMPARE(quantize({}, "gguf-q4_k_m").exitCode, 0);  // rows of 64: no super-blocks
        const CliRun refused = quantize({"--refuse-fallback"}, "gguf-q4_k_m");
        QCOMPARE(refused.exitCode, 1);
        QVERIFY2(refused.err.contains("bits per weight"), refused.err);
        QVERIFY(!fs::exists(m_last.toStdString()));
        QCOMPARE(quantize({"--refuse-fallback"}, "gguf-q5_0").exitCode, 0);  // an importance matrix is no must
    };
    m_rows["quantize --device"] = [this] {
        QCOMPARE(tensorNamed(quantize({"--device", "cpu"}).json(), kValues)[u"device"].toString(), QString("cpu"));
        QCOMPARE(quantize({"--device", "vulkan:97"}).exitCode, 1);
    };
    m_rows["quantize --threads"] = [this] {
        static_cast<void>(quantize({"--threads", "1"}, "lqer-w4"));
        const std::string one = bytes(m_last);
        static_cast<void>(quantize({"--threads", "3"}, "lqer-w4"));
        QVERIFY(!one.empty() && bytes(m_last) == one);
        QCOMPARE(quantize({"--threads", "1025"}).exitCode, 2);
    };
}

void TestCliOptions::addNearestRow()
{
    m_rows["quantize --nearest"] = [this] {
        const CliRun refused = quantize({}, "rtn-w3", "awq");
        QCOMPARE(refused.exitCode, 1);
        QVERIFY(refused.err.contains("nearest: rtn-w4"));
        QCOMPARE(gridOf(quantize({"--nearest"}, "rtn-w3", "awq")), QString("int4-g32-asym"));
        // A plan that the format cannot carry: what would change is told, then done.
        writeFile(m_out / "keys.json", R"({"schema":1,"target":"gptq","default":{"grid":"int4-g32"},"rules":[{"match":"k_proj","grid":"int8-g32"}]})");
        const QStringList arguments{"quantize", model(), "--recipe", at("keys.json"), "--to", "gptq", "-o", at("keys"), "--json"};
        const CliRun unlike = cli(arguments);
        QCOMPARE(unlike.exitCode, 1);
        QVERIFY2(unlike.err.contains("formats that carry this plan: bf16, research"), unlike.err);
        QVERIFY2(unlike.err.contains("k_proj.weight: int4-g32 instead of int8-g32, -4 bits per weight ("), unlike.err);
        const CliRun taken = cli(arguments + QStringList{"--nearest"});
        QCOMPARE(gridOf(taken, "model.layers.0.self_attn.k_proj.weight"), QString("int4-g32"));
        QVERIFY(tensorNamed(taken.json(), "model.layers.0.self_attn.k_proj.weight")[u"fallback"].toString().startsWith("int4-g32 instead of"));
        QCOMPARE(cli(arguments + QStringList{"--nearest", "--overwrite", "--refuse-fallback"}).exitCode, 2);  // one or the other
        // Where the output's name alone is wrong, another format is no advice.
        const CliRun named = cli({"quantize", model(), "--preset", "rtn-w4", "--to", "bf16", "--split-max-size", "90kB", "-o", at("one.safetensors")});
        QVERIFY2(named.err.contains("give a folder's name") && !named.err.contains("formats that carry"), named.err);
        // A GGUF becomes one file of safetensors: that is a format that carries it.
        const CliRun folderless = cli({"quantize", m_gguf, "--preset", "rtn-w4", "--to", "gptq", "-o", at("folderless")});
        QVERIFY2(folderless.err.contains("formats that carry this plan: bf16, research"), folderless.err);
    };
}

void TestCliOptions::addQuantizeFileRows()
{
    m_rows["quantize --to"] = [this] {
        QSet<QString> layouts;
        for (const ExporterRow& row : exporters()) {
            const auto target = QString::fromStdString(std::string(row.id));
            const CliRun run = quantize({}, "rtn-w4", target);
            QVERIFY2(run.exitCode == 0, run.err);
            const QJsonObject written = cli({"inspect", m_last, "--json"}).json();
            layouts.insert(array(run, "outputs")[0][u"kind"].toString() + tensorNamed(written, row.id == "gguf" ? "blk.0.attn_v.weight" : kValues)[u"dtype"].toString());
        }
        QCOMPARE(layouts.size(), static_cast<qsizetype>(exporters().size()));
    };
    m_rows["quantize --output"] = [this] {
        QCOMPARE(quantize({}).exitCode, 0);
        QVERIFY(fs::exists(m_last.toStdString()));
    };
    m_rows["quantize --template"] = [this] {
        const fs::path bare = m_out / "bare";
        fs::copy(m_folder, bare, fs::copy_options::recursive);
        fs::remove(bare / "tokenizer.model");
        const QStringList arguments{"quantize", qpath(bare), "--preset", "rtn-w4", "--to", "gguf", "-o", at("bare.gguf")};
        QCOMPARE(cli(arguments).exitCode, 1);
        QCOMPARE(cli(arguments + QStringList{"--template", m_gguf}).exitCode, 0);
        QCOMPARE(quantize({"--template", m_gguf}, "rtn-w4", "gptq").exitCode, 2);  // which has no use for it
    };
    m_rows["quantize --split-max-size"] = [this] {
        QCOMPARE(array(quantize({}), "outputs").size(), 1);
        const CliRun run = quantize({"--split-max-size", "90kB"});
        QVERIFY(array(run, "outputs").size() > 2);
        for (const QJsonValue& output : array(run, "outputs"))
            QVERIFY(output[u"bytes"].toDouble() <= 120'000 && output[u"path"].toString().contains("-of-0000"));
        QVERIFY(array(quantize({"--split-max-size", "90kB"}, "rtn-w4", "bf16"), "outputs").size() > array(quantize({}, "rtn-w4", "bf16"), "outputs").size());
    };
    m_rows["quantize --split-max-tensors"] = [this] {
        QCOMPARE(array(quantize({"--split-max-tensors", "5"}), "outputs").size(), 3);  // of twelve
        QCOMPARE(quantize({"--split-max-tensors", "5"}, "rtn-w4", "bf16").exitCode, 2);
    };
    m_rows["quantize --resume"] = [this] {  // of a run that was cut short: tst_cli_resume
        const CliRun whole = quantize({});
        const std::string expected = bytes(m_last);
        const CliRun begun = quantize({"--resume"});
        QVERIFY(whole.exitCode == 0 && begun.exitCode == 0);
        QVERIFY(bytes(m_last) == expected);
    };
    m_rows["quantize --overwrite"] = [this] {
        QCOMPARE(quantize({}).exitCode, 0);
        const QStringList again{"quantize", model(), "--preset", "rtn-w8", "--to", "gguf", "-o", m_last};
        const CliRun refused = cli(again);
        QCOMPARE(refused.exitCode, 1);
        QVERIFY2(refused.err.contains("add --overwrite"), refused.err);
        const CliRun folder = cli({"quantize", model(), "--preset", "rtn-w4", "--to", "gguf", "-o", qpath(m_out)});
        QVERIFY2(folder.err.contains("as a folder") && !folder.err.contains("--overwrite"), folder.err);
        const std::string before = bytes(m_last);
        QCOMPARE(cli(again + QStringList{"--overwrite"}).exitCode, 0);
        QVERIFY(bytes(m_last) != before);
    };
    m_rows["quantize --json"] = [this] {
        QVERIFY(!quantize({}).json().isEmpty());
        QVERIFY(cli({"quantize", model(), "--preset", "rtn-w4", "--to", "gguf", "-o", at("text.gguf")}).out.contains("Load it with: llama-cli -m "));
    };
}

void TestCliOptions::addPlanRows()
{
    m_rows["plan --preset"] = [this] { QCOMPARE(gridOf(plan({}, "rtn-w6")), QString("q8_0")); };  // Q6_K's stand-in
    m_rows["plan --recipe"] = [this] {
        QCOMPARE(gridOf(cli({"plan", model(), "--recipe", at("recipe.json"), "-o", at("plan.json"), "--json"})), QString("q5_0"));
    };
    m_rows["plan --tensor-type"] = [this] { QCOMPARE(gridOf(plan({"--tensor-type", "attn_v=q5_1"})), QString("q5_1")); };
    m_rows["plan --tensor-type-file"] = [this] {
        QCOMPARE(gridOf(plan({"--tensor-type-file", at("types.txt"), "--tensor-type", "attn_v=q5_1"})), QString("q8_0"));
    };
    m_rows["plan --calibration"] = [this] {
        const auto method = [](const CliRun& run) { return tensorNamed(run.json(), kValues)[u"method"].toString(); };
        QCOMPARE(method(plan({}, "gguf-q4_0")), QString("rtn"));
        QCOMPARE(method(plan({"--calibration", at("imatrix.dat")}, "gguf-q4_0")), QString("imatrix"));
    };
    m_rows["plan --template"] = [this] {
        const auto total = [](const CliRun& run) { return run.json()[u"totals"][u"estimated_bytes"]; };
        const fs::path bare = m_out / "bare2";
        fs::copy(m_folder, bare, fs::copy_options::recursive);
        fs::remove(bare / "tokenizer.model");
        const QStringList arguments{"plan", qpath(bare), "--preset", "rtn-w4", "-o", at("plan.json"), "--json"};
        QVERIFY(total(cli(arguments)).isNull());
        QVERIFY(total(cli(arguments + QStringList{"--template", m_gguf})).toDouble() > 0);
    };
    m_rows["plan --nearest"] = [this] {
        QCOMPARE(plan({"--to", "awq"}, "rtn-w3").exitCode, 1);
        QCOMPARE(gridOf(plan({"--to", "awq", "--nearest"}, "rtn-w3")), QString("int4-g32-asym"));
    };
    m_rows["plan --to"] = [this] {
        QCOMPARE(gridOf(plan({})), QString("q4_0"));
        QCOMPARE(gridOf(plan({"--to", "gptq"})), QString("int4-g64"));
        QVERIFY(bytes(at("plan.json")).find(R"("target": "gptq")") != std::string::npos);
        QCOMPARE(cli({"plan", model(), "--recipe", at("recipe.json"), "--to", "gptq", "-o", at("plan.json")}).exitCode, 2);
    };
    m_rows["plan --output"] = [this] {
        const CliRun run = cli({"plan", model(), "--preset", "rtn-w4", "-o", at("named.json")});
        QVERIFY(run.exitCode == 0 && bytes(at("named.json")).find("\"rtn-w4\"") != std::string::npos);
    };
    m_rows["plan --json"] = [this] {
        QVERIFY(plan({}).json()[u"totals"][u"estimated_bytes"].toDouble() > 0);
        QVERIFY(cli({"plan", model(), "--preset", "rtn-w4", "-o", at("plan.json")}).out.contains("Files (exact): "));
    };
}

void TestCliOptions::addReadingRows()
{
    const auto inspect = [this](const QStringList& extra) { return cli(QStringList{"inspect", model(), "--json"} + extra); };
    const auto first = [](const CliRun& run) { return array(run, "tensors")[0].toObject(); };
    m_rows["verify --against"] = [this] {
        QVERIFY(cli({"verify", m_gguf, "--json"}).json()[u"against"].isNull());
        const double error = cli({"verify", m_gguf, "--against", model(), "--json"}).json()[u"against"][u"weight_rel_error"].toDouble();
        QVERIFY(error > 1e-4 && error < 0.01);
    };
    m_rows["verify --json"] = [this] {
        QCOMPARE(cli({"verify", m_gguf, "--json"}).json()[u"tensors"].toInt(), 12);
        QVERIFY(cli({"verify", m_gguf}).out.contains("All is well."));
    };
    m_rows["compare --json"] = [this] {
        QCOMPARE(array(cli({"compare", model(), m_gguf, "--json"}), "tensors").size(), 12);
        QVERIFY(cli({"compare", model(), m_gguf}).out.contains("all compared tensors: "));
    };
    m_rows["inspect --json"] = [this, inspect] {
        QCOMPARE(array(inspect({}), "tensors").size(), 12);
        QVERIFY(cli({"inspect", model()}).out.contains("12 tensors, "));
    };
    m_rows["inspect --tensor"] = [inspect] { QCOMPARE(array(inspect({"--tensor", kValues}), "tensors").size(), 1); };
    m_rows["inspect --histogram"] = [inspect, first] {
        QVERIFY(first(inspect({}))[u"histogram"].toObject().isEmpty());
        QCOMPARE(first(inspect({"--histogram"}))[u"histogram"][u"counts"].toArray().size(), 64);
    };
    m_rows["inspect --bins"] = [inspect, first] {
        QCOMPARE(first(inspect({"--histogram", "--bins", "7"}))[u"histogram"][u"counts"].toArray().size(), 7);
    };
    const auto spectrum = [inspect, first](const QStringList& extra) {
        return first(inspect(QStringList{"--tensor", kValues, "--spectrum", "3"} + extra))[u"spectrum"].toObject();
    };
    m_rows["inspect --spectrum"] = [inspect, first, spectrum] {
        QVERIFY(first(inspect({}))[u"spectrum"].toObject().isEmpty());
        QVERIFY(spectrum({})[u"total_energy"].toDouble() > 0);
    };
    m_rows["inspect --grid"] = [spectrum] {
        const double weights = spectrum({})[u"total_energy"].toDouble();
        const double error = spectrum({"--grid", "q4_0"})[u"total_energy"].toDouble();
        QVERIFY(error > 0 && error < 0.05 * weights);
    };
    m_rows["inspect --solver"] = [spectrum] {
        QVERIFY(spectrum({"--grid", "q4_0", "--solver", "clip-search"})[u"total_energy"].toDouble() < spectrum({"--grid", "q4_0"})[u"total_energy"].toDouble());
    };
    m_rows["inspect --calibration"] = [this, spectrum] {
        const double plain = spectrum({})[u"total_energy"].toDouble();
        QVERIFY(std::abs(spectrum({"--calibration", at("imatrix.dat")})[u"total_energy"].toDouble() / plain - 1) > 0.1);
    };
    m_rows["inspect --strict"] = [this] {  // bytes that no tensor covers
        const fs::path file = m_out / "tail.safetensors";
        writeFile(file, readFile(m_folder / "model.safetensors") + "tail");
        QCOMPARE(cli({"inspect", qpath(file), "--json"}).exitCode, 0);
        QCOMPARE(cli({"inspect", qpath(file), "--json", "--strict"}).exitCode, 1);
    };
}

void TestCliOptions::optionChangesWhatItSays_data()
{
    QTest::addColumn<QString>("row");
    for (const auto& [name, check] : m_rows)
        QTest::newRow(name.c_str()) << QString::fromStdString(name);
}

void TestCliOptions::optionChangesWhatItSays()
{
    QFETCH(QString, row);
    m_rows.at(row.toStdString())();
}

void TestCliOptions::everyOptionHasARow()
{
    static const QRegularExpression name("^ +(?:-\\w,)?--([a-z-]+)", QRegularExpression::MultilineOption);
    QSet<QString> registered;
    for (const char* verb : {"inspect", "compare", "plan", "quantize", "verify"}) {
        auto found = name.globalMatch(QString::fromUtf8(cli({verb, "--help"}).out));
        while (found.hasNext()) {
            if (const QString option = found.next().captured(1); option != "help")
                registered.insert(QStringLiteral("%1 --%2").arg(QString::fromLatin1(verb), option));
        }
    }
    QSet<QString> rows;
    for (const auto& [row, check] : m_rows)
        rows.insert(QString::fromStdString(row));
    QVERIFY2(rows == registered, qPrintable(((registered - rows) + (rows - registered)).values().join(", ")));
}

QTEST_GUILESS_MAIN(TestCliOptions)
#include "tst_cli_options.moc"
