// SPDX-License-Identifier: GPL-3.0-or-later
// A model several times larger than the memory a run may take; and reliability 93, memory and places that are not there.
#include "cli/CliRun.h"
#include "cli/TinyModel.h"

#include "core/base/Half.h"
#include "core/export/Exporter.h"

#include <QDir>
#include <QElapsedTimer>
#include <QTemporaryDir>
#include <QTest>

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include <spawn.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

using namespace sigmascope;
using namespace sigmascope::test;
namespace fs = std::filesystem;

extern char** environ;

namespace
{

struct Sizes {
    std::uint64_t hidden = 4096;
    std::uint64_t feedForward = 16384;
    int blocks = 6;
};
constexpr Sizes kLarge;
constexpr std::uint64_t kVocabulary = 300;
/// Of the model that every target is written from: 100 MB in tensors of a Mi elements at most, beside one block of it.
constexpr Sizes kOneBlock{.hidden = 512, .feedForward = 2048, .blocks = 1};
constexpr Sizes kManyBlocks{.hidden = 512, .feedForward = 2048, .blocks = 12};
constexpr std::uint64_t kMega = std::uint64_t{1} << 20;
/// gate, up and down: 64 Mi elements.
constexpr std::uint64_t kLargestAsFloat = kLarge.hidden * kLarge.feedForward * 4;
constexpr std::uint64_t kPeak = 4 * kLargestAsFloat + 300'000'000;

struct Named {
    std::string name;
    std::vector<std::uint64_t> shape;

    [[nodiscard]] std::uint64_t bytes() const
    {
        std::uint64_t size = 2;
        for (const std::uint64_t extent : shape)
            size *= extent;
        return size;
    }
};

/// A megabyte of BF16 values as weights have them. Each tensor begins with them and goes on with zeros that take no room on
/// the disk: a program that reads them has the same pages in its memory.
std::string someWeights()
{
    std::vector<std::uint16_t> values(kMega / 2);
    std::uint64_t state = 1;
    for (std::uint16_t& value : values) {
        float sum = 0;
        for (int i = 0; i < 4; ++i) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            sum += static_cast<float>(state >> 40) / static_cast<float>(1 << 24) - 0.5F;
        }
        value = floatToBf16(0.03F * sum);
    }
    return rawBytes(values);
}

bool writeShard(const fs::path& path, const std::vector<Named>& tensors, const std::string& weights)
{
    std::string header = "{";
    std::uint64_t at = 0;
    std::vector<std::uint64_t> begins;
    for (const Named& tensor : tensors) {
        begins.push_back(at);
        std::string shape;
        for (const std::uint64_t extent : tensor.shape)
            shape += (shape.empty() ? "" : ",") + std::to_string(extent);
        header += (header.size() > 1 ? ",\"" : "\"") + tensor.name + R"(":{"dtype":"BF16","shape":[)" + shape
            + "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(at + tensor.bytes()) + "]}";
        at += tensor.bytes();
    }
    header += "}";
    const std::uint64_t length = header.size();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << header;
    const std::uint64_t data = sizeof length + header.size();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        file.seekp(static_cast<std::streamoff>(data + begins[i]));
        file.write(weights.data(), static_cast<std::streamsize>(std::min(kMega, tensors[i].bytes())));
    }
    file.close();
    std::error_code failed;
    fs::resize_file(path, data + at, failed);
    return file.good() && !failed;
}

std::vector<std::vector<Named>> shards(const Sizes& sizes)
{
    std::vector<std::vector<Named>> all;
    for (int i = 0; i < sizes.blocks; ++i) {
        const std::string block = "model.layers." + std::to_string(i) + ".";
        std::vector<Named> tensors{{block + "input_layernorm.weight", {sizes.hidden}},
                                   {block + "post_attention_layernorm.weight", {sizes.hidden}}};
        for (const char* name : {"q", "k", "v", "o"})
            tensors.push_back({block + "self_attn." + name + "_proj.weight", {sizes.hidden, sizes.hidden}});
        tensors.push_back({block + "mlp.gate_proj.weight", {sizes.feedForward, sizes.hidden}});
        tensors.push_back({block + "mlp.up_proj.weight", {sizes.feedForward, sizes.hidden}});
        tensors.push_back({block + "mlp.down_proj.weight", {sizes.hidden, sizes.feedForward}});
        all.push_back(std::move(tensors));
    }
    all.front().push_back({"model.embed_tokens.weight", {kVocabulary, sizes.hidden}});
    all.back().push_back({"model.norm.weight", {sizes.hidden}});
    all.back().push_back({"lm_head.weight", {kVocabulary, sizes.hidden}});
    return all;
}

/// @return bytes of all shards, 0 if the disk did not take them.
std::uint64_t writeModel(const fs::path& folder, const Sizes& sizes)
{
    fs::create_directories(folder);
    const std::string weights = someWeights();
    std::uint64_t bytes = 0;
    std::string map;
    const auto all = shards(sizes);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const std::string name = "model-" + std::to_string(100'001 + i).substr(1) + "-of-"
            + std::to_string(100'000 + all.size()).substr(1) + ".safetensors";
        if (!writeShard(folder / name, all[i], weights))
            return 0;
        bytes += fs::file_size(folder / name);
        for (const Named& tensor : all[i])
            map += (map.empty() ? "\"" : ",\"") + tensor.name + "\":\"" + name + "\"";
    }
    writeFile(folder / "model.safetensors.index.json", R"({"metadata":{},"weight_map":{)" + map + "}}");
    writeFile(folder / "config.json",
              R"({"architectures":["LlamaForCausalLM"],"hidden_size":)" + std::to_string(sizes.hidden) + R"(,"intermediate_size":)"
                  + std::to_string(sizes.feedForward) + R"(,"num_hidden_layers":)" + std::to_string(sizes.blocks)
                  + R"(,"num_attention_heads":32,"num_key_value_heads":32,"max_position_embeddings":128,)"
                    R"("rms_norm_eps":1e-5,"vocab_size":300})");
    fs::copy_file(sampleFolder().toStdString() + "/tokenizer.model", folder / "tokenizer.model");
    return bytes;
}

struct Ended {
    int exitCode = -1;
    std::uint64_t peakBytes = 0;
};

/// Runs a shell command and asks the system for the most memory it had.
Ended runMeasured(const std::string& command)
{
    std::string shell = "/bin/sh";
    std::string option = "-c";
    std::string text = command;
    char* const arguments[] = {shell.data(), option.data(), text.data(), nullptr};
    pid_t process = 0;
    if (::posix_spawn(&process, shell.c_str(), nullptr, nullptr, arguments, environ) != 0)
        return {};
    int status = 0;
    struct rusage usage{};
    if (::wait4(process, &status, 0, &usage) != process)
        return {};
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            static_cast<std::uint64_t>(usage.ru_maxrss) * 1024};
}

} // namespace

class TestCliMemory : public QObject
{
    Q_OBJECT

private slots:
    void threeGigabytesAreQuantizedInFourTensorsOfMemory();
    void memoryDoesNotGrowWithTheModel_data();
    void memoryDoesNotGrowWithTheModel();
    void aSmallAddressSpaceIsAnErrorNeverAHang();
    void aHomeThatTakesNoFileChangesNothing();
    void closedStreamsAreNoFilesToPrintInto();

private:
    QTemporaryDir m_models;  // of memoryDoesNotGrowWithTheModel
};

void TestCliMemory::threeGigabytesAreQuantizedInFourTensorsOfMemory()
{
    const QTemporaryDir folder;
    struct statvfs disk{};
    QCOMPARE(::statvfs(folder.path().toLocal8Bit().constData(), &disk), 0);
    const double freeBytes = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
    QVERIFY2(freeBytes > 3e9,
             qPrintable(QString("this test needs 3 GB on %1, %2 GB are free").arg(folder.path()).arg(freeBytes / 1e9)));
    QElapsedTimer timer;
    timer.start();
    const fs::path model = folder.filePath("model").toStdString();
    const std::uint64_t modelBytes = writeModel(model, kLarge);
    QVERIFY(modelBytes > 3'000'000'000);
    const qint64 written = timer.restart();
    const std::string output = folder.filePath("out.gguf").toStdString();
    // Most layers are coded in slices. One of the largest is corrected, for which it must be there as a whole.
    const std::string recipe = folder.filePath("recipe.json").toStdString();
    writeFile(recipe, R"({"schema":1,"default":{"preset":"rtn-w4"},
        "rules":[{"match":"layers\\.0\\.mlp\\.gate_proj","preset":"lqer-w4","rank":1}]})");
    // Address space, unlike memory, also counts the mapped model and, while it is verified, the mapped result.
    const std::uint64_t limit = modelBytes + modelBytes / 3 + kPeak;
    const Ended run = runMeasured("ulimit -v " + std::to_string(limit / 1024) + "; exec '" + cliPath().toStdString()
                                  + "' quantize '" + model.string() + "' --recipe '" + recipe + "' --to gguf --device cpu -o '"
                                  + output + "' --json > '" + folder.filePath("result.json").toStdString() + "'");
    qInfo("%llu MB written in %lld ms, quantized in %lld ms with a peak of %llu MB of %llu",
          static_cast<unsigned long long>(modelBytes / 1'000'000), static_cast<long long>(written),
          static_cast<long long>(timer.elapsed()), static_cast<unsigned long long>(run.peakBytes / 1'000'000),
          static_cast<unsigned long long>(kPeak / 1'000'000));
    QCOMPARE(run.exitCode, 0);
    QVERIFY(run.peakBytes > kLargestAsFloat); // a tensor was there, so the figure means something
    QVERIFY(run.peakBytes <= kPeak);
    const QJsonObject result
        = QJsonDocument::fromJson(QByteArray::fromStdString(readFile(folder.filePath("result.json").toStdString()))).object();
    QCOMPARE(result[u"tensors"].toArray().size(), kLarge.blocks * 9 + 3);
    QCOMPARE(tensorNamed(result, "model.layers.0.mlp.gate_proj.weight")[u"rank"].toInt(), 1);
    QCOMPARE(tensorNamed(result, "model.layers.5.mlp.down_proj.weight")[u"grid"].toString(), QString("q4_0"));
    const std::string adapter = folder.filePath("out-lora.gguf").toStdString();
    QCOMPARE(result[u"totals"][u"written_bytes"].toDouble(),
             static_cast<double>(fs::file_size(output) + fs::file_size(adapter)));
}

void TestCliMemory::memoryDoesNotGrowWithTheModel_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<QStringList>("more");
    for (const ExporterRow& row : exporters())
        QTest::addRow("%s", row.id.data()) << QString::fromStdString(std::string(row.id)) << QStringList();
    QTest::addRow("gguf in files") << "gguf" << QStringList{"--split-max-tensors", "40"};
}

/// Of a model of twelve times as many layers no more than a few of its tensors is there at once, whatever is written.
void TestCliMemory::memoryDoesNotGrowWithTheModel()
{
    QFETCH(QString, target);
    QFETCH(QStringList, more);
    const fs::path folder = m_models.path().toStdString();
    std::vector<std::uint64_t> peaks;
    for (const Sizes& sizes : {kOneBlock, kManyBlocks}) {
        const fs::path model = folder / std::to_string(sizes.blocks);
        if (!fs::exists(model))  // once for all rows
            QVERIFY(writeModel(model, sizes) > static_cast<std::uint64_t>(sizes.blocks) * 8'000'000);
        const fs::path output = folder / (target == "gguf" ? "out.gguf" : "out");
        const Ended run = runMeasured("exec '" + cliPath().toStdString() + "' quantize '" + model.string() + "' --preset rtn-w4 --to "
                                      + target.toStdString() + ' ' + more.join(' ').toStdString()
                                      + " --device cpu --threads 2 --overwrite -o '" + output.string() + "' > /dev/null");
        QCOMPARE(run.exitCode, 0);
        peaks.push_back(run.peakBytes);
    }
    for (const fs::path& output : {folder / "out", folder / "out.gguf"})
        fs::remove_all(output);
    qInfo("%llu MB for one block, %llu MB for %d", static_cast<unsigned long long>(peaks[0] / 1'000'000),
          static_cast<unsigned long long>(peaks[1] / 1'000'000), kManyBlocks.blocks);
    // 92 MB more to read, 26 more to write in four bits: no more than a tensor's floats and the longer header.
    QVERIFY(peaks[1] <= peaks[0] + 4 * kManyBlocks.hidden * kManyBlocks.feedForward + 2'000'000);
}

/// Each limit ends in a file, or in an error that says so; the smallest are those under which the program can be loaded.
void TestCliMemory::aSmallAddressSpaceIsAnErrorNeverAHang()
{
    const QTemporaryDir folder;
    const QString output = folder.filePath("out.gguf");
    int errors = 0;
    bool isDone = false;
    for (int megabytes = 60; megabytes < 6000 && !isDone; megabytes += megabytes / 4) {
        const CliRun run = runProgram("/bin/sh", {"-c", QString("ulimit -v %1; exec \"$0\" \"$@\"").arg(megabytes * 1000), cliPath(),
                                                  "quantize", sampleFolder(), "--preset", "l2qer-w4", "--calibration", sampleImatrix(),
                                                  "--to", "gguf", "--device", "cpu", "--threads", "2", "--resume", "-o", output});
        if (run.exitCode == 127 && run.err.contains("error while loading shared libraries"))
            continue;
        isDone = run.exitCode == 0;
        const QByteArray what = QByteArray::number(megabytes) + " MB, " + QByteArray::number(run.exitCode) + ": " + run.err;
        QVERIFY2(!run.crashed && (isDone || run.exitCode == 1), what);
        QVERIFY2(isDone || run.err.contains("emory"), what);
        QCOMPARE(QFile::exists(output), isDone);
        errors += isDone ? 0 : 1;
    }
    QVERIFY(isDone && errors > 0);
    QCOMPARE(QDir(folder.path()).entryList(QDir::Files | QDir::Hidden).size(), 2);
}

/// A full or read-only home and no room for temporary files: what would be remembered there is not.
void TestCliMemory::aHomeThatTakesNoFileChangesNothing()
{
    const QTemporaryDir folder;
    const auto quantized = [&](const char* name, const std::map<QString, QString>& environment) {
        const QString output = folder.filePath(name);
        const CliRun run = cli({"quantize", sampleFolder(), "--preset", "rtn-w4", "--to", "gguf", "-o", output}, environment);
        return run.exitCode == 0 ? readFile(output.toStdString()) : run.err.toStdString();
    };
    std::map<QString, QString> nowhere;
    for (const char* name : {"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"})
        nowhere.emplace(name, "/proc/self");
    const std::string usual = quantized("usual.gguf", {});
    QVERIFY2(usual.starts_with("GGUF"), usual.c_str());
    QVERIFY(quantized("nowhere.gguf", nowhere) == usual);
    QCOMPARE(QDir(folder.path()).entryList(QDir::Files | QDir::Hidden).size(), 2);
}

/// The first files that a program opens get the numbers of streams it was started without.
void TestCliMemory::closedStreamsAreNoFilesToPrintInto()
{
    const QTemporaryDir folder;
    for (const char* closed : {"", "<&- >&- 2>&-"}) {
        const QString output = folder.filePath(*closed == 0 ? "open.gguf" : "closed.gguf");
        const CliRun run = runProgram("/bin/sh", {"-c", QString("exec \"$0\" \"$@\" %1").arg(closed), cliPath(), "quantize",
                                                  sampleFolder(), "--preset", "rtn-w4", "--to", "gguf", "-o", output});
        QCOMPARE(run.exitCode, 0);
    }
    QVERIFY(readFile(folder.filePath("closed.gguf").toStdString()) == readFile(folder.filePath("open.gguf").toStdString()));
}

QTEST_GUILESS_MAIN(TestCliMemory)
#include "tst_cli_memory.moc"
