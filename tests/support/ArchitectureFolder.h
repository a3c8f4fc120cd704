// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Tiny models of random weights, one a family, as transformers would save them: config.json, model.safetensors and the
// sample's tokenizer. Independent of the project's own tables of names and shapes.

#include "core/base/Json.h"
#include "support/FileBuilders.h"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sigmascope::test {

struct FolderTensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    float mean = 0, deviation = 1;
};

struct ArchitectureFolder {
    Json config;
    std::vector<FolderTensor> tensors;

    /// The tensor of this name, for tests that spoil it.
    FolderTensor& at(std::string_view name)
    {
        for (FolderTensor& tensor : tensors) {
            if (tensor.name == name)
                return tensor;
        }
        throw std::out_of_range(std::string(name));
    }
    void remove(std::string_view name)
    {
        std::erase_if(tensors, [name](const FolderTensor& tensor) { return tensor.name == name; });
    }
};

/// Numbers that depend on the name alone, roughly normal.
inline std::vector<float> folderValues(const FolderTensor& tensor)
{
    std::uint64_t count = 1;
    for (const std::uint64_t n : tensor.shape)
        count *= n;
    std::uint64_t state = 0xcbf29ce484222325U;
    for (const char c : tensor.name)
        state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    const auto uniform = [&state] {
        state = state * 6364136223846793005U + 1442695040888963407U;
        return static_cast<double>(state >> 40U) / 16777216.0 - 0.5;
    };
    std::vector<float> values(count);
    for (float& value : values)
        value = tensor.mean + tensor.deviation * static_cast<float>((uniform() + uniform() + uniform()) * 2);
    return values;
}

/// F32 throughout, so that what a runtime computes from the export can be told from a few roundings; or the leading
/// halves of the same numbers as BF16.
inline void writeFolder(const ArchitectureFolder& model, const std::filesystem::path& folder, bool asBf16 = false)
{
    namespace fs = std::filesystem;
    fs::create_directories(folder);
    writeFile(folder / "config.json", dumpJson(model.config));
    std::string entries;
    std::string data;
    for (const FolderTensor& tensor : model.tensors) {
        const std::vector<float> values = folderValues(tensor);
        const std::size_t begin = data.size();
        const auto* bytes = reinterpret_cast<const char*>(values.data());
        for (std::size_t i = 0; asBf16 && i < values.size(); ++i)
            data.append(bytes + 4 * i + 2, 2);
        if (!asBf16)
            data.append(bytes, 4 * values.size());
        entries += (entries.empty() ? "{" : ",")
            + entry(tensor.name, asBf16 ? "BF16" : "F32", tensor.shape, begin, data.size());
    }
    entries += "}";
    entries.resize((entries.size() + 7) / 8 * 8, ' ');
    writeFile(folder / "model.safetensors", le<std::uint64_t>(entries.size()) + entries + data);
    const fs::path sample = fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";
    for (const char* file : {"tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"})
        fs::copy_file(sample / file, folder / file, fs::copy_options::overwrite_existing);
}

/// Gathers a family's tensors by the names of transformers.
class FolderBuilder {
public:
    FolderBuilder(std::string_view modelClass, std::string_view changes)
    {
        folder.config
            = *parseJson(R"({"hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,
            "num_key_value_heads":2,"max_position_embeddings":256,"rms_norm_eps":1e-5,"rope_theta":10000.0,"vocab_size":2048,
            "bos_token_id":1,"eos_token_id":2,"hidden_act":"silu","tie_word_embeddings":false})",
                         "config");
        folder.config["architectures"] = std::vector<std::string>{std::string(modelClass)};
        folder.config.update(*parseJson(changes, "changes"));
        matrix("model.embed_tokens.weight", number("vocab_size"), hidden());
        for (std::uint64_t block = 0; block < number("num_hidden_layers"); ++block)
            blocks.push_back("model.layers." + std::to_string(block) + ".");
    }

    ArchitectureFolder folder;
    std::vector<std::string> blocks;
    float norm = 1;  ///< what norms lie around

    [[nodiscard]] std::uint64_t number(const char* key) const { return folder.config.at(key).get<std::uint64_t>(); }
    [[nodiscard]] std::uint64_t hidden() const { return number("hidden_size"); }
    [[nodiscard]] std::uint64_t forward() const { return number("intermediate_size"); }
    [[nodiscard]] std::uint64_t head() const
    {
        return folder.config.contains("head_dim") ? number("head_dim") : hidden() / number("num_attention_heads");
    }
    [[nodiscard]] std::uint64_t queries() const { return number("num_attention_heads") * head(); }
    [[nodiscard]] std::uint64_t keys() const { return number("num_key_value_heads") * head(); }

    void matrix(const std::string& name, std::uint64_t rows, std::uint64_t cols)
    {
        folder.tensors.push_back({name, {rows, cols}, 0, 1.5F / std::sqrt(static_cast<float>(cols))});
    }
    void vector(const std::string& name, std::uint64_t size, float mean)
    {
        folder.tensors.push_back({name, {size}, mean, 0.3F});
    }
    void norms(const std::string& block, const std::vector<std::string>& names)
    {
        for (const std::string& name : names)
            vector(block + name + ".weight", hidden(), norm);
    }
    void attention(const std::string& block)
    {
        matrix(block + "self_attn.q_proj.weight", queries(), hidden());
        matrix(block + "self_attn.k_proj.weight", keys(), hidden());
        matrix(block + "self_attn.v_proj.weight", keys(), hidden());
        matrix(block + "self_attn.o_proj.weight", hidden(), queries());
    }
    void biases(const std::string& block)
    {
        vector(block + "self_attn.q_proj.bias", queries(), 0);
        vector(block + "self_attn.k_proj.bias", keys(), 0);
        vector(block + "self_attn.v_proj.bias", keys(), 0);
    }
    void headNorms(const std::string& block, bool allHeads = false)
    {
        vector(block + "self_attn.q_norm.weight", allHeads ? queries() : head(), norm);
        vector(block + "self_attn.k_norm.weight", allHeads ? keys() : head(), norm);
    }
    void feedForward(const std::string& prefix, std::uint64_t width,
                     const std::vector<std::string>& names = {"gate_proj", "up_proj", "down_proj"})
    {
        matrix(prefix + names[0] + ".weight", width, hidden());
        matrix(prefix + names[1] + ".weight", width, hidden());
        matrix(prefix + names[2] + ".weight", hidden(), width);
    }
    [[nodiscard]] ArchitectureFolder finish(bool hasOutput = true)
    {
        vector("model.norm.weight", hidden(), norm);
        if (hasOutput)
            matrix("lm_head.weight", number("vocab_size"), hidden());
        return std::move(folder);
    }
};

/// Blocks of two norms, q/k/v and gate/up/down, then @p more.
inline ArchitectureFolder plainFolder(std::string_view modelClass, std::string_view changes,
                                      const std::function<void(FolderBuilder&, const std::string&)>& more = {},
                                      bool hasOutput = true)
{
    FolderBuilder builder(modelClass, changes);
    for (const std::string& block : builder.blocks) {
        builder.norms(block, {"input_layernorm", "post_attention_layernorm"});
        builder.attention(block);
        builder.feedForward(block + "mlp.", builder.forward());
        if (more)
            more(builder, block);
    }
    return builder.finish(hasOutput);
}

inline ArchitectureFolder gemmaFolder(std::string_view modelClass, std::string_view changes, bool hasHeadNorms)
{
    FolderBuilder builder(modelClass, changes);
    builder.norm = 0;
    for (const std::string& block : builder.blocks) {
        builder.norms(
            block,
            {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"});
        builder.attention(block);
        builder.feedForward(block + "mlp.", builder.forward());
        if (hasHeadNorms)
            builder.headNorms(block);
    }
    return builder.finish(false);
}

inline ArchitectureFolder phi3Folder(std::string_view changes)
{
    FolderBuilder builder("Phi3ForCausalLM", changes);
    for (const std::string& block : builder.blocks) {
        builder.norms(block, {"input_layernorm", "post_attention_layernorm"});
        builder.matrix(block + "self_attn.qkv_proj.weight", builder.queries() + 2 * builder.keys(), builder.hidden());
        builder.matrix(block + "self_attn.o_proj.weight", builder.hidden(), builder.queries());
        builder.matrix(block + "mlp.gate_up_proj.weight", 2 * builder.forward(), builder.hidden());
        builder.matrix(block + "mlp.down_proj.weight", builder.hidden(), builder.forward());
    }
    return builder.finish();
}

inline ArchitectureFolder mixtureFolder(std::string_view modelClass, std::string_view changes)
{
    FolderBuilder builder(modelClass, changes);
    const bool isMixtral = modelClass.starts_with("Mixtral");
    const std::uint64_t experts = builder.number(isMixtral ? "num_local_experts" : "num_experts");
    const std::uint64_t width = isMixtral ? builder.forward() : builder.number("moe_intermediate_size");
    for (const std::string& block : builder.blocks) {
        const std::string prefix = block + (isMixtral ? "block_sparse_moe." : "mlp.");
        builder.norms(block, {"input_layernorm", "post_attention_layernorm"});
        builder.attention(block);
        if (modelClass.starts_with("Qwen2"))
            builder.biases(block);
        if (modelClass.starts_with("Qwen3"))
            builder.headNorms(block);
        builder.matrix(prefix + "gate.weight", experts, builder.hidden());
        for (std::uint64_t e = 0; e < experts; ++e)
            builder.feedForward(prefix + "experts." + std::to_string(e) + ".", width,
                                isMixtral ? std::vector<std::string>{"w1", "w3", "w2"}
                                          : std::vector<std::string>{"gate_proj", "up_proj", "down_proj"});
        if (modelClass.starts_with("Qwen2")) {
            builder.feedForward(prefix + "shared_expert.", builder.number("shared_expert_intermediate_size"));
            builder.matrix(prefix + "shared_expert_gate.weight", 1, builder.hidden());
        }
    }
    return builder.finish();
}

/// Tensors that imagesFolder() adds.
constexpr std::size_t kImageTensors = 3;

/// The text model as part of one that takes images: tensors under another name, and beside them those for images; what
/// the configuration says of text in "text_config", where what transformers takes for granted is left unsaid.
inline ArchitectureFolder imagesFolder(ArchitectureFolder text, bool isNewer)
{
    ArchitectureFolder whole;
    for (FolderTensor& tensor : text.tensors) {
        const std::string bare = tensor.name.substr(std::string_view("model.").size());
        tensor.name = isNewer ? "model.language_model." + bare : "language_model.model." + bare;
        whole.tensors.push_back(std::move(tensor));
    }
    const std::string prefix = isNewer ? "model." : "";
    whole.tensors.push_back({prefix + "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight", {32, 32}});
    whole.tensors.push_back({prefix + "vision_tower.vision_model.post_layernorm.bias", {32}});
    whole.tensors.push_back({prefix + "multi_modal_projector.mm_input_projection_weight", {32, 64}});
    for (const char* key : {"architectures", "hidden_act", "hidden_activation", "rms_norm_eps", "tie_word_embeddings",
                            "attn_logit_softcapping", "rope_local_base_freq", "sliding_window_pattern"})
        text.config.erase(key);
    if (isNewer) {
        text.config["rope_parameters"] = *parseJson(
            R"({"full_attention":{"rope_type":"linear","factor":8.0,"rope_theta":1000000.0},
            "sliding_attention":{"rope_type":"default","rope_theta":10000.0}})",
            "rope");
        text.config.erase("rope_scaling");
    }
    text.config.erase("rope_theta");
    text.config["model_type"] = "gemma3_text";
    whole.config = *parseJson(
        R"({"architectures":["Gemma3ForConditionalGeneration"],"model_type":"gemma3","boi_token_index":9,
        "vision_config":{"hidden_size":32,"num_hidden_layers":1,"model_type":"siglip_vision_model"}})",
        "config");
    whole.config["text_config"] = std::move(text.config);
    return whole;
}

/// The experts' matrices of each block as newer versions of transformers save them: gate and up behind one another in
/// one tensor of three dimensions, down in another.
inline ArchitectureFolder stackedFolder(std::string_view modelClass, std::string_view changes)
{
    ArchitectureFolder folder = mixtureFolder(modelClass, changes);
    const bool isMixtral = modelClass.starts_with("Mixtral");
    const auto number = [&](const char* key) { return folder.config.at(key).get<std::uint64_t>(); };
    const std::uint64_t experts = number(isMixtral ? "num_local_experts" : "num_experts");
    const std::uint64_t width = number(isMixtral ? "intermediate_size" : "moe_intermediate_size");
    const std::uint64_t hidden = number("hidden_size");
    std::erase_if(folder.tensors,
                  [](const FolderTensor& tensor) { return tensor.name.find(".experts.") != std::string::npos; });
    for (std::uint64_t block = 0; block < number("num_hidden_layers"); ++block) {
        const std::string prefix = "model.layers." + std::to_string(block) + ".mlp.experts.";
        folder.tensors.push_back({prefix + "gate_up_proj", {experts, 2 * width, hidden}, 0,
                                  1.5F / std::sqrt(static_cast<float>(hidden))});
        folder.tensors.push_back({prefix + "down_proj", {experts, hidden, width}, 0,
                                  1.5F / std::sqrt(static_cast<float>(width))});
        if (isMixtral)
            folder.at("model.layers." + std::to_string(block) + ".block_sparse_moe.gate.weight").name
                = "model.layers." + std::to_string(block) + ".mlp.gate.weight";
    }
    folder.config["model_type"] = isMixtral ? "mixtral" : "qwen3_moe";
    return folder;
}

/// Every family and every turn of it that changes what is computed.
inline std::vector<std::pair<std::string, ArchitectureFolder>> architectureFolders()
{
    const auto biased = [](FolderBuilder& b, const std::string& block) { b.biases(block); };
    const auto headNormed = [](FolderBuilder& b, const std::string& block) { b.headNorms(block); };
    const auto allBiased = [](FolderBuilder& b, const std::string& block) {
        b.biases(block);
        b.vector(block + "self_attn.o_proj.bias", b.hidden(), 0);
    };
    std::string factors;
    for (int i = 0; i < 8; ++i)
        factors += (i == 0 ? "" : ",") + std::to_string(1 + 0.4 * i);
    const std::string longRope
        = R"("rope_scaling":{"type":"longrope","short_factor":[)" + factors + R"(],"long_factor":[4,4,5,5,6,6,7,8]})";
    std::vector<std::pair<std::string, ArchitectureFolder>> all;
    all.emplace_back(
        "llama",
        plainFolder("LlamaForCausalLM", R"({"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,
        "high_freq_factor":4.0,"original_max_position_embeddings":32}})"));
    all.emplace_back("llama-biased",
                     plainFolder("LlamaForCausalLM", R"({"head_dim":32,"attention_bias":true,
        "rope_scaling":{"type":"linear","factor":3.0}})",
                                 allBiased));
    all.emplace_back(
        "smollm",
        plainFolder("LlamaForCausalLM", R"({"num_key_value_heads":1,"tie_word_embeddings":true})", {}, false));
    all.emplace_back("mistral", plainFolder("MistralForCausalLM", R"({"sliding_window":null,"rope_theta":1000000.0})"));
    all.emplace_back("smollm3", plainFolder("SmolLM3ForCausalLM", R"({"num_hidden_layers":4,"no_rope_layers":[1,1,1,0],
        "use_sliding_window":false})"));
    all.emplace_back("qwen2",
                     plainFolder("Qwen2ForCausalLM",
                                 R"({"use_sliding_window":false,"sliding_window":64,"max_window_layers":2,
        "rope_scaling":{"type":"yarn","factor":4.0,"original_max_position_embeddings":64}})",
                                 biased));
    all.emplace_back(
        "qwen3", plainFolder("Qwen3ForCausalLM", R"({"head_dim":32,"tie_word_embeddings":true})", headNormed, false));
    {
        FolderBuilder gemma("GemmaForCausalLM", R"({"head_dim":32,"hidden_act":"gelu","num_key_value_heads":1})");
        gemma.folder.config.erase("tie_word_embeddings");
        gemma.norm = 0;
        for (const std::string& block : gemma.blocks) {
            gemma.norms(block, {"input_layernorm", "post_attention_layernorm"});
            gemma.attention(block);
            gemma.feedForward(block + "mlp.", gemma.forward());
        }
        all.emplace_back("gemma", gemma.finish(false));
    }
    all.emplace_back("gemma2",
                     gemmaFolder("Gemma2ForCausalLM", R"({"head_dim":32,"hidden_activation":"gelu_pytorch_tanh",
        "tie_word_embeddings":true,"query_pre_attn_scalar":32,"attn_logit_softcapping":5.0,"final_logit_softcapping":3.0,
        "sliding_window":8})",
                                 false));
    all.emplace_back("gemma3",
                     gemmaFolder("Gemma3ForCausalLM", R"({"num_hidden_layers":7,"head_dim":32,
        "hidden_activation":"gelu_pytorch_tanh","tie_word_embeddings":true,"query_pre_attn_scalar":32,"sliding_window":8,
        "sliding_window_pattern":6,"rope_theta":1000000.0,"rope_local_base_freq":10000.0,"attn_logit_softcapping":null,
        "rope_scaling":{"rope_type":"linear","factor":8.0}})",
                                 true));
    for (const bool isNewer : {false, true}) {
        const ArchitectureFolder text = std::ranges::find(all, "gemma3", [](const auto& row) { return row.first; })->second;
        all.emplace_back(isNewer ? "gemma3-images-newer" : "gemma3-images", imagesFolder(text, isNewer));
    }
    // Not "phi3": llama.cpp looks for that word in the name and asks for phi3's own tokens then.
    all.emplace_back("phi-long", phi3Folder(R"({"original_max_position_embeddings":16,)" + longRope + "}"));
    all.emplace_back(
        "phi-short",
        phi3Folder(R"({"max_position_embeddings":1024,"original_max_position_embeddings":512,"sliding_window":300,)"
                   + longRope + "}"));
    all.emplace_back("phi4", phi3Folder(R"({"partial_rotary_factor":0.5})"));
    const auto olmo = [](std::string_view modelClass, std::string_view changes) {
        FolderBuilder builder(modelClass, changes);
        for (const std::string& block : builder.blocks) {
            builder.norms(block, {"post_attention_layernorm", "post_feedforward_layernorm"});
            builder.attention(block);
            builder.headNorms(block, true);
            builder.feedForward(block + "mlp.", builder.forward());
        }
        return builder.finish();
    };
    all.emplace_back("olmo2", olmo("Olmo2ForCausalLM", "{}"));
    all.emplace_back("olmo3", olmo("Olmo3ForCausalLM", R"({"num_hidden_layers":5,"sliding_window":8,
        "layer_types":["sliding_attention","sliding_attention","sliding_attention","full_attention","sliding_attention"],
        "rope_scaling":{"rope_type":"yarn","factor":8.0,"original_max_position_embeddings":32,"beta_fast":32.0,
        "beta_slow":1.0,"attention_factor":1.2079441541679836}})"));
    all.emplace_back("mixtral",
                     mixtureFolder("MixtralForCausalLM",
                                   R"({"num_local_experts":4,"num_experts_per_tok":2,"sliding_window":null})"));
    all.emplace_back(
        "qwen2moe",
        mixtureFolder("Qwen2MoeForCausalLM", R"({"num_experts":6,"num_experts_per_tok":2,"moe_intermediate_size":32,
        "shared_expert_intermediate_size":128,"norm_topk_prob":false,"decoder_sparse_step":1})"));
    all.emplace_back(
        "qwen3moe",
        mixtureFolder("Qwen3MoeForCausalLM", R"({"num_experts":6,"num_experts_per_tok":3,"moe_intermediate_size":32,
        "head_dim":32,"norm_topk_prob":true,"mlp_only_layers":[]})"));
    all.emplace_back("mixtral-stacked",
                     stackedFolder("MixtralForCausalLM",
                                   R"({"num_local_experts":4,"num_experts_per_tok":2,"sliding_window":null})"));
    all.emplace_back("qwen3moe-stacked",
                     stackedFolder("Qwen3MoeForCausalLM",
                                   R"({"num_experts":6,"num_experts_per_tok":3,"moe_intermediate_size":32,
        "head_dim":32,"norm_topk_prob":true,"mlp_only_layers":[]})"));
    return all;
}

}  // namespace sigmascope::test
