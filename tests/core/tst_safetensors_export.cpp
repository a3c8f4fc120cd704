// SPDX-License-Identifier: GPL-3.0-or-later
// Models written as safetensors: what the dequantized copy and the research container hold, and in which files.
// (What stands at their place before, and what fails on the way: tst_safetensors_replace.cpp.)
#include "core/export/SafetensorsWriter.h"
#include "core/export/SideFiles.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/project/Pipeline.h"
#include "support/SafetensorsFixture.h"

#include <cmath>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

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

class TestSafetensorsExport : public QObject, private SafetensorsFixture {
    Q_OBJECT

private slots:
    void init() { makeFolder(); }

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
        QCOMPARE(readFile(r.output / "tokenizer.model"), readFile(m_folder / "tokenizer.model"));
        const auto config = parseJson(readFile(r.output / "config.json"), "config.json");
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

    /// Templates beyond the usual one lie in a folder of their own; an export that is given up leaves none behind.
    void namedChatTemplatesAreCopiedToo()
    {
        const fs::path from = m_folder / kTemplatesFolder;
        fs::create_directory(from);
        writeFile(from / "rag.jinja", "{{ rag }}");
        writeFile(from / "note.txt", "no template");
        fs::create_symlink(fs::temp_directory_path(), from / "link.jinja");
        const ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 0));
        {
            const auto given = makeBf16Exporter(r);
            QVERIFY2(given, given ? "" : given.error().detail.c_str());
            QVERIFY(fs::exists(r.output / kTemplatesFolder));
            QVERIFY(std::ranges::any_of((*given)->estimate().notes, [](const std::string& note) {
                return note.find("link.jinja") != std::string::npos && note.ends_with("not copied");
            }));
        }
        QVERIFY(!fs::exists(r.output));
        QVERIFY(exported(makeBf16Exporter, r));
        fs::remove_all(from);
        QCOMPARE(namesIn(r.output / kTemplatesFolder), (std::set<std::string>{"rag.jinja"}));
        QCOMPARE(readFile(r.output / kTemplatesFolder / "rag.jinja"), std::string("{{ rag }}"));
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
