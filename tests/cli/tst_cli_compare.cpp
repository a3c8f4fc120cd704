// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/CliRun.h"
#include "cli/TinyModel.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <limits>

using namespace sigmascope::test;

namespace
{

CliRun compare(const QString& a, const QString& b)
{
    return cli({"compare", a, b, "--json"});
}

} // namespace

class TestCliCompare : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase() { QVERIFY(m_folder.isValid()); }
    void aModelEqualsItself();
    void errorsAreThoseTheRunMeasured();
    void hfAndGgufCompareInBothDirections();
    void largestDifferenceAndUnpairedTensorsAreNamed();
    void whatCannotBeComparedSaysWhy();
    void tableListsTheWorstFirst();
    void resultDoesNotDependOnThreads();

private:
    QString at(const char* name) const { return m_folder.filePath(QString::fromLatin1(name)); }
    void write(const char* name, const std::vector<TinyTensor>& tensors) const
    {
        writeFile(at(name).toStdString(), safetensorsBytes(tensors));
    }
    QTemporaryDir m_folder;
};

void TestCliCompare::aModelEqualsItself()
{
    const CliRun run = compare(sampleFolder(), sampleFolder());
    QCOMPARE(run.exitCode, 0);
    const QJsonObject found = run.json();
    QVERIFY(found["tensors"].toArray().size() > 30);
    for (const QJsonValue& tensor : found["tensors"].toArray()) {
        QVERIFY(tensor["same_bytes"].toBool());
        QCOMPARE(tensor["weight_rel_error"].toDouble(-1), 0.0);
    }
    QCOMPARE(found["totals"]["weight_rel_error"].toDouble(-1), 0.0);
    QVERIFY(found["only_a"].toArray().isEmpty() && found["only_b"].toArray().isEmpty());
}

void TestCliCompare::errorsAreThoseTheRunMeasured()
{
    const QString output = at("rtn.gguf");
    const CliRun run = cli({"quantize", sampleFolder(), "--preset", "rtn-w4", "--to", "gguf", "-o", output, "--json"});
    QCOMPARE(run.exitCode, 0);
    const QJsonObject compared = compare(sampleFolder(), output).json();
    int quantized = 0;
    for (const QJsonValue& tensor : run.json()["tensors"].toArray()) {
        const QJsonObject twin = tensorNamed(compared, tensor["name"].toString());
        const double measured = tensor["weight_rel_error"].toDouble(-1);
        quantized += measured > 0 ? 1 : 0;
        QVERIFY2(std::abs(twin["weight_rel_error"].toDouble(-1) - measured) <= 1e-6 * measured,
                 qPrintable(tensor["name"].toString()));
    }
    // q and k among them: their rows stand in another order in the GGUF.
    QCOMPARE(quantized, 28);
    const double all = compared["totals"]["weight_rel_error"].toDouble();
    QVERIFY(all > 0.01 && all < 0.2);
}

void TestCliCompare::hfAndGgufCompareInBothDirections()
{
    const QString output = at("q8.gguf");
    QCOMPARE(cli({"quantize", sampleFolder(), "--preset", "rtn-w8", "--to", "gguf", "-o", output}).exitCode, 0);
    const QJsonObject forth = compare(sampleFolder(), output).json();
    const QJsonObject back = compare(output, sampleFolder()).json();
    QCOMPARE(forth["tensors"].toArray().size(), back["tensors"].toArray().size());
    for (const QJsonValue& tensor : forth["tensors"].toArray()) {
        const QJsonObject twin = tensorNamed(back, tensor["name_b"].toString());
        QCOMPARE(twin["name_b"].toString(), tensor["name"].toString());
        QCOMPARE(twin["largest_difference"].toDouble(-1), tensor["largest_difference"].toDouble(-2));
        QVERIFY(tensor["weight_rel_error"].toDouble(1) < 0.01);
    }
}

void TestCliCompare::largestDifferenceAndUnpairedTensorsAreNamed()
{
    write("a.safetensors", {floats("same", {2, 2}, {1, 2, 3, 4}), floats("moved", {1, 4}, {3, 0, 4, 0}),
                            floats("mine", {1}, {1})});
    write("b.safetensors", {floats("same", {2, 2}, {1, 2, 3, 4}), floats("moved", {4}, {3, 0, 4, 0.5}),
                            floats("yours", {1}, {1})});
    const QJsonObject found = compare(at("a.safetensors"), at("b.safetensors")).json();
    QVERIFY(tensorNamed(found, "same")["same_bytes"].toBool());
    const QJsonObject moved = tensorNamed(found, "moved");  // [1, 4] and [4] hold the same values
    QCOMPARE(moved["largest_difference"].toDouble(), 0.5);
    QCOMPARE(moved["weight_rel_error"].toDouble(), 0.1);  // 0.5 / 5
    QCOMPARE(found["only_a"].toArray(), QJsonArray{"mine"});
    QCOMPARE(found["only_b"].toArray(), QJsonArray{"yours"});
    QVERIFY(std::abs(found["totals"]["weight_rel_error"].toDouble() - 0.5 / std::sqrt(55.0)) < 1e-12);
}

void TestCliCompare::whatCannotBeComparedSaysWhy()
{
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    write("odd_a.safetensors", {floats("shape", {2, 2}, {1, 2, 3, 4}), floats("nan", {2}, {1, 2}),
                                {"strange", "F4", {2}, "x"}, floats("zero", {2}, {0, 0})});
    write("odd_b.safetensors", {floats("shape", {4, 1}, {1, 2, 3, 4}), floats("nan", {2}, {1, kNan}),
                                {"strange", "F4", {2}, "y"}, floats("zero", {2}, {0, 1})});
    const CliRun run = compare(at("odd_a.safetensors"), at("odd_b.safetensors"));
    QCOMPARE(run.exitCode, 0);
    const QJsonObject found = run.json();
    QVERIFY(tensorNamed(found, "shape")["weight_rel_error"].isNull());
    QVERIFY(tensorNamed(found, "shape")["reason"].toString().contains("[2, 2]"));
    QVERIFY(tensorNamed(found, "nan")["weight_rel_error"].isNull());
    QCOMPARE(tensorNamed(found, "nan")["reason"].toString(), QString("non-finite values"));
    QVERIFY(tensorNamed(found, "strange")["reason"].toString().contains("F4"));
    // Nothing to be relative to, but the difference is there.
    QVERIFY(tensorNamed(found, "zero")["weight_rel_error"].isNull());
    QCOMPARE(tensorNamed(found, "zero")["largest_difference"].toDouble(), 1.0);
}

void TestCliCompare::tableListsTheWorstFirst()
{
    write("t_a.safetensors", {floats("little", {2}, {3, 4}), floats("much", {2}, {3, 4})});
    write("t_b.safetensors", {floats("little", {2}, {3, 4.05F}), floats("much", {2}, {3, 9})});
    const CliRun run = cli({"compare", at("t_a.safetensors"), at("t_b.safetensors")});
    QCOMPARE(run.exitCode, 0);
    QVERIFY(run.out.indexOf("much") < run.out.indexOf("little"));
    QVERIFY(run.out.contains("100.000 %"));
    QCOMPARE(cli({"compare", at("t_a.safetensors")}).exitCode, 2);
    QCOMPARE(cli({"compare", at("t_a.safetensors"), at("absent.gguf")}).exitCode, 1);
}

void TestCliCompare::resultDoesNotDependOnThreads()
{
    const QString output = at("threads.gguf");
    QCOMPARE(cli({"quantize", sampleFolder(), "--preset", "rtn-w4", "--to", "gguf", "-o", output}).exitCode, 0);
    const QByteArray all = compare(sampleFolder(), output).out;
    const CliRun one = runProgram("taskset", {"-c", "0", cliPath(), "compare", sampleFolder(), output, "--json"});
    QCOMPARE(one.exitCode, 0);
    QCOMPARE(one.out, all);
}

QTEST_GUILESS_MAIN(TestCliCompare)
#include "tst_cli_compare.moc"
