// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/GgufMix.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <tuple>
#include <unordered_map>

namespace sigmascope {

namespace {

/// Kinds that the choice tells apart.
enum class Kind { Embedding, Output, AttentionV, AttentionK, AttentionOutput, FfnDown, Other };

/// In this order: a fused qkv and a decompression of keys and values count as values.
constexpr std::array<std::pair<std::string_view, Kind>, 7> kKindsByPart{{
    {"attn_qkv.weight", Kind::AttentionV},
    {"attn_kv_b.weight", Kind::AttentionV},
    {"attn_v.weight", Kind::AttentionV},
    {"attn_k.weight", Kind::AttentionK},
    {"attn_q.weight", Kind::Other},
    {"attn_output.weight", Kind::AttentionOutput},
    {"ffn_down", Kind::FfnDown},
}};

Kind kindOf(std::string_view name)
{
    if (name == "output.weight")
        return Kind::Output;
    if (name == "token_embd.weight" || name == "per_layer_token_embd.weight")
        return Kind::Embedding;
    for (const auto& [part, kind] : kKindsByPart) {
        if (name.find(part) != std::string_view::npos)
            return kind;
    }
    return Kind::Other;
}

/// Parts of names that are never quantized: small, or read by runtimes as floats.
constexpr std::array<std::string_view, 39> kFloatParts{
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj", "ssm_conv1d",
    "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight", "time_mix_first.weight", "time_mix_w0.weight",
    "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
    "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight",
    "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "attn_rel_b.weight",
    ".position_embd", "position_embd.weight", "token_types.weight", "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos",
    ".patch_embd", ".patch_merger", "a.rvq.codebook", "mm.a.code_embd", "rope_freqs", "rope_factors",
};

bool isCoded(const MixTensor& tensor)
{
    return tensor.dimensions >= 2 && tensor.name.ends_with("weight")
           && std::ranges::none_of(kFloatParts, [&](std::string_view part) { return tensor.name.find(part) != std::string::npos; });
}

/// N of "blk.N.…", -1 outside the blocks.
int layerOf(std::string_view name)
{
    int layer = -1;
    if (name.starts_with("blk."))
        std::from_chars(name.data() + 4, name.data() + name.size(), layer);
    return layer;
}

/// The first and last eighth, and every third between them.
bool isWorthMore(int layer, int layers)
{
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

/// The choices of one mixture, tensor after tensor in the order of the layers.
class Chooser {
public:
    Chooser(GgufMix mix, const MixModel& model, int values, bool isTied)
        : m_mix(mix), m_model(model), m_values(values), m_isTied(isTied)
    {
    }

    DType choose(const MixTensor& tensor)
    {
        const DType base = baseTypeOf(m_mix);
        const Kind kind = kindOf(tensor.name);
        if (kind == Kind::Output || (kind == Kind::Embedding && m_isTied))
            return m_model.isFalcon || tensor.cols % info(base).blockElements != 0 ? DType::Q8_0 : DType::Q6_K;
        const bool isTernary = m_mix == GgufMix::TQ1_0 || m_mix == GgufMix::TQ2_0 || m_mix == GgufMix::Q2_0;
        switch (kind) {
        case Kind::Embedding: return isTernary ? DType::Q4_K : base;
        case Kind::AttentionV: return ofValues(base, m_value++);
        case Kind::AttentionK: return m_model.experts == 8 ? DType::Q8_0 : base;
        case Kind::AttentionOutput: return ofAttentionOutput(base);
        case Kind::FfnDown: {
            const int counted = m_down++;
            return ofDown(base, m_model.experts > 1 ? layerOf(tensor.name) : counted);
        }
        default: return base;
        }
    }

private:
    [[nodiscard]] DType ofValues(DType type, int index) const
    {
        switch (m_mix) {
        case GgufMix::Q2_K: type = m_model.queriesPerKey >= 4 ? DType::Q4_K : DType::Q3_K; break;
        case GgufMix::Q3_K_M: type = index < 2 ? DType::Q5_K : DType::Q4_K; break;
        case GgufMix::Q3_K_L: type = DType::Q5_K; break;
        case GgufMix::Q4_K_M:
        case GgufMix::Q5_K_M: type = isWorthMore(index, m_values) ? DType::Q6_K : type; break;
        case GgufMix::Q4_K_S: type = index < 4 ? DType::Q5_K : type; break;
        case GgufMix::IQ4_NL:
        case GgufMix::IQ4_XS: type = m_model.queriesPerKey >= 4 ? DType::Q5_K : type; break;
        default: break;
        }
        // Eight heads share these values there: little size for much accuracy.
        if (m_model.is70B && (type == DType::Q3_K || type == DType::Q4_K))
            type = DType::Q5_K;
        return m_model.experts == 8 ? DType::Q8_0 : type;
    }

    [[nodiscard]] DType ofDown(DType type, int layer) const
    {
        const int layers = m_model.layers;
        switch (m_mix) {
        case GgufMix::Q2_K: return DType::Q3_K;
        case GgufMix::Q3_K_M:
            if (layer < layers / 16)
                return DType::Q5_K;
            return !m_model.isFalcon || isWorthMore(layer, layers) ? DType::Q4_K : DType::Q3_K;
        case GgufMix::Q3_K_L: return m_model.isFalcon ? DType::Q4_K : DType::Q5_K;
        case GgufMix::Q4_K_M:
            if (m_model.isFalcon)
                return layer < layers / 16 ? DType::Q6_K : isWorthMore(layer, layers) ? DType::Q5_K : DType::Q4_K;
            return isWorthMore(layer, layers) ? DType::Q6_K : type;
        case GgufMix::Q5_K_M: return isWorthMore(layer, layers) ? DType::Q6_K : type;
        case GgufMix::Q4_K_S: return !m_model.isFalcon && layer < layers / 8 ? DType::Q5_K : type;
        case GgufMix::IQ4_NL:
        case GgufMix::IQ4_XS: return !m_model.isCalibrated && layer < layers / 8 ? DType::Q5_K : type;
        default: return type;
        }
    }

    [[nodiscard]] DType ofAttentionOutput(DType type) const
    {
        if (m_model.isFalcon)
            return m_mix == GgufMix::Q3_K_L ? DType::Q4_K : type;
        if (m_model.experts == 8) {
            const bool isRaised = m_mix == GgufMix::Q2_K || m_mix == GgufMix::Q3_K_S || m_mix == GgufMix::Q3_K_M
                                  || m_mix == GgufMix::Q4_K_S || m_mix == GgufMix::Q4_K_M || m_mix == GgufMix::IQ4_NL
                                  || m_mix == GgufMix::IQ4_XS;
            return isRaised ? DType::Q5_K : type;
        }
        switch (m_mix) {
        case GgufMix::Q2_K: return DType::Q3_K;
        case GgufMix::Q3_K_M: return DType::Q4_K;
        case GgufMix::Q3_K_L: return DType::Q5_K;
        default: return type;
        }
    }

    GgufMix m_mix;
    MixModel m_model;
    int m_values;
    bool m_isTied;
    int m_value = 0, m_down = 0;
};

/// Queries per key by the heights of the first attention found, and experts by the first stack. @p indices: of a tensor
/// of the checkpoint for each of @p tensors, of each of its experts in a folder.
void readShapes(std::span<const MixTensor> tensors, const Checkpoint& checkpoint,
                std::span<const std::vector<std::size_t>> indices, MixModel& model)
{
    std::uint64_t queries = 0;
    std::uint64_t keys = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const Shape& shape = checkpoint.tensors()[indices[i].front()].shape;
        if (shape.size() == 2 && queries == 0 && tensors[i].name.ends_with("attn_q.weight"))
            queries = shape[0];
        if (shape.size() == 2 && keys == 0 && tensors[i].name.ends_with("attn_k.weight"))
            keys = shape[0];
        if (model.experts == 0 && tensors[i].name.find("_exps.") != std::string::npos)
            model.experts = static_cast<int>(
                std::min<std::uint64_t>(shape.size() == 3 ? shape[0] : indices[i].size(), 1U << 20));
    }
    if (keys > 0 && queries >= keys)
        model.queriesPerKey = static_cast<int>(std::min<std::uint64_t>(queries / keys, 1U << 20));
}

}  // namespace

DType baseTypeOf(GgufMix mix)
{
    switch (mix) {
    case GgufMix::PlainQ4_0: return DType::Q4_0;
    case GgufMix::PlainQ4_1: return DType::Q4_1;
    case GgufMix::PlainQ5_0: return DType::Q5_0;
    case GgufMix::PlainQ5_1: return DType::Q5_1;
    case GgufMix::PlainQ8_0: return DType::Q8_0;
    case GgufMix::IQ4_NL:
    case GgufMix::PlainIQ4_NL: return DType::IQ4_NL;
    case GgufMix::IQ4_XS:
    case GgufMix::PlainIQ4_XS: return DType::IQ4_XS;
    case GgufMix::PlainMXFP4: return DType::MXFP4;
    case GgufMix::PlainNVFP4: return DType::NVFP4;
    case GgufMix::TQ1_0:
    case GgufMix::PlainTQ1_0: return DType::TQ1_0;
    case GgufMix::TQ2_0:
    case GgufMix::PlainTQ2_0: return DType::TQ2_0;
    case GgufMix::Q1_0:
    case GgufMix::PlainQ1_0: return DType::Q1_0;
    case GgufMix::Q2_0:
    case GgufMix::PlainQ2_0: return DType::Q2_0;
    case GgufMix::PlainQ2_K:
    case GgufMix::Q2_K: return DType::Q2_K;
    case GgufMix::PlainQ3_K:
    case GgufMix::Q3_K_S:
    case GgufMix::Q3_K_M:
    case GgufMix::Q3_K_L: return DType::Q3_K;
    case GgufMix::PlainQ4_K:
    case GgufMix::Q4_K_S:
    case GgufMix::Q4_K_M: return DType::Q4_K;
    case GgufMix::PlainQ5_K:
    case GgufMix::Q5_K_S:
    case GgufMix::Q5_K_M: return DType::Q5_K;
    case GgufMix::PlainQ6_K:
    case GgufMix::Q6_K: break;
    }
    return DType::Q6_K;
}

std::optional<std::uint32_t> fileTypeOf(GgufMix mix)
{
    switch (mix) {
    case GgufMix::Q2_K: return 10;
    case GgufMix::Q3_K_S: return 11;
    case GgufMix::Q3_K_M: return 12;
    case GgufMix::Q3_K_L: return 13;
    case GgufMix::Q4_K_S: return 14;
    case GgufMix::Q4_K_M: return 15;
    case GgufMix::Q5_K_S: return 16;
    case GgufMix::Q5_K_M: return 17;
    case GgufMix::Q6_K: return 18;
    case GgufMix::IQ4_NL: return 25;
    case GgufMix::IQ4_XS: return 30;
    case GgufMix::TQ1_0: return 36;
    case GgufMix::TQ2_0: return 37;
    case GgufMix::Q1_0: return 40;
    case GgufMix::Q2_0: return 41;
    default: return std::nullopt;
    }
}

std::vector<std::optional<DType>> mixedTypes(GgufMix mix, std::span<const MixTensor> tensors, const MixModel& model)
{
    // Counted before it is asked what may be quantized, as llama-quantize does.
    const auto values = std::ranges::count_if(tensors, [](const MixTensor& t) { return kindOf(t.name) == Kind::AttentionV; });
    const bool isTied = std::ranges::none_of(tensors, [](const MixTensor& t) { return t.name == "output.weight"; });
    Chooser chooser(mix, model, static_cast<int>(values), isTied);
    std::vector<std::size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return std::tuple(layerOf(tensors[i].name), tensors[i].name); });
    const bool isPlain = mix <= GgufMix::PlainQ2_0;
    std::vector<std::optional<DType>> types(tensors.size());
    for (const std::size_t i : order) {
        if (isCoded(tensors[i]) && !tensors[i].byHand)
            types[i] = isPlain ? baseTypeOf(mix) : chooser.choose(tensors[i]);
    }
    return types;
}

std::optional<MixTensor> mixTensorOf(const TensorInfo& tensor)
{
    const std::uint64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (auto part = expertPartOf(tensor.name))
        return MixTensor{std::move(part->stack), cols, 3};
    auto name = ggufNameOf(tensor.name);
    if (!name)
        return std::nullopt;
    // GGUF drops outer ones: a matrix of one row, such as the gate of a shared expert, is a vector there.
    const bool isRow = tensor.shape.size() == 2 && tensor.shape.front() == 1;
    return MixTensor{std::move(*name), cols, isRow ? 1 : tensor.shape.size()};
}

bool isMixable(const MixTensor& tensor)
{
    return isCoded(tensor);
}

std::vector<const Grid*> mixedGrids(GgufMix mix, const Checkpoint& checkpoint, const ModelTopology& topology,
                                    std::span<const Grid* const> byHand, bool isCalibrated)
{
    std::vector<MixTensor> tensors;
    std::vector<std::vector<std::size_t>> indices;
    std::unordered_map<std::string, std::size_t> stacks;  // experts of a folder are chosen for as the one tensor they become
    for (std::size_t i = 0; i < checkpoint.tensors().size(); ++i) {
        const TensorInfo& tensor = checkpoint.tensors()[i];
        auto mixed = mixTensorOf(tensor);
        if (!mixed)
            continue;
        mixed->byHand = !byHand.empty() && byHand[i] != nullptr;
        if (expertPartOf(tensor.name)) {
            const auto [stack, isNew] = stacks.emplace(mixed->name, tensors.size());
            if (!isNew) {
                indices[stack->second].push_back(i);
                continue;
            }
        }
        tensors.push_back(std::move(*mixed));
        indices.push_back({i});
    }
    MixModel model{.layers = static_cast<int>(topology.blockCount()), .isCalibrated = isCalibrated};
    readShapes(tensors, checkpoint, indices, model);
    const auto architecture = checkpoint.gguf().string("general.architecture");
    model.isFalcon = architecture == "falcon";
    model.is70B = model.layers == 80 && (!architecture || *architecture == "llama" || *architecture == "qwen2");
    const auto types = mixedTypes(mix, tensors, model);
    std::vector<const Grid*> grids(checkpoint.tensors().size(), nullptr);
    for (std::size_t i = 0; i < types.size(); ++i) {
        if (!types[i])
            continue;
        for (const GridFamily& family : gridFamilies()) {
            const auto grid = findGrid(family.id);
            if (!grid || (*grid)->ggufType() != types[i])
                continue;
            for (const std::size_t tensor : indices[i])
                grids[tensor] = *grid;
        }
    }
    return grids;
}

const Grid* gridForOddRows(const Grid& grid, std::uint64_t cols)
{
    const auto instead = [&]() -> std::string_view {
        switch (grid.ggufType().value_or(DType::F32)) {
        case DType::Q2_K:
        case DType::Q3_K:
        case DType::TQ1_0:
        case DType::TQ2_0:
        case DType::Q2_0: return "q4_0";
        case DType::Q4_K: return "q5_0";
        case DType::Q5_K: return "q5_1";
        case DType::Q6_K: return "q8_0";
        case DType::IQ4_XS: return "iq4_nl";
        default: return {};
        }
    }();
    const auto found = instead.empty() ? Result<const Grid*>(nullptr) : findGrid(instead);
    return found && *found != nullptr && (*found)->accepts(cols) ? *found : nullptr;
}

}  // namespace sigmascope
