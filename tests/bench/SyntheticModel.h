// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// A llama of any size for the benches of whole runs.

#include "core/base/Half.h"
#include "core/checkpoint/Checkpoint.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace sigmascope::bench {

struct LlamaShape {
    std::uint64_t hidden = 0, intermediate = 0;
    std::uint64_t keyValue = 0;  ///< rows of the k and v projections
    std::uint64_t blocks = 1;
    std::uint64_t headSize = 64;
};

struct SyntheticTensor {
    std::string name;
    std::vector<std::uint64_t> shape;
};

inline std::vector<SyntheticTensor> tensorsOf(const LlamaShape& shape)
{
    std::vector<SyntheticTensor> tensors{{"model.embed_tokens.weight", {300, shape.hidden}}};
    for (std::uint64_t i = 0; i < shape.blocks; ++i) {
        const std::string block = "model.layers." + std::to_string(i) + ".";
        tensors.push_back({block + "input_layernorm.weight", {shape.hidden}});
        tensors.push_back({block + "post_attention_layernorm.weight", {shape.hidden}});
        for (const char* name : {"q", "o"})
            tensors.push_back({block + "self_attn." + name + "_proj.weight", {shape.hidden, shape.hidden}});
        for (const char* name : {"k", "v"})
            tensors.push_back({block + "self_attn." + name + "_proj.weight", {shape.keyValue, shape.hidden}});
        for (const char* name : {"gate", "up"})
            tensors.push_back({block + "mlp." + name + "_proj.weight", {shape.intermediate, shape.hidden}});
        tensors.push_back({block + "mlp.down_proj.weight", {shape.hidden, shape.intermediate}});
    }
    tensors.push_back({"model.norm.weight", {shape.hidden}});
    tensors.push_back({"lm_head.weight", {300, shape.hidden}});
    return tensors;
}

/// Writes it to an existing folder, its BF16 weights a repeated megabyte. Null if it does not open.
inline std::shared_ptr<const Checkpoint> makeLlama(const std::filesystem::path& folder, const LlamaShape& shape)
{
    constexpr std::uint64_t kMega = std::uint64_t{1} << 20;
    std::string header = "{";
    std::uint64_t at = 0;
    for (const SyntheticTensor& tensor : tensorsOf(shape)) {
        std::uint64_t bytes = 2;
        std::string extents;
        for (const std::uint64_t extent : tensor.shape) {
            bytes *= extent;
            extents += (extents.empty() ? "" : ",") + std::to_string(extent);
        }
        header += (header.size() > 1 ? ",\"" : "\"") + tensor.name + R"(":{"dtype":"BF16","shape":[)" + extents
                  + "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(at + bytes) + "]}";
        at += bytes;
    }
    header += "}";
    std::vector<std::uint16_t> weights(kMega / 2);
    std::uint64_t state = 1;
    for (std::uint16_t& value : weights) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        value = floatToBf16(0.05F * (static_cast<float>(state >> 40) / static_cast<float>(1 << 24) - 0.5F));
    }
    std::ofstream file(folder / "model.safetensors", std::ios::binary);
    const std::uint64_t length = header.size();
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << header;
    for (std::uint64_t done = 0; done < at; done += kMega)
        file.write(reinterpret_cast<const char*>(weights.data()), static_cast<std::streamsize>(std::min(kMega, at - done)));
    file.close();
    std::ofstream(folder / "config.json")
        << R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":)" << shape.hidden
        << R"(,"intermediate_size":)" << shape.intermediate << R"(,"num_hidden_layers":)" << shape.blocks
        << R"(,"num_attention_heads":)" << shape.hidden / shape.headSize << R"(,"num_key_value_heads":)"
        << shape.keyValue / shape.headSize
        << R"(,"max_position_embeddings":128,"rms_norm_eps":1e-5,"vocab_size":300})";
    std::filesystem::copy_file(SIGMASCOPE_SOURCE_DIR "/resources/sample/tokenizer.model", folder / "tokenizer.model",
                               std::filesystem::copy_options::overwrite_existing);
    const auto checkpoint = Checkpoint::open(folder);
    return checkpoint ? *checkpoint : nullptr;
}

}  // namespace sigmascope::bench
