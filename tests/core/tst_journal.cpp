// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/Journal.h"

#include "cli/TinyModel.h"
#include "core/base/Checksum.h"
#include "core/project/WorkModel.h"

#include <QTemporaryDir>
#include <QTest>
#include <QThread>

#include <filesystem>
#include <limits>
#include <string>

using namespace sigmascope;
using namespace sigmascope::test;
namespace fs = std::filesystem;

namespace
{

RunFingerprint someRun()
{
    RunFingerprint run{.program = "1", .format = "gguf", .device = "cpu", .seed = ~std::uint64_t{0}, .layout = 7};
    run.calibration = 9;
    run.outputs = {{"m.gguf", "model", 100}};
    for (int i = 0; i < 6; ++i)
        run.tensors.push_back({"tensor " + std::to_string(i), static_cast<std::uint64_t>(i), "q4_0 rank 2 f16 plain"});
    return run;
}

JournaledLayer layer(std::size_t tensor)
{
    JournaledLayer one{.tensor = tensor};
    one.receipt.ranges = {{0, 10 * tensor, 10 * tensor + 10, ~std::uint64_t{0} - tensor}, {1, 5, 6, 1}};
    one.receipt.note = "BF16";
    one.result = {.tensor = tensor,
                  .preset = "l2qer-w4",
                  .grid = "q4_0",
                  .method = "l2qer",
                  .bitsPerWeight = 4.5,
                  .publishedBits = 1.0 / 3,
                  .rank = 16,
                  .weightError = 0.1,
                  .weightErrorRank0 = std::numeric_limits<double>::denorm_min(),
                  .seconds = 1.5,
                  .device = "cpu",
                  .fallback = "\"quoted\"\n",
                  .searchGain = 0.04};
    return one;
}

} // namespace

class TestJournal : public QObject
{
    Q_OBJECT

private slots:
    void init();
    void whatIsWrittenIsReadBack();
    void anEmptyRunLeavesNoFile();
    void aTornLineAndAllBehindItNeverHappened();
    void aLineThatWasChangedEndsTheJournal();
    void whatIsAppendedAfterATornLineIsRead();
    void foreignFilesAreRefusedAndLeftAlone_data();
    void foreignFilesAreRefusedAndLeftAlone();
    void hostileRecordsAreIgnored();
    void aSecondHolderIsRefused();
    void equalFingerprintsHaveNoDifferences();
    void timeLeftComesAfterThreePercentAndFromTheRunItself();

private:
    [[nodiscard]] fs::path output() const { return fs::path(m_folder->path().toStdString()) / "m.gguf"; }
    void write(std::size_t layers)
    {
        auto journal = Journal::open(output());
        QVERIFY(journal);
        QVERIFY(journal->begin(someRun()));
        for (std::size_t i = 0; i < layers; ++i)
            QVERIFY(journal->add(layer(i)));
    }
    std::unique_ptr<QTemporaryDir> m_folder;
};

void TestJournal::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
}

void TestJournal::whatIsWrittenIsReadBack()
{
    {
        auto journal = Journal::open(output());
        QVERIFY(journal && !journal->earlier());
        QVERIFY(journal->begin(someRun()));
        QVERIFY(journal->add(layer(3)) && journal->add(layer(1)));
        QVERIFY(journal->addPlacing({1, ~std::uint64_t{0}}));
        QVERIFY(journal->sync());
    }
    const auto journal = Journal::open(output());
    QVERIFY(journal && journal->earlier());
    const EarlierRun& earlier = *journal->earlier();
    QCOMPARE(differences(earlier.fingerprint, someRun()), std::string());
    QCOMPARE(earlier.fingerprint.seed, ~std::uint64_t{0});
    QVERIFY(earlier.fingerprint.tensors == someRun().tensors);
    QCOMPARE(earlier.layers.size(), std::size_t(2));
    QVERIFY(earlier.placing == (std::vector<std::uint64_t>{1, ~std::uint64_t{0}}));
    const JournaledLayer& found = earlier.layers.at(3);
    QVERIFY(found.receipt.ranges == layer(3).receipt.ranges);
    QCOMPARE(found.receipt.note, std::string("BF16"));
    QVERIFY(found.result.resumed);
    QCOMPARE(found.result.publishedBits, 1.0 / 3);
    QCOMPARE(*found.result.weightErrorRank0, std::numeric_limits<double>::denorm_min());
    QVERIFY(!found.result.metricError);
    QCOMPARE(found.result.searchGain, std::optional(0.04));
    QCOMPARE(found.result.rank, 16U);
    QCOMPARE(found.result.fallback, std::string("\"quoted\"\n"));
}

void TestJournal::anEmptyRunLeavesNoFile()
{
    write(0);
    QVERIFY(!fs::exists(journalPathFor(output())));
    write(1);
    QVERIFY(fs::exists(journalPathFor(output())));
    Journal::open(output())->remove();
    QVERIFY(!fs::exists(journalPathFor(output())));
}

void TestJournal::aTornLineAndAllBehindItNeverHappened()
{
    write(3);
    const std::string whole = readFile(journalPathFor(output()));
    std::size_t last = 4;
    for (std::size_t length = whole.size(); length-- > 0;) {
        // A power cut may also have given the file its size, but not its bytes.
        for (const bool zeros : {false, true}) {
            writeFile(journalPathFor(output()), whole.substr(0, length) + std::string(zeros ? whole.size() - length : 0, '\0'));
            const auto journal = Journal::open(output());
            QVERIFY2(journal, qPrintable(QString::number(length)));
            const std::size_t found = journal->earlier() ? journal->earlier()->layers.size() : 0;
            QVERIFY(found <= last && found < 3);
            last = found;
            if (found == 0)
                break;
        }
        if (last == 0)
            break;
    }
    QCOMPARE(last, std::size_t(0));
}

void TestJournal::aLineThatWasChangedEndsTheJournal()
{
    write(3);
    std::string text = readFile(journalPathFor(output()));
    text[text.find("\"tensor\":\"0000000000000001\"") + 12] = '1';
    writeFile(journalPathFor(output()), text);
    const auto journal = Journal::open(output());
    QVERIFY(journal && journal->earlier());
    QCOMPARE(journal->earlier()->layers.size(), std::size_t(1));
}

void TestJournal::whatIsAppendedAfterATornLineIsRead()
{
    write(3);
    const std::string whole = readFile(journalPathFor(output()));
    writeFile(journalPathFor(output()), whole.substr(0, whole.size() - 10));
    {
        auto journal = Journal::open(output());
        QVERIFY(journal && journal->earlier()->layers.size() == 2);
        QVERIFY(journal->add(layer(5)));
    }
    const auto journal = Journal::open(output());
    QCOMPARE(journal->earlier()->layers.size(), std::size_t(3));
    QVERIFY(journal->earlier()->layers.contains(5));
}

void TestJournal::foreignFilesAreRefusedAndLeftAlone_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<int>("code");
    QTest::newRow("text") << QByteArray("my diary\n") << static_cast<int>(ErrorCode::MalformedHeader);
    QTest::newRow("zeros") << QByteArray(100, '\0') + "\n" << static_cast<int>(ErrorCode::MalformedHeader);
    QTest::newRow("a newer schema") << QByteArray() << static_cast<int>(ErrorCode::UnsupportedVersion);
    QTest::newRow("an older schema") << QByteArray("0123456789abcdef {\"sigmascope_journal\":1,\"run\":{}}\n")
                                     << static_cast<int>(ErrorCode::UnsupportedVersion);
    QTest::newRow("this schema, damaged") << QByteArray("0123456789abcdef {\"sigmascope_journal\":2,\"run\":{}}\n")
                                          << static_cast<int>(ErrorCode::MalformedHeader);
}

void TestJournal::foreignFilesAreRefusedAndLeftAlone()
{
    QFETCH(QByteArray, bytes);
    QFETCH(int, code);
    if (bytes.isEmpty()) {
        const std::string text = R"({"sigmascope_journal":3,"run":{}})";
        Checksum sum;
        sum.add(std::as_bytes(std::span(text.data(), text.size())));
        bytes = QByteArray::fromStdString(hex(sum.value()) + ' ' + text + '\n');
    }
    writeFile(journalPathFor(output()), bytes.toStdString());
    const auto journal = Journal::open(output());
    QVERIFY(!journal);
    QCOMPARE(static_cast<int>(journal.error().code), code);
    QVERIFY(journal.error().detail.find("m.gguf.sigmascope-journal") != std::string::npos);
    QCOMPARE(readFile(journalPathFor(output())), bytes.toStdString());
}

void TestJournal::hostileRecordsAreIgnored()
{
    write(1);
    std::string text = readFile(journalPathFor(output()));
    for (const char* record :
         {R"({"tensor":"00000000000000ff","ranges":[],"result":{}})", R"({"tensor":1,"ranges":[],"result":{}})",
          R"({"tensor":"0000000000000002","ranges":[["0","1"]],"result":{}})",
          R"({"tensor":"0000000000000002","ranges":[["0000000000000000","0000000000000009","0000000000000001","0000000000000001"]],"result":{}})",
          R"({"tensor":"0000000000000003","ranges":[],"result":{"rank":-1e300,"bits":"x","seconds":null,"grid":[]}})",
          R"({"placing":[[],"zz",3]})"}) {
        Checksum sum;
        sum.add(std::as_bytes(std::span(record, std::string_view(record).size())));
        text += hex(sum.value()) + ' ' + record + '\n';
    }
    writeFile(journalPathFor(output()), text);
    const auto journal = Journal::open(output());
    QVERIFY(journal && journal->earlier());
    QCOMPARE(journal->earlier()->layers.size(), std::size_t(2)); // of the hostile ones only 3 has a form at all
    QCOMPARE(journal->earlier()->layers.at(3).result.rank, 0U);
    QVERIFY(journal->earlier()->placing == (std::vector<std::uint64_t>{0, 0, 0}));
}

void TestJournal::aSecondHolderIsRefused()
{
    auto first = Journal::open(output());
    QVERIFY(first);
    const auto second = Journal::open(output());
    QVERIFY(!second);
    QCOMPARE(second.error().code, ErrorCode::OutputBusy);
    QVERIFY(second.error().detail.find("m.gguf") != std::string::npos);
}

void TestJournal::equalFingerprintsHaveNoDifferences()
{
    const RunFingerprint run = someRun();
    QCOMPARE(differences(run, run), std::string());
    const auto again = fingerprintFrom(*parseJson(dumpJson(toJson(run)), "x"));
    QVERIFY(again);
    QCOMPARE(differences(run, *again), std::string());
    const auto named = [&run](auto change) {
        RunFingerprint other = run;
        change(other);
        return differences(run, other);
    };
    QVERIFY(named([](auto& r) { r.program = "2"; }).find("the program: '1' then, '2' now") != std::string::npos);
    QVERIFY(named([](auto& r) { r.format = "bf16"; }).find("the format") != std::string::npos);
    QVERIFY(named([](auto& r) { r.device = "vulkan:0"; }).find("the device: 'cpu'") != std::string::npos);
    QVERIFY(named([](auto& r) { r.calibration = 8; }).find("the calibration: it holds") != std::string::npos);
    QVERIFY(named([](auto& r) { r.calibration.reset(); }).find("there was one") != std::string::npos);
    QVERIFY(named([](auto& r) { r.layout = 8; }).find("metadata") != std::string::npos);
    QVERIFY(named([](auto& r) { r.outputs[0].bytes = 1; }).find("output files") != std::string::npos);
    QVERIFY(named([](auto& r) { r.tensors[2].content = 99; r.tensors[4].content = 99; })
                .find("tensor 'tensor 2' is not what it was (and 1 more)")
            != std::string::npos);
}

void TestJournal::timeLeftComesAfterThreePercentAndFromTheRunItself()
{
    WorkModel model;
    model.plan(WorkModel::Kind::Code, 100);
    QVERIFY(!model.secondsLeft());
    QCOMPARE(model.fraction(), 0.0);
    for (int i = 0; i < 2; ++i) {
        model.begin(WorkModel::Kind::Code, 1);
        QThread::msleep(2);
        model.end();
        QVERIFY(!model.secondsLeft());
    }
    model.begin(WorkModel::Kind::Code, 8);
    QThread::msleep(16);
    model.end();
    const auto left = model.secondsLeft();
    QVERIFY(left);
    // A tenth is done, nine tenths are left: exactly nine times what it took.
    QVERIFY(std::abs(model.fraction() - 0.1) < 1e-9);
    QVERIFY(*left >= 0.9 * 0.18);
    // Work that an earlier run did counts as done, and says nothing about this run's speed.
    model.skip(WorkModel::Kind::Code, 45);
    QVERIFY(std::abs(model.fraction() - 0.55) < 1e-9);
    QVERIFY(std::abs(*model.secondsLeft() - *left / 2) < 1e-9);
}

QTEST_GUILESS_MAIN(TestJournal)
#include "tst_journal.moc"
