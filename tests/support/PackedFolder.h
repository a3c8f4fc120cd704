// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Small quantized checkpoints tensor by tensor, right and wrong ones. Independent of the project's own packing.

#include "support/FileBuilders.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace sigmascope::test {

struct PackedFolder {
    struct Stored {
        std::string name;
        std::string dtype;
        std::vector<std::uint64_t> shape;
        std::string data;
    };
    std::string config{};  ///< of the quantization, JSON; empty: config.json has none
    std::vector<Stored> tensors{};

    [[nodiscard]] Stored& operator[](const std::string& name)
    {
        return *std::ranges::find(tensors, name, &Stored::name);
    }
    void remove(const std::string& name)
    {
        std::erase_if(tensors, [&](const Stored& stored) { return stored.name == name; });
    }
    /// model.safetensors and config.json; @return the folder.
    std::filesystem::path write(const std::filesystem::path& folder) const
    {
        std::string header = "{";
        std::string data;
        for (const Stored& stored : tensors) {
            header += (header.size() > 1 ? "," : "") + entry(stored.name, stored.dtype, stored.shape, data.size(), data.size() + stored.data.size());
            data += stored.data;
        }
        header += "}";
        writeFile(folder / "model.safetensors", le<std::uint64_t>(header.size()) + header + data);
        writeFile(folder / "config.json", "{\"model_type\":\"llama\"" + (config.empty() ? std::string() : ",\"quantization_config\":" + config) + "}");
        return folder;
    }
};

template <class Number>
std::string numbers(std::size_t count, Number value)
{
    std::string bytes;
    for (std::size_t i = 0; i < count; ++i)
        bytes += le(value);
    return bytes;
}

inline constexpr std::uint16_t kHalfF16 = 0x3800;  // 0.5

/// Codes of 4 bits: that of output o and input i is (o + i) mod 16; zero points 8, scales 0.5.
inline std::uint32_t wordOfSums(std::size_t first)
{
    std::uint32_t word = 0;
    for (std::uint32_t i = 0; i < 8; ++i)
        word |= static_cast<std::uint32_t>((first + i) % 16) << (4 * i);
    return word;
}
inline float valueOfSum(std::size_t output, std::size_t input)
{
    return (static_cast<float>((output + input) % 16) - 8.0F) * 0.5F;
}

/// Modules a and b of 8 outputs and 16 inputs in two groups.
inline PackedFolder gptqFolder()
{
    PackedFolder folder{.config = R"({"quant_method":"gptq","bits":4,"group_size":8,"desc_act":false,"checkpoint_format":"gptq"})"};
    for (const std::string module : {"a", "b"}) {
        std::string words;
        for (std::size_t row = 0; row < 2; ++row)
            for (std::size_t output = 0; output < 8; ++output)
                words += le(wordOfSums(output + 8 * row));
        folder.tensors.push_back({module + ".g_idx", "I32", {16}, numbers<std::int32_t>(8, 0) + numbers<std::int32_t>(8, 1)});
        folder.tensors.push_back({module + ".qweight", "I32", {2, 8}, words});
        folder.tensors.push_back({module + ".qzeros", "I32", {2, 1}, numbers<std::uint32_t>(2, 0x77777777U)});
        folder.tensors.push_back({module + ".scales", "F16", {2, 8}, numbers(16, kHalfF16)});
    }
    return folder;
}

inline PackedFolder awqFolder()
{
    PackedFolder folder{.config = R"({"quant_method":"awq","bits":4,"group_size":8,"zero_point":true,"version":"gemm"})"};
    for (const std::string module : {"a", "b"}) {
        std::string words;
        for (std::size_t input = 0; input < 16; ++input) {
            std::uint32_t word = 0;
            constexpr std::uint32_t order[]{0, 2, 4, 6, 1, 3, 5, 7};
            for (std::uint32_t nibble = 0; nibble < 8; ++nibble)
                word |= static_cast<std::uint32_t>((order[nibble] + input) % 16) << (4 * nibble);
            words += le(word);
        }
        folder.tensors.push_back({module + ".qweight", "I32", {16, 1}, words});
        folder.tensors.push_back({module + ".qzeros", "I32", {2, 1}, numbers<std::uint32_t>(2, 0x88888888U)});
        folder.tensors.push_back({module + ".scales", "F16", {2, 8}, numbers(16, kHalfF16)});
    }
    return folder;
}

inline PackedFolder compressedFolder()
{
    PackedFolder folder{.config = R"({"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"group_0":{"targets":["Linear"],)"
                                  R"("weights":{"num_bits":4,"type":"int","symmetric":true,"strategy":"group","group_size":8}}}})"};
    for (const std::string module : {"a", "b"}) {
        std::string words;
        for (std::size_t output = 0; output < 8; ++output)
            words += le(wordOfSums(output)) + le(wordOfSums(output + 8));
        folder.tensors.push_back({module + ".weight_packed", "I32", {8, 2}, words});
        folder.tensors.push_back({module + ".weight_scale", "F16", {8, 2}, numbers(16, kHalfF16)});
        folder.tensors.push_back({module + ".weight_shape", "I64", {2}, le<std::int64_t>(8) + le<std::int64_t>(16)});
    }
    return folder;
}

inline constexpr const char* kBlockState =
    R"({"quant_type":"nf4","blocksize":64,"dtype":"float16","shape":[8,16],"nested_blocksize":2,"nested_dtype":"float32","nested_offset":0.25})";

inline void setState(PackedFolder& folder, const std::string& module, const std::string& json)
{
    auto& state = folder[module + ".weight.quant_state.bitsandbytes__nf4"];
    state.data = json;
    state.shape = {json.size()};
}

/// Values i - 8 for code i, magnitudes 0.25 + 0.25: the same as in the others.
inline PackedFolder blockFolder()
{
    PackedFolder folder{.config = R"({"quant_method":"bitsandbytes","load_in_4bit":true})"};
    for (const std::string module : {"a", "b"}) {
        std::string codes;
        for (std::size_t output = 0; output < 8; ++output)
            for (std::size_t input = 0; input < 16; input += 2)
                codes += static_cast<char>(((output + input) % 16) << 4 | (output + input + 1) % 16);
        std::string table;
        for (int i = 0; i < 16; ++i)
            table += le(static_cast<float>(i - 8));
        const std::string name = module + ".weight";
        folder.tensors.push_back({name, "U8", {64, 1}, codes});
        folder.tensors.push_back({name + ".absmax", "U8", {2}, std::string("\x03\x03", 2)});
        folder.tensors.push_back({name + ".nested_absmax", "F32", {1}, le(0.125F)});
        folder.tensors.push_back({name + ".nested_quant_map", "F32", {256}, numbers(256, 2.0F)});
        folder.tensors.push_back({name + ".quant_map", "F32", {16}, table});
        folder.tensors.push_back({name + ".quant_state.bitsandbytes__nf4", "U8", {0}, {}});
        setState(folder, module, kBlockState);
    }
    return folder;
}

/// 8 outputs of 16 inputs, codes as above less 8, scaled by 0.5; SCB stands for code 127.
inline PackedFolder rowScaledFolder()
{
    PackedFolder folder{.config = R"({"quant_method":"bitsandbytes","load_in_8bit":true})"};
    for (const std::string module : {"a", "b"}) {
        std::string codes;
        for (std::size_t i = 0; i < 128; ++i)
            codes += static_cast<char>(static_cast<int>((i / 16 + i % 16) % 16) - 8);
        folder.tensors.push_back({module + ".SCB", "F32", {8}, numbers(8, 63.5F)});
        folder.tensors.push_back({module + ".weight", "I8", {8, 16}, codes});
    }
    return folder;
}

inline PackedFolder scaledFolder()
{
    PackedFolder folder = rowScaledFolder();
    folder.config = R"({"quant_method":"compressed-tensors","format":"int-quantized","config_groups":{"group_0":{"targets":["Linear"],)"
                    R"("weights":{"num_bits":8,"type":"int","symmetric":true,"strategy":"channel"}}}})";
    for (const std::string module : {"a", "b"})
        folder[module + ".SCB"] = {module + ".weight_scale", "F16", {8, 1}, numbers(8, kHalfF16)};
    return folder;
}

/// E2M1 codes o + i mod 16, two to a byte, scales of FP8 that are 1 and one for the whole of 0.5.
inline PackedFolder nvFp4Folder()
{
    PackedFolder folder{.config = R"({"quant_method":"compressed-tensors","format":"nvfp4-pack-quantized","config_groups":{"group_0":{"targets":["Linear"],)"
                                  R"("weights":{"num_bits":4,"type":"float","symmetric":true,"strategy":"tensor_group","group_size":16}}}})"};
    for (const std::string module : {"a", "b"}) {
        std::string codes;
        for (std::size_t output = 0; output < 8; ++output)
            for (std::size_t input = 0; input < 16; input += 2)
                codes += static_cast<char>((output + input) % 16 | (output + input + 1) % 16 << 4);
        folder.tensors.push_back({module + ".weight_packed", "U8", {8, 8}, codes});
        folder.tensors.push_back({module + ".weight_scale", "F8_E4M3", {8, 1}, numbers<std::uint8_t>(8, 0x38)});
        folder.tensors.push_back({module + ".weight_global_scale", "F32", {1}, le(0.5F)});
    }
    return folder;
}

/// The same codes of one expert of 8 outputs and 32 inputs a module, scales 2.
inline PackedFolder mxFp4ExpertsFolder()
{
    PackedFolder folder{.config = R"({"quant_method":"mxfp4"})"};
    for (const std::string module : {"a", "b"}) {
        std::string codes;
        for (std::size_t output = 0; output < 8; ++output)
            for (std::size_t input = 0; input < 32; input += 2)
                codes += static_cast<char>((output + input) % 16 | (output + input + 1) % 16 << 4);
        folder.tensors.push_back({module + "_blocks", "U8", {1, 8, 1, 16}, codes});
        folder.tensors.push_back({module + "_scales", "U8", {1, 8, 1}, numbers<std::uint8_t>(8, 128)});
    }
    return folder;
}

}  // namespace sigmascope::test
