// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/CliRun.h"
#include "cli/TinyModel.h"
#include "support/PackedFolder.h"

#include <QSet>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace sigmascope::test;

namespace
{

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

struct Moments {
    double mean = 0, stddev = 0, kurtosis = 0;
};

/// By the definition, over all values.
Moments momentsOf(const std::vector<float>& values)
{
    const auto n = static_cast<double>(values.size());
    Moments moments;
    for (const float value : values)
        moments.mean += value / n;
    double m2 = 0;
    double m4 = 0;
    for (const float value : values) {
        const double d = value - moments.mean;
        m2 += d * d / n;
        m4 += d * d * d * d / n;
    }
    moments.stddev = std::sqrt(m2);
    moments.kurtosis = m4 / (m2 * m2);
    return moments;
}

bool isNear(double a, double b, double relative)
{
    return std::abs(a - b) <= relative * std::max(std::abs(a), std::abs(b));
}

QStringList keysOf(const QJsonObject& object)
{
    return object.keys();
}

QStringList sorted(QStringList keys)
{
    keys.sort();
    return keys;
}

} // namespace

class TestCliInspect : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase();
    void jsonHasExactlyTheDocumentedKeys();
    void statisticsAreThoseOfTheDefinition();
    void nonFiniteValuesAreCountedApart();
    void constantTensorHasNoKurtosis();
    void emptyTensorHasNulls();
    void histogramCountsEveryValueOnce();
    void binsAreAsMany_asAsked();
    void spectrumOfADiagonalMatrixIsItsDiagonal();
    void spectrumOfTheErrorIsThatOfWMinusQ();
    void calibrationChangesTheMetric();
    void solverOfTheErrorIsChosen();
    void oneTensorAlone();
    void absentTensorFails();
    void strictRefusesWhatLenientWarnsOf();
    void truncatedTensorIsListedWithNulls();
    void oneChangedWeightChangesItsTensorOnly();
    void outputDoesNotDependOnTheLocale();
    void tableShowsEveryTensor();
    void oddTensorsAreExplained();
    void whatCannotBeLookedAtIsAWarning();
    void packedWeightsAreOneTensorWithAllTheirBits();

private:
    [[nodiscard]] QString path(const char* name) const { return m_folder.filePath(name); }
    QTemporaryDir m_folder;
    std::vector<float> m_values;
};

void TestCliInspect::initTestCase()
{
    for (int i = 0; i < 300; ++i)
        m_values.push_back(static_cast<float>(std::sin(0.7 * i) + 0.001 * i * i));
    std::vector<float> diagonal(3 * 4, 0.0F);
    diagonal[0] = 3;
    diagonal[5] = -4;
    diagonal[10] = 0.5;
    std::vector<float> odd{1, kNan, 3, kInf, -kInf, 0, -0.0F, 2};
    writeFile(path("tiny.safetensors").toStdString(),
              safetensorsBytes({floats("values", {10, 30}, m_values),
                                floats("diagonal", {3, 4}, diagonal),
                                floats("odd", {8}, odd),
                                floats("constant", {2, 3}, std::vector<float>(6, 2.5F)),
                                floats("empty", {0, 3}, {}),
                                {"counter", "I64", {2}, rawBytes(std::vector<std::int64_t>{7, -9})}}));
}

void TestCliInspect::jsonHasExactlyTheDocumentedKeys()
{
    const QStringList base{"name", "shape",  "dtype",    "bytes", "bits_per_weight", "min", "max",
                           "mean", "stddev", "kurtosis", "zeros", "nan", "inf"};
    const QJsonObject plain = cli({"inspect", path("tiny.safetensors"), "--json"}).json();
    QCOMPARE(keysOf(plain), (QStringList{"tensors", "warnings"}));
    QCOMPARE(plain[u"tensors"].toArray().size(), 6);
    QCOMPARE(keysOf(tensorNamed(plain, "values")), sorted(base));
    const QJsonObject full
        = cli({"inspect", path("tiny.safetensors"), "--histogram", "--spectrum", "2", "--json"}).json();
    const QJsonObject values = tensorNamed(full, "values");
    QCOMPARE(keysOf(values), sorted(base + QStringList{"histogram", "spectrum"}));
    QCOMPARE(keysOf(values[u"histogram"].toObject()), sorted({"min", "max", "bins", "counts"}));
    QCOMPARE(keysOf(values[u"spectrum"].toObject()),
             sorted({"grid", "metric", "of", "singular_values", "total_energy", "captured", "unresolved_energy",
                     "lower_bound", "noise_edge"}));
    QVERIFY(tensorNamed(full, "odd")[u"spectrum"].isNull());
}

void TestCliInspect::statisticsAreThoseOfTheDefinition()
{
    const QJsonObject tensor = tensorNamed(cli({"inspect", path("tiny.safetensors"), "--json"}).json(), "values");
    const Moments moments = momentsOf(m_values);
    QCOMPARE(tensor[u"shape"].toArray(), (QJsonArray{10, 30}));
    QCOMPARE(tensor[u"dtype"].toString(), QString("F32"));
    QCOMPARE(tensor[u"bits_per_weight"].toDouble(), 32.0);
    QCOMPARE(tensor[u"bytes"].toInt(), 1200);
    QCOMPARE(tensor[u"min"].toDouble(), static_cast<double>(*std::min_element(m_values.begin(), m_values.end())));
    QCOMPARE(tensor[u"max"].toDouble(), static_cast<double>(*std::max_element(m_values.begin(), m_values.end())));
    // 300 sums in double in another order: a few hundred roundings of 1e-16.
    QVERIFY(isNear(tensor[u"mean"].toDouble(), moments.mean, 1e-12));
    QVERIFY(isNear(tensor[u"stddev"].toDouble(), moments.stddev, 1e-12));
    QVERIFY(isNear(tensor[u"kurtosis"].toDouble(), moments.kurtosis, 1e-12));
    QCOMPARE(tensor[u"zeros"].toInt(), 1); // the first value
    QCOMPARE(tensor[u"nan"].toInt(), 0);
    const QJsonObject counter = tensorNamed(cli({"inspect", path("tiny.safetensors"), "--json"}).json(), "counter");
    QCOMPARE(counter[u"min"].toDouble(), -9.0);
    QCOMPARE(counter[u"max"].toDouble(), 7.0);
}

void TestCliInspect::nonFiniteValuesAreCountedApart()
{
    const QJsonObject tensor = tensorNamed(cli({"inspect", path("tiny.safetensors"), "--json"}).json(), "odd");
    QCOMPARE(tensor[u"nan"].toInt(), 1);
    QCOMPARE(tensor[u"inf"].toInt(), 2);
    QCOMPARE(tensor[u"zeros"].toInt(), 2);
    QCOMPARE(tensor[u"min"].toDouble(), 0.0);
    QCOMPARE(tensor[u"max"].toDouble(), 3.0);
    QVERIFY(isNear(tensor[u"mean"].toDouble(), 6.0 / 5, 1e-15));
}

void TestCliInspect::constantTensorHasNoKurtosis()
{
    const QJsonObject tensor
        = tensorNamed(cli({"inspect", path("tiny.safetensors"), "--histogram", "--json"}).json(), "constant");
    QCOMPARE(tensor[u"stddev"].toDouble(), 0.0);
    QVERIFY(tensor[u"kurtosis"].isNull());
    QCOMPARE(tensor[u"histogram"][u"counts"].toArray(), (QJsonArray{6}));
}

void TestCliInspect::emptyTensorHasNulls()
{
    const QJsonObject tensor = tensorNamed(cli({"inspect", path("tiny.safetensors"), "--json"}).json(), "empty");
    QCOMPARE(tensor[u"bytes"].toInt(), 0);
    QVERIFY(tensor[u"min"].isNull() && tensor[u"mean"].isNull() && tensor[u"kurtosis"].isNull());
}

void TestCliInspect::packedWeightsAreOneTensorWithAllTheirBits()
{
    PackedFolder packed = gptqFolder();
    packed.remove("b.scales");
    QDir().mkpath(path("packed"));
    packed.write(path("packed").toStdString());
    const CliRun run = cli({"inspect", path("packed"), "--json"});
    QVERIFY2(run.exitCode == 0, run.err);
    const QJsonObject weight = tensorNamed(run.json(), "a.weight");
    QCOMPARE(weight[u"shape"].toArray(), (QJsonArray{8, 16}));
    QCOMPARE(weight[u"dtype"].toString(), QString("GPTQ int4 g8"));
    QCOMPARE(weight[u"bytes"].toInt(), 64 + 64 + 8 + 32);  // codes, indices, zero points, scales
    QCOMPARE(weight[u"bits_per_weight"].toDouble(), 10.5);
    QCOMPARE(weight[u"min"].toDouble(), -4.0);
    QCOMPARE(weight[u"max"].toDouble(), 3.5);
    // The other one is told, and listed as it is stored.
    QVERIFY2(run.err.contains("b.qweight") && run.err.contains("b.scales"), run.err);
    QCOMPARE(tensorNamed(run.json(), "b.qweight")[u"dtype"].toString(), QString("I32"));
}

void TestCliInspect::histogramCountsEveryValueOnce()
{
    const QString name = "model.layers.0.mlp.down_proj.weight";
    const QJsonObject tensor = tensorNamed(
        cli({"inspect", sampleFolder(), "--tensor", name, "--histogram", "--bins", "50", "--json"}).json(), name);
    const QJsonObject histogram = tensor[u"histogram"].toObject();
    QCOMPARE(histogram[u"bins"].toInt(), 50);
    QCOMPARE(histogram[u"min"].toDouble(), tensor[u"min"].toDouble());
    QCOMPARE(histogram[u"max"].toDouble(), tensor[u"max"].toDouble());
    double sum = 0;
    for (const QJsonValue& count : histogram[u"counts"].toArray())
        sum += count.toDouble();
    QCOMPARE(sum, 256.0 * 768);
}

void TestCliInspect::binsAreAsMany_asAsked()
{
    for (const int bins : {1, 7, 1000}) {
        const CliRun run = cli({"inspect", path("tiny.safetensors"), "--tensor", "values", "--histogram", "--bins",
                                QString::number(bins), "--json"});
        QCOMPARE(tensorNamed(run.json(), "values")[u"histogram"][u"counts"].toArray().size(), bins);
    }
}

void TestCliInspect::spectrumOfADiagonalMatrixIsItsDiagonal()
{
    const CliRun run = cli({"inspect", path("tiny.safetensors"), "--tensor", "diagonal", "--spectrum", "2", "--json"});
    const QJsonObject spectrum = tensorNamed(run.json(), "diagonal")[u"spectrum"].toObject();
    QCOMPARE(spectrum[u"of"].toString(), QString("W"));
    QCOMPARE(spectrum[u"metric"].toString(), QString("plain"));
    QVERIFY(spectrum[u"grid"].isNull());
    const QJsonArray values = spectrum[u"singular_values"].toArray();
    QVERIFY(values.size() >= 2);
    QVERIFY(isNear(values[0].toDouble(), 4, 1e-6));
    QVERIFY(isNear(values[1].toDouble(), 3, 1e-6));
    QVERIFY(isNear(spectrum[u"total_energy"].toDouble(), 25.25, 1e-9));
    QVERIFY(isNear(spectrum[u"captured"].toDouble() + spectrum[u"unresolved_energy"].toDouble(), 25.25, 1e-6));
    QVERIFY(isNear(spectrum[u"noise_edge"].toDouble(), std::sqrt(25.25 / 12) * (std::sqrt(3.0) + 2), 1e-9));
}

void TestCliInspect::spectrumOfTheErrorIsThatOfWMinusQ()
{
    // One row, INT4 with one scale per row: amax 7 gives scale 1, so each error is what is left of rounding to whole.
    const std::vector<float> row{7, 0.25F, -3.4F, 1.1F};
    writeFile(path("row.safetensors").toStdString(), safetensorsBytes({floats("row", {1, 4}, row)}));
    const CliRun run = cli({"inspect", path("row.safetensors"), "--spectrum", "1", "--grid", "int4-row", "--json"});
    const QJsonObject spectrum = tensorNamed(run.json(), "row")[u"spectrum"].toObject();
    QCOMPARE(spectrum[u"of"].toString(), QString("E"));
    QCOMPARE(spectrum[u"grid"].toString(), QString("int4-row"));
    const double length = std::sqrt(0.25 * 0.25 + 0.4 * 0.4 + 0.1 * 0.1);
    QVERIFY(isNear(spectrum[u"singular_values"].toArray()[0].toDouble(), length, 1e-6));
}

void TestCliInspect::calibrationChangesTheMetric()
{
    const QString name = "model.layers.1.self_attn.q_proj.weight";
    const QStringList base{"inspect", sampleFolder(), "--tensor", name, "--spectrum", "8", "--grid", "q4_0", "--json"};
    const QJsonObject plain = tensorNamed(cli(base).json(), name)[u"spectrum"].toObject();
    const QJsonObject metric
        = tensorNamed(cli(base + QStringList{"--calibration", sampleImatrix()}).json(), name)[u"spectrum"].toObject();
    QCOMPARE(plain[u"metric"].toString(), QString("plain"));
    QVERIFY(metric[u"metric"].toString() != QString("plain"));
    QVERIFY(plain[u"noise_edge"].toDouble() > 0);
    QVERIFY(metric[u"noise_edge"].isNull());
    QVERIFY(!isNear(plain[u"total_energy"].toDouble(), metric[u"total_energy"].toDouble(), 1e-3));
    QVERIFY(plain[u"singular_values"].toArray().size() >= 8);
}

void TestCliInspect::solverOfTheErrorIsChosen()
{
    const QString name = "model.layers.1.self_attn.q_proj.weight";
    const QStringList base{"inspect",     sampleFolder(), "--tensor", name,    "--spectrum", "8", "--grid", "int3-g64",
                           "--calibration", sampleImatrix(), "--json"};
    const QJsonObject nearest = tensorNamed(cli(base).json(), name)[u"spectrum"].toObject();
    const QJsonObject named
        = tensorNamed(cli(base + QStringList{"--solver", "nearest"}).json(), name)[u"spectrum"].toObject();
    const QJsonObject searched
        = tensorNamed(cli(base + QStringList{"--solver", "clip-search"}).json(), name)[u"spectrum"].toObject();
    QCOMPARE(named[u"total_energy"].toDouble(), nearest[u"total_energy"].toDouble());
    QCOMPARE(searched[u"solver"].toString(), QString("clip-search"));
    // It searches under the very metric that is reported.
    const double left = searched[u"total_energy"].toDouble();
    const double before = nearest[u"total_energy"].toDouble();
    QVERIFY2(left < 0.98 * before, qPrintable(QString("%1 of %2").arg(left).arg(before)));
}

void TestCliInspect::oneTensorAlone()
{
    const QJsonArray tensors
        = cli({"inspect", path("tiny.safetensors"), "--tensor", "diagonal", "--json"}).json()[u"tensors"].toArray();
    QCOMPARE(tensors.size(), 1);
    QCOMPARE(tensors[0][u"name"].toString(), QString("diagonal"));
}

void TestCliInspect::absentTensorFails()
{
    const CliRun run = cli({"inspect", path("tiny.safetensors"), "--tensor", "nothing"});
    QCOMPARE(run.exitCode, 1);
    QVERIFY(run.err.contains("nothing") && run.err.contains("tiny.safetensors"));
}

void TestCliInspect::strictRefusesWhatLenientWarnsOf()
{
    const QString tail = path("tail.safetensors");
    writeFile(tail.toStdString(), safetensorsBytes({floats("w", {2}, {1, 2})}) + "tail");
    const CliRun lenient = cli({"inspect", tail, "--json"});
    QCOMPARE(lenient.exitCode, 0);
    QVERIFY(lenient.err.contains("warning") && lenient.err.contains("tail.safetensors"));
    QCOMPARE(tensorNamed(lenient.json(), "w")[u"max"].toDouble(), 2.0);
    const CliRun strict = cli({"inspect", tail, "--strict", "--json"});
    QCOMPARE(strict.exitCode, 1);
    QVERIFY(strict.out.isEmpty());
}

void TestCliInspect::truncatedTensorIsListedWithNulls()
{
    const QString whole = path("whole.gguf");
    QCOMPARE(cli({"quantize", sampleFolder(), "--preset", "rtn-w4", "--to", "gguf", "-o", whole}).exitCode, 0);
    const std::string bytes = readFile(whole.toStdString());
    const QString cut = path("cut.gguf");
    writeFile(cut.toStdString(), bytes.substr(0, bytes.size() - 4096));
    const CliRun run = cli({"inspect", cut, "--json"});
    QCOMPARE(run.exitCode, 0);
    int nulls = 0;
    for (const QJsonValue& tensor : run.json()[u"tensors"].toArray())
        nulls += tensor[u"max"].isNull() ? 1 : 0;
    QVERIFY(nulls >= 1 && nulls < 10);
    QVERIFY(run.err.contains("cut.gguf"));
}

void TestCliInspect::oneChangedWeightChangesItsTensorOnly()
{
    const QJsonObject before = cli({"inspect", path("tiny.safetensors"), "--histogram", "--json"}).json();
    std::string bytes = readFile(path("tiny.safetensors").toStdString());
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    const float changed = 100;
    std::memcpy(bytes.data() + 8 + header + 40, &changed, sizeof changed); // element 10 of the first tensor
    writeFile(path("changed.safetensors").toStdString(), bytes);
    const QJsonObject after = cli({"inspect", path("changed.safetensors"), "--histogram", "--json"}).json();
    for (const QJsonValue& value : before[u"tensors"].toArray()) {
        const QString name = value[u"name"].toString();
        QCOMPARE(tensorNamed(after, name) == value.toObject(), name != "values");
    }
    std::vector<float> values = m_values;
    values[10] = 100;
    QVERIFY(isNear(tensorNamed(after, "values")[u"stddev"].toDouble(), momentsOf(values).stddev, 1e-12));
}

void TestCliInspect::outputDoesNotDependOnTheLocale()
{
    const QStringList arguments{"inspect", path("tiny.safetensors"), "--histogram", "--spectrum", "2", "--json"};
    const QByteArray reference = cli(arguments, {{"LC_ALL", "C"}}).out;
    QVERIFY(!reference.isEmpty());
    for (const char* locale : {"de_DE.UTF-8", "tr_TR.UTF-8", "C.UTF-8"})
        QCOMPARE(cli(arguments, {{"LC_ALL", locale}, {"LC_NUMERIC", locale}}).out, reference);
}

void TestCliInspect::tableShowsEveryTensor()
{
    const CliRun run = cli({"inspect", path("tiny.safetensors"), "--histogram", "--bins", "4", "--spectrum", "2"});
    QCOMPARE(run.exitCode, 0);
    for (const char* text : {"values", "diagonal", "[10, 30]", "F32", "kurtosis", "6 tensors", "Density of values",
                             "Singular values of W of diagonal"})
        QVERIFY2(run.out.contains(text), text);
    // Aligned: every line of the first table has its rule's width or less, and the columns start where the rule does.
    const QStringList lines = QString::fromUtf8(run.out).split('\n');
    QVERIFY(lines.size() > 8);
    for (int i = 2; i < 8; ++i)
        QVERIFY(lines[i].size() <= lines[1].size());
}

void TestCliInspect::oddTensorsAreExplained()
{
    // Ordinary weights, and the same with each value's bytes the other way round.
    std::vector<float> weights;
    for (int i = 0; i < 4096; ++i)
        weights.push_back(static_cast<float>(0.02 * std::sin(1.7 * i) + 0.01 * std::cos(0.3 * i * i)));
    std::string swapped = rawBytes(weights);
    for (std::size_t at = 0; at < swapped.size(); at += 4)
        std::reverse(swapped.data() + at, swapped.data() + at + 4);
    std::vector<float> outlier(64, 1e-5F);
    outlier[40] = 1e38F;
    const QString file = path("odd.safetensors");
    writeFile(file.toStdString(),
              safetensorsBytes({floats("good", {64, 64}, weights),
                                {"swapped", "F32", {64, 64}, swapped},
                                floats("deep", {1, 2, 1, 2, 1, 1, 1, 1, 3}, {3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0}),
                                floats("hollow", {3, 0, 5}, {}),
                                floats("outlier", {8, 8}, outlier)}));
    const CliRun run = cli({"inspect", file, "--spectrum", "9", "--tensor", "deep", "--json"});
    const QJsonArray folded = tensorNamed(run.json(), "deep")[u"spectrum"][u"singular_values"].toArray();
    QCOMPARE(folded.size(), 3); // of a 4 x 3 matrix
    QVERIFY(isNear(folded[0].toDouble(), 4, 1e-6) && isNear(folded[1].toDouble(), 3, 1e-6));

    const QStringList expected{"swapped: exponent-spread", "deep: flattened", "hollow: no-elements"};
    const CliRun whole = cli({"inspect", file, "--json"});
    QStringList found;
    for (const QJsonValue& warning : whole.json()[u"warnings"].toArray()) {
        QCOMPARE(keysOf(warning.toObject()), sorted({"tensor", "code", "text"}));
        found << warning[u"tensor"].toString() + ": " + warning[u"code"].toString();
    }
    QCOMPARE(found, expected);
    const QByteArray table = cli({"inspect", file}).out;
    for (const char* text : {"Notes:\n  swapped: exponent spread: magnitudes from 2^-", "the bytes may be big-endian",
                             "\n  deep: 9 dimensions: looked at as a matrix of 4 x 3",
                             "\n  hollow: a dimension of [3, 0, 5] is 0: no elements"})
        QVERIFY2(table.contains(text), table.constData());
    QVERIFY(!table.contains("  good: ") && !table.contains("  outlier: "));
    QVERIFY(!cli({"inspect", sampleFolder()}).out.contains("Notes:"));
}

void TestCliInspect::whatCannotBeLookedAtIsAWarning()
{
    const QString file = path("unknown.safetensors");
    writeFile(file.toStdString(), safetensorsBytes({{"future", "I24", {1}, "abc"}}) + "tail");
    const QJsonArray warnings = cli({"inspect", file, "--json"}).json()[u"warnings"].toArray();
    QCOMPARE(warnings.size(), 2);
    QVERIFY(warnings[0][u"tensor"].isNull());
    QCOMPARE(warnings[0][u"code"].toString(), QString("uncovered-bytes"));
    QCOMPARE(warnings[1][u"tensor"].toString(), QString("future"));
    QCOMPARE(warnings[1][u"code"].toString(), QString("unknown-type"));
    for (const QJsonValue& warning : warnings)
        QVERIFY(warning[u"text"].toString().contains("unknown.safetensors"));
}

QTEST_GUILESS_MAIN(TestCliInspect)
#include "tst_cli_inspect.moc"
