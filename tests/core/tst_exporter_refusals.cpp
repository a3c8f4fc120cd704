// SPDX-License-Identifier: GPL-3.0-or-later
#include "support/ExporterFixture.h"

// What an export refuses, and that it then leaves everything as it was.

using namespace sigmascope;
using namespace sigmascope::test;

class TestExporterRefusals : public QObject, private ExporterFixture {
    Q_OBJECT

private slots:
    void init() { makeModel(); }

    void plansThatGgufCannotCarryAreRefusedNamingTheTensor()
    {
        const auto refusal = [&](const char* tensor, const LayerPlan& layer) {
            ExportRequest r = request(keepAll(*m_model));
            r.plan.layers[*m_model->find(tensor)] = layer;
            return refusalOf(r);
        };
        const char* down = "model.layers.0.mlp.down_proj.weight";
        const Error grid = refusal(down, onGrid("int4-g32"));
        QCOMPARE(grid.code, ErrorCode::NotRepresentable);
        QVERIFY(grid.detail.find(down) != std::string::npos && grid.detail.find("q4_0") != std::string::npos);
        QCOMPARE(refusal("model.norm.weight", onGrid("q8_0")).code, ErrorCode::NotRepresentable);
        QCOMPARE(refusal(down, onGrid("q4_0", 65)).code, ErrorCode::NotRepresentable);
        QCOMPARE(refusal(down, onGrid("q9_9")).code, ErrorCode::InvalidOption);
    }

    void modelsThatAreNotWholeAreRefused_data()
    {
        QTest::addColumn<QString>("change");
        QTest::addColumn<int>("code");
        const auto row = [](const char* change, ErrorCode code) { QTest::newRow(change) << change << static_cast<int>(code); };
        row("tensor missing", ErrorCode::MissingTensor);
        row("output missing", ErrorCode::MissingTensor);
        row("wrong shape", ErrorCode::ShapeMismatch);
        row("tensor unknown to llama", ErrorCode::NotRepresentable);
        row("type unknown to GGUF", ErrorCode::NotRepresentable);
        row("another architecture", ErrorCode::NotRepresentable);
        row("no config", ErrorCode::NotRepresentable);
        row("no tokenizer", ErrorCode::NotRepresentable);
        row("truncated", ErrorCode::Truncated);
    }

    void modelsThatAreNotWholeAreRefused()
    {
        QFETCH(QString, change);
        QFETCH(int, code);
        auto tensors = tinyLlama();
        std::string text = config(R"(,"tie_word_embeddings":false)");
        if (change == "tensor missing")
            tensors.erase(tensors.begin() + 4);
        if (change == "output missing")
            tensors.pop_back();
        if (change == "wrong shape")
            named(tensors, "v_proj") = random("model.layers.0.self_attn.v_proj.weight", {kHead * 2, kEmbedding});
        if (change == "tensor unknown to llama")
            tensors.push_back(random("model.vision.weight", {4}));
        if (change == "type unknown to GGUF")
            named(tensors, "o_proj") = {named(tensors, "o_proj").name, "F8_E4M3", {kEmbedding, kEmbedding}, std::string(4096, 'x')};
        if (change == "another architecture")
            text.replace(text.find("Llama"), 5, "Gemma");
        m_model = writeFolder(m_folder, tensors, text);
        if (change == "no config")
            fs::remove(m_folder / "config.json");
        if (change == "no tokenizer")
            fs::remove(m_folder / "tokenizer.model");
        if (change == "truncated") {  // a shard whose download stopped
            fs::rename(m_folder / "model.safetensors", m_folder / "model-00001-of-00001.safetensors");
            fs::resize_file(m_folder / "model-00001-of-00001.safetensors", 100000);
            std::string map;
            for (const TinyTensor& tensor : tensors)
                map += (map.empty() ? "\"" : ",\"") + tensor.name + "\":\"model-00001-of-00001.safetensors\"";
            writeFile(m_folder / "model.safetensors.index.json", R"({"metadata":{},"weight_map":{)" + map + "}}");
        }
        auto reopened = Checkpoint::open(m_folder);
        QVERIFY2(reopened, reopened ? "" : reopened.error().detail.c_str());
        m_model = *reopened;
        const Error error = refusalOf(request(keepAll(*m_model)));
        QVERIFY2(static_cast<int>(error.code) == code, error.detail.c_str());
        if (change == "another architecture")
            QVERIFY(error.detail.find("template") != std::string::npos);
    }

    /// reliability 86: whatever name reaches an input, links or another case of it, is that input.
    void inputsAreNeverOverwritten()
    {
        QVERIFY(runExport(request(keepAll(*m_model))));
        ExportRequest r = request(quantizeBlock(*m_model, "q4_0", 2));
        r.overwrite = true;
        r.templateGguf = written();
        const fs::path weights = m_folder / "model.safetensors";
        fs::create_symlink(weights, m_out / "soft.gguf");
        fs::create_hard_link(weights, m_out / "hard.gguf");
        fs::create_symlink(weights, m_out / "beside-lora.gguf");
        for (const fs::path& output : {weights, m_out / "soft.gguf", m_out / "hard.gguf", m_out / "beside.gguf", m_out / "m.gguf",
                                       m_folder / "config.json", m_folder / "tokenizer.model"}) {
            r.output = output;
            QCOMPARE(refusalOf(r).code, ErrorCode::OutputIsInput);
        }
        Imatrix imatrix;
        imatrix.path = m_out / "imatrix.gguf";
        writeFile(imatrix.path, "x");
        r.calibration = &imatrix;
        r.output = imatrix.path;
        QCOMPARE(refusalOf(r).code, ErrorCode::OutputIsInput);
    }

    void existingFilesAndMissingFoldersAreRefusedBeforeAnyWork()
    {
        ExportRequest r = request(quantizeBlock(*m_model, "q4_0", 2));
        writeFile(m_out / "m-lora.gguf", "someone's");
        const Error adapter = refusalOf(r);
        QCOMPARE(adapter.code, ErrorCode::WouldOverwrite);
        QVERIFY(adapter.detail.find("m-lora.gguf") != std::string::npos);
        fs::rename(m_out / "m-lora.gguf", m_out / "m.gguf");
        QCOMPARE(refusalOf(r).code, ErrorCode::WouldOverwrite);
        r.overwrite = true;
        QVERIFY(runExport(r));
        r.output = m_out / "absent" / "m.gguf";
        QCOMPARE(refusalOf(r).code, ErrorCode::NotFound);
    }

    void anExportThatStopsLeavesTheOldFilesAlone()
    {
        ExportRequest r = request(quantizeBlock(*m_model, "q4_0", 2));
        r.overwrite = true;
        writeFile(r.output, "old");
        for (std::size_t count = 0; count <= m_model->tensors().size(); ++count) {
            auto exporter = makeGgufExporter(r);
            QVERIFY(exporter);
            for (std::size_t i = 0; i < count && i < (*exporter)->order().size(); ++i)
                QVERIFY((*exporter)->add(layerOf(r, (*exporter)->order()[i])));
            if (count < m_model->tensors().size())
                QCOMPARE((*exporter)->finish().error().code, ErrorCode::VerifyFailed);
            exporter->reset();
            QCOMPARE(readFile(r.output), std::string("old"));
            QCOMPARE(std::distance(fs::directory_iterator(m_out), {}), std::ptrdiff_t{1});
        }
    }

    void layersThatComeTwiceOrUnlikeThePlanAreRefused()
    {
        const ExportRequest r = request(quantizeBlock(*m_model, "q4_0", 0));
        auto exporter = makeGgufExporter(r);
        QVERIFY(exporter);
        const auto order = (*exporter)->order();
        QVERIFY((*exporter)->add(layerOf(r, order[1])) && (*exporter)->add(layerOf(r, order[0])));
        QCOMPARE((*exporter)->add(layerOf(r, order[1])).error().code, ErrorCode::VerifyFailed);
        QCOMPARE((*exporter)->add({.tensor = 4711}).error().code, ErrorCode::VerifyFailed);
        QCOMPARE((*exporter)->add({.tensor = order[2]}).error().code, ErrorCode::VerifyFailed);
        QuantizedLayer other = layerOf(r, order[2]);
        other.quantized->grid = *findGrid("q8_0");
        QCOMPARE((*exporter)->add(other).error().code, ErrorCode::VerifyFailed);
        QVERIFY((*exporter)->add(layerOf(r, order[2])));
    }

    /// reliability 87.
    void aFileThatChangesWhileItIsReadEndsTheExport()
    {
        const ExportRequest r = request(keepAll(*m_model));
        auto exporter = makeGgufExporter(r);
        QVERIFY(exporter);
        QVERIFY((*exporter)->add({.tensor = (*exporter)->order()[0]}));
        fs::resize_file(m_folder / "model.safetensors", 4096);
        const Status added = (*exporter)->add({.tensor = (*exporter)->order()[1]});
        QVERIFY(!added);
        QVERIFY2(added.error().code == ErrorCode::FileChanged || added.error().code == ErrorCode::FileBroken, added.error().detail.c_str());
    }
};

QTEST_APPLESS_MAIN(TestExporterRefusals)
#include "tst_exporter_refusals.moc"
