// SPDX-License-Identifier: GPL-3.0-or-later
//
// reliability 35 to 42 again for every target: sets of files that are not whole as what is exported, and each written
// set made unwhole. And 67, 76 and 81: what the sources of numbers may hold, or be.

#include "support/ResumeFixture.h"

#include "core/calibration/Imatrix.h"
#include "core/export/GgufSplit.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/project/Verify.h"
#include "support/FileBuilders.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include <sys/stat.h>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kOutputHead = "lm_head.weight";

void replaceIn(std::string& text, const std::string& from, const std::string& to)
{
    const auto at = text.find(from);
    QVERIFY2(at != std::string::npos, from.c_str());
    text.replace(at, from.size(), to);
}

}  // namespace

class HostileSourcesTest : public QObject, private ResumeFixture
{
    Q_OBJECT

private slots:
    void setsThatAreNotWhole_data();
    void setsThatAreNotWhole();
    void writtenSetsThatAreNotWholeAreNoticed_data() { everyTarget(); }
    void writtenSetsThatAreNotWholeAreNoticed();
    void scalesThatAreNotFiniteAreKeptAndNamed_data() { everyTarget(); }
    void scalesThatAreNotFiniteAreKeptAndNamed();
    void calibrationThatCannotBeUsedIsListedLayerByLayer_data() { everyTarget(); }
    void calibrationThatCannotBeUsedIsListedLayerByLayer();
    void sideFilesThatAreNoneAreLeftOut_data() { everyTarget(); }
    void sideFilesThatAreNoneAreLeftOut();

private:
    void begin()
    {
        QFETCH(QString, target);
        useTarget(target);
        makeModel();
    }
    /// The model in two files, the head and the last norm in the second. @param map  of more tensors, JSON.
    void writeShards(const std::vector<TinyTensor>& first, const std::vector<TinyTensor>& second, const std::string& total = "0",
                     const std::string& leftOut = {}, const std::string& more = {})
    {
        fs::remove(m_folder / "model.safetensors");
        writeFile(m_folder / "one.safetensors", safetensorsBytes(first));
        writeFile(m_folder / "two.safetensors", safetensorsBytes(second));
        std::string map;
        for (const auto* shard : {&first, &second}) {
            for (const TinyTensor& tensor : *shard) {
                const std::string file = shard == &first ? "one" : "two";
                if (tensor.name != leftOut && map.find('"' + tensor.name + '"') == std::string::npos)
                    map += (map.empty() ? "\"" : ",\"") + tensor.name + "\":\"" + file + ".safetensors\"";
            }
        }
        writeFile(m_folder / kIndex, R"({"metadata":{"total_size":)" + total + R"(},"weight_map":{)" + map + more + "}}");
    }
    void damage(const QString& what);
    [[nodiscard]] std::shared_ptr<const Checkpoint> reopened(const ExportRequest& r) const
    {
        const fs::path path = m_ggufTensors > 0 ? splitPathFor(r.output, 0, 3) : r.output;
        const auto opened = Checkpoint::open(path, {.coded = &codedFormats()});
        if (!opened)
            qWarning("%s", opened.error().detail.c_str());
        return opened ? *opened : nullptr;
    }
    /// Refused, or opened with something to say of it, whatever is then asked of it.
    [[nodiscard]] bool isNoticed(const fs::path& path, const std::string& named) const
    {
        const auto opened = Checkpoint::open(path, {.coded = &codedFormats()});
        if (!opened)
            return opened.error().detail.find(named) != std::string::npos;
        for (std::size_t i = 0; i < (*opened)->tensors().size(); ++i)
            static_cast<void>((*opened)->view(i));
        const auto verified = verifyModel(**opened, nullptr);
        std::string all = verified ? "" : verified.error().detail;
        for (std::size_t i = 0; verified && i < verified->findings.size(); ++i)
            all += verified->findings[i].text + '\n';
        return !all.empty() && all.find(named) != std::string::npos && !Checkpoint::open(path, {.strict = true, .coded = &codedFormats()});
    }
    void damageIndex(const fs::path& folder);
    void damageParts(const fs::path& entry, const std::vector<fs::path>& parts);
};

void HostileSourcesTest::setsThatAreNotWhole_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<QString>("what");
    QTest::addColumn<QString>("code");  // of the refusal; empty: it is written
    QTest::addColumn<QString>("named");
    for (const QString& target : allTargets()) {
        const auto add = [&](const char* what, const char* code, const char* named) {
            QTest::addRow("%s, %s", qPrintable(target), what) << target << what << code << named;
        };
        add("36 shard missing", "missing-shard", "two.safetensors");
        add("37 tensor that no shard has", "missing-tensor", "model.layers.0.absent.weight");
        add("37 tensor that the index leaves out", "", "lm_head.weight");
        add("37 tensor in two shards", "", "lm_head.weight");
        add("38 total_size wrong", "", "total_size");
        add("39 another revision", target.startsWith("gguf") ? "shape-mismatch" : "", "mlp.down_proj.weight");
        add("41 shard still growing", "truncated", "two.safetensors");
        add("42 part of a split GGUF missing", "missing-shard", "x-00002-of-00002.gguf");
    }
}

void HostileSourcesTest::damage(const QString& what)
{
    const auto tensors = tinyLlama();
    const std::vector<TinyTensor> first(tensors.begin(), tensors.end() - 2);
    std::vector<TinyTensor> second(tensors.end() - 2, tensors.end());
    if (what.startsWith("36")) {
        writeShards(first, second);
        fs::remove(m_folder / "two.safetensors");
    } else if (what.endsWith("no shard has")) {
        writeShards(first, second, "0", {}, R"(,"model.layers.0.absent.weight":"two.safetensors")");
    } else if (what.endsWith("leaves out")) {
        writeShards(first, second, "0", kOutputHead);
    } else if (what.endsWith("two shards")) {
        auto twice = first;
        twice.push_back(random(kOutputHead, {kVocabulary, kEmbedding}));
        second.back() = floats(kOutputHead, {kVocabulary, kEmbedding}, std::vector<float>(kVocabulary * kEmbedding, 0.5F));
        writeShards(twice, second);
    } else if (what.startsWith("38")) {
        writeShards(first, second, "4711");
    } else if (what.startsWith("39")) {
        auto other = first;
        named(other, "down_proj") = random("model.layers.0.mlp.down_proj.weight", {kEmbedding, kFeedForward - 32});
        writeShards(other, second);
        writeFile(m_folder / "config.json", config(R"(,"model_type":"llama")"));
    } else if (what.startsWith("41")) {
        writeShards(first, second);
        fs::resize_file(m_folder / "two.safetensors", fs::file_size(m_folder / "two.safetensors") - 1);
    }
}

/// reliability 36 to 39, 41, 42 of what is exported. (35 and 40 do not open: tst_hostile_sharded.)
void HostileSourcesTest::setsThatAreNotWhole()
{
    begin();
    QFETCH(QString, what);
    QFETCH(QString, code);
    QFETCH(QString, named);
    damage(what);
    fs::path source = m_folder;
    if (what.startsWith("42")) {
        for (const std::uint16_t number : {0, 1}) {
            GgufBytes file;
            file.text("general.architecture", "llama").key("split.no", 2, le(number)).key("split.count", 2, le<std::uint16_t>(2));
            file.key("split.tensors.count", 5, le<std::int32_t>(2)).tensor(number == 0 ? "a" : "b", {8}, 0, 0).withData(32);
            writeFile(m_folder / ("x-0000" + std::to_string(number + 1) + "-of-00002.gguf"), file.bytes());
        }
        fs::remove(m_folder / "x-00002-of-00002.gguf");
        source = m_folder / "x-00001-of-00002.gguf";
    }
    const auto opened = Checkpoint::open(source);
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    m_model = *opened;
    std::string warned;
    for (const CheckpointWarning& warning : m_model->warnings())
        warned += warning.detail + '\n';
    QVERIFY2(warned.find(named.toStdString()) != std::string::npos, warned.c_str());
    const bool isLlama = !what.startsWith("42");
    ExportRequest r = isLlama ? plan() : request(keepAll(*m_model));
    r.plan.target = m_exporter->id;
    const auto result = run(r);
    if (code.isEmpty()) {
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        const auto found = reopened(r);
        QVERIFY(found);
        std::string warnings;
        for (const CheckpointWarning& warning : found->warnings())
            warnings += warning.detail;
        QVERIFY2(warnings.empty() || what.startsWith("39"), warnings.c_str());  // whose shape is what it is
        const auto head = valuesOf(*found, m_exporter->id == "gguf" ? "output.weight" : kOutputHead);
        const auto expected = valuesOf(*m_model, kOutputHead);
        QCOMPARE(head.size(), expected.size());
        if (what.endsWith("two shards"))  // that of the file the index names: the first
            QVERIFY(std::ranges::any_of(head, [](float value) { return value != 0.5F; }));
        return;
    }
    QVERIFY(!result);
    const std::string found = std::string(id(result.error().code)) + ": " + result.error().detail;
    const bool isOther = what.startsWith("42") && found.starts_with("not-representable");  // folders take no GGUF at all
    QVERIFY2(found.starts_with(code.toStdString()) || (isOther && writesFolder()), found.c_str());
    if (!isOther)
        QVERIFY2(found.find(named.toStdString()) != std::string::npos, found.c_str());
    QVERIFY(files().empty());
    QVERIFY(!m_exporter->estimate(r));
    QVERIFY(!m_exporter->accepts(r).refusals.empty());
}

/// reliability 35, 37, 38 of the index that was written.
void HostileSourcesTest::damageIndex(const fs::path& folder)
{
    const std::string index = readFile(folder / kIndex);
    const std::string part = "\"model-00001-of-0000";
    for (const char* const unsafe : {"../x", "/etc/passwd", "C:\\\\x", "\\\\\\\\server\\\\x", "sub/x.safetensors", ".."}) {
        std::string changed = index;
        const auto at = changed.find(part);
        changed.replace(at, changed.find('"', at + 1) - at, std::string("\"") + unsafe);
        writeFile(folder / kIndex, changed);
        const auto opened = Checkpoint::open(folder, {.coded = &codedFormats()});
        QVERIFY2(!opened && opened.error().code == ErrorCode::UnsafePath, unsafe);
    }
    const auto wrong = [&](const std::string& from, const std::string& to, const std::string& named) {
        std::string changed = index;
        replaceIn(changed, from, to);
        writeFile(folder / kIndex, changed);
        QVERIFY2(isNoticed(folder, named), named.c_str());
    };
    wrong("\"model.norm.weight\"", "\"model.absent.weight\"", "model.absent.weight");
    const auto colon = index.find("\"total_size\": ");
    wrong(index.substr(colon, index.find('\n', colon) - colon), "\"total_size\": 4711", "total_size");
    writeFile(folder / kIndex, index.substr(0, index.size() / 2));
    QVERIFY(isNoticed(folder, kIndex));
    writeFile(folder / kIndex, index);
}

/// reliability 35, 36, 40, 41 of the files that were written.
void HostileSourcesTest::damageParts(const fs::path& entry, const std::vector<fs::path>& parts)
{
    for (const fs::path& part : parts) {
        const std::string name = part.filename().native();
        const std::string bytes = readFile(part);
        const bool isFirst = part == entry;  // which is what is opened: not there, it is not found
        fs::remove(part);
        if (!isFirst)
            QVERIFY2(isNoticed(entry, name), (name + " removed").c_str());
        writeFile(m_out.parent_path() / "elsewhere", bytes);
        fs::create_symlink(m_out.parent_path() / "elsewhere", part);
        if (writesFolder())
            QVERIFY2(isNoticed(entry, name), (name + " a link out of the folder").c_str());
        fs::remove(part);
        for (const char* const text : {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "<!DOCTYPE html><html></html>", "", "GG"}) {
            writeFile(part, std::string(text));
            QVERIFY2(isNoticed(entry, name), (name + " is: " + text).c_str());
        }
        for (const std::size_t size : {std::size_t{7}, std::size_t{100}, bytes.size() / 4, bytes.size() / 2, bytes.size() - 40, bytes.size() - 1}) {
            writeFile(part, bytes.substr(0, size));
            // A GGUF's last padding may lack, for no tensor is there.
            const auto opened = Checkpoint::open(entry, {.strict = true, .coded = &codedFormats()});
            QVERIFY2(isNoticed(entry, name) || (!writesFolder() && size + 32 > bytes.size() && opened), (name + " cut to " + std::to_string(size)).c_str());
        }
        writeFile(part, bytes);
    }
}

/// No set of files that lacks or mixes something is taken for whole, whatever wrote it.
void HostileSourcesTest::writtenSetsThatAreNotWholeAreNoticed()
{
    begin();
    ExportRequest r = plan();
    r.splitMaxBytes = 90'000;
    QVERIFY(run(r));
    const auto whole = files();
    const auto estimate = m_exporter->estimate(r);
    QVERIFY(estimate);
    std::vector<fs::path> parts;
    for (const OutputFile& output : estimate->outputs)
        if (output.kind == "model")
            parts.push_back(output.path);
    QVERIFY(parts.size() > 1 || m_exporter->id == "gguf");
    const fs::path entry = writesFolder() ? r.output : parts.front();
    const auto intact = Checkpoint::open(entry, {.strict = true, .coded = &codedFormats()});
    QVERIFY2(intact, intact ? "" : intact.error().detail.c_str());
    QVERIFY(verifyModel(**intact, nullptr)->findings.empty());
    damageParts(entry, parts);
    if (QTest::currentTestFailed())
        return;
    if (writesFolder())
        damageIndex(r.output);
    QVERIFY(files() == whole);
    if (m_ggufTensors == 0)
        return;
    for (const char* key : {"split.no", "split.count", "split.tensors.count"}) {  // 42
        std::string bytes = readFile(parts[1]);
        const auto at = bytes.find(key);
        QVERIFY(at != std::string::npos);
        bytes[at + std::string(key).size() + 4] ^= 7;
        writeFile(parts[1], bytes);
        const auto opened = Checkpoint::open(entry);
        QVERIFY2(!opened, key);
        QVERIFY2(opened.error().detail.find("split.") != std::string::npos, opened.error().detail.c_str());
    }
}

/// reliability 67: a scale that is no number in what another program, or this one, has quantized before.
void HostileSourcesTest::scalesThatAreNotFiniteAreKeptAndNamed()
{
    begin();
    const QString target = QTest::currentDataTag();
    const char* name = "model.layers.0.mlp.down_proj.weight";
    // Its parts in each layout that is written and read again: where a half float may hold NaN.
    for (const auto& [layout, scales] : {std::pair{"compressed-tensors", ".weight_scale"}, {"gptq", ".scales"}, {"awq", ".scales"}}) {
        makeModel();
        useTarget(layout);
        ExportRequest packed = plan(0);
        packed.splitMaxBytes = 5'000'000'000;
        packed.output = m_out / "packed";
        QVERIFY(run(packed));
        const fs::path file = packed.output / "model.safetensors";
        const auto stored = Checkpoint::open(file);
        std::string bytes = readFile(file);
        const auto header = bytes.find("\"model.layers.0.mlp.down_proj" + std::string(scales) + '"');
        QVERIFY(header != std::string::npos);
        const std::string offsets = "\"data_offsets\":[";
        const auto at = bytes.find(offsets, header) + offsets.size();
        std::uint64_t length = 0;
        std::memcpy(&length, bytes.data(), sizeof length);
        const std::size_t scale = 8 + length + std::stoull(bytes.substr(at, 20));
        bytes[scale] = '\x01';
        bytes[scale + 1] = '\x7e';
        writeFile(file, bytes);
        m_model = *Checkpoint::open(packed.output);
        useTarget(target);
        ExportRequest r = plan();
        const auto result = run(r);
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        const auto& tensor = *std::ranges::find(result->tensors, name, &TensorResult::name);
        QCOMPARE(tensor.method, std::string("keep"));
        QVERIFY2(tensor.fallback.find("non-finite values: ") != std::string::npos, tensor.fallback.c_str());
        const auto found = reopened(r);
        QVERIFY(found);
        const auto before = valuesOf(*m_model, name);
        const auto after = valuesOf(*found, m_exporter->id == "gguf" ? "blk.0.ffn_down.weight" : name);
        QVERIFY(std::ranges::count_if(before, [](float v) { return std::isnan(v); }) > 0);
        QCOMPARE(before.size(), after.size());
        for (std::size_t i = 0; i < before.size(); ++i) {  // as it is, but for the rounding of BF16 where that is the target
            const bool isClose = m_exporter->id == "bf16" ? std::abs(after[i] - before[i]) <= 0x1p-8F * std::abs(before[i]) : after[i] == before[i];
            QVERIFY(isClose || (std::isnan(before[i]) && std::isnan(after[i])));
        }
    }
}

/// reliability 76: NaN, negative, all zero, too short or absent: the layer goes without, as if there were no calibration.
void HostileSourcesTest::calibrationThatCannotBeUsedIsListedLayerByLayer()
{
    begin();
    const auto weighted = [&] {
        ExportRequest r = plan();
        for (LayerPlan& layer : r.plan.layers)
            layer.metric = layer.keep ? layer.metric : MetricKind::DiagonalRms;
        return r;
    };
    const auto codes = [&](const RunResult& result) {
        std::vector<std::pair<std::string, std::optional<double>>> all;
        for (const TensorResult& tensor : result.tensors)
            all.emplace_back(tensor.name, tensor.weightError);
        return all;
    };
    const auto without = run(weighted());
    QVERIFY2(without, without ? "" : without.error().detail.c_str());
    clear();
    const std::vector<std::tuple<std::string, float, std::uint64_t, std::string>> entries{
        {"blk.0.attn_q.weight", std::numeric_limits<float>::quiet_NaN(), kEmbedding, "not finite"},
        {"blk.0.attn_k.weight", -1.0F, kEmbedding, "is negative"},
        {"blk.0.attn_v.weight", 0.0F, kEmbedding, "all columns are zero"},
        {"blk.0.attn_output.weight", std::numeric_limits<float>::infinity(), kEmbedding, "not finite"},
        {"blk.0.ffn_gate.weight", 1.0F, kEmbedding - 1, ""},  // of another model
    };
    std::string file = le(static_cast<std::int32_t>(entries.size()));
    for (const auto& [name, value, columns, reason] : entries) {
        std::vector<float> squares(columns, value == 0.0F ? 0.0F : 1.0F);
        squares[3] = value;
        file += le(static_cast<std::int32_t>(name.size())) + name + le<std::int32_t>(1) + le(static_cast<std::int32_t>(columns)) + rawBytes(squares);
    }
    writeFile(m_folder.parent_path() / "imatrix.dat", file);
    const auto imatrix = readImatrix(m_folder.parent_path() / "imatrix.dat");
    QVERIFY2(imatrix, imatrix ? "" : imatrix.error().detail.c_str());
    ExportRequest r = weighted();
    r.calibration = &*imatrix;
    const auto result = run(r);
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QVERIFY(codes(*result) == codes(*without));
    for (const TensorResult& tensor : result->tensors) {
        if (r.plan.layers[tensor.tensor].keep || r.plan.layers[tensor.tensor].rank == 0)
            continue;
        QVERIFY2(!tensor.fallback.empty() && !tensor.metricError, tensor.name.c_str());
        const auto entry = std::ranges::find_if(entries, [&](const auto& e) { return std::get<0>(e) == ggufNameOf(tensor.name); });
        if (entry != entries.end())
            QVERIFY2(tensor.fallback.find(std::get<3>(*entry)) != std::string::npos, tensor.fallback.c_str());
    }
}

/// reliability 81, 85 of what lies beside a model: no FIFO is waited for, no link followed out, no loop walked.
void HostileSourcesTest::sideFilesThatAreNoneAreLeftOut()
{
    begin();
    QVERIFY(run(plan()));
    const auto expected = files();
    clear();
    QCOMPARE(::mkfifo((m_folder / "vocab.txt").c_str(), 0600), 0);
    QCOMPARE(::mkfifo((m_folder / "README.md").c_str(), 0600), 0);
    fs::create_symlink("generation_config.json", m_folder / "generation_config.json");
    fs::create_symlink(m_folder / "absent", m_folder / "merges.txt");
    fs::create_symlink("/etc/passwd", m_folder / "LICENSE");
    fs::create_directory(m_folder / "NOTICE");
    const auto opened = Checkpoint::open(m_folder);
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    m_model = *opened;
    const auto result = run(plan());
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    QVERIFY(files() == expected);
    // What is needed and is none is refused, at once.
    for (const char* needed : {"config.json", "tokenizer.model"}) {
        clear();
        const std::string bytes = readFile(m_folder / needed);
        fs::remove(m_folder / needed);
        QCOMPARE(::mkfifo((m_folder / needed).c_str(), 0600), 0);
        const auto again = Checkpoint::open(m_folder);
        if (again) {
            m_model = *again;
            const auto refused = run(plan());
            QVERIFY(!refused || (writesFolder() && refused->estimate.outputs.size() < expected.size()));
        }
        fs::remove(m_folder / needed);
        writeFile(m_folder / needed, bytes);
    }
}

QTEST_GUILESS_MAIN(HostileSourcesTest)
#include "tst_hostile_sources.moc"
