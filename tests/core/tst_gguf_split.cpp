// SPDX-License-Identifier: GPL-3.0-or-later
// A model in several GGUF files: sizes known before, all of them or none, and nothing of an earlier export beside them.
#include "support/ResumeFixture.h"

#include "core/export/GgufSplit.h"

using namespace sigmascope;
using namespace sigmascope::test;

class TestGgufSplit : public QObject, private ResumeFixture
{
    Q_OBJECT

private slots:
    void initTestCase() { makeModel(); }
    void init() { makeModel(); }
    void filesHoldSoManyTensorsAndKeysWhereTheyBelong();
    void filesAreNoLargerThanAskedFor_data();
    void filesAreNoLargerThanAskedFor();
    void whatFitsIntoOneFileStaysThere();
    void theLoadCommandNamesTheFirst();
    void anotherNumberOfFilesTakesTheOldOnesPlace();
    void filesOfOthersStay();
    void aFullDiskAtAnyWriteLeavesWhatWasThere();
    void aRunThatDiesAtAnyCallIsResumedToTheSameBytes();

private:
    [[nodiscard]] ExportRequest inFiles(Bytes bytes, std::uint32_t tensors = 0, FileSystem* system = nullptr) const
    {
        ExportRequest r = plan(2, system);
        r.ggufMaxBytes = bytes;
        r.ggufMaxTensors = tensors;
        return r;
    }
    [[nodiscard]] std::vector<std::string> names() const
    {
        std::vector<std::string> all;
        for (const auto& [name, bytes] : files())
            all.push_back(name);
        return all;
    }
};

void TestGgufSplit::filesHoldSoManyTensorsAndKeysWhereTheyBelong()
{
    const auto whole = run(plan());
    QVERIFY2(whole, whole ? "" : whole.error().detail.c_str());
    const auto one = written();
    QVERIFY(one);
    QCOMPARE(one->tensors().size(), std::size_t{12});
    clear();
    const auto result = run(inFiles(0, 5));
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QVERIFY((names() == std::vector<std::string>{"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf", "m-lora.gguf"}));
    QCOMPARE(result->writtenBytes, result->estimate.total);
    QCOMPARE(result->outputs.size(), std::size_t{4});
    for (const OutputFile& output : result->outputs)
        QCOMPARE(output.bytes, fs::file_size(output.path));
    for (int number = 0; number < 3; ++number) {
        const auto part = Checkpoint::open(splitPathFor(m_out / "m.gguf", static_cast<std::size_t>(number), 3), {.strict = true, .alone = true});
        QVERIFY2(part, part ? "" : part.error().detail.c_str());
        QCOMPARE((*part)->tensors().size(), std::size_t{number < 2 ? 5U : 2U});
        QVERIFY((*part)->gguf().find("general.architecture") == nullptr || number == 0);
        QVERIFY((*part)->gguf().find("sigmascope.recipe") == nullptr || number == 0);
        QCOMPARE((*part)->gguf().find("split.no")->type, GgufType::U16);
        QCOMPARE((*part)->gguf().find("split.count")->type, GgufType::U16);
        QCOMPARE((*part)->gguf().find("split.tensors.count")->type, GgufType::I32);
        QCOMPARE(static_cast<int>((*part)->gguf().find("split.no")->value[0]), number);
        QCOMPARE(static_cast<int>((*part)->gguf().find("split.tensors.count")->value[0]), 12);
    }
    // All together they are the model in one file.
    const auto set = written("m-00001-of-00003.gguf");
    QVERIFY(set);
    QCOMPARE(set->tensors().size(), std::size_t{12});
    for (std::size_t i = 0; i < 12; ++i) {
        const auto index = set->find(one->tensors()[i].name);
        QVERIFY(index);
        QVERIFY(set->tensors()[*index].dtype == one->tensors()[i].dtype && set->tensors()[*index].shape == one->tensors()[i].shape);
        QVERIFY(std::ranges::equal(set->view(*index)->bytes, one->view(i)->bytes));
    }
    for (const GgufKey& key : one->gguf().keys())
        QVERIFY2(set->gguf().find(key.key) != nullptr && std::ranges::equal(set->gguf().find(key.key)->value, key.value),
                 std::string(key.key).c_str());
}

void TestGgufSplit::filesAreNoLargerThanAskedFor_data()
{
    QTest::addColumn<qulonglong>("most");
    for (const qulonglong most : {100'000ULL, 120'000ULL, 163'840ULL})
        QTest::addRow("%llu", most) << most;
}

void TestGgufSplit::filesAreNoLargerThanAskedFor()
{
    QFETCH(qulonglong, most);
    const auto result = run(inFiles(most));
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QCOMPARE(result->writtenBytes, result->estimate.total);
    Bytes before = 0;  // of the file before; none before the first
    int parts = 0;
    for (const OutputFile& output : result->outputs) {
        QCOMPARE(output.bytes, fs::file_size(output.path));
        if (output.kind != "model")
            continue;
        const auto part = Checkpoint::open(output.path, {.alone = true});
        QVERIFY(part);
        QVERIFY2(output.bytes <= most || (*part)->tensors().size() == 1, output.path.c_str());
        // The file before had no room for the first tensor of this one, its entry in the header and padding.
        QVERIFY(before == 0 || before + (*part)->tensors().front().bytes + 160 > most);
        before = output.bytes;
        ++parts;
    }
    QVERIFY(parts > 1);
    QVERIFY(written(result->outputs.front().path.filename().c_str()));
}

void TestGgufSplit::whatFitsIntoOneFileStaysThere()
{
    QVERIFY(run(inFiles(0)));
    const auto bare = files();
    clear();
    const auto size = bare.at("m.gguf").size();
    QVERIFY(run(inFiles(size)));
    QVERIFY(files() == bare);
    clear();
    QVERIFY(run(inFiles(size - 1)));
    QVERIFY(!fs::exists(m_out / "m.gguf") && fs::exists(m_out / "m-00001-of-00002.gguf"));
}

void TestGgufSplit::theLoadCommandNamesTheFirst()
{
    const auto result = run(inFiles(0, 5));
    QVERIFY(result);
    const std::string command = m_exporter->loadCommand(result->estimate);
    QVERIFY2(command.find("-m " + (m_out / "m-00001-of-00003.gguf").string()) != std::string::npos, command.c_str());
    QVERIFY2(command.find("00002") == std::string::npos && command.find("--lora") != std::string::npos, command.c_str());
}

void TestGgufSplit::anotherNumberOfFilesTakesTheOldOnesPlace()
{
    QVERIFY(run(inFiles(0, 5)));
    const auto before = files();
    for (const std::uint32_t tensors : {4U, 0U}) {
        const auto refused = run(inFiles(0, tensors == 4 ? 3 : 0));
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::WouldOverwrite);
    }
    QVERIFY(files() == before);
    ExportRequest again = inFiles(0, 3);
    again.overwrite = true;
    const auto four = run(again);
    QVERIFY2(four, four ? "" : four.error().detail.c_str());
    QVERIFY((names() == std::vector<std::string>{"m-00001-of-00004.gguf", "m-00002-of-00004.gguf", "m-00003-of-00004.gguf",
                                                 "m-00004-of-00004.gguf", "m-lora.gguf"}));
    ExportRequest whole = inFiles(0);
    whole.overwrite = true;
    QVERIFY(run(whole));
    QVERIFY((names() == std::vector<std::string>{"m-lora.gguf", "m.gguf"}));
    QVERIFY(run(again));
    QVERIFY(!fs::exists(m_out / "m.gguf") && names().size() == 5);
}

void TestGgufSplit::filesOfOthersStay()
{
    const std::map<std::string, std::string> others{{"m.gguf", "not ours"}, {"m-00001-of-00009.gguf", "nor this"},
                                                    {"m-00002-of-00009.gguf", "nor this"}, {"m-1-of-9.gguf", "no name of a part"}};
    for (const auto& [name, bytes] : others)
        writeFile(m_out / name, bytes);
    const auto result = run(inFiles(0, 5));
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    for (const auto& [name, bytes] : others)
        QCOMPARE(readFile(m_out / name), bytes);
}

void TestGgufSplit::aFullDiskAtAnyWriteLeavesWhatWasThere()
{
    ExportRequest old = inFiles(0, 5);
    QVERIFY(run(old));
    const auto before = finishedFiles();
    int failures = 0;
    for (int nth = 1; nth < 2000; nth += 3) {
        FaultySystem system(FaultySystem::Fault::Full, nth);
        ExportRequest r = inFiles(0, 3, &system);
        r.overwrite = true;
        const auto result = run(r);
        if (result)
            break;
        ++failures;
        QVERIFY2(finishedFiles() == before, result.error().detail.c_str());
        for (const auto& entry : fs::directory_iterator(m_out)) {
            if (!before.contains(entry.path().filename().string()))
                fs::remove(entry.path());
        }
    }
    QVERIFY(failures > 10);
    QVERIFY(finishedFiles() != before);
}

void TestGgufSplit::aRunThatDiesAtAnyCallIsResumedToTheSameBytes()
{
    QVERIFY(run(inFiles(0, 3)));
    const auto expected = files();
    bool survived = false;
    for (int nth = 1; !survived; nth += 5) {
        clear();
        QVERIFY(run(inFiles(0, 5)));  // an old export in another number of files
        FaultySystem system(FaultySystem::Fault::Death, nth);
        ExportRequest r = inFiles(0, 3, &system);
        r.overwrite = true;
        const bool finished = run(r).has_value();
        survived = !system.hasFailed();
        QVERIFY(finished || !survived);
        r.system = nullptr;
        if (!survived) {  // also when all that was left to do was tidying up
            const auto resumed = run(r, Unfinished::Resume);
            QVERIFY2(resumed, resumed ? "" : (std::to_string(nth) + ": " + resumed.error().detail).c_str());
        }
        std::string there = std::to_string(nth) + ":";
        for (const auto& [name, bytes] : files())
            there += " " + name + (expected.contains(name) && expected.at(name) == bytes ? "" : " (wrong)");
        QVERIFY2(files() == expected, there.c_str());
    }
}

QTEST_GUILESS_MAIN(TestGgufSplit)
#include "tst_gguf_split.moc"
