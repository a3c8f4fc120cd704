// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/Checkpoint.h"

#include "core/base/Parallel.h"
#include "support/FileBuilders.h"

#include <QtTest>

#include <atomic>
#include <mutex>
#include <set>

using namespace sigmascope;
using namespace sigmascope::test;

class TestCheckpoint : public QObject {
    Q_OBJECT

private slots:
    void opensTheSampleFolder();
    void opensAnImatrixFile();
    void listsShapesOutermostFirst();
    void folderPrefersTheIndexThenModelThenTheOnlyFile();
    void opensShardsInParallelWithProgress();
    void stopsWhenAsked();
    void keepsNoDescriptorOpen();
    void truncationAfterOpeningIsNoticedByTheTensor();
    void configThatIsNoJsonWarns();
    void notesAreEscapedAndCut();
    void missingFileIsNamed();

private:
    /// A set of @p count shards with one tensor each, in a folder of its own.
    std::filesystem::path shardSet(const std::string& name, std::size_t count) const;
    QTemporaryDir m_dir;
    [[nodiscard]] std::filesystem::path folder(const std::string& name) const
    {
        const std::filesystem::path path = m_dir.path().toStdString() + "/" + name;
        std::filesystem::create_directories(path);
        return path;
    }
};

namespace {

std::string oneTensor(const std::string& name)
{
    return safetensors("{" + entry(name, "F32", {2, 1}, 0, 8) + "}", 8);
}

}  // namespace

std::filesystem::path TestCheckpoint::shardSet(const std::string& name, std::size_t count) const
{
    const auto path = folder(name);
    std::string map;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string number = std::to_string(i);
        writeFile(path / ("s" + number + ".safetensors"), oneTensor("t" + number));
        map += (i == 0 ? "\"t" : ",\"t") + number + "\":\"s" + number + ".safetensors\"";
    }
    writeFile(path / "model.safetensors.index.json", R"({"weight_map":{)" + map + "}}");
    return path;
}

void TestCheckpoint::opensTheSampleFolder()
{
    const std::filesystem::path path = SIGMASCOPE_SOURCE_DIR "/resources/sample";
    const auto opened = Checkpoint::open(path, {.strict = true});
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    const Checkpoint& model = **opened;
    QCOMPARE(model.format(), CheckpointFormat::Safetensors);
    QVERIFY(model.path() == path && model.folder() == path);
    QCOMPARE(model.shardCount(), 1U);
    QCOMPARE(model.tensors().size(), 39U);
    QVERIFY(model.gguf().keys().empty());
    QCOMPARE(model.config()["model_type"].get<std::string>(), std::string("llama"));
    std::uint64_t elements = 0;
    for (std::size_t i = 0; i < model.tensors().size(); ++i) {
        QCOMPARE(model.find(model.tensors()[i].name).value_or(999), i);
        const auto view = model.view(i);
        QVERIFY(view);
        QCOMPARE(view->bytes.size(), *checkedByteSize(view->dtype, view->shape));
        QVERIFY(model.checkUnchanged(i));
        elements += view->elements();
    }
    QCOMPARE(model.totalElements(), elements);
    QVERIFY(!model.find("no such tensor"));
    const auto alone = Checkpoint::open(path / "model.safetensors");
    QVERIFY(alone && (*alone)->folder() == path && (*alone)->tensors().size() == 39U);
}

void TestCheckpoint::opensAnImatrixFile()
{
    const auto opened = Checkpoint::open(SIGMASCOPE_SOURCE_DIR "/resources/sample/imatrix.gguf", {.strict = true});
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    QCOMPARE((*opened)->format(), CheckpointFormat::Gguf);
    QVERIFY((*opened)->gguf().string("general.type").value_or("") == "imatrix");
    QVERIFY((*opened)->gguf().u32("imatrix.chunk_count").value_or(0) > 0);
    QVERIFY((*opened)->gguf().strings("imatrix.datasets").has_value());
    QVERIFY((*opened)->find("blk.0.attn_q.weight.in_sum2").has_value());
    QVERIFY((*opened)->config().is_null());
}

void TestCheckpoint::listsShapesOutermostFirst()
{
    GgufBytes file;
    file.tensor("w", {3, 2, 1}, 0, 0).withData(32);
    const auto opened = Checkpoint::open(writeFile(folder("shape") / "a.gguf", file.bytes()), {.strict = true});
    QVERIFY(opened);
    const auto view = (*opened)->view(0);
    QVERIFY(view);
    QCOMPARE(view->shape, (Shape{1, 2, 3}));
    QCOMPARE(view->cols(), 3U);
    QCOMPARE(view->rows(), 2U);
}

void TestCheckpoint::folderPrefersTheIndexThenModelThenTheOnlyFile()
{
    const auto path = folder("prefer");
    const auto none = Checkpoint::open(path);
    QVERIFY(!none);
    QCOMPARE(none.error().code, ErrorCode::NotFound);
    QVERIFY(none.error().detail.find("holds no model") != std::string::npos);
    GgufBytes gguf;
    gguf.tensor("from gguf", {2}, 0, 0).withData(32);
    writeFile(path / "a.gguf", gguf.bytes());
    const auto first = [&] { return (*Checkpoint::open(path))->tensors()[0].name; };
    QCOMPARE(first(), std::string("from gguf"));
    writeFile(path / "b.gguf", gguf.bytes());
    const auto two = Checkpoint::open(path);
    QVERIFY(!two);
    QCOMPARE(two.error().code, ErrorCode::NotFound);
    QVERIFY(two.error().detail.find("a.gguf, b.gguf") != std::string::npos);
    writeFile(path / "other.safetensors", oneTensor("from other"));
    QCOMPARE(first(), std::string("from other"));
    writeFile(path / "model.safetensors", oneTensor("from model"));
    QCOMPARE(first(), std::string("from model"));
    writeFile(path / "shard.safetensors", oneTensor("from shard"));
    writeFile(path / "model.safetensors.index.json", R"({"weight_map":{"from shard":"shard.safetensors"}})");
    QCOMPARE(first(), std::string("from shard"));
}

void TestCheckpoint::opensShardsInParallelWithProgress()
{
    constexpr std::size_t kShards = 64;
    const auto path = shardSet("parallel", kShards);
    const int threads = threadCount();
    setThreadCount(4);
    std::mutex mutex;
    std::set<std::string> subjects;
    JobContext job;
    job.progress = [&](double fraction, std::string_view subject) {
        const std::scoped_lock lock(mutex);
        subjects.emplace(fraction > 0 && fraction <= 1 ? subject : "bad fraction");
    };
    const auto opened = Checkpoint::open(path, {.strict = true}, job);
    setThreadCount(threads);
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    QCOMPARE(subjects.size(), kShards);
    QVERIFY(subjects.contains("64 of 64 shards") && subjects.contains("1 of 64 shards"));
    QCOMPARE((*opened)->tensors().size(), kShards);
    for (std::size_t i = 0; i < kShards; ++i) {
        const TensorInfo& tensor = (*opened)->tensors()[*(*opened)->find("t" + std::to_string(i))];
        QCOMPARE((*opened)->shard(tensor.shard)->path().filename().native(), "s" + std::to_string(i) + ".safetensors");
    }
}

void TestCheckpoint::stopsWhenAsked()
{
    const auto path = shardSet("stop", 8);
    std::stop_source stop;
    JobContext job;
    job.stop = stop.get_token();
    job.progress = [&](double, std::string_view) { stop.request_stop(); };
    const auto opened = Checkpoint::open(path, {}, job);
    QVERIFY(!opened);
    QCOMPARE(opened.error().code, ErrorCode::Cancelled);
}

void TestCheckpoint::keepsNoDescriptorOpen()
{
    const auto count = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
    const auto path = shardSet("descriptors", 20);
    const auto before = count();
    const auto opened = Checkpoint::open(path);
    QVERIFY(opened);
    QCOMPARE(count(), before);
}

void TestCheckpoint::truncationAfterOpeningIsNoticedByTheTensor()
{
    const auto path = shardSet("cut", 2);
    const std::string header = "{" + entry("t1", "U8", {100'000}, 0, 100'000) + "}";
    writeFile(path / "s1.safetensors", safetensors(header, 100'000));
    const auto opened = Checkpoint::open(path);
    QVERIFY(opened);
    const std::size_t cut = *(*opened)->find("t1");
    const std::size_t whole = *(*opened)->find("t0");
    std::filesystem::resize_file(path / "s1.safetensors", 0);
    QCOMPARE((*opened)->checkUnchanged(cut).error().code, ErrorCode::FileChanged);
    std::uint64_t total = 0;
    const auto view = (*opened)->view(cut);
    QVERIFY(view);
    for (const std::byte b : view->bytes)
        total += std::to_integer<std::uint64_t>(b);
    QCOMPARE(total, 0U);
    QCOMPARE((*opened)->checkUnchanged(cut).error().code, ErrorCode::FileBroken);
    QVERIFY((*opened)->checkUnchanged(whole));
}

void TestCheckpoint::configThatIsNoJsonWarns()
{
    const auto path = folder("config");
    writeFile(path / "model.safetensors", oneTensor("w"));
    writeFile(path / "config.json", "{oops");
    const auto opened = Checkpoint::open(path);
    QVERIFY(opened);
    QVERIFY((*opened)->config().is_null());
    QCOMPARE((*opened)->warnings().size(), 1U);
    QCOMPARE((*opened)->warnings()[0].code, ErrorCode::MalformedHeader);
    QVERIFY((*opened)->warnings()[0].detail.find("config.json") != std::string::npos);
    const auto strict = Checkpoint::open(path, {.strict = true});
    QVERIFY(!strict);
    QCOMPARE(strict.error().code, ErrorCode::MalformedHeader);
}

void TestCheckpoint::notesAreEscapedAndCut()
{
    std::string metadata = R"("__metadata__":{"format":"pt","long":")" + std::string(5000, 'x') + R"(","line":"a\nb")";
    for (int i = 0; i < 100; ++i)
        metadata += ",\"k" + std::to_string(i) + "\":\"v\"";
    const auto path = writeFile(folder("notes") / "a.safetensors", safetensors("{" + metadata + "}," + entry("w", "U8", {4}, 0, 4) + "}", 4));
    const auto opened = Checkpoint::open(path, {.strict = true});
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    QCOMPARE((*opened)->notes().size(), 64U);
    QCOMPARE((*opened)->notes()[0].value, std::string("pt"));
    QVERIFY((*opened)->notes()[1].value.size() < 300);
    QCOMPARE((*opened)->notes()[2].value, std::string("a\\x0ab"));
}

void TestCheckpoint::missingFileIsNamed()
{
    const auto opened = Checkpoint::open("/no/such/model.safetensors");
    QVERIFY(!opened);
    QCOMPARE(opened.error().code, ErrorCode::NotFound);
    QVERIFY(opened.error().detail.find("/no/such/model.safetensors") != std::string::npos);
}

QTEST_APPLESS_MAIN(TestCheckpoint)
#include "tst_checkpoint.moc"
