// SPDX-License-Identifier: GPL-3.0-or-later
#include "support/ExporterFixture.h"

#include <cmath>

using namespace sigmascope;
using namespace sigmascope::test;

class TestExporter : public QObject, private ExporterFixture {
    Q_OBJECT

private slots:
    void init() { makeModel(); }

    void estimatesHoldToTheByte_data()
    {
        QTest::addColumn<QString>("grid");
        QTest::addColumn<uint>("rank");
        for (const char* grid : {"", "q4_0", "q5_1", "q8_0"}) {
            for (const unsigned rank : {0U, 1U, 3U, 32U})
                QTest::addRow("%s rank %u", *grid ? grid : "kept", rank) << grid << rank;
        }
    }

    void estimatesHoldToTheByte()
    {
        QFETCH(QString, grid);
        QFETCH(uint, rank);
        const ExportRequest r =
            request(grid.isEmpty() ? keepAll(*m_model) : quantizeBlock(*m_model, grid.toStdString(), rank));
        const auto estimate = estimateGguf(r);
        QVERIFY2(estimate, estimate ? "" : estimate.error().detail.c_str());
        SizeEstimate made;
        const Status status = runExport(r, &made);
        QVERIFY2(status, status ? "" : status.error().detail.c_str());
        Bytes sum = 0;
        for (const OutputFile& output : estimate->outputs) {
            QCOMPARE(Bytes{fs::file_size(output.path)}, output.bytes);
            sum += output.bytes;
        }
        QCOMPARE(sum, estimate->total);
        QCOMPARE(made.total, estimate->total);
        QCOMPARE(estimate->codes + estimate->kept + estimate->factors + estimate->overhead, estimate->total);
        QCOMPARE(estimate->outputs.size(), std::size_t{!grid.isEmpty() && rank > 0 ? 2U : 1U});
        // q 64x64, k and v 32x64, o 64x64, gate and up 96x64, down 64x96: 30,720 weights; factors 2 bytes a value.
        constexpr std::uint64_t kWeights = 30720, kSides = 128 + 2 * 96 + 128 + 3 * 160;
        const Bytes codes = grid.isEmpty() ? 0 : kWeights / 32 * info(*dtypeFromName(grid.toStdString())).blockBits / 8;
        QCOMPARE(estimate->codes, codes);
        QCOMPARE(estimate->factors, grid.isEmpty() ? 0 : 2 * rank * kSides);
        const auto planner = GgufPlanner::create(m_model);
        QCOMPARE((*planner)->estimate(r.plan, nullptr, r.output)->total, estimate->total);
    }

    void rowsOfQAndKAreInterleavedAndOthersStay()
    {
        QVERIFY(runExport(request(quantizeBlock(*m_model, "q8_0", 2))));
        const auto gguf = written();
        const auto adapter = written("m-lora.gguf");
        QVERIFY(gguf && adapter);
        for (const char* part : {"q", "k", "v"}) {
            const auto from = *m_model->find(std::string("model.layers.0.self_attn.") + part + "_proj.weight");
            const ExportRequest r = request(quantizeBlock(*m_model, "q8_0", 2));
            const QuantizedLayer layer = layerOf(r, from);
            const std::string name = std::string("blk.0.attn_") + part + ".weight";
            const auto found = gguf->view(*gguf->find(name));
            const std::size_t rowBytes = layer.quantized->grid->rowBytes(kEmbedding);
            for (std::size_t row = 0; row < layer.quantized->rows; ++row) {
                // New row h*32 + 2i + p is old row h*32 + p*16 + i.
                const std::size_t inHead = row % kHead;
                const std::size_t old = *part == 'v' ? row : row - inHead + inHead % 2 * 16 + inHead / 2;
                QVERIFY(std::memcmp(found->bytes.data() + row * rowBytes, layer.quantized->codes.data() + old * rowBytes, rowBytes) == 0);
            }
            QVERIFY(adapter->find(name + ".lora_a") && adapter->find(name + ".lora_b"));
            const auto a = adapter->view(*adapter->find(name + ".lora_a"));
            const auto b = adapter->view(*adapter->find(name + ".lora_b"));
            QCOMPARE(a->shape, (Shape{2, kEmbedding}));
            QCOMPARE(b->shape, (Shape{layer.quantized->rows, 2}));
        }
        QCOMPARE(adapter->gguf().string("general.type").value_or(""), std::string_view("adapter"));
        QCOMPARE(adapter->gguf().string("adapter.type").value_or(""), std::string_view("lora"));
        QCOMPARE(adapter->gguf().string("general.architecture").value_or(""), std::string_view("llama"));
        QCOMPARE(adapter->gguf().f32("adapter.lora.alpha").value_or(1), 0.0F);
    }

    void keptTensorsAreStoredAsTheRuntimeReadsThem()
    {
        auto tensors = tinyLlama();
        const auto convert = [](TinyTensor& tensor, const char* dtype, auto&& encode) {
            std::string bytes;
            for (std::size_t i = 0; i < tensor.bytes.size(); i += 4) {
                float value = 0;
                std::memcpy(&value, tensor.bytes.data() + i, 4);
                bytes += encode(value);
            }
            tensor.dtype = dtype;
            tensor.bytes = bytes;
        };
        const auto bf16 = [](float v) { return rawBytes(std::vector{floatToBf16(v)}); };
        convert(named(tensors, "gate_proj"), "BF16", bf16);
        convert(named(tensors, "input_layernorm"), "BF16", bf16);
        convert(named(tensors, "up_proj"), "F16", [](float v) { return rawBytes(std::vector{floatToF16(v)}); });
        convert(named(tensors, "down_proj"), "F64", [](float v) { return rawBytes(std::vector{double{v}}); });
        m_model = writeFolder(m_folder, tensors);
        QVERIFY(m_model);
        QVERIFY(runExport(request(keepAll(*m_model))));
        const auto gguf = written();
        const auto typeOf = [&](const char* name) { return info(gguf->tensors()[*gguf->find(name)].dtype).name; };
        QCOMPARE(typeOf("blk.0.ffn_gate.weight"), std::string_view("BF16"));
        QCOMPARE(typeOf("blk.0.attn_norm.weight"), std::string_view("F32"));
        QCOMPARE(typeOf("blk.0.ffn_up.weight"), std::string_view("F16"));
        QCOMPARE(typeOf("blk.0.ffn_down.weight"), std::string_view("F32"));
        for (const char* pair : {"gate", "up", "down"})
            QVERIFY(valuesOf(*gguf, std::string("blk.0.ffn_") + pair + ".weight")
                    == valuesOf(*m_model, std::string("model.layers.0.mlp.") + pair + "_proj.weight"));
        QVERIFY(valuesOf(*gguf, "blk.0.attn_norm.weight") == valuesOf(*m_model, "model.layers.0.input_layernorm.weight"));
    }

    void aCorrectionSmallerThanPlannedIsFilledWithZeros()
    {
        const ExportRequest r = request(quantizeBlock(*m_model, "q4_0", 4));
        auto exporter = makeGgufExporter(r);
        QVERIFY(exporter);
        for (const std::size_t tensor : (*exporter)->order()) {
            const std::string& name = m_model->tensors()[tensor].name;
            const std::size_t rank = name.find("o_proj") != std::string::npos ? 0 : 3;
            const Status added = (*exporter)->add(layerOf(r, tensor, rank, name.find("up_proj") != std::string::npos ? FactorType::BF16 : FactorType::F16));
            QVERIFY2(added, added ? "" : added.error().detail.c_str());
        }
        const Status finished = (*exporter)->finish();
        QVERIFY2(finished, finished ? "" : finished.error().detail.c_str());
        const auto adapter = written("m-lora.gguf");
        QVERIFY(adapter);
        const auto b = valuesOf(*adapter, "blk.0.ffn_down.weight.lora_b");  // [64 x 4]
        for (std::size_t i = 0; i < b.size(); ++i)
            QVERIFY((b[i] == 0) == (i % 4 == 3));
        for (const float value : valuesOf(*adapter, "blk.0.attn_output.weight.lora_a"))
            QCOMPARE(value, 0.0F);
        // Factors that had to become BF16 say so.
        QVERIFY(adapter->tensors()[*adapter->find("blk.0.ffn_up.weight.lora_a")].dtype == DType::BF16);
        QVERIFY(adapter->tensors()[*adapter->find("blk.0.ffn_down.weight.lora_a")].dtype == DType::F16);
    }

    void mergedValuesAreCodesPlusCorrection()
    {
        ExportRequest r = request(quantizeBlock(*m_model, "q4_0", 2));
        r.dequantized = r.merged = true;
        auto exporter = makeGgufExporter(r);
        QVERIFY(exporter);
        std::vector<float> expected;
        for (const std::size_t tensor : (*exporter)->order()) {
            const QuantizedLayer layer = layerOf(r, tensor);
            if (m_model->tensors()[tensor].name.find("down_proj") != std::string::npos) {
                expected.resize(kEmbedding * kFeedForward);
                layer.quantized->grid->decode(layer.quantized->codes, kEmbedding, kFeedForward, expected);
                const MatrixF product = layer.factors->decodedLeft() * layer.factors->decodedRight();
                for (std::size_t i = 0; i < expected.size(); ++i)
                    expected[i] += product.data()[i];
            }
            QVERIFY((*exporter)->add(layer));
        }
        QVERIFY((*exporter)->finish());
        QVERIFY(!fs::exists(m_out / "m-lora.gguf"));
        const auto found = valuesOf(*written(), "blk.0.ffn_down.weight");
        QCOMPARE(found.size(), expected.size());
        for (std::size_t i = 0; i < found.size(); ++i)  // one product of two terms: a few roundings of values below 2
            QVERIFY(std::abs(found[i] - expected[i]) <= 4 * 0x1p-23F);
    }

    void aGgufIsCopiedByteForByteWithoutTheKeysOfItsFile()
    {
        QVERIFY(runExport(request(quantizeBlock(*m_model, "q5_0", 0))));
        // A twin with keys that must not travel.
        const auto first = written();
        GgufKeys keys;
        for (const GgufKey& key : first->gguf().keys())
            keys.copy(key);
        keys.set("split.count", std::uint32_t{1});
        keys.set("tokenizer.chat_template", "kept");
        std::vector<GgufTensorSpec> specs;
        for (const TensorInfo& tensor : first->tensors())
            specs.push_back({tensor.name, tensor.dtype, tensor.shape});
        {
            auto writer = GgufWriter::create(m_out / "twin.gguf", *layoutGguf(keys, specs), false);
            for (std::size_t i = 0; i < specs.size(); ++i)
                QVERIFY(writer->append(first->view(i)->bytes));
            QVERIFY(writer->finish());
        }
        auto twin = Checkpoint::open(m_out / "twin.gguf");
        QVERIFY2(twin, twin ? "" : twin.error().detail.c_str());
        ExportRequest r = request(keepAll(**twin));
        r.checkpoint = *twin;
        r.output = m_out / "copy.gguf";
        const Status status = runExport(r);
        QVERIFY2(status, status ? "" : status.error().detail.c_str());
        const auto copy = written("copy.gguf");
        QCOMPARE(copy->tensors().size(), specs.size());
        for (std::size_t i = 0; i < specs.size(); ++i) {
            QCOMPARE(copy->tensors()[i].name, specs[i].name);
            QVERIFY(std::ranges::equal(copy->view(i)->bytes, first->view(i)->bytes));
        }
        QVERIFY(copy->gguf().find("split.count") == nullptr);
        QCOMPARE(copy->gguf().string("tokenizer.chat_template").value_or(""), std::string_view("kept"));
        QCOMPARE(copy->gguf().u32("general.file_type").value_or(0), 8U);  // mostly Q5_0
        QCOMPARE(copy->gguf().u32("general.quantization_version").value_or(0), 2U);
    }

    void aTemplateGivesItsKeysAndMustBeTheSameModel()
    {
        QVERIFY(runExport(request(keepAll(*m_model))));
        ExportRequest r = request(keepAll(*m_model));
        r.output = m_out / "second.gguf";
        r.templateGguf = written();
        fs::remove(m_folder / "config.json");  // not needed with a template
        QVERIFY(runExport(r));
        const auto first = written();
        const auto second = written("second.gguf");
        for (std::size_t i = 0; i < first->tensors().size(); ++i)
            QVERIFY(std::ranges::equal(first->view(i)->bytes, second->view(i)->bytes));
        QCOMPARE(second->gguf().strings("tokenizer.ggml.tokens")->size(), std::size_t{kVocabulary});

        auto tensors = tinyLlama();
        named(tensors, "gate_proj") = random("model.layers.0.mlp.gate_proj.weight", {kFeedForward + 32, kEmbedding});
        m_model = writeFolder(m_folder, tensors);
        r.checkpoint = m_model;
        r.output = m_out / "third.gguf";
        const Error error = refusalOf(r);
        QCOMPARE(error.code, ErrorCode::ShapeMismatch);
        QVERIFY(error.detail.find("gate_proj") != std::string::npos);
    }

    void tiedEmbeddingsAreWrittenOnceAndNotCorrected()
    {
        m_model = writeFolder(m_folder, tinyLlama(), config(R"(,"tie_word_embeddings":true)"));
        QVERIFY(runExport(request(keepAll(*m_model))));
        QVERIFY(!written()->find("output.weight"));
        ExportRequest r = request(keepAll(*m_model));
        r.output = m_out / "n.gguf";
        r.plan.layers[*m_model->find("model.embed_tokens.weight")] = onGrid("q8_0", 2);
        QCOMPARE(refusalOf(r).code, ErrorCode::NotRepresentable);
    }

    void theAdapterIsNamedAfterTheModel()
    {
        QCOMPARE(adapterPathFor("/x/m.gguf").string(), std::string("/x/m-lora.gguf"));
        QCOMPARE(adapterPathFor("/x/m.GGUF").string(), std::string("/x/m-lora.gguf"));
        QCOMPARE(adapterPathFor("m-4.5bpw").string(), std::string("m-4.5bpw-lora.gguf"));
    }

    void theLoadCommandSurvivesAnyPath()
    {
        SizeEstimate estimate;
        estimate.outputs = {{"/a b/it's.gguf", "model", 1}, {"-x-lora.gguf", "adapter", 1}};
        QCOMPARE(findExporter("gguf")->loadCommand(estimate),
                 std::string("llama-cli -m '/a b/it'\\''s.gguf' --lora './-x-lora.gguf' -p \"Once upon a time\""));
        estimate.outputs = {{"a\nb'\x1b[31m\xff.gguf", "model", 1}};
        QCOMPARE(findExporter("gguf")->loadCommand(estimate),
                 std::string("llama-cli -m $'a\\x0ab\\'\\x1b[31m\\xff.gguf' -p \"Once upon a time\""));
        QVERIFY(findExporter("exl3") == nullptr);
    }
};

QTEST_APPLESS_MAIN(TestExporter)
#include "tst_exporter.moc"
