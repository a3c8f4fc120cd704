// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Sha256.h"
#include "core/project/Report.h"
#include "core/project/ReportChart.h"

#include <QRegularExpression>
#include <QTemporaryDir>
#include <QTest>
#include <QXmlStreamReader>

#include <fstream>

using namespace sigmascope;

namespace
{

TensorResult layer(std::string name, double weightError, std::optional<double> metricError, std::uint32_t rank)
{
    TensorResult result;
    result.name = std::move(name);
    result.grid = "q4_0";
    result.method = "l2qer";
    result.bitsPerWeight = 5.25;
    result.rank = rank;
    result.weightError = weightError;
    result.metricError = metricError;
    result.device = "cpu";
    return result;
}

ReportInput sampleInput()
{
    ReportInput input{.model = "Tiny <model>", .facts = {{"Device", "cpu"}}, .run = {}, .sha256 = {std::string(64, 'a')}, .recipe = "{\n \"seed\": 0\n}"};
    input.run.tensors = {layer("model.layers.0.self_attn.q_proj.weight", 0.0713, 0.0612, 32),
                         layer("model.layers.1.mlp.down_proj.weight", 0.125, 0.0431, 16)};
    TensorResult kept;
    kept.name = "model.norm.weight";
    kept.method = "keep";
    kept.grid = "f32";
    kept.bitsPerWeight = 32;
    input.run.tensors.push_back(kept);
    input.run.outputs = {{"/some/where/tiny.gguf", "model", 123456}};
    input.run.writtenBytes = 123456;
    input.run.elements = 200000;
    return input;
}

} // namespace

class ReportTest : public QObject
{
    Q_OBJECT

private slots:
    void pageIsWellFormed();
    void everyNumberComesFromTheRun();
    void nothingIsFetchedAndNothingRuns();
    void namesAreNeverMarkup();
    void unknownErrorsAreGapsNotZeros();
    void sameInputGivesTheSameBytes();
    void chartDrawsOneMarkPerValue();
    void hashIsTheStandardOne();
};

void ReportTest::pageIsWellFormed()
{
    // Written as XML but for the doctype and the two void elements of the head, so a strict parser can judge it.
    QString page = QString::fromStdString(htmlReport(sampleInput()));
    page.remove(QRegularExpression("<!DOCTYPE[^>]*>|<meta[^>]*>"));
    QXmlStreamReader reader(page);
    int charts = 0;
    int marks = 0;
    while (!reader.atEnd()) {
        reader.readNext();
        if (reader.isStartElement() && reader.name() == u"svg")
            ++charts;
        if (reader.isStartElement() && (reader.name() == u"rect" || reader.name() == u"circle"))
            ++marks;
    }
    QVERIFY2(!reader.hasError(), qPrintable(reader.errorString()));
    QCOMPARE(charts, 3);
    QCOMPARE(marks, 2 * 2 + 2 + 2);
}

void ReportTest::everyNumberComesFromTheRun()
{
    ReportInput input = sampleInput();
    const std::string before = htmlReport(input);
    for (const char* text : {"123,456", "4.938", "7.13\u202f%", "6.12\u202f%", "12.5\u202f%", "tiny.gguf", "2 of 3 tensors"})
        QVERIFY2(before.find(text) != std::string::npos, text);
    QVERIFY(before.find("some/where") == std::string::npos); // a report is passed on: no folders of its author
    QVERIFY(before.find(std::string(64, 'a')) != std::string::npos);
    input.run.tensors[1].weightError = 0.25;
    const std::string after = htmlReport(input);
    QVERIFY(after.find("12.5\u202f%") == std::string::npos && after.find("25\u202f%") != std::string::npos);
}

void ReportTest::nothingIsFetchedAndNothingRuns()
{
    const std::string page = htmlReport(sampleInput());
    for (const char* text : {"<script", "http:", "https:", "url(", "src=", "<link", "@import"})
        QVERIFY2(page.find(text) == std::string::npos, text);
}

void ReportTest::namesAreNeverMarkup()
{
    ReportInput input = sampleInput();
    input.run.tensors[0].name = "<script>alert(\"1\")</script>&\n";
    input.run.tensors[0].fallback = "a < b";
    input.recipe = "</pre><script>";
    const std::string page = htmlReport(input);
    QVERIFY(page.find("<script") == std::string::npos);
    QVERIFY(page.find("&lt;script&gt;alert(&quot;1&quot;)") != std::string::npos);
    QVERIFY(page.find("a &lt; b") != std::string::npos);
    QCOMPARE(markup("a&b"), std::string("a&amp;b"));
}

void ReportTest::unknownErrorsAreGapsNotZeros()
{
    ReportInput input = sampleInput();
    input.run.tensors[0].metricError.reset();
    input.run.tensors[1].metricError.reset();
    const std::string page = htmlReport(input);
    QVERIFY(page.find("class=\"es\"") == std::string::npos);
    QVERIFY(page.find("<td class=\"n\">–</td>") != std::string::npos);
    input.run.tensors.clear();
    QVERIFY(htmlReport(input).find("0 of 0 tensors") != std::string::npos);
}

void ReportTest::sameInputGivesTheSameBytes()
{
    QCOMPARE(htmlReport(sampleInput()), htmlReport(sampleInput()));
}

void ReportTest::chartDrawsOneMarkPerValue()
{
    const std::vector<std::string> names{"a", "b", "c"};
    const auto count = [&](bool logarithmic) {
        const std::string svg = svgChart({"t", "%", names, {{"s", "e", {1.0, std::nullopt, 0.0}}}, logarithmic});
        return QString::fromStdString(svg).count("<rect");
    };
    QCOMPARE(count(false), 2);
    QCOMPARE(count(true), 1); // zero has no place on a logarithmic axis
    QVERIFY(svgChart({"t", "%", names, {{"s", "e", {std::nullopt, std::nullopt, std::nullopt}}}, true}).empty());
    QVERIFY(svgChart({"t", "%", {}, {}, false}).empty());
}

void ReportTest::hashIsTheStandardOne()
{
    QTemporaryDir folder;
    const std::filesystem::path path = folder.filePath("abc").toStdString();
    std::ofstream(path) << "abc";
    // FIPS 180-2, appendix B.1
    QCOMPARE(sha256OfFile(path).value(), std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    QCOMPARE(sha256OfFile(folder.filePath("absent").toStdString()).error().code, ErrorCode::IoFailed);
    std::stop_source stop;
    stop.request_stop();
    QCOMPARE(sha256OfFile(path, {.stop = stop.get_token()}).error().code, ErrorCode::Cancelled);
}

QTEST_APPLESS_MAIN(ReportTest)
#include "tst_report.moc"
