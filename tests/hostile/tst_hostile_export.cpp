// SPDX-License-Identifier: GPL-3.0-or-later
//
// Odd models on their way out: reliability 11, 26, 30, 36, 41 and 64. What the target cannot hold
// is refused before the run, naming file, tensor and offset, and leaves no file; what it can is copied byte for byte.

#include "cli/CliRun.h"
#include "core/project/Pipeline.h"
#include "support/ExporterFixture.h"
#include "support/FileBuilders.h"

#include <QTemporaryDir>
#include <QTest>

#include <random>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

constexpr const char* kOutput = "model.layers.0.self_attn.o_proj.weight";

QByteArray all(const std::vector<std::string>& parts)
{
    QByteArray joined;
    for (const std::string& part : parts)
        joined += QByteArray::fromStdString(part) + '\n';
    return joined;
}

std::string bytesOf(std::uint32_t seed, std::size_t count)
{
    std::mt19937 bits(seed);
    std::string bytes(count, '\0');
    for (char& byte : bytes)
        byte = static_cast<char>(bits());
    return bytes;
}

/// Every type that GGUF knows, two rows of two blocks each, all bits at random: scales that are NaN, Inf and
/// subnormal are among them.
struct EveryType {
    GgufBytes file;
    std::vector<std::string> names;
    std::vector<std::string> data;

    EveryType()
    {
        file.text("general.architecture", "llama");
        for (const DTypeInfo& type : allDTypes()) {
            if (type.ggmlId < 0)
                continue;
            const std::uint64_t cols = 2ULL * type.blockElements;
            names.push_back("blk.0." + std::string(type.name) + ".weight");
            data.push_back(bytesOf(static_cast<std::uint32_t>(type.ggmlId), 4 * type.blockBits / 8));
            file.tensor(names.back(), {cols, 2}, static_cast<std::uint32_t>(type.ggmlId), file.data.size());
            file.data += data.back();
            file.data.resize((file.data.size() + 31) / 32 * 32, '\0');
        }
    }
};

}  // namespace

class HostileExportTest : public QObject, private ExporterFixture {
    Q_OBJECT

private:
    void expectRefusal(const Error& error, ErrorCode code, const std::vector<std::string>& parts)
    {
        QVERIFY2(error.code == code, error.detail.c_str());
        for (const std::string& part : parts)
            QVERIFY2(error.detail.find(part) != std::string::npos, ("no \"" + part + "\" in: " + error.detail).c_str());
    }
    /// The command line fails saying all of it, and writes nothing.
    void expectCliRefusal(const fs::path& model, const std::vector<std::string>& parts)
    {
        const CliRun run
            = cli({"quantize", qpath(model), "--preset", "rtn-w4", "--to", "gguf", "-o", qpath(m_out / "m.gguf")});
        QCOMPARE(run.crashed, false);
        QCOMPARE(run.exitCode, 1);
        for (const std::string& part : parts)
            QVERIFY2(run.err.contains(part.c_str()), (run.err + "\nlacks one of\n" + all(parts)).constData());
        QVERIFY(run.out.isEmpty());
        QVERIFY(fs::is_empty(m_out));
    }
    /// The model in two shards; the second holds the last @p inSecond tensors.
    std::size_t writeShards(std::size_t inSecond)
    {
        const auto tensors = tinyLlama();
        const auto middle = tensors.end() - static_cast<std::ptrdiff_t>(inSecond);
        fs::remove(m_folder / "model.safetensors");
        writeFile(m_folder / "one.safetensors", safetensorsBytes({tensors.begin(), middle}));
        const std::string second = safetensorsBytes({middle, tensors.end()});
        writeFile(m_folder / "two.safetensors", second);
        std::string map;
        for (auto tensor = tensors.begin(); tensor != tensors.end(); ++tensor)
            map += (map.empty() ? "\"" : ",\"") + tensor->name
                + (tensor < middle ? R"(":"one.safetensors")" : R"(":"two.safetensors")");
        writeFile(m_folder / "model.safetensors.index.json", R"({"weight_map":{)" + map + "}}");
        return second.size();
    }
    void openModel()
    {
        auto opened = Checkpoint::open(m_folder);
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        m_model = *opened;
    }
    [[nodiscard]] std::string offsetOf(const char* tensor) const
    {
        return "at byte " + std::to_string(m_model->tensors()[*m_model->find(tensor)].offset);
    }

private slots:
    void init() { makeModel(); }

    void aMissingShardRefusesTheExport()  // 36
    {
        writeShards(3);
        fs::remove(m_folder / "two.safetensors");
        openModel();
        QVERIFY(m_model->isIncomplete());
        const std::vector<std::string> parts{
            (m_folder / "two.safetensors").native(), "model.layers.0.mlp.down_proj.weight",
            "is missing: put it beside the others and open the model again", "an export needs every tensor"};
        expectRefusal(refusalOf(request(keepAll(*m_model))), ErrorCode::MissingShard, parts);
        QVERIFY(!estimateGguf(request(keepAll(*m_model))));
        expectCliRefusal(m_folder, parts);
        // Done as told, it works.
        writeShards(3);
        openModel();
        QVERIFY(!m_model->isIncomplete());
        QVERIFY(runExport(request(keepAll(*m_model))));
    }

    void aMissingFileOfASplitGgufRefusesTheExport()  // 36
    {
        const auto split = [](std::uint16_t number, const char* tensor) {
            GgufBytes file;
            file.text("general.architecture", "llama")
                .key("split.no", 2, le(number))
                .key("split.count", 2, le<std::uint16_t>(2));
            file.key("split.tensors.count", 5, le<std::int32_t>(2)).tensor(tensor, {8}, 0, 0).withData(32);
            return file.bytes();
        };
        writeFile(m_folder / "m-00001-of-00002.gguf", split(0, "a"));
        writeFile(m_folder / "m-00002-of-00002.gguf", split(1, "b"));
        const fs::path missing = m_folder / "m-00002-of-00002.gguf";
        fs::rename(missing, m_folder / "elsewhere");
        auto opened = Checkpoint::open(m_folder / "m-00001-of-00002.gguf");
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        m_model = *opened;
        QVERIFY(m_model->isIncomplete());
        const std::vector<std::string> parts{missing.native(), "put it beside the others and open the model again"};
        expectRefusal(refusalOf(request(keepAll(*m_model))), ErrorCode::MissingShard, parts);
        expectCliRefusal(m_folder / "m-00001-of-00002.gguf", parts);
        fs::rename(m_folder / "elsewhere", missing);
        m_model = *Checkpoint::open(missing);
        QVERIFY(runExport(request(keepAll(*m_model))));
        QCOMPARE(written()->tensors().size(), std::size_t{2});
    }

    void aShardStillGrowingRefusesTheExport()  // 41
    {
        const std::size_t whole = writeShards(3);
        fs::resize_file(m_folder / "two.safetensors", whole - 1);
        openModel();
        QVERIFY(m_model->isIncomplete());
        QVERIFY(m_model->warnings()[0].detail.find("incomplete, " + std::to_string(whole - 1) + " of "
                                                   + std::to_string(whole) + " bytes")
                != std::string::npos);
        const std::vector<std::string> parts{"two.safetensors", "lm_head.weight", offsetOf("lm_head.weight"),
                                             "its data end at byte " + std::to_string(whole) + ", the file has "
                                                 + std::to_string(whole - 1),
                                             "an export needs every tensor"};
        expectRefusal(refusalOf(request(keepAll(*m_model))), ErrorCode::Truncated, parts);
        expectCliRefusal(m_folder, parts);
    }

    void typesThatTheTargetLacksAreRefusedBeforeTheRun_data()  // 30
    {
        QTest::addColumn<QString>("dtype");
        QTest::addColumn<int>("bytesPerRow");
        QTest::newRow("F8_E8M0") << "F8_E8M0" << 64;
        QTest::newRow("F4") << "F4" << 32;
        QTest::newRow("C64") << "C64" << 512;
        QTest::newRow("F8_E4M3") << "F8_E4M3" << 64;
        QTest::newRow("of the future") << "I24" << 192;
    }

    void typesThatTheTargetLacksAreRefusedBeforeTheRun()
    {
        QFETCH(QString, dtype);
        QFETCH(int, bytesPerRow);
        auto tensors = tinyLlama();
        named(tensors, "o_proj") = {kOutput,
                                    dtype.toStdString(),
                                    {kEmbedding, kEmbedding},
                                    bytesOf(1, kEmbedding * static_cast<std::size_t>(bytesPerRow))};
        m_model = writeFolder(m_folder, tensors);
        QVERIFY(m_model);
        const std::vector<std::string> parts{"model.safetensors", kOutput, offsetOf(kOutput),
                                             "GGUF has no type " + dtype.toStdString()};
        expectRefusal(refusalOf(request(keepAll(*m_model))), ErrorCode::NotRepresentable, parts);
        expectCliRefusal(m_folder, parts);
    }

    void everyTypeOfGgufIsCopiedByteForByte()  // 30
    {
        const EveryType every;
        QVERIFY(every.names.size() > 30);
        writeFile(m_out / "every.gguf", every.file.bytes());
        auto opened = Checkpoint::open(m_out / "every.gguf", {.strict = true});
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        m_model = *opened;
        const auto result = quantize(request(keepAll(*m_model)), *findExporter("gguf"), *makeCpuBackend(), {}, {});
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        const auto copy = written();
        QVERIFY(copy);
        QCOMPARE(copy->tensors().size(), every.names.size());
        for (std::size_t i = 0; i < every.names.size(); ++i) {
            const auto at = copy->find(every.names[i]);
            QVERIFY2(at, every.names[i].c_str());
            const auto view = copy->view(*at);
            QVERIFY(view);
            QCOMPARE(view->dtype, m_model->tensors()[i].dtype);
            QVERIFY2(std::string(reinterpret_cast<const char*>(view->bytes.data()), view->bytes.size())
                         == every.data[i],
                     every.names[i].c_str());
            QCOMPARE(result->tensors[i].method, std::string("keep"));
        }
    }

    void namesWithANulAreShownEscapedAndNotExported()  // 11
    {
        auto tensors = tinyLlama();
        tensors.push_back({"model.layers.0.odd\\u0000name.weight", "F32", {1}, std::string(4, '\0')});
        m_model = writeFolder(m_folder, tensors);
        QVERIFY(m_model);
        const std::string name("model.layers.0.odd\0name.weight", 30);
        QVERIFY(m_model->find(name));
        const std::vector<std::string> parts{"model.safetensors", "tensor 'model.layers.0.odd\\x00name.weight'",
                                             "at byte"};
        expectRefusal(refusalOf(request(keepAll(*m_model))), ErrorCode::NotRepresentable, parts);
        expectCliRefusal(m_folder, parts);
        const CliRun shown = cli({"inspect", qpath(m_folder)});
        QCOMPARE(shown.exitCode, 0);
        QVERIFY(shown.out.contains("model.layers.0.odd\\x00name.weight") && !shown.out.contains('\0'));
    }

    void namesOfAGgufThatLlamaCppWouldCutAreNotExported_data()  // 11, 64
    {
        QTest::addColumn<QByteArray>("name");
        QTest::addColumn<QString>("shown");
        QTest::addColumn<QString>("reason");
        QTest::newRow("11 NUL") << QByteArray("blk.0.a\0b.weight", 16) << "'blk.0.a\\x00b.weight'"
                                << "NUL";
        QTest::newRow("64 bytes") << QByteArray(64, 'n') << QString(64, 'n')
                                  << "has 64 bytes, llama.cpp takes at most 63";
    }

    void namesOfAGgufThatLlamaCppWouldCutAreNotExported()
    {
        QFETCH(QByteArray, name);
        QFETCH(QString, shown);
        QFETCH(QString, reason);
        GgufBytes file;
        file.text("general.architecture", "llama").tensor(name.toStdString(), {8}, 0, 0).withData(32);
        writeFile(m_folder / "odd.gguf", file.bytes());
        auto opened = Checkpoint::open(m_folder / "odd.gguf");
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        m_model = *opened;
        QCOMPARE(m_model->warnings().size(), std::size_t{1});
        const std::vector<std::string> parts{"odd.gguf", shown.toStdString(),
                                             "at byte " + std::to_string(file.dataStart()), reason.toStdString()};
        expectRefusal(refusalOf(request(keepAll(*m_model))), ErrorCode::NotRepresentable, parts);
        expectCliRefusal(m_folder / "odd.gguf", parts);
    }

    void tensorsWithoutElementsAreLeftOutWithANote()  // 26
    {
        auto tensors = tinyLlama();
        const std::string empty = "model.layers.0.self_attn.extra.weight";
        tensors.push_back(floats(empty, {3, 0, 64}, {}));
        m_model = writeFolder(m_folder, tensors);
        QVERIFY(m_model);
        const ModelTopology topology(*m_model);
        const auto planned = resolve(*recipeFromPreset("rtn-w4"), *m_model, topology);
        QVERIFY(planned);
        const auto result = quantize(request(planned->plan), *findExporter("gguf"), *makeCpuBackend(), {}, {});
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        QCOMPARE(result->estimate.notes.size(), std::size_t{1});
        QVERIFY(result->estimate.notes[0].starts_with(empty + ": not written, its shape [3, 0, 64] holds no elements"));
        QCOMPARE(written()->tensors().size(), tinyLlama().size());
        // Planned for a grid all the same, it stays as it is and says so.
        QuantizationPlan plan = keepAll(*m_model);
        plan.layers.back() = onGrid("q4_0", 2);
        const auto looked = preflight(*m_model, plan, *makeCpuBackend(), {});
        QVERIFY(looked && looked->plan.layers.back().keep);
        QCOMPARE(looked->fallbacks.size(), std::size_t{1});
        QVERIFY(looked->fallbacks[0].detail.find("no elements") != std::string::npos);
        const CliRun run
            = cli({"quantize", qpath(m_folder), "--preset", "rtn-w4", "--to", "gguf", "-o", qpath(m_out / "cli.gguf")});
        QCOMPARE(run.exitCode, 0);
        QVERIFY2(run.err.contains("not written, its shape [3, 0, 64]"), run.err.constData());
        const CliRun json = cli({"quantize", qpath(m_folder), "--preset", "rtn-w4", "--to", "gguf", "-o",
                                 qpath(m_out / "json.gguf"), "--json"});
        QCOMPARE(json.exitCode, 0);
        const QJsonArray notes = json.json()[u"notes"].toArray();
        QCOMPARE(notes.size(), 1);
        QVERIFY(notes[0].toString().startsWith(QString::fromStdString(empty) + ": not written, its shape [3, 0, 64]"));
    }
};

QTEST_GUILESS_MAIN(HostileExportTest)
#include "tst_hostile_export.moc"
