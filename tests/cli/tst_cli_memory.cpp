// SPDX-License-Identifier: GPL-3.0-or-later
// A model several times larger than the memory a run may take.
#include "cli/CliRun.h"
#include "cli/TinyModel.h"

#include "core/base/Half.h"

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

constexpr std::uint64_t kHidden = 4096;
constexpr std::uint64_t kFeedForward = 16384;
constexpr std::uint64_t kVocabulary = 300;
constexpr int kBlocks = 6;
constexpr std::uint64_t kMega = std::uint64_t{1} << 20;
/// gate, up and down: 64 Mi elements.
constexpr std::uint64_t kLargestAsFloat = kHidden * kFeedForward * 4;
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

std::vector<std::vector<Named>> shards()
{
    std::vector<std::vector<Named>> all;
    for (int i = 0; i < kBlocks; ++i) {
        const std::string block = "model.layers." + std::to_string(i) + ".";
        std::vector<Named> tensors{{block + "input_layernorm.weight", {kHidden}},
                                   {block + "post_attention_layernorm.weight", {kHidden}}};
        for (const char* name : {"q", "k", "v", "o"})
            tensors.push_back({block + "self_attn." + name + "_proj.weight", {kHidden, kHidden}});
        tensors.push_back({block + "mlp.gate_proj.weight", {kFeedForward, kHidden}});
        tensors.push_back({block + "mlp.up_proj.weight", {kFeedForward, kHidden}});
        tensors.push_back({block + "mlp.down_proj.weight", {kHidden, kFeedForward}});
        all.push_back(std::move(tensors));
    }
    all.front().push_back({"model.embed_tokens.weight", {kVocabulary, kHidden}});
    all.back().push_back({"model.norm.weight", {kHidden}});
    all.back().push_back({"lm_head.weight", {kVocabulary, kHidden}});
    return all;
}

/// @return bytes of all shards, 0 if the disk did not take them.
std::uint64_t writeModel(const fs::path& folder)
{
    fs::create_directories(folder);
    const std::string weights = someWeights();
    std::uint64_t bytes = 0;
    std::string map;
    const auto all = shards();
    for (std::size_t i = 0; i < all.size(); ++i) {
        const std::string name
            = "model-0000" + std::to_string(i + 1) + "-of-0000" + std::to_string(all.size()) + ".safetensors";
        if (!writeShard(folder / name, all[i], weights))
            return 0;
        bytes += fs::file_size(folder / name);
        for (const Named& tensor : all[i])
            map += (map.empty() ? "\"" : ",\"") + tensor.name + "\":\"" + name + "\"";
    }
    writeFile(folder / "model.safetensors.index.json", R"({"metadata":{},"weight_map":{)" + map + "}}");
    writeFile(folder / "config.json",
              R"({"architectures":["LlamaForCausalLM"],"hidden_size":4096,"intermediate_size":16384,"num_hidden_layers":)"
                  + std::to_string(kBlocks)
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
    const std::uint64_t modelBytes = writeModel(model);
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
    QCOMPARE(result[u"tensors"].toArray().size(), kBlocks * 9 + 3);
    QCOMPARE(tensorNamed(result, "model.layers.0.mlp.gate_proj.weight")[u"rank"].toInt(), 1);
    QCOMPARE(tensorNamed(result, "model.layers.5.mlp.down_proj.weight")[u"grid"].toString(), QString("q4_0"));
    const std::string adapter = folder.filePath("out-lora.gguf").toStdString();
    QCOMPARE(result[u"totals"][u"written_bytes"].toDouble(),
             static_cast<double>(fs::file_size(output) + fs::file_size(adapter)));
}

QTEST_GUILESS_MAIN(TestCliMemory)
#include "tst_cli_memory.moc"
