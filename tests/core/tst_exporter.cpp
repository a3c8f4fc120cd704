// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/Exporter.h"

#include "cli/TinyModel.h"
#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/export/GgufPlanner.h"
#include "core/export/writers/GgufLora.h"
#include "core/tensor/Decode.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

using namespace sigmascope;
using namespace sigmascope::test;
namespace fs = std::filesystem;

namespace {

const fs::path kSample = fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";

constexpr std::uint64_t kEmbedding = 64, kFeedForward = 96, kVocabulary = 300, kHead = 32;

std::string config(const std::string& more = {})
{
    return R"({"architectures":["LlamaForCausalLM"],"hidden_size":64,"intermediate_size":96,"num_hidden_layers":1,
        "num_attention_heads":2,"num_key_value_heads":1,"max_position_embeddings":128,"rms_norm_eps":1e-5,"vocab_size":300)"
           + more + "}";
}

TinyTensor random(const std::string& name, const std::vector<std::uint64_t>& shape)
{
    std::size_t count = 1;
    for (const std::uint64_t extent : shape)
        count *= extent;
    std::vector<float> values(count);
    fillNormal<float>(seedFor(1, name), values, 0.05);
    return floats(name, shape, values);
}

/// One block of a llama with two heads of 32 that share a key/value head.
std::vector<TinyTensor> tinyLlama()
{
    const std::string block = "model.layers.0.";
    return {random("model.embed_tokens.weight", {kVocabulary, kEmbedding}),
            random(block + "input_layernorm.weight", {kEmbedding}),
            random(block + "self_attn.q_proj.weight", {kEmbedding, kEmbedding}),
            random(block + "self_attn.k_proj.weight", {kHead, kEmbedding}),
            random(block + "self_attn.v_proj.weight", {kHead, kEmbedding}),
            random(block + "self_attn.o_proj.weight", {kEmbedding, kEmbedding}),
            random(block + "post_attention_layernorm.weight", {kEmbedding}),
            random(block + "mlp.gate_proj.weight", {kFeedForward, kEmbedding}),
            random(block + "mlp.up_proj.weight", {kFeedForward, kEmbedding}),
            random(block + "mlp.down_proj.weight", {kEmbedding, kFeedForward}),
            random("model.norm.weight", {kEmbedding}),
            random("lm_head.weight", {kVocabulary, kEmbedding})};
}

TinyTensor& named(std::vector<TinyTensor>& tensors, const std::string& part)
{
    return *std::find_if(tensors.begin(), tensors.end(), [&](const TinyTensor& t) { return t.name.find(part) != std::string::npos; });
}

std::shared_ptr<const Checkpoint> writeFolder(const fs::path& folder, const std::vector<TinyTensor>& tensors,
                                              const std::string& configText = config())
{
    fs::create_directories(folder);
    writeFile(folder / "model.safetensors", safetensorsBytes(tensors));
    writeFile(folder / "config.json", configText);
    fs::copy_file(kSample / "tokenizer.model", folder / "tokenizer.model", fs::copy_options::overwrite_existing);
    auto checkpoint = Checkpoint::open(folder);
    return checkpoint ? *checkpoint : nullptr;
}

QuantizationPlan keepAll(const Checkpoint& checkpoint)
{
    QuantizationPlan plan;
    plan.layers.resize(checkpoint.tensors().size());
    return plan;
}

LayerPlan onGrid(const std::string& grid, std::uint32_t rank = 0, FactorType factors = FactorType::F16)
{
    return {.keep = false, .grid = grid, .rank = rank, .factors = factors, .metric = MetricKind::Plain};
}

/// Every linear layer of the block on a grid, with a correction.
QuantizationPlan quantizeBlock(const Checkpoint& checkpoint, const std::string& grid, std::uint32_t rank)
{
    QuantizationPlan plan = keepAll(checkpoint);
    const ModelTopology topology(checkpoint);
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
        if (topology.isQuantizable(i))
            plan.layers[i] = onGrid(grid, rank);
    }
    return plan;
}

/// The layer as the plan wants it, by nearest codes; factors of @p rank (the planned one unless told) with known values.
QuantizedLayer layerOf(const ExportRequest& request, std::size_t tensor, std::optional<std::size_t> rank = {},
                       FactorType type = FactorType::F16)
{
    QuantizedLayer layer{.tensor = tensor};
    const LayerPlan& plan = request.plan.layers[tensor];
    if (plan.keep)
        return layer;
    const auto view = request.checkpoint->view(tensor);
    QuantizedTensor quantized{.grid = *findGrid(plan.grid), .rows = view->rows(), .cols = view->cols()};
    std::vector<float> values(view->elements());
    decode(view->dtype, view->bytes, values);
    quantized.codes.resize(quantized.rows * quantized.grid->rowBytes(quantized.cols));
    if (!quantized.grid->encode(values, quantized.rows, quantized.cols, quantized.codes))
        return layer;
    const std::size_t k = rank.value_or(plan.rank);
    if (k > 0) {
        LowRankCorrection correction;
        correction.left = MatrixF::Random(static_cast<Eigen::Index>(quantized.rows), static_cast<Eigen::Index>(k));
        correction.right = MatrixF::Random(static_cast<Eigen::Index>(k), static_cast<Eigen::Index>(quantized.cols));
        layer.factors = storeFactors(correction, type);
    }
    layer.quantized = std::move(quantized);
    return layer;
}

Status runExport(const ExportRequest& request, SizeEstimate* estimate = nullptr)
{
    auto exporter = makeGgufExporter(request);
    if (!exporter)
        return passOn(exporter);
    for (const std::size_t tensor : (*exporter)->order()) {
        if (Status added = (*exporter)->add(layerOf(request, tensor)); !added)
            return added;
    }
    if (estimate != nullptr)
        *estimate = (*exporter)->estimate();
    return (*exporter)->finish();
}

std::vector<float> valuesOf(const Checkpoint& checkpoint, const std::string& name)
{
    const auto index = checkpoint.find(name);
    if (!index)
        return {};
    const auto view = checkpoint.view(*index);
    std::vector<float> values(view->elements());
    decode(view->dtype, view->bytes, values);
    return values;
}

}  // namespace

class TestExporter : public QObject {
    Q_OBJECT

private:
    QTemporaryDir m_dir;
    fs::path m_folder, m_out;
    std::shared_ptr<const Checkpoint> m_model;

    [[nodiscard]] ExportRequest request(QuantizationPlan plan) const
    {
        ExportRequest r;
        r.checkpoint = m_model;
        r.plan = std::move(plan);
        r.output = m_out / "m.gguf";
        return r;
    }
    [[nodiscard]] std::shared_ptr<const Checkpoint> written(const char* name = "m.gguf") const
    {
        auto checkpoint = Checkpoint::open(m_out / name, {.strict = true});
        return checkpoint ? *checkpoint : nullptr;
    }
    /// Error of an export that must be refused without leaving anything.
    [[nodiscard]] Error refusalOf(const ExportRequest& r) const
    {
        const auto before = std::distance(fs::directory_iterator(m_out), {});
        const auto exporter = makeGgufExporter(r);
        if (exporter || std::distance(fs::directory_iterator(m_out), {}) != before)
            return {ErrorCode::Internal, "not refused, or something was left"};
        return exporter.error();
    }

private slots:
    void init()
    {
        const fs::path root = m_dir.path().toStdString();
        for (const auto& entry : fs::directory_iterator(root))
            fs::remove_all(entry);
        m_folder = root / "model";
        m_out = root / "out";
        fs::create_directories(m_out);
        m_model = writeFolder(m_folder, tinyLlama());
        QVERIFY(m_model);
    }

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

    void layersOutOfOrderOrUnlikeThePlanAreRefused()
    {
        const ExportRequest r = request(quantizeBlock(*m_model, "q4_0", 0));
        auto exporter = makeGgufExporter(r);
        QVERIFY(exporter);
        const auto order = (*exporter)->order();
        QCOMPARE((*exporter)->add(layerOf(r, order[1])).error().code, ErrorCode::VerifyFailed);
        QVERIFY((*exporter)->add(layerOf(r, order[0])) && (*exporter)->add(layerOf(r, order[1])));
        QCOMPARE((*exporter)->add({.tensor = order[2]}).error().code, ErrorCode::VerifyFailed);
        QuantizedLayer other = layerOf(r, order[2]);
        other.quantized->grid = *findGrid("q8_0");
        QCOMPARE((*exporter)->add(other).error().code, ErrorCode::VerifyFailed);
        QVERIFY((*exporter)->add(layerOf(r, order[2])));
    }

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
        QVERIFY(findExporter("awq") == nullptr);
    }
};

QTEST_APPLESS_MAIN(TestExporter)
#include "tst_exporter.moc"
