// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/CliRun.h"
#include "cli/TinyModel.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <limits>

using namespace sigmascope::test;

class TestCliVerify : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase() { QVERIFY(m_folder.isValid()); }
    void aGoodFileIsReadToItsLastValue();
    void anExportIsComparedWithItsModel();
    void valuesThatAreNotFiniteAreCountedAndNamed();
    void whatOpeningWarnsOfIsAProblem();
    void missingAddedAndReshapedTensorsAreProblems();
    void aFileCutShortIsAnError();
    void theTextEndsInAVerdict();

private:
    QString at(const char* name) const { return m_folder.filePath(QString::fromLatin1(name)); }
    QString write(const char* name, const std::vector<TinyTensor>& tensors) const
    {
        writeFile(at(name).toStdString(), safetensorsBytes(tensors));
        return at(name);
    }
    /// "tensor: text" of each.
    static QStringList problemsOf(const CliRun& run)
    {
        QStringList all;
        for (const QJsonValue& one : run.json()["problems"].toArray())
            all << one[u"tensor"].toString() + ": " + one[u"text"].toString();
        return all;
    }
    QTemporaryDir m_folder;
};

void TestCliVerify::aGoodFileIsReadToItsLastValue()
{
    const CliRun run = cli({"verify", sampleFolder(), "--json"});
    QVERIFY2(run.exitCode == 0, run.err);
    QCOMPARE(run.json()["tensors"].toInt(), 39);
    QCOMPARE(run.json()["values"].toInt(), 4'196'608);
    QCOMPARE(run.json()["undecoded"].toInt(-1), 0);
    QVERIFY(run.json()["problems"].toArray().isEmpty() && run.json()["against"].isNull());
}

void TestCliVerify::anExportIsComparedWithItsModel()
{
    const QString output = at("rtn.gguf");
    const CliRun made = cli({"quantize", sampleFolder(), "--preset", "rtn-w4", "--to", "gguf", "-o", output, "--json"});
    QVERIFY2(made.exitCode == 0, made.err);
    const CliRun run = cli({"verify", output, "--against", sampleFolder(), "--json"});
    QVERIFY2(run.exitCode == 0, run.out + run.err);
    QVERIFY(problemsOf(run).isEmpty());
    const QJsonArray tensors = run.json()["against"][u"tensors"].toArray();
    QCOMPARE(tensors.size(), made.json()["tensors"].toArray().size());
    // The errors are those that the run measured, tensor by tensor.
    std::vector<double> measured;
    std::vector<double> found;
    for (const QJsonValue& tensor : made.json()["tensors"].toArray())
        measured.push_back(tensor[u"weight_rel_error"].toDouble());
    for (const QJsonValue& tensor : tensors)
        found.push_back(tensor[u"weight_rel_error"].toDouble());
    std::ranges::sort(measured);
    std::ranges::sort(found);
    for (std::size_t i = 0; i < found.size(); ++i)
        QVERIFY(std::abs(found[i] - measured[i]) <= 1e-6 * measured[i]);
    QVERIFY(run.json()["against"][u"weight_rel_error"].toDouble() > 0.01);
}

void TestCliVerify::valuesThatAreNotFiniteAreCountedAndNamed()
{
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    constexpr float kInf = std::numeric_limits<float>::infinity();
    const CliRun run = cli({"verify", write("odd.safetensors", {floats("good", {2}, {1, 2}), floats("bad", {4}, {1, kNan, -kInf, kNan})}), "--json"});
    QCOMPARE(run.exitCode, 1);
    QVERIFY(run.err.isEmpty());
    QCOMPARE(problemsOf(run), QStringList{"bad: 2 NaN and 1 infinite of 4 values, the first at element 1"});
}

void TestCliVerify::whatOpeningWarnsOfIsAProblem()
{
    std::string bytes = safetensorsBytes({floats("good", {2}, {1, 2})});
    writeFile(at("tail.safetensors").toStdString(), bytes + "trailing");
    const CliRun run = cli({"verify", at("tail.safetensors"), "--json"});
    const CliRun strict = cli({"inspect", at("tail.safetensors"), "--strict"});
    QCOMPARE(run.exitCode, 1);
    QCOMPARE(strict.exitCode, 1);
    QCOMPARE(problemsOf(run).size(), 1);
    QVERIFY2(problemsOf(run).front().contains("tail.safetensors"), qPrintable(problemsOf(run).front()));
}

void TestCliVerify::missingAddedAndReshapedTensorsAreProblems()
{
    const QString model = write("model.safetensors", {floats("same", {2}, {1, 2}), floats("mine", {1}, {1}),
                                                      floats("shape", {2, 2}, {1, 2, 3, 4}), floats("moved", {2}, {3, 4})});
    const QString file = write("file.safetensors", {floats("same", {2}, {1, 2}), floats("yours", {1}, {1}),
                                                    floats("shape", {4, 1}, {1, 2, 3, 4}), floats("moved", {2}, {3, 5})});
    const CliRun run = cli({"verify", file, "--against", model, "--json"});
    QCOMPARE(run.exitCode, 1);
    QCOMPARE(problemsOf(run),
             (QStringList{"mine: missing: the model has it, the file does not", "yours: added: the file has it, the model does not",
                          "shape: not compared with the model: shapes differ: [2, 2] and [4, 1]"}));
    // An error is told, and is no problem by itself.
    const QJsonArray tensors = run.json()["against"][u"tensors"].toArray();
    const auto moved = std::ranges::find_if(tensors, [](const QJsonValue& one) { return one[u"name"] == QString("moved"); });
    QVERIFY(moved != tensors.end());
    QCOMPARE((*moved)[u"weight_rel_error"].toDouble(), 0.2);
    QCOMPARE((*moved)[u"largest_difference"].toDouble(), 1.0);
}

void TestCliVerify::aFileCutShortIsAnError()
{
    const std::string bytes = safetensorsBytes({floats("good", {2}, {1, 2})});
    writeFile(at("short.safetensors").toStdString(), bytes.substr(0, bytes.size() - 3));
    const CliRun run = cli({"verify", at("short.safetensors"), "--json"});
    QCOMPARE(run.exitCode, 1);
    QVERIFY(run.out.isEmpty());
    QVERIFY2(run.err.contains("short.safetensors") && run.err.contains("good"), run.err);
}

void TestCliVerify::theTextEndsInAVerdict()
{
    const CliRun good = cli({"verify", sampleFolder(), "--against", sampleFolder()});
    QCOMPARE(good.exitCode, 0);
    QVERIFY2(good.out.contains("4,196,608 values read") && good.out.contains("weight error 0.000 %")
                 && good.out.endsWith("All is well.\n"),
             good.out);
    const CliRun bad = cli({"verify", at("odd.safetensors")});
    QCOMPARE(bad.exitCode, 1);
    QVERIFY2(bad.out.contains("bad") && bad.out.endsWith("1 problem.\n"), bad.out);
}

QTEST_GUILESS_MAIN(TestCliVerify)
#include "tst_cli_verify.moc"
