// SPDX-License-Identifier: GPL-3.0-or-later
// Models written as safetensors: the dequantized copy and the research container, their files, shards and refusals.
#include "core/export/SafetensorsWriter.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/project/Pipeline.h"
#include "support/ExporterFixture.h"
#include "support/FaultySystem.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

using Make = Result<std::unique_ptr<Exporter>> (*)(ExportRequest);

std::string contentOf(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::set<std::string> namesIn(const fs::path& folder)
{
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
        names.insert(entry.path().filename().string());
    return names;
}

std::map<std::string, std::string> filesIn(const fs::path& folder)
{
    std::map<std::string, std::string> files;
    for (const std::string& name : namesIn(folder))
        files[name] = contentOf(folder / name);
    return files;
}

Status exported(Make make, const ExportRequest& request, SizeEstimate* estimate = nullptr, FactorType type = FactorType::F16)
{
    auto exporter = make(request);
    if (!exporter)
        return passOn(exporter);
    for (const std::size_t tensor : (*exporter)->order()) {
        if (Status added = (*exporter)->add(layerOf(request, tensor, {}, type)); !added)
            return added;
    }
    if (estimate != nullptr)
        *estimate = (*exporter)->estimate();
    return (*exporter)->finish();
}

/// Q + L R of a layer as it was handed to the exporter.
std::vector<float> decodedLayer(const QuantizedLayer& layer)
{
    const QuantizedTensor& quantized = *layer.quantized;
    std::vector<float> values(quantized.rows * quantized.cols);
    quantized.grid->decode(quantized.codes, quantized.rows, quantized.cols, values);
    if (!layer.factors)
        return values;
    const MatrixF product = layer.factors->decodedLeft() * layer.factors->decodedRight();
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] += product.data()[i];
    return values;
}

}  // namespace

class TestSafetensorsExport : public QObject, private ExporterFixture {
    Q_OBJECT

    [[nodiscard]] ExportRequest folderRequest(QuantizationPlan plan, const char* name = "hf") const
    {
        ExportRequest r = request(std::move(plan));
        r.output = m_out / name;
        return r;
    }
    static void eachTarget()
    {
        QTest::addColumn<QString>("target");
        QTest::newRow("bf16") << "bf16";
        QTest::newRow("research") << "research";
    }
    static const ExporterRow& rowOf(const QString& target) { return *findExporter(target.toStdString()); }

private slots:
    void init()
    {
        makeModel();
        writeFile(m_folder / "generation_config.json", "{}");
        writeFile(m_folder / "notes.txt", "not for runtimes");
    }

    void estimatesHoldToTheByte_data() { eachTarget(); }
    void estimatesHoldToTheByte()
    {
        QFETCH(QString, target);
        for (const char* grid : {"int3-g32-asym", "q4_0", "int8-row-f32"}) {
            for (const Bytes limit : {Bytes{5'000'000'000}, Bytes{40'000}}) {
                for (const std::uint32_t rank : {0U, 5U}) {
                    fs::remove_all(m_out / "hf");
                    ExportRequest r = folderRequest(quantizeBlock(*m_model, grid, rank));
                    r.splitMaxBytes = limit;
                    const auto estimate = rowOf(target).estimate(r);
                    QVERIFY2(estimate, estimate ? "" : estimate.error().detail.c_str());
                    const Status status = exported(rowOf(target).make, r);
                    QVERIFY2(status, status ? "" : status.error().detail.c_str());
                    Bytes sum = 0;
                    for (const OutputFile& output : estimate->outputs) {
                        QCOMPARE(Bytes{fs::file_size(output.path)}, output.bytes);
                        sum += output.bytes;
                    }
                    QCOMPARE(sum, estimate->total);
                    QCOMPARE(estimate->codes + estimate->kept + estimate->factors + estimate->overhead, estimate->total);
                    QCOMPARE(namesIn(m_out / "hf").size(), estimate->outputs.size());
                    QCOMPARE(estimate->factors > 0, target == "research" && rank > 0);
                }
            }
        }
    }

    void dequantizedWeightsAreTheNearestBf16AndKeptOnesTheSameBytes()
    {
        const ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 3));
        auto exporter = makeBf16Exporter(r);
        QVERIFY(exporter);
        std::map<std::size_t, QuantizedLayer> layers;
        for (const std::size_t tensor : (*exporter)->order()) {
            layers[tensor] = layerOf(r, tensor);
            QVERIFY((*exporter)->add(layers[tensor]));
        }
        QVERIFY((*exporter)->finish());
        const auto copy = Checkpoint::open(r.output, {.strict = true});
        QVERIFY2(copy, copy ? "" : copy.error().detail.c_str());
        QCOMPARE((*copy)->tensors().size(), m_model->tensors().size());
        for (std::size_t i = 0; i < m_model->tensors().size(); ++i) {
            const TensorInfo& from = m_model->tensors()[i];
            const auto view = (*copy)->view(*(*copy)->find(from.name));
            QCOMPARE(view->shape, from.shape);
            if (r.plan.layers[i].keep) {
                QCOMPARE(view->dtype, from.dtype);
                QVERIFY(std::ranges::equal(view->bytes, m_model->view(i)->bytes));
                continue;
            }
            QCOMPARE(view->dtype, DType::BF16);
            const std::vector<float> expected = decodedLayer(layers[i]);
            for (std::size_t e = 0; e < expected.size(); ++e) {
                std::uint16_t bits = 0;
                std::memcpy(&bits, view->bytes.data() + 2 * e, 2);
                // The product's sum may differ in its last bit from Eigen's: at most the neighbouring BF16.
                QVERIFY(std::abs(bf16ToFloat(bits) - expected[e]) <= std::abs(expected[e]) * 0x1.1p-8F + 1e-6F);
            }
        }
    }

    void roundingIsToEvenAndOverflowIsRefused()
    {
        auto tensors = tinyLlama();
        TinyTensor& gate = named(tensors, "gate_proj");
        std::vector<float> values(kFeedForward * kEmbedding, 0.0F);
        values[0] = 1.0F;
        gate = floats(gate.name, {kFeedForward, kEmbedding}, values);
        m_model = writeFolder(m_folder, tensors);
        QuantizationPlan plan = keepAll(*m_model);
        const std::size_t index = *m_model->find(gate.name);
        plan.layers[index] = onGrid("int2-row-f64", 1);
        const ExportRequest r = folderRequest(plan);
        // L R alone decides: exact values halfway between two BF16.
        const auto writes = [&](float value) {
            auto exporter = makeBf16Exporter(r);
            for (const std::size_t tensor : (*exporter)->order()) {
                QuantizedLayer layer = layerOf(r, tensor);
                if (tensor == index) {
                    std::ranges::fill(layer.quantized->codes, std::byte{0});
                    for (std::size_t row = 0; row < kFeedForward; ++row)  // scale 0: Q is 0
                        std::ranges::fill(std::span(layer.quantized->codes).subspan(row * 24 + 8, 16), std::byte{0x55});
                    StoredFactors factors{.type = FactorType::F32, .rows = kFeedForward, .cols = kEmbedding, .rank = 1};
                    std::vector<float> left(kFeedForward, value);
                    std::vector<float> right(kEmbedding, 1.0F);
                    const auto l = std::as_bytes(std::span(left));
                    const auto k = std::as_bytes(std::span(right));
                    factors.left.assign(l.begin(), l.end());
                    factors.right.assign(k.begin(), k.end());
                    layer.factors = factors;
                }
                if (Status added = (*exporter)->add(layer); !added)
                    return added;
            }
            return (*exporter)->finish();
        };
        const std::pair<std::uint32_t, std::uint16_t> ties[]{{0x3F808000, 0x3F80}, {0x3F818000, 0x3F82}, {0x3F808001, 0x3F81}, {0xBF818000, 0xBF82}};
        for (const auto& [from, to] : ties) {
            fs::remove_all(r.output);
            QVERIFY(writes(std::bit_cast<float>(from)));
            const auto copy = Checkpoint::open(r.output);
            std::uint16_t bits = 0;
            std::memcpy(&bits, (*copy)->view(*(*copy)->find(gate.name))->bytes.data(), 2);
            QCOMPARE(bits, to);
        }
        fs::remove_all(r.output);
        const Status overflow = writes(std::numeric_limits<float>::max());
        QVERIFY(!overflow);
        QCOMPARE(overflow.error().code, ErrorCode::ScaleOutOfRange);
        QVERIFY(!fs::exists(r.output));
    }

    void foldersHoldConfigTokenizerAndNothingElse()
    {
        const ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 0));
        QVERIFY(exported(makeBf16Exporter, r));
        QCOMPARE(namesIn(r.output), (std::set<std::string>{"config.json", "generation_config.json", "model.safetensors", "tokenizer.model"}));
        QCOMPARE(contentOf(r.output / "tokenizer.model"), contentOf(m_folder / "tokenizer.model"));
        const auto config = parseJson(contentOf(r.output / "config.json"), "config.json");
        QVERIFY(config);
        QCOMPARE((*config)["torch_dtype"].get<std::string>(), std::string("bfloat16"));
        QCOMPARE((*config)["hidden_size"].get<int>(), 64);
        QVERIFY((*config)["sigmascope"]["dequantized"].get<bool>());
        const auto copy = Checkpoint::open(r.output);
        std::map<std::string, std::string> notes;
        for (const HeaderNote& note : (*copy)->notes())
            notes[note.key] = note.value;
        QCOMPARE(notes["format"], std::string("pt"));
        QCOMPARE(notes["sigmascope.container"], std::string("dequantized"));
        QVERIFY(notes["sigmascope.note"].find("not the original") != std::string::npos);
    }

    void shardsKeepTheirLimitAndTheIndexNamesEveryTensor_data() { eachTarget(); }
    void shardsKeepTheirLimitAndTheIndexNamesEveryTensor()
    {
        QFETCH(QString, target);
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 2));
        r.splitMaxBytes = 90'000;  // the embedding alone has 76,800
        QVERIFY(exported(rowOf(target).make, r));
        const auto names = namesIn(r.output);
        QVERIFY(names.contains("model.safetensors.index.json") && !names.contains("model.safetensors"));
        std::size_t shards = 0;
        for (const std::string& name : names) {
            if (!name.ends_with(".safetensors"))
                continue;
            ++shards;
            QVERIFY2(fs::file_size(r.output / name) <= r.splitMaxBytes, name.c_str());
        }
        QVERIFY(shards > 1);
        const auto copy = Checkpoint::open(r.output, {.strict = true, .coded = &codedFormats()});
        QVERIFY2(copy, copy ? "" : copy.error().detail.c_str());
        QCOMPARE((*copy)->tensors().size(), m_model->tensors().size());
        // Without its index it is no model: nothing tells the shards' order or number.
        fs::remove(r.output / "model.safetensors.index.json");
        QVERIFY(!Checkpoint::open(r.output));
    }

    void tensorsAreAlignedToTheirType()
    {
        auto tensors = tinyLlama();
        tensors.push_back({"odd", "U8", {3}, std::string(3, '\1')});
        m_model = writeFolder(m_folder, tensors);
        QVERIFY(m_model);
        const ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 0));
        QVERIFY(exported(makeBf16Exporter, r));
        const auto copy = Checkpoint::open(r.output);
        for (const TensorInfo& tensor : (*copy)->tensors())
            QCOMPARE(tensor.offset % (info(tensor.dtype).blockBits / 8), std::uint64_t{0});
    }

    void oneFileAloneIsWrittenWhereTheNameSaysSo_data() { eachTarget(); }
    void oneFileAloneIsWrittenWhereTheNameSaysSo()
    {
        QFETCH(QString, target);
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 0), "weights.safetensors");
        QVERIFY(exported(rowOf(target).make, r));
        QCOMPARE(namesIn(m_out), std::set<std::string>{"weights.safetensors"});
        QVERIFY(Checkpoint::open(r.output, {.strict = true, .coded = &codedFormats()}));
        r.output = m_out / "small.safetensors";
        r.splitMaxBytes = 10'000;
        const auto refused = rowOf(target).make(r);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::NotRepresentable);
        QVERIFY(refused.error().detail.find("folder") != std::string::npos);
    }

    void unknownTypesAreCopiedByteForByte_data() { eachTarget(); }
    void unknownTypesAreCopiedByteForByte()
    {
        QFETCH(QString, target);
        auto tensors = tinyLlama();
        tensors.push_back({"future", "Q99", {4}, "abcdefg"});
        m_model = writeFolder(m_folder, tensors);
        QVERIFY(m_model);
        const ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 0));
        const Status status = exported(rowOf(target).make, r);
        QVERIFY2(status, status ? "" : status.error().detail.c_str());
        const auto copy = Checkpoint::open(r.output, {.coded = &codedFormats()});
        const TensorInfo& tensor = (*copy)->tensors()[*(*copy)->find("future")];
        QCOMPARE(tensor.unknownDtype, std::string("Q99"));
        const auto bytes = (*copy)->shard(0)->bytes().subspan(tensor.offset, tensor.bytes);
        QCOMPARE(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), std::string("abcdefg"));
    }

    void inputsAreNeverWrittenOver_data() { eachTarget(); }
    void inputsAreNeverWrittenOver()
    {
        QFETCH(QString, target);
        const auto before = filesIn(m_folder);
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 0));
        r.overwrite = true;
        fs::create_directory_symlink(m_folder, m_out / "link");
        for (const fs::path& output : {m_folder, m_out / "link", m_folder / "model.safetensors"}) {
            r.output = output;
            const auto refused = rowOf(target).make(r);
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, ErrorCode::OutputIsInput);
        }
        QCOMPARE(filesIn(m_folder), before);
    }

    void whatStandsThereIsReplacedOnlyWhenTold()
    {
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 0));
        r.splitMaxBytes = 90'000;
        QVERIFY(exported(makeBf16Exporter, r));
        ExportRequest whole = r;
        whole.splitMaxBytes = 5'000'000'000;
        const auto refused = makeBf16Exporter(whole);  // no file of the same name, but another model
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::WouldOverwrite);
        whole.overwrite = true;
        QVERIFY(exported(makeBf16Exporter, whole));
        QVERIFY(!fs::exists(r.output / "model.safetensors.index.json"));
        const auto copy = Checkpoint::open(r.output);
        QVERIFY(copy);
        QCOMPARE((*copy)->shardCount(), std::size_t{1});
        r.overwrite = true;
        QVERIFY(exported(makeBf16Exporter, r));
        QVERIFY(!fs::exists(r.output / "model.safetensors"));
        r.splitMaxBytes = 120'000;  // another number of shards: those of before are gone
        QVERIFY(exported(makeBf16Exporter, r));
        const auto sharded = Checkpoint::open(r.output);
        QCOMPARE(namesIn(r.output).size(), (*sharded)->shardCount() + 4);
        for (const std::string& name : namesIn(r.output))
            QVERIFY2(name.find("sigmascope") == std::string::npos && !name.starts_with('.'), name.c_str());
    }

    void aFailureOfAnyCallLeavesTheOldModelIntact_data() { eachTarget(); }
    void aFailureOfAnyCallLeavesTheOldModelIntact()
    {
        QFETCH(QString, target);
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 1));
        r.splitMaxBytes = 90'000;
        QVERIFY(exported(rowOf(target).make, r));
        const auto before = filesIn(r.output);
        const auto restore = [&] {
            fs::remove_all(r.output);
            fs::create_directories(r.output);
            for (const auto& [name, content] : before)
                writeFile(r.output / name, content);
        };
        ExportRequest other = folderRequest(quantizeBlock(*m_model, "int3-g32", 2));
        other.overwrite = true;
        other.splitMaxBytes = 60'000;
        int faults = 0;
        for (int n = 1;; n += n < 12 ? 1 : 3) {
            FaultySystem faulty(FaultySystem::Fault::Once, n);
            other.system = &faulty;
            const Status status = exported(rowOf(target).make, other);
            if (!faulty.hasFailed()) {
                QVERIFY(status);
                break;
            }
            if (status) {  // a name that could not be tidied up, and the like
                restore();
                continue;
            }
            if (status.error().detail.find("may not survive a power cut") != std::string::npos) {  // named, all of them
                QVERIFY(Checkpoint::open(r.output, {.strict = true, .coded = &codedFormats()}));
                restore();
                continue;
            }
            const auto after = filesIn(r.output);
            std::string differences;
            for (const auto& [name, content] : after)
                differences += !before.contains(name) ? " +" + name : content != before.at(name) ? " ~" + name : "";
            for (const auto& [name, content] : before)
                differences += !after.contains(name) ? " -" + name : "";
            QVERIFY2(differences.empty(), (std::to_string(n) + ": " + status.error().detail + ":" + differences).c_str());
            ++faults;
        }
        QVERIFY(faults > 10);
    }

    void aRunTakenUpEndsInTheSameBytes_data() { eachTarget(); }
    void aRunTakenUpEndsInTheSameBytes()
    {
        QFETCH(QString, target);
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g32", 2), "whole");
        r.splitMaxBytes = 90'000;
        std::map<std::size_t, QuantizedLayer> layers;  // factors that did not fit F16
        for (std::size_t i = 0; i < r.plan.layers.size(); ++i)
            layers[i] = layerOf(r, i, {}, FactorType::BF16);
        const auto addTo = [&](Exporter& exporter, std::size_t first, std::size_t count, std::vector<LayerReceipt>* receipts) {
            for (std::size_t i = first; i < first + count; ++i) {
                QVERIFY(exporter.add(layers[exporter.order()[i]]));
                if (receipts != nullptr)
                    receipts->push_back(exporter.receipt());
            }
        };
        auto undisturbed = rowOf(target).make(r);
        QVERIFY(undisturbed);
        const std::size_t all = (*undisturbed)->order().size();
        addTo(**undisturbed, 0, all, nullptr);
        QVERIFY((*undisturbed)->finish());

        ExportRequest cut = r;
        cut.output = m_out / "cut";
        cut.journaled = Journaled{};
        std::vector<LayerReceipt> receipts;
        std::uint64_t layout = 0;
        {
            auto exporter = rowOf(target).make(cut);
            QVERIFY(exporter);
            layout = (*exporter)->layoutChecksum();
            addTo(**exporter, 0, all / 2, &receipts);
        }
        cut.journaled->takeUp = true;
        auto exporter = rowOf(target).make(cut);
        QVERIFY2(exporter, exporter ? "" : exporter.error().detail.c_str());
        QCOMPARE((*exporter)->layoutChecksum(), layout);
        LayerReceipt wrong = receipts[0];
        wrong.ranges[0].checksum ^= 1;
        QVERIFY(!(*exporter)->takeUp((*exporter)->order()[0], wrong, {}));
        wrong = receipts[0];
        wrong.note = "bf16:0,1,2,3,4";
        QVERIFY(!(*exporter)->takeUp((*exporter)->order()[0], wrong, {}));
        for (std::size_t i = 0; i < receipts.size(); ++i) {
            const Status taken = (*exporter)->takeUp((*exporter)->order()[i], receipts[i], {});
            QVERIFY2(taken, taken ? "" : taken.error().detail.c_str());
        }
        addTo(**exporter, receipts.size(), all - receipts.size(), nullptr);
        const Status finished = (*exporter)->finish();
        QVERIFY2(finished, finished ? "" : finished.error().detail.c_str());
        QVERIFY(filesIn(m_out / "cut") == filesIn(m_out / "whole"));
    }

    void ggufsBecomeOneFileAndNoFolder()
    {
        ExportRequest gguf = request(quantizeBlock(*m_model, "q8_0", 0));
        QVERIFY(runExport(gguf));
        m_model = written();
        QVERIFY(m_model);
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g32", 0));
        const auto refused = makeBf16Exporter(r);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::NotRepresentable);
        QVERIFY(refused.error().detail.find(".safetensors") != std::string::npos);
        r.output = m_out / "one.safetensors";
        const Status status = exported(makeBf16Exporter, r);
        QVERIFY2(status, status ? "" : status.error().detail.c_str());
        const auto copy = Checkpoint::open(r.output);
        QCOMPARE((*copy)->tensors()[*(*copy)->find("blk.0.attn_q.weight")].dtype, DType::BF16);
    }

    void headersSayWhatTheyMustNot()
    {
        const auto refused = [](std::vector<SafetensorsSpec> specs) {
            const auto layout = layoutSafetensors({}, std::move(specs));
            return layout ? ErrorCode::Internal : layout.error().code;
        };
        QCOMPARE(refused({}), ErrorCode::NotRepresentable);
        QCOMPARE(refused({{.name = ""}}), ErrorCode::NotRepresentable);
        QCOMPARE(refused({{.name = "__metadata__", .shape = {1}}}), ErrorCode::NotRepresentable);
        QCOMPARE(refused({{.name = "\xFF", .shape = {1}}}), ErrorCode::NotRepresentable);
        QCOMPARE(refused({{.name = "a", .shape = {1}}, {.name = "a", .shape = {1}}}), ErrorCode::NotRepresentable);
        QCOMPARE(refused({{.name = "a", .dtype = DType::Q4_0, .shape = {32}}}), ErrorCode::NotRepresentable);
        const auto layout = layoutSafetensors({{"k", "v\"\n"}}, {{.name = "a\"\x01é", .dtype = DType::F16, .shape = {0, 3}}});
        QVERIFY(layout);
        QCOMPARE(layout->header.size() % 8, std::size_t{0});
        writeFile(m_out / "e.safetensors", layout->header);
        const auto opened = Checkpoint::open(m_out / "e.safetensors", {.strict = true});
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        QCOMPARE((*opened)->tensors()[0].name, std::string("a\"\x01é"));
    }

    void resultsOfARunAreThoseOfTheRoundedWeights()
    {
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int8-g32", 0));
        const auto backend = makeCpuBackend();
        const auto run = quantize(r, *findExporter("bf16"), *backend, {}, {});
        QVERIFY2(run, run ? "" : run.error().detail.c_str());
        const auto copy = Checkpoint::open(r.output);
        for (const TensorResult& result : run->tensors) {
            const auto original = valuesOf(*m_model, result.name);
            const auto stored = valuesOf(**copy, result.name);
            double error = 0;
            double weight = 0;
            for (std::size_t i = 0; i < original.size(); ++i) {
                error += (double{original[i]} - stored[i]) * (double{original[i]} - stored[i]);
                weight += double{original[i]} * original[i];
            }
            QVERIFY(result.weightError);
            QVERIFY(std::abs(*result.weightError - std::sqrt(error / weight)) <= 1e-12);
            QCOMPARE(result.bitsPerWeight, result.method == "keep" ? 32.0 : 16.0);
        }
        QCOMPARE(run->writtenBytes, run->estimate.total);
    }
};

QTEST_GUILESS_MAIN(TestSafetensorsExport)
#include "tst_safetensors_export.moc"
