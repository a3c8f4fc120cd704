// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// A llama of one block, made byte by byte, and what every test of the GGUF export asks of it.

#include "core/export/Exporter.h"

#include "cli/TinyModel.h"
#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/export/GgufPlanner.h"
#include "core/export/writers/GgufLora.h"
#include "core/tensor/Decode.h"
#include "support/Scratch.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

namespace sigmascope::test {

namespace fs = std::filesystem;

inline const fs::path kSample = fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";

inline constexpr std::uint64_t kEmbedding = 64, kFeedForward = 96, kVocabulary = 300, kHead = 32;

inline std::string config(const std::string& more = {})
{
    return R"({"architectures":["LlamaForCausalLM"],"hidden_size":64,"intermediate_size":96,"num_hidden_layers":1,
        "num_attention_heads":2,"num_key_value_heads":1,"max_position_embeddings":128,"rms_norm_eps":1e-5,"vocab_size":300)"
        + more + "}";
}

inline TinyTensor random(const std::string& name, const std::vector<std::uint64_t>& shape)
{
    std::size_t count = 1;
    for (const std::uint64_t extent : shape)
        count *= extent;
    std::vector<float> values(count);
    fillNormal<float>(seedFor(1, name), values, 0.05);
    return floats(name, shape, values);
}

/// One block of a llama with two heads of 32 that share a key/value head.
inline std::vector<TinyTensor> tinyLlama()
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

inline TinyTensor& named(std::vector<TinyTensor>& tensors, const std::string& part)
{
    return *std::find_if(tensors.begin(), tensors.end(),
                         [&](const TinyTensor& t) { return t.name.find(part) != std::string::npos; });
}

inline std::shared_ptr<const Checkpoint> writeFolder(const fs::path& folder, const std::vector<TinyTensor>& tensors,
                                                     const std::string& configText = config())
{
    fs::create_directories(folder);
    writeFile(folder / "model.safetensors", safetensorsBytes(tensors));
    writeFile(folder / "config.json", configText);
    fs::copy_file(kSample / "tokenizer.model", folder / "tokenizer.model", fs::copy_options::overwrite_existing);
    auto checkpoint = Checkpoint::open(folder);
    return checkpoint ? *checkpoint : nullptr;
}

inline QuantizationPlan keepAll(const Checkpoint& checkpoint)
{
    QuantizationPlan plan;
    plan.layers.resize(checkpoint.tensors().size());
    return plan;
}

inline LayerPlan onGrid(const std::string& grid, std::uint32_t rank = 0, FactorType factors = FactorType::F16)
{
    return {.keep = false, .grid = grid, .rank = rank, .factors = factors, .metric = MetricKind::Plain};
}

/// A four-bit grid with groups of 32 that the target carries.
inline std::string gridFor(std::string_view target)
{
    return target == "awq" ? "int4-g32-asym" : target == "compressed-tensors" || target == "gptq" ? "int4-g32" : "q4_0";
}

/// Every linear layer of the block on a grid, with a correction.
inline QuantizationPlan quantizeBlock(const Checkpoint& checkpoint, const std::string& grid, std::uint32_t rank)
{
    QuantizationPlan plan = keepAll(checkpoint);
    const ModelTopology topology(checkpoint);
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
        if (topology.isQuantizable(i))
            plan.layers[i] = onGrid(grid, rank);
    }
    return plan;
}

/// The layer as the plan wants it, by nearest codes; factors of @p rank (the planned one unless told) with known
/// values.
inline QuantizedLayer layerOf(const ExportRequest& request, std::size_t tensor, std::optional<std::size_t> rank = {},
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

inline Status runExport(const ExportRequest& request, SizeEstimate* estimate = nullptr)
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

inline std::vector<float> valuesOf(const Checkpoint& checkpoint, const std::string& name)
{
    const auto index = checkpoint.find(name);
    if (!index)
        return {};
    const auto view = checkpoint.view(*index);
    std::vector<float> values(view->elements());
    decode(view->dtype, view->bytes, values);
    return values;
}

/// An empty folder for the output, a model in another; both new for each test.
class ExporterFixture {
protected:
    void makeModel()
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

    QTemporaryDir m_dir{scratch()};
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
};

}  // namespace sigmascope::test
