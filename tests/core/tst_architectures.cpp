// SPDX-License-Identifier: GPL-3.0-or-later
//
// From HF folders of every family to a GGUF's tensors and keys: what is refused, and with which words; the parts of
// experts' stacks. That the files compute what the folders mean, tests/interop/tst_llama_architectures.cpp shows.
#include "support/ArchitectureFolder.h"
#include "support/ExporterFixture.h"

#include "core/export/Exporter.h"
#include "core/export/GgufPlanner.h"
#include "core/export/architectures/Architecture.h"
#include "core/project/Pipeline.h"

#include <QTemporaryDir>
#include <QTest>

#include <fstream>
#include <functional>
#include <limits>

using namespace sigmascope;
using namespace sigmascope::test;
namespace fs = std::filesystem;

using Change = std::function<void(ArchitectureFolder&)>;
Q_DECLARE_METATYPE(Change)

class TestArchitectures : public QObject {
    Q_OBJECT

private:
    QTemporaryDir m_dir;
    int m_count = 0;

    [[nodiscard]] static ArchitectureFolder folderOf(const std::string& family)
    {
        auto all = architectureFolders();
        return std::ranges::find(all, family, [](const auto& row) { return row.first; })->second;
    }
    [[nodiscard]] std::shared_ptr<const Checkpoint> open(const ArchitectureFolder& folder, bool asBf16 = false)
    {
        const fs::path path = fs::path(m_dir.path().toStdString()) / std::to_string(++m_count);
        writeFolder(folder, path, asBf16);
        auto model = Checkpoint::open(path);
        return model ? *model : nullptr;
    }
    /// Every quantizable matrix on one grid.
    [[nodiscard]] static ExportRequest requestFor(const std::shared_ptr<const Checkpoint>& model, std::uint32_t rank)
    {
        ExportRequest request;
        request.checkpoint = model;
        request.output = "/nowhere/out.gguf";
        const ModelTopology topology(*model);
        for (std::size_t i = 0; i < model->tensors().size(); ++i) {
            LayerPlan layer;
            if (topology.isQuantizable(i))
                layer = {.keep = false, .grid = "q4_0", .rank = rank};
            request.plan.layers.push_back(layer);
        }
        return request;
    }
    [[nodiscard]] static std::size_t indexOf(const Checkpoint& model, const char* name) { return *model.find(name); }

    [[nodiscard]] static std::string bytesOf(const fs::path& path)
    {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

private slots:
    void wholeFoldersAreTaken()
    {
        for (const auto& [name, folder] : architectureFolders()) {
            const auto model = open(folder);
            QVERIFY(model);
            const auto source = ggufSourceOf(*model, nullptr);
            QVERIFY2(source, (name + ": " + (source ? "" : source.error().detail)).c_str());
            const bool hasImages = name.starts_with("gemma3-images");
            QCOMPARE(source->apart.size(), hasImages ? kImageTensors : std::size_t{0});
            QCOMPARE(source->targets.size() + source->apart.size(), model->tensors().size());
            const bool isSaid = std::ranges::any_of(source->notes, [](const std::string& note) {
                return note.starts_with("3 tensors of the part for images are not written");
            });
            QCOMPARE(isSaid, hasImages);
            QVERIFY(source->keys.contains(source->architecture + ".rope.dimension_count"));
        }
    }

    void whatCannotBeCarriedIsRefusedByName_data()
    {
        QTest::addColumn<QString>("family");
        QTest::addColumn<Change>("change");
        QTest::addColumn<int>("code");
        QTest::addColumn<QString>("named");
        const auto row
            = [](const char* title, const char* family, const Change& change, ErrorCode code, const char* named) {
                  QTest::newRow(title) << family << change << static_cast<int>(code) << named;
              };
        const auto config
            = [&row](const char* title, const char* family, const char* change, ErrorCode code, const char* named) {
                  const std::string text = change;
                  row(
                      title, family, [text](ArchitectureFolder& f) { f.config.update(*parseJson(text, "change")); },
                      code, named);
              };
        const auto without = [&row](const char* title, const char* family, const char* key, const char* named) {
            const std::string text = key;
            row(
                title, family, [text](ArchitectureFolder& f) { f.config.erase(text); }, ErrorCode::InvalidMetadata,
                named);
        };
        constexpr ErrorCode kNo = ErrorCode::NotRepresentable;
        constexpr ErrorCode kWrong = ErrorCode::InvalidMetadata;
        config("unknown class", "llama", R"({"architectures":["MambaForCausalLM"]})", kNo, "MambaForCausalLM");
        without("no head count", "mixtral", "num_attention_heads", "num_attention_heads");
        without("no expert count", "mixtral", "num_local_experts", "num_experts");
        without("no experts used", "qwen3moe", "num_experts_per_tok", "num_experts_per_tok");
        without("no width of experts", "qwen3moe", "moe_intermediate_size", "moe_intermediate_size");
        without("no width of the shared expert", "qwen2moe", "shared_expert_intermediate_size",
                "shared_expert_intermediate_size");
        config("absurd head count", "qwen2", R"({"num_attention_heads":2147483647})", kWrong, "heads");
        config("absurd block count", "qwen2", R"({"num_hidden_layers":2147483647})", kWrong, "num_hidden_layers");
        config("blocks that are not there", "qwen2", R"({"num_hidden_layers":500})", ErrorCode::MissingTensor, "blk.2.");
        config("more blocks than llama.cpp takes", "qwen2", R"({"num_hidden_layers":100000})", kNo, "512");
        config("heads of another length", "qwen2", R"({"head_dim":8})", kNo, "head_dim");
        config("heads of another length in a mixture", "qwen2moe", R"({"head_dim":8})", kNo, "head_dim");
        config("qwen2moe tied", "qwen2moe", R"({"tie_word_embeddings":true})", kNo, "qwen2moe");
        config("absurd expert count", "mixtral", R"({"num_local_experts":2147483647})", kNo, "512");
        config("experts that are not there", "mixtral", R"({"num_local_experts":300})", ErrorCode::MissingTensor,
               "expert 4 of 0 to 299");
        config("an expert too many", "mixtral", R"({"num_local_experts":3})", kNo, "expert 4 of 3");
        config("more experts used than there are", "mixtral", R"({"num_experts_per_tok":5})", kWrong,
               "num_experts_per_tok");
        config("experts in a dense class", "qwen2", R"({"num_experts":4})", kNo, "mixture");
        row(
            "missing expert", "mixtral",
            [](ArchitectureFolder& f) { f.remove("model.layers.1.block_sparse_moe.experts.2.w2.weight"); },
            ErrorCode::MissingTensor, "expert 2 of 0 to 3");
        row(
            "expert of another shape", "qwen2moe",
            [](ArchitectureFolder& f) {
                f.at("model.layers.1.mlp.experts.5.up_proj.weight").shape = {64, 32};
            },
            ErrorCode::ShapeMismatch, "experts.5.up_proj");
        row(
            "two tensors for one expert", "mixtral",
            [](ArchitectureFolder& f) {
                f.tensors.push_back({"model.layers.0.mlp.experts.0.gate_proj.weight", {96, 64}});
            },
            kNo, "second");
        row(
            "a stack among its experts", "mixtral",
            [](ArchitectureFolder& f) {
                const auto first = std::ranges::find_if(f.tensors, [](const auto& tensor) {
                    return tensor.name == "model.layers.1.block_sparse_moe.experts.0.w2.weight";
                });
                const auto shape = first->shape;
                f.tensors.insert(first + 1, {"blk.1.ffn_down_exps.weight", shape});
            },
            kNo, "second tensor for blk.1.ffn_down_exps.weight");
        row(
            "router of another height", "qwen3moe",
            [](ArchitectureFolder& f) {
                f.at("model.layers.0.mlp.gate.weight").shape = {7, 64};
            },
            ErrorCode::ShapeMismatch, "mlp.gate.weight");
        row(
            "no router", "qwen3moe", [](ArchitectureFolder& f) { f.remove("model.layers.1.mlp.gate.weight"); },
            ErrorCode::MissingTensor, "blk.1.ffn_gate_inp.weight");
        row(
            "no bias", "qwen2", [](ArchitectureFolder& f) { f.remove("model.layers.1.self_attn.k_proj.bias"); },
            ErrorCode::MissingTensor, "blk.1.attn_k.bias");
        row(
            "a bias too many", "qwen3",
            [](ArchitectureFolder& f) {
                f.tensors.push_back({"model.layers.1.self_attn.q_proj.bias", {128}});
            },
            kNo, "no tensor blk.1.attn_q.bias");
        row(
            "a block too many", "qwen3",
            [](ArchitectureFolder& f) {
                f.tensors.push_back({"model.layers.2.input_layernorm.weight", {64}});
            },
            kNo, "block 2");
        row(
            "a tensor without meaning", "gemma2",
            [](ArchitectureFolder& f) {
                f.tensors.push_back({"model.layers.0.altup.weight", {64, 64}});
            },
            kNo, "gemma2");
        row(
            "norm of one head instead of all", "olmo2",
            [](ArchitectureFolder& f) { f.at("model.layers.0.self_attn.q_norm.weight").shape = {16}; },
            ErrorCode::ShapeMismatch, "q_norm");
        config("gate and up not fused", "phi4", R"({"intermediate_size":192})", ErrorCode::ShapeMismatch,
               "gate_up_proj");
        config("llama3 scaling elsewhere", "qwen2", R"({"rope_scaling":{"rope_type":"llama3"}})", kNo, "llama3");
        config("longrope elsewhere", "qwen2",
               R"({"rope_scaling":{"type":"longrope","original_max_position_embeddings":64,
            "short_factor":[1,1,1,1,1,1,1,1],"long_factor":[1,1,1,1,1,1,1,1]}})",
               kNo, "longrope");
        config("longrope of another length", "phi-long",
               R"({"rope_scaling":{"type":"longrope","short_factor":[1,1],"long_factor":[1]}})", kWrong,
               "short_factor");
        config("longrope of no numbers", "phi-long", R"({"rope_scaling":{"type":"longrope","short_factor":["1"]}})",
               kWrong, "short_factor");
        config("linear scaling of phi3", "phi4", R"({"rope_scaling":{"type":"linear","factor":2}})", kNo, "phi3");
        config("yarn with another ramp", "qwen2", R"({"rope_scaling":{"type":"yarn","factor":4,"beta_fast":16}})", kNo,
               "beta_fast");
        config("partial rotation elsewhere", "qwen2", R"({"partial_rotary_factor":0.5})", kNo, "rotat");
        config("rotation of nothing", "phi4", R"({"partial_rotary_factor":0.01})", kWrong, "partial_rotary_factor");
        config("gemma2 without a cap", "gemma2", R"({"attn_logit_softcapping":null})", kNo, "soft cap");
        config("gemma2 of another query scale", "gemma2", R"({"query_pre_attn_scalar":64})", kNo,
               "query_pre_attn_scalar");
        config("gemma2 without a window", "gemma2", R"({"sliding_window":null})", kWrong, "sliding_window");
        config("gemma2 untied", "gemma2", R"({"tie_word_embeddings":false})", kNo, "tie_word_embeddings");
        config("gemma2 of other layers", "gemma2", R"({"layer_types":["full_attention","sliding_attention"]})", kNo,
               "layer_types");
        config("gemma2 of too few layers", "gemma2", R"({"layer_types":["sliding_attention"]})", kWrong, "layer_types");
        config("gemma3 of another period", "gemma3", R"({"sliding_window_pattern":4})", kNo, "one in 6");
        config("gemma3 of another local base", "gemma3", R"({"rope_local_base_freq":50000.0})", kNo,
               "rope_local_base_freq");
        config("gemma3 with a cap", "gemma3", R"({"final_logit_softcapping":30.0})", kNo, "soft caps");
        config("gemma of another activation", "gemma", R"({"hidden_act":"silu"})", kNo, "activation");
        config("qwen2moe that normalizes", "qwen2moe", R"({"norm_topk_prob":true})", kNo, "norm_topk_prob");
        config("qwen3moe that does not", "qwen3moe", R"({"norm_topk_prob":false})", kNo, "norm_topk_prob");
        config("dense blocks between", "qwen3moe", R"({"mlp_only_layers":[0]})", kNo, "mlp_only_layers");
        config("experts in every other block", "qwen2moe", R"({"decoder_sparse_step":2})", kNo, "decoder_sparse_step");
        config("smollm3 rotated everywhere", "smollm3", R"({"no_rope_layers":[1,1,1,1]})", kNo, "no_rope_layers");
        config("smollm3 of another list", "smollm3", R"({"no_rope_layers":[1]})", kWrong, "no_rope_layers");
        config("olmo2 tied", "olmo2", R"({"tie_word_embeddings":true})", kNo, "olmo2");
        config("olmo3 of other layers", "olmo3",
               R"({"layer_types":["full_attention","full_attention","full_attention","full_attention","full_attention"]})",
               kNo, "layer_types");
        config("olmo3 without a window", "olmo3", R"({"sliding_window":null,"layer_types":null})", kWrong,
               "sliding_window");
        config("a text part that is none", "gemma3-images", R"({"text_config":[1]})", kWrong, "text_config");
        config("a text part that says nothing", "gemma3-images", R"({"text_config":{}})", ErrorCode::ShapeMismatch,
               "embed_tokens");
        row(
            "a text part of other layers", "gemma3-images",
            [](ArchitectureFolder& f) { f.config["text_config"]["sliding_window_pattern"] = 4; }, kNo, "one in 6");
        row(
            "images of a name that nobody knows", "gemma3-images",
            [](ArchitectureFolder& f) {
                f.tensors.push_back({"model.audio_tower.layers.0.q_proj.weight", {32, 32}});
            },
            kNo, "audio_tower");
        config("stacks of too few experts", "qwen3moe-stacked", R"({"num_experts":7})", ErrorCode::MissingTensor,
               "expert 6 of 0 to 6");
        constexpr const char* kStack = "model.layers.1.mlp.experts.down_proj";
        row(
            "turned stacks", "qwen3moe-stacked",
            [](ArchitectureFolder& f) {
                f.at(kStack).shape = {6, 32, 64};
            },
            kNo, "experts.gate_up_proj");
        row(
            "stacks of different heights", "mixtral-stacked",
            [](ArchitectureFolder& f) {
                f.at(kStack).shape = {5, 64, 96};
            },
            kNo, "experts.gate_up_proj");
        row(
            "half a stack", "mixtral-stacked", [](ArchitectureFolder& f) { f.remove(kStack); }, kNo,
            "experts.gate_up_proj");
        row(
            "a stack with biases", "qwen3moe-stacked",
            [](ArchitectureFolder& f) {
                f.tensors.push_back({"model.layers.0.mlp.experts.gate_up_proj_bias", {6, 64}});
            },
            kNo, "experts.gate_up_proj");
        row(
            "a stack and one of its experts", "qwen3moe-stacked",
            [](ArchitectureFolder& f) {
                f.tensors.push_back({"model.layers.0.mlp.experts.3.up_proj.weight", {32, 64}});
            },
            kNo, "experts.gate_up_proj");
        row(
            "a stack of nothing", "qwen3moe-stacked", [](ArchitectureFolder& f) { f.at(kStack).shape = {6, 0, 32}; },
            kNo, "experts.gate_up_proj");
        row(
            "more experts than anybody has", "qwen3moe-stacked",
            [](ArchitectureFolder& f) {
                f.at(kStack).shape = {100'000, 1, 1};
                f.at("model.layers.1.mlp.experts.gate_up_proj").shape = {100'000, 2, 1};
            },
            kNo, "experts.gate_up_proj");
    }

    void whatCannotBeCarriedIsRefusedByName()
    {
        QFETCH(QString, family);
        QFETCH(Change, change);
        QFETCH(int, code);
        QFETCH(QString, named);
        ArchitectureFolder folder = folderOf(family.toStdString());
        change(folder);
        const auto model = open(folder);
        QVERIFY(model);
        const auto source = ggufSourceOf(*model, nullptr);
        QVERIFY(!source);
        QVERIFY2(source.error().detail.find(named.toStdString()) != std::string::npos, source.error().detail.c_str());
        QCOMPARE(static_cast<int>(source.error().code), code);
    }

    void scalesOfTheCacheAreLeftOutAndToldOf()
    {
        ArchitectureFolder folder = folderOf("llama");
        folder.tensors.push_back({"model.layers.0.self_attn.k_proj.k_scale", {}, 1, 0});
        folder.tensors.push_back({"model.layers.1.self_attn.v_scale", {1}, 1, 0});
        const auto source = ggufSourceOf(*open(folder), nullptr);
        QVERIFY2(source, source ? "" : source.error().detail.c_str());
        QCOMPARE(source->apart.size(), std::size_t{2});
        QVERIFY(source->notes.size() == 1 && source->notes.front().starts_with("2 scales of keys and values"));
        folder.tensors.back().shape = {2};  // no scale of a whole cache
        QVERIFY(!ggufSourceOf(*open(folder), nullptr));
    }

    /// Each matrix of a stack has the name of all: a few bytes of a header must not become gigabytes.
    void stacksOfEndlessNamesAreListedAsTheyAreStored()
    {
        ArchitectureFolder folder = folderOf("mixtral-stacked");
        const std::string stem(2000, 'x');
        for (const std::string end : {".experts.gate_up_proj", ".experts.down_proj"})
            folder.at("model.layers.1.mlp" + end).name = stem + end;
        const auto model = open(folder);
        QVERIFY(model);
        QVERIFY(model->find(stem + ".experts.gate_up_proj") && model->find(stem + ".experts.down_proj"));
        QVERIFY(model->find("model.layers.0.block_sparse_moe.experts.0.w1.weight"));
    }

    /// Names and bytes of the experts are those of a folder that holds them one by one.
    void stacksAreListedExpertByExpert()
    {
        const auto model = open(folderOf("mixtral-stacked"));
        QVERIFY(model);
        const auto same = open(folderOf("mixtral"));
        QVERIFY(same);
        QCOMPARE(model->tensors().size(), same->tensors().size());
        for (const TensorInfo& tensor : same->tensors()) {
            const auto found = model->find(tensor.name);
            QVERIFY2(found && model->tensors()[*found].shape == tensor.shape, tensor.name.c_str());
        }
        const std::vector<float> stack = folderValues({"model.layers.1.mlp.experts.gate_up_proj", {4, 192, 64}, 0, 1.5F / 8});
        const auto gate = valuesOf(*model, "model.layers.1.block_sparse_moe.experts.3.w1.weight");
        const auto up = valuesOf(*model, "model.layers.1.block_sparse_moe.experts.3.w3.weight");
        QVERIFY(std::ranges::equal(gate, std::span(stack).subspan(3 * 192 * 64, 96 * 64)));
        QVERIFY(std::ranges::equal(up, std::span(stack).subspan((3 * 192 + 96) * 64)));
    }

    /// That these folders are read as they are meant: tests/interop/tst_packed_models.cpp.
    void theOutputIsPackedWhereItHasWeightsOfItsOwn()
    {
        for (const char* target : {"gptq", "compressed-tensors", "awq"}) {
            ArchitectureFolder folder = folderOf("llama");
            const bool isTaken = std::string_view(target) != "awq";
            const char* const grid = isTaken ? "int4-g32" : "int4-g32-asym";
            for (const bool isTied : {false, true}) {
                folder.config["tie_word_embeddings"] = isTied;
                const auto model = open(folder);
                ExportRequest request = requestFor(model, 0);
                request.output = "/nowhere/out";
                for (LayerPlan& plan : request.plan.layers)
                    plan.grid = plan.keep ? plan.grid : grid;
                LayerPlan& head = request.plan.layers[indexOf(*model, "lm_head.weight")];
                head = {.keep = false, .grid = grid};
                const auto estimate = findExporter(target)->estimate(request);
                QVERIFY2(estimate.has_value() == (isTaken && !isTied), estimate ? target : estimate.error().detail.c_str());
                if (!estimate)
                    continue;
                QVERIFY(std::ranges::any_of(estimate->notes, [](const std::string& note) {
                    return note.find("output matrix is quantized") != std::string::npos;
                }));
                head.rank = 4;
                const auto corrected = findExporter(target)->estimate(request);
                QVERIFY(!corrected && corrected.error().code == ErrorCode::NotRepresentable);
                QVERIFY(corrected.error().detail.find("nearest: rank 0") != std::string::npos);
            }
        }
    }

    void packedTargetsRefuseModelsThatTakeImages()
    {
        const auto model = open(folderOf("gemma3-images"));
        QVERIFY(model);
        ExportRequest request = requestFor(model, 0);
        request.output = "/nowhere/out";
        for (LayerPlan& plan : request.plan.layers)
            plan.grid = plan.keep ? plan.grid : "int4-g32";
        const auto estimate = findExporter("compressed-tensors")->estimate(request);
        QVERIFY(!estimate && estimate.error().code == ErrorCode::NotRepresentable);
        QVERIFY2(estimate.error().detail.find("takes images") != std::string::npos, estimate.error().detail.c_str());
    }

    void windowsThatLlamaCppLeavesAsideAreNoted()
    {
        ArchitectureFolder folder = folderOf("mistral");
        folder.config["sliding_window"] = 128;
        const auto noted = ggufSourceOf(*open(folder), nullptr);
        QVERIFY(noted && noted->notes.size() == 1 && noted->notes.front().find("128") != std::string::npos);
        folder.config["sliding_window"] = 256;  // the whole context
        const auto silent = ggufSourceOf(*open(folder), nullptr);
        QVERIFY(silent && silent->notes.empty());
    }

    void normsOfGemmaAreOneGreaterAndOthersAreNot()
    {
        for (const char* family : {"gemma3", "olmo2"}) {
            const auto model = open(folderOf(family));
            const auto source = ggufSourceOf(*model, nullptr);
            QVERIFY(source);
            for (const GgufTarget& target : source->targets) {
                const bool isNorm = target.name.ends_with("_norm.weight");
                QCOMPARE(target.offset, isNorm && std::string_view(family) == "gemma3" ? 1.0F : 0.0F);
                QVERIFY(!isNorm || (target.vector && target.keptType == DType::F32));
            }
        }
    }

    void expertsOfOneKindHaveOneType()
    {
        const auto model = open(folderOf("mixtral"));
        const auto planner = GgufPlanner::create(model);
        QVERIFY(planner);
        ExportRequest request = requestFor(model, 0);
        QVERIFY((*planner)->design(request));
        QVERIFY((*planner)->verdict(request).refusals.empty());
        LayerPlan& other = request.plan.layers[indexOf(*model, "model.layers.1.block_sparse_moe.experts.2.w1.weight")];
        for (const LayerPlan& plan : {LayerPlan{.keep = false, .grid = "q8_0"}, LayerPlan{.keep = true}}) {
            other = plan;
            const auto design = (*planner)->design(request);
            QVERIFY(!design);
            QCOMPARE(design.error().code, ErrorCode::NotRepresentable);
            QVERIFY2(design.error().detail.find("one tensor, blk.1.ffn_gate_exps.weight, of one type")
                         != std::string::npos,
                     design.error().detail.c_str());
            QVERIFY(design.error().detail.find("experts.2.w1") != std::string::npos);
            // The one that differs, and the one behind it, which differs from that.
            QCOMPARE((*planner)->verdict(request).refusals.size(), std::size_t{2});
        }
    }

    /// One bad value keeps one expert as it is; the stack that it is part of has one type.
    void expertsBesideOneThatHasToBeKeptAreKept()
    {
        auto model = open(folderOf("mixtral"));
        const std::string bad = "model.layers.1.block_sparse_moe.experts.2.w1.weight";
        const TensorInfo& tensor = model->tensors()[indexOf(*model, bad.c_str())];
        {
            std::fstream file(model->shard(tensor.shard)->path(), std::ios::in | std::ios::out | std::ios::binary);
            file.seekp(static_cast<std::streamoff>(tensor.offset));
            const float infinite = std::numeric_limits<float>::infinity();
            file.write(reinterpret_cast<const char*>(&infinite), sizeof infinite);
            QVERIFY(file.good());
        }
        const auto again = Checkpoint::open(model->path());
        QVERIFY(again);
        model = *again;
        ExportRequest request = requestFor(model, 0);
        request.plan.target = "gguf";
        const auto looked = preflight(*model, request.plan, *makeCpuBackend(), {});
        QVERIFY2(looked, looked ? "" : looked.error().detail.c_str());
        std::size_t kept = 0;
        for (std::size_t i = 0; i < model->tensors().size(); ++i) {
            const std::string& name = model->tensors()[i].name;
            if (looked->plan.layers[i].keep && !request.plan.layers[i].keep) {
                ++kept;
                QVERIFY2(name.find("layers.1.") != std::string::npos && name.ends_with("w1.weight"), name.c_str());
            }
        }
        QCOMPARE(kept, std::size_t{4});
        QCOMPARE(looked->fallbacks.size(), std::size_t{4});
        request.plan = looked->plan;
        const auto planner = GgufPlanner::create(model);
        QVERIFY(planner);
        const auto design = (*planner)->design(request);
        QVERIFY2(design, design ? "" : design.error().detail.c_str());
    }

    void expertsOfOneKindShareOneRank()
    {
        const auto model = open(folderOf("mixtral"));
        const auto planner = GgufPlanner::create(model);
        QVERIFY(planner);
        ExportRequest request = requestFor(model, 0);
        request.plan.layers[indexOf(*model, "model.layers.0.block_sparse_moe.experts.1.w2.weight")].rank = 7;
        request.plan.layers[indexOf(*model, "model.layers.0.block_sparse_moe.experts.3.w2.weight")].rank = 5;
        const auto design = (*planner)->design(request);
        QVERIFY2(design, design ? "" : design.error().detail.c_str());
        QCOMPARE(design->adapter.size(), std::size_t{8});
        for (std::size_t i = 0; i < 8; ++i) {
            const GgufTensorSpec& spec = design->adapter[i];
            QCOMPARE(spec.name, std::string("blk.0.ffn_down_exps.weight") + (i < 4 ? ".lora_a" : ".lora_b"));
            QVERIFY(spec.parts == 4 && spec.part == i % 4 && spec.dtype == DType::F32);
            QVERIFY(spec.shape == (i < 4 ? Shape{7, 96} : Shape{64, 7}));
        }
        const auto layout = GgufPlanner::adapterLayout(*design);
        QVERIFY(layout);
        QCOMPARE(layout->totalBytes, design->estimate.outputs.back().bytes);
    }

    /// A mixture with ranks of many sizes, its layers computed once, so that only their order differs.
    void expertsComeInAnyOrderAndAreTakenUpAgain()
    {
        const auto model = open(folderOf("mixtral"));
        ExportRequest request = requestFor(model, 0);
        std::uint32_t next = 0;
        for (LayerPlan& plan : request.plan.layers)
            plan.rank = plan.keep ? 0 : next++ % 4;
        const fs::path folder = fs::path(m_dir.path().toStdString()) / "any-order";
        fs::create_directories(folder);
        request.output = folder / "forward.gguf";
        auto exporter = makeGgufExporter(request);
        QVERIFY2(exporter, exporter ? "" : exporter.error().detail.c_str());
        std::vector<QuantizedLayer> layers;
        for (const std::size_t tensor : (*exporter)->order()) {
            layers.push_back(layerOf(request, tensor));
            QVERIFY((*exporter)->add(layers.back()));
        }
        const Status finished = (*exporter)->finish();
        QVERIFY2(finished, finished ? "" : finished.error().detail.c_str());

        // Backwards, cut short after two thirds, and taken up by another exporter.
        request.output = folder / "backward.gguf";
        request.journaled = Journaled{};
        auto first = makeGgufExporter(request);
        QVERIFY(first);
        std::vector<std::pair<std::size_t, LayerReceipt>> receipts;
        const std::size_t some = layers.size() / 3;
        for (std::size_t i = layers.size(); i-- > some;) {
            QVERIFY((*first)->add(layers[i]));
            receipts.emplace_back(layers[i].tensor, (*first)->receipt());
        }
        QVERIFY((*first)->flush());
        first->reset();
        request.journaled->takeUp = true;
        auto second = makeGgufExporter(request);
        QVERIFY2(second, second ? "" : second.error().detail.c_str());
        for (const auto& [tensor, receipt] : receipts) {
            const Status taken = (*second)->takeUp(tensor, receipt, {});
            QVERIFY2(taken, taken ? "" : taken.error().detail.c_str());
        }
        for (std::size_t i = 0; i < some; ++i)
            QVERIFY((*second)->add(layers[i]));
        QVERIFY((*second)->finish());
        for (const char* suffix : {".gguf", "-lora.gguf"}) {
            const std::string forward = bytesOf(folder / (std::string("forward") + suffix));
            QVERIFY(forward.size() > 1000);
            QVERIFY(forward == bytesOf(folder / (std::string("backward") + suffix)));
        }
    }

    void bf16FoldersKeepTheirTypeButForNormsBiasesAndRouters()
    {
        for (const char* family : {"qwen2moe", "gemma3"}) {
            const auto model = open(folderOf(family), true);
            QVERIFY(model);
            ExportRequest request;
            request.checkpoint = model;
            request.plan.layers.resize(model->tensors().size());
            request.output = fs::path(m_dir.path().toStdString()) / (std::string(family) + ".gguf");
            const Status run = runExport(request);
            QVERIFY2(run, run ? "" : run.error().detail.c_str());
            const auto written = Checkpoint::open(request.output, {.strict = true});
            QVERIFY(written);
            for (const TensorInfo& tensor : (*written)->tensors()) {
                const bool isFloat = tensor.shape.size() == 1 || tensor.name.find("ffn_gate_inp") != std::string::npos;
                QVERIFY2(tensor.dtype == (isFloat ? DType::F32 : DType::BF16), tensor.name.c_str());
            }
            if (std::string_view(family) != "gemma3")
                continue;
            // One more, added in F32: rounding the sum to BF16 again would lose most of what the norm says.
            const auto before = valuesOf(*model, "model.layers.3.self_attn.k_norm.weight");
            const auto after = valuesOf(**written, "blk.3.attn_k_norm.weight");
            QCOMPARE(after.size(), before.size());
            for (std::size_t i = 0; i < before.size(); ++i)
                QCOMPARE(after[i], before[i] + 1.0F);
        }
    }

    void partsStandBareBehindOneAnother()
    {
        GgufKeys keys;
        keys.set("general.architecture", "llama");
        const auto part = [](std::uint32_t i) { return GgufTensorSpec{"s", DType::F32, {3, 1}, 4, i}; };
        const std::vector<GgufTensorSpec> whole{{"a", DType::F32, {5}}, part(0), part(1), part(2), part(3),
                                                {"b", DType::F32, {1}}};
        const auto layout = layoutGguf(keys, whole);
        QVERIFY2(layout, layout ? "" : layout.error().detail.c_str());
        QVERIFY((layout->offsets
                 == std::vector<Bytes>{0, 32, 44, 56, 68, 96}));  // 5 floats are padded, the parts' 12 bytes not
        Bytes sum = ggufHeaderBytes(keys, whole);
        for (const GgufTensorSpec& spec : whole)
            sum += ggufPaddedBytes(spec);
        QCOMPARE(layout->totalBytes, sum);
        // One tensor [4, 3, 1] as a reader sees it.
        const fs::path path = fs::path(m_dir.path().toStdString()) / "parts.gguf";
        auto writer = GgufWriter::create(path, *layout, true);
        QVERIFY(writer);
        for (const std::size_t floats : {5, 3, 3, 3, 3, 1})
            QVERIFY(writer->append(std::vector<std::byte>(4 * floats, std::byte{7})));
        const Status finished = writer->finish();
        QVERIFY2(finished, finished ? "" : finished.error().detail.c_str());
        const auto read = Checkpoint::open(path);
        QVERIFY(read);
        QCOMPARE((*read)->tensors().size(), std::size_t{3});
        QVERIFY(((*read)->tensors()[1].shape == Shape{4, 3, 1}));
    }

    void partsInDisorderAreRefused()
    {
        const auto part = [](std::uint32_t i, std::uint64_t rows = 3) {
            return GgufTensorSpec{"s", DType::F32, {rows, 1}, 3, i};
        };
        for (const std::vector<GgufTensorSpec>& specs :
             std::vector<std::vector<GgufTensorSpec>>{{part(0), part(1)},
                                                      {part(1), part(0), part(2)},
                                                      {part(0), part(1), part(2, 4)},
                                                      {part(0), part(0), part(1), part(2)},
                                                      {part(1), part(2)},
                                                      {part(0), part(1), part(2), part(0), part(1), part(2)},
                                                      {part(0), part(1), part(2), part(3)}}) {
            const auto layout = layoutGguf({}, specs);
            QVERIFY(!layout);
            QCOMPARE(layout.error().code, ErrorCode::NotRepresentable);
        }
    }
};

QTEST_GUILESS_MAIN(TestArchitectures)
#include "tst_architectures.moc"
