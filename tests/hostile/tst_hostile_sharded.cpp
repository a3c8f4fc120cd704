// SPDX-License-Identifier: GPL-3.0-or-later
#include "Hostile.h"

#include <QtTest>

// reliability 35-42: sets of files.

using namespace sigmascope;
using namespace sigmascope::test;

Q_DECLARE_METATYPE(ErrorCode)

class TestHostileSharded : public QObject {
    Q_OBJECT

private slots:
    void unsafeFileNamesAreRefusedAndNothingIsOpened_data();
    void unsafeFileNamesAreRefusedAndNothingIsOpened();
    void linkOutOfTheFolderIsRefused();
    void linksOfAModelHubsCacheOpen();
    void missingShardListsItsTensorsAndOpensTheRest();
    void allShardsMissingIsRefused();
    void tensorOfTheIndexThatNoShardHasIsListedAsMissing();
    void tensorThatTheIndexDoesNotNameWarnsAndIsListed();
    void tensorInTwoShardsWarnsAndTheIndexDecides();
    void tensorInAnotherShardThanTheIndexSaysWarns();
    void wrongTotalSizeWarns();
    void shardOfAnotherRevisionWarns();
    void shardThatIsNoModelIsRefusedSayingWhatItIs_data();
    void shardThatIsNoModelIsRefusedSayingWhatItIs();
    void growingShardIsListedAsIncomplete();
    void brokenIndexIsRefused_data();
    void brokenIndexIsRefused();
    void inconsistentSplitGgufIsRefused_data();
    void inconsistentSplitGgufIsRefused();
    void splitGgufWithAMissingFileOpensTheRest();
};

namespace {

constexpr const char* kIndex = "model.safetensors.index.json";

/// {"a": file one, "b": file two} with four bytes each, and an index of them.
struct TwoShards {
    Folder folder;

    TwoShards()
    {
        shard("one.safetensors", "a", 0);
        shard("two.safetensors", "b", 0);
        index(R"("a":"one.safetensors","b":"two.safetensors")");
    }
    void shard(const std::string& file, const std::string& tensor, std::size_t lacking, const std::string& more = {},
               const std::vector<std::uint64_t>& shape = {4}) const
    {
        const std::string bytes = safetensors("{" + entry(tensor, "U8", shape, 0, 4) + more + "}", more.empty() ? 4 : 8);
        folder.write(file, bytes.substr(0, bytes.size() - lacking));
    }
    std::filesystem::path index(const std::string& map, const std::string& metadata = R"({"total_size":8})") const
    {
        return folder.write(kIndex, R"({"metadata":)" + metadata + R"(,"weight_map":{)" + map + "}}");
    }
    [[nodiscard]] std::filesystem::path path() const { return folder.path() / kIndex; }
};

GgufBytes split(std::uint16_t number, std::uint16_t count, std::int32_t tensors, const char* name)
{
    GgufBytes file;
    file.key("split.no", 2, le(number)).key("split.count", 2, le(count)).key("split.tensors.count", 5, le(tensors));
    file.tensor(name, {8}, 0, 0).withData(32);
    return file;
}

}  // namespace

void TestHostileSharded::unsafeFileNamesAreRefusedAndNothingIsOpened_data()
{
    QTest::addColumn<QString>("file");
    QTest::addColumn<QString>("shown");
    QTest::newRow("35 parent") << "../x.safetensors" << "../x.safetensors";
    QTest::newRow("35 absolute") << "/etc/passwd" << "/etc/passwd";
    QTest::newRow("35 below") << "sub/x.safetensors" << "sub/x.safetensors";
    QTest::newRow("35 drive") << "C:\\\\x" << "C:\\x";
    QTest::newRow("35 drive without backslash") << "C:x" << "C:x";
    QTest::newRow("35 network share") << "\\\\\\\\server\\\\x" << "\\server\\x";
    QTest::newRow("35 NUL") << "one.safetensors\\u0000x" << "one.safetensors\\x00x";
    QTest::newRow("35 the folder") << "." << "'.'";
    QTest::newRow("35 its parent") << ".." << "'..'";
    QTest::newRow("35 empty") << "" << "''";
}

void TestHostileSharded::unsafeFileNamesAreRefusedAndNothingIsOpened()
{
    QFETCH(QString, file);
    QFETCH(QString, shown);
    const TwoShards set;
    // A broken shard named first would be the error if anything had been opened.
    set.folder.write("one.safetensors", "broken");
    set.index(R"("a":"one.safetensors","evil.weight":")" + file.toStdString() + "\"");
    expectRefused(set.path(), ErrorCode::UnsafePath, {kIndex, "tensor 'evil.weight'", shown.toStdString(), "at byte"});
}

void TestHostileSharded::linkOutOfTheFolderIsRefused()  // 35
{
    const TwoShards set;
    const Folder elsewhere;
    const auto target = elsewhere.write("two.safetensors", safetensors("{" + entry("b", "U8", {4}, 0, 4) + "}", 4));
    std::filesystem::remove(set.folder.path() / "two.safetensors");
    std::filesystem::create_symlink(target, set.folder.path() / "two.safetensors");
    expectRefused(set.path(), ErrorCode::UnsafePath, {"two.safetensors", "leaves the model's folder", target.native()});
    // A link that stays inside is fine.
    std::filesystem::remove(set.folder.path() / "two.safetensors");
    std::filesystem::copy_file(target, set.folder.path() / "real.safetensors");
    std::filesystem::create_symlink("real.safetensors", set.folder.path() / "two.safetensors");
    QVERIFY(openedClean(set.path()));
}

void TestHostileSharded::linksOfAModelHubsCacheOpen()
{
    const Folder root;
    const auto snapshot = root.path() / "snapshots" / "0123abcd";
    std::filesystem::create_directories(snapshot);
    std::filesystem::create_directories(root.path() / "blobs");
    root.write("blobs/f00", safetensors("{" + entry("a", "U8", {4}, 0, 4) + "}", 4));
    root.write("blobs/f01", R"({"weight_map":{"a":"one.safetensors"}})");
    std::filesystem::create_symlink("../../blobs/f00", snapshot / "one.safetensors");
    std::filesystem::create_symlink("../../blobs/f01", snapshot / kIndex);
    QVERIFY(openedClean(snapshot));
}

void TestHostileSharded::missingShardListsItsTensorsAndOpensTheRest()  // 36
{
    const TwoShards set;
    std::filesystem::remove(set.folder.path() / "two.safetensors");
    expectWarned(set.path(), ErrorCode::MissingShard, {"two.safetensors", "1 tensors"});
    const auto opened = Checkpoint::open(set.path());
    QVERIFY(opened);
    QCOMPARE((*opened)->tensors().size(), 2U);
    QCOMPARE((*opened)->shardCount(), 2U);
    QVERIFY((*opened)->shard(1) == nullptr);
    QVERIFY((*opened)->view(*(*opened)->find("a")));
    const std::size_t missing = *(*opened)->find("b");
    QCOMPARE((*opened)->tensors()[missing].state, TensorState::Missing);
    const auto view = (*opened)->view(missing);
    QVERIFY(!view);
    const std::string shard = (set.folder.path() / "two.safetensors").native();
    expectError(view.error(), ErrorCode::MissingShard, {shard, "tensor 'b'", "put it beside the others"});
    QVERIFY((*opened)->shardPath(1).native() == shard && (*opened)->isIncomplete());
    const Status unchanged = (*opened)->checkUnchanged(missing);
    QVERIFY(!unchanged);
    expectError(unchanged.error(), ErrorCode::MissingShard, {shard, "tensor 'b'"});
    QCOMPARE((*opened)->warnings().size(), 1U);  // no guess about total_size
}

void TestHostileSharded::allShardsMissingIsRefused()
{
    const Folder folder;
    expectRefused(folder.write(kIndex, R"({"weight_map":{"a":"x.safetensors"}})"), ErrorCode::MissingShard, {kIndex, "none of the 1"});
}

void TestHostileSharded::tensorOfTheIndexThatNoShardHasIsListedAsMissing()  // 37
{
    const TwoShards set;
    set.index(R"("a":"one.safetensors","b":"two.safetensors","c":"two.safetensors")");
    expectWarned(set.path(), ErrorCode::MissingTensor, {kIndex, "tensor 'c'", "two.safetensors", "at byte"});
    const auto opened = Checkpoint::open(set.path());
    QVERIFY(opened);
    const auto view = (*opened)->view(*(*opened)->find("c"));
    QVERIFY(!view);
    expectError(view.error(), ErrorCode::MissingTensor, {"two.safetensors", "tensor 'c'"});
}

void TestHostileSharded::tensorThatTheIndexDoesNotNameWarnsAndIsListed()  // 37
{
    const TwoShards set;
    set.shard("two.safetensors", "b", 0, "," + entry("extra", "U8", {4}, 4, 8));
    set.index(R"("a":"one.safetensors","b":"two.safetensors")", R"({"total_size":12})");
    expectWarned(set.path(), ErrorCode::InconsistentShards, {"two.safetensors", "tensor 'extra'", "not in the index", "at byte"});
    const auto opened = Checkpoint::open(set.path());
    QVERIFY(opened && (*opened)->view(*(*opened)->find("extra")));
}

void TestHostileSharded::tensorInTwoShardsWarnsAndTheIndexDecides()  // 37, 39
{
    const TwoShards set;
    // "b" in both; the wrong copy comes first and has another shape.
    set.shard("one.safetensors", "a", 0, "," + entry("b", "U8", {2, 2}, 4, 8));
    set.index(R"("a":"one.safetensors","b":"two.safetensors")", R"({"total_size":12})");
    expectWarned(set.path(), ErrorCode::InconsistentShards, {"one.safetensors", "tensor 'b'", "two.safetensors", "at byte"});
    const auto opened = Checkpoint::open(set.path());
    QVERIFY(opened);
    QCOMPARE((*opened)->warnings().size(), 3U);  // misplaced, in two shards, total_size
    expectError({(*opened)->warnings()[1].code, (*opened)->warnings()[1].detail}, ErrorCode::InconsistentShards,
                {"two.safetensors", "tensor 'b'", "also in 'one.safetensors'", "[2, 2] there, [4] here", "at byte"});
    QCOMPARE((*opened)->tensors().size(), 2U);
    const TensorInfo& tensor = (*opened)->tensors()[*(*opened)->find("b")];
    QCOMPARE(tensor.name, std::string("b"));
    QCOMPARE(tensor.shard, 1U);
    QCOMPARE(tensor.shape, Shape{4});
}

void TestHostileSharded::tensorInAnotherShardThanTheIndexSaysWarns()  // 37
{
    const TwoShards set;
    set.index(R"("a":"two.safetensors","b":"one.safetensors")");
    expectWarned(set.path(), ErrorCode::InconsistentShards, {"one.safetensors", "tensor 'a'", "index says it is in 'two.safetensors'", "at byte"});
}

void TestHostileSharded::wrongTotalSizeWarns()  // 38
{
    const TwoShards set;
    QVERIFY(openedClean(set.path()));
    set.index(R"("a":"one.safetensors","b":"two.safetensors")", R"({"total_size":9})");
    expectWarned(set.path(), ErrorCode::InvalidMetadata, {kIndex, "total_size is 9", "8 bytes"});
    set.index(R"("a":"one.safetensors","b":"two.safetensors")", R"({"total_size":"8"})");
    expectWarned(set.path(), ErrorCode::InvalidMetadata, {kIndex, "total_size", "at byte"});
}

void TestHostileSharded::shardOfAnotherRevisionWarns()  // 39
{
    const TwoShards set;
    const std::string name = "model.layers.0.mlp.down_proj.weight";
    set.shard("two.safetensors", name, 0, {}, {2, 2});
    set.index(R"("a":"one.safetensors",")" + name + R"(":"two.safetensors")");
    set.folder.write("config.json", R"({"model_type":"llama","hidden_size":2,"intermediate_size":2})");
    QVERIFY(openedClean(set.path()));
    set.folder.write("config.json", R"({"model_type":"llama","hidden_size":2,"intermediate_size":3})");
    expectWarned(set.path(), ErrorCode::InconsistentShards,
                 {"two.safetensors", "tensor '" + name + "'", "[2, 2]", "config.json asks for [2, 3]", "at byte"});
}

void TestHostileSharded::shardThatIsNoModelIsRefusedSayingWhatItIs_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("what");
    QTest::newRow("40 Git-LFS pointer") << QByteArray("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n") << "Git-LFS pointer";
    QTest::newRow("40 HTML") << QByteArray("<!doctype html><html>Not Found</html>") << "web page";
    QTest::newRow("40 HTML after white space") << QByteArray("\r\n <HTML>Rate limited</HTML>") << "web page";
    QTest::newRow("40 PyTorch zip") << QByteArray("PK\x03\x04 archive/data.pkl") << "zip archive";
}

void TestHostileSharded::shardThatIsNoModelIsRefusedSayingWhatItIs()
{
    QFETCH(QByteArray, bytes);
    QFETCH(QString, what);
    const TwoShards set;
    set.folder.write("two.safetensors", bytes.toStdString());
    expectRefused(set.path(), ErrorCode::WrongMagic, {"two.safetensors", what.toStdString(), "at byte 0"});
    expectRefused(set.folder.path() / "two.safetensors", ErrorCode::WrongMagic, {"two.safetensors", what.toStdString(), "at byte 0"});
}

void TestHostileSharded::growingShardIsListedAsIncomplete()  // 41
{
    const TwoShards set;
    set.shard("two.safetensors", "b", 1);
    const auto size = std::filesystem::file_size(set.folder.path() / "two.safetensors");
    const std::string figures = std::to_string(size) + " of " + std::to_string(size + 1) + " bytes";
    expectWarned(set.path(), ErrorCode::Truncated, {"two.safetensors", "tensor 'b'", "incomplete, " + figures, "at byte"});
    const auto opened = Checkpoint::open(set.path());
    QVERIFY(opened);
    const std::size_t cut = *(*opened)->find("b");
    QCOMPARE((*opened)->tensors()[cut].state, TensorState::Truncated);
    const auto view = (*opened)->view(cut);
    QVERIFY(!view);
    expectError(view.error(), ErrorCode::Truncated,
                {"two.safetensors", "tensor 'b'", "at byte " + std::to_string(size - 3), "the file has " + std::to_string(size)});
    QVERIFY((*opened)->isIncomplete());
    set.shard("two.safetensors", "b", 0);  // the download ends, the user asks again
    const auto again = openedClean(set.path());
    QVERIFY(again && !again->isIncomplete());
}

void TestHostileSharded::brokenIndexIsRefused_data()
{
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<ErrorCode>("code");
    QTest::addColumn<QString>("fragment");
    const auto row = [](const char* name, const char* text, ErrorCode code, const char* fragment) {
        QTest::newRow(name) << QByteArray(text) << code << QString(fragment);
    };
    row("no weight_map", R"({"metadata":{}})", ErrorCode::MalformedHeader, "no weight_map");
    row("a tensor twice", R"({"weight_map":{"a":"one.safetensors","a":"two.safetensors"}})", ErrorCode::DuplicateName, "tensor 'a'");
    row("weight_map twice", R"({"weight_map":{},"weight_map":{}})", ErrorCode::DuplicateName, "at byte 17");
    row("a file name that is a number", R"({"weight_map":{"a":1}})", ErrorCode::MalformedHeader, "tensor 'a' at byte 19");
    row("empty", "", ErrorCode::Truncated, "at byte 0");
    row("cut short", R"({"weight_map":{"a":"one.safe)", ErrorCode::MalformedHeader, "at byte 28");
    row("invalid UTF-8", "{\"weight_map\":{\"\xff\":\"one.safetensors\"}}", ErrorCode::InvalidUtf8, "at byte 16");
    row("trailing garbage", R"({"weight_map":{"a":"one.safetensors"}}})", ErrorCode::MalformedHeader, "at byte 38");
}

void TestHostileSharded::brokenIndexIsRefused()
{
    QFETCH(QByteArray, text);
    QFETCH(ErrorCode, code);
    QFETCH(QString, fragment);
    const TwoShards set;
    set.folder.write(kIndex, text.toStdString());
    expectRefused(set.path(), code, {kIndex, fragment.toStdString()});
}

void TestHostileSharded::inconsistentSplitGgufIsRefused_data()
{
    QTest::addColumn<int>("number");
    QTest::addColumn<int>("count");
    QTest::addColumn<int>("tensors");
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("fragment");
    QTest::newRow("42 wrong number") << 0 << 2 << 2 << "b" << "'split.no'";
    QTest::newRow("42 number past the count") << 7 << 2 << 2 << "b" << "'split.no'";
    QTest::newRow("42 wrong count") << 1 << 3 << 2 << "b" << "'split.count'";
    QTest::newRow("42 wrong number of tensors") << 1 << 2 << 5 << "b" << "'split.tensors.count'";
}

void TestHostileSharded::inconsistentSplitGgufIsRefused()
{
    QFETCH(int, number);
    QFETCH(int, count);
    QFETCH(int, tensors);
    QFETCH(QString, name);
    QFETCH(QString, fragment);
    const Folder folder;
    const auto first = folder.write("m-00001-of-00002.gguf", split(0, 2, 2, "a").bytes());
    const auto second = folder.path() / "m-00002-of-00002.gguf";
    folder.write("m-00002-of-00002.gguf", split(1, 2, 2, "b").bytes());
    QVERIFY(openedClean(first) && openedClean(second) && openedClean(folder.path()));
    QCOMPARE(openedClean(second)->tensors().size(), 2U);
    folder.write("m-00002-of-00002.gguf",
                 split(static_cast<std::uint16_t>(number), static_cast<std::uint16_t>(count), tensors, qPrintable(name)).bytes());
    expectRefused(first, ErrorCode::InconsistentShards, {fragment.toStdString(), ".gguf", "at byte"});
    // Renamed, so that the others cannot be found.
    std::filesystem::rename(first, folder.path() / "renamed.gguf");
    expectRefused(folder.path() / "renamed.gguf", ErrorCode::InconsistentShards, {"'split.count'", "renamed.gguf", "at byte"});
}

void TestHostileSharded::splitGgufWithAMissingFileOpensTheRest()
{
    const Folder folder;
    const auto first = folder.write("m-00001-of-00002.gguf", split(0, 2, 2, "a").bytes());
    expectWarned(first, ErrorCode::MissingShard, {"m-00002-of-00002.gguf"});
    std::filesystem::remove(first);
    const auto second = folder.write("m-00002-of-00002.gguf", split(1, 2, 2, "b").bytes());
    expectRefused(second, ErrorCode::MissingShard, {"m-00001-of-00002.gguf"});
}

QTEST_APPLESS_MAIN(TestHostileSharded)
#include "tst_hostile_sharded.moc"
