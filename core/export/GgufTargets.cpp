// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/GgufTargets.h"

#include "core/export/Exporter.h"
#include "core/export/WholeCheckpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

namespace sigmascope {

namespace {

constexpr std::size_t kLongestTensorName = 63;  // ggml's own limit, with the NUL that ends it

/// Buffers of old HF checkpoints that no GGUF has.
bool isDerivedBuffer(std::string_view name)
{
    return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".attention.masked_bias")
        || name.ends_with(".attention.bias");
}

/// Of a folder whose runtime keeps its cache in FP8: one number for a layer's keys, one for its values.
bool isCacheScale(const TensorInfo& tensor)
{
    return tensor.elements() == 1 && (tensor.name.ends_with(".k_scale") || tensor.name.ends_with(".v_scale"));
}

bool isNorm(std::string_view ggufName)
{
    return ggufName.ends_with("_norm.weight");
}

/// Norms, everything of one dimension, and routers, which llama.cpp's tools leave as floats too.
bool isFloatOnly(const TensorInfo& tensor, std::string_view ggufName)
{
    return tensor.shape.size() <= 1 || isNorm(ggufName) || ggufName.find(".ffn_gate_inp") != std::string_view::npos;
}

/// What of a tensor no GGUF can hold, seen before anything else so that the message names file and offset.
Status checkHoldable(const Checkpoint& checkpoint, const TensorInfo& tensor, const GgufTarget& target)
{
    // ggml keeps names as C strings: what follows a NUL would be lost, and two tensors could become one.
    if (target.name.find('\0') != std::string::npos)
        return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor,
                          "the name holds a NUL, which llama.cpp's names cannot");
    if (target.name.size() > kLongestTensorName)
        return failTensor(
            ErrorCode::NotRepresentable, checkpoint, tensor,
            fmt::format("the name has {} bytes, llama.cpp takes at most {}", target.name.size(), kLongestTensorName));
    if (info(target.keptType).ggmlId >= 0)
        return {};
    return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor,
                      fmt::format("GGUF has no type {}", escaped(tensor.typeName(), 40)));
}

std::optional<std::string> nameFor(const Checkpoint& checkpoint, const Architecture* architecture,
                                   const std::string& name)
{
    if (checkpoint.format() == CheckpointFormat::Gguf)
        return name;
    return architecture != nullptr ? ggufNameIn(*architecture, name) : ggufNameOf(name);
}

Result<GgufTarget> targetOf(const Checkpoint& checkpoint, const Architecture* architecture, std::size_t index)
{
    const TensorInfo& tensor = checkpoint.tensors()[index];
    auto name = nameFor(checkpoint, architecture, tensor.name);
    if (!name)
        return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor,
                          fmt::format("no tensor of a {} GGUF has this meaning",
                                      architecture != nullptr ? architecture->id : "llama-like"));
    GgufTarget target{.tensor = index, .name = std::move(*name), .role = placeOf(tensor.name).role};
    target.vector = isFloatOnly(tensor, target.name);
    target.keptType = keptType(checkpoint, index);
    if (checkpoint.format() != CheckpointFormat::Gguf && architecture != nullptr) {
        if (const auto part = expertPartOf(tensor.name))
            target.part = part->expert;
        // A norm of a name that only this family has must be F32 too; the offset is added there.
        if (isNorm(target.name) && architecture->normsLackOne)
            target.offset = 1;
    }
    if (auto holdable = checkHoldable(checkpoint, tensor, target); !holdable)
        return passOn(std::move(holdable));
    return target;
}

/// "attn_q.weight" of "blk.7.attn_q.weight"; the name itself outside the blocks.
std::string_view inBlock(std::string_view ggufName)
{
    if (!ggufName.starts_with("blk."))
        return ggufName;
    const std::size_t dot = ggufName.find('.', 4);
    return dot == std::string_view::npos ? ggufName : ggufName.substr(dot + 1);
}

tl::unexpected<Error> failLacking(const Checkpoint& checkpoint, const std::string& name)
{
    return fail(ErrorCode::MissingTensor, Where{checkpoint.path().string(), name, {}},
                "the model lacks the tensor of this GGUF name");
}

Status checkKnown(const Checkpoint& checkpoint, const Architecture& architecture, const ModelConfig& config,
                  const GgufTarget& target)
{
    const TensorInfo& tensor = checkpoint.tensors()[target.tensor];
    const std::int32_t block = placeOf(target.name).block;
    const std::string_view name = inBlock(target.name);
    const auto holds
        = [&](std::span<const std::string_view> names) { return std::ranges::find(names, name) != names.end(); };
    if (block >= 0 && static_cast<std::uint32_t>(block) >= config.blockCount)
        return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor,
                          fmt::format("is of block {}, config.json counts {}", block, config.blockCount));
    const bool isKnown = block >= 0
        ? holds(architecture.required) || holds(architecture.optional)
        : name == "token_embd.weight" || name == "output_norm.weight" || name == "output.weight";
    if (!isKnown)
        return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor,
                          fmt::format("llama.cpp's {} has no tensor {}", architecture.id, target.name));
    const auto expected = expectedShape(architecture, config, name);
    if (expected && tensor.shape != *expected)
        return failTensor(
            ErrorCode::ShapeMismatch, checkpoint, tensor,
            fmt::format("config.json asks for the shape {}, found {}", toString(*expected), toString(tensor.shape)));
    return {};
}

}  // namespace

tl::unexpected<Error> failTensor(ErrorCode code, const Checkpoint& checkpoint, const TensorInfo& tensor,
                                 std::string_view what)
{
    return fail(code, Where{checkpoint.shardPath(tensor.shard).string(), tensor.name, tensor.offset}, what);
}

DType keptType(const Checkpoint& checkpoint, std::size_t tensor)
{
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const bool isReal = source.dtype == DType::F64 || source.dtype == DType::F32 || source.dtype == DType::F16
        || source.dtype == DType::BF16;
    if (checkpoint.format() == CheckpointFormat::Gguf || !isReal)
        return source.dtype;
    const bool isFloat = isFloatOnly(source, ggufNameOf(source.name).value_or(std::string()));
    return isFloat || source.dtype == DType::F64 ? DType::F32 : source.dtype;
}

Result<std::vector<GgufTarget>> ggufTargetsOf(const Checkpoint& checkpoint, const Architecture* architecture,
                                              std::vector<std::string>& notes, std::vector<std::size_t>& apart)
{
    std::vector<GgufTarget> targets;
    targets.reserve(checkpoint.tensors().size());
    std::size_t images = 0;
    for (std::size_t i = 0; i < checkpoint.tensors().size(); ++i) {
        const TensorInfo& tensor = checkpoint.tensors()[i];
        if (isDerivedBuffer(tensor.name))
            continue;
        const bool isOfFolder = checkpoint.format() != CheckpointFormat::Gguf;
        const bool isOfImages = isOfFolder && architecture != nullptr && isApart(*architecture, tensor.name);
        if (isOfImages || (isOfFolder && isCacheScale(tensor))) {
            apart.push_back(i);
            images += isOfImages ? 1 : 0;
            continue;
        }
        if (Status whole = checkWhole(checkpoint, i); !whole)
            return passOn(whole);
        if (tensor.elements() == 0) {
            notes.push_back(fmt::format("{}: not written, its shape {} holds no elements and GGUF has no such tensors",
                                        escaped(tensor.name), toString(tensor.shape)));
            continue;
        }
        auto target = targetOf(checkpoint, architecture, i);
        if (!target)
            return passOn(std::move(target));
        targets.push_back(std::move(*target));
    }
    if (images != apart.size())
        notes.push_back(fmt::format("{} scales of keys and values in the cache are not written: the types of llama.cpp's "
                                    "cache have scales of their own",
                                    apart.size() - images));
    if (images != 0)
        notes.push_back(fmt::format("{} tensors of the part for images are not written: llama.cpp takes that part from a "
                                    "file of its own (mmproj), which its converter makes",
                                    images));
    if (Status there = checkFilesThere(checkpoint); !there)
        return passOn(there);
    return targets;
}

void sortByDepth(const Checkpoint& checkpoint, std::vector<GgufTarget>& targets)
{
    const auto depth = [&](const GgufTarget& target) {
        const TensorPlace place = placeOf(checkpoint.tensors()[target.tensor].name);
        if (place.role == Role::Embedding)
            return std::int64_t{-1};
        return place.block >= 0 ? std::int64_t{place.block} : std::numeric_limits<std::int64_t>::max();
    };
    std::unordered_map<std::string_view, std::size_t> firstOf;
    std::vector<std::tuple<std::int64_t, std::size_t, std::uint32_t, std::size_t>> order;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const std::size_t first = firstOf.emplace(targets[i].name, i).first->second;
        order.emplace_back(depth(targets[i]), first, targets[i].part, i);
    }
    std::sort(order.begin(), order.end());
    std::vector<GgufTarget> sorted;
    sorted.reserve(targets.size());
    for (const auto& row : order)
        sorted.push_back(std::move(targets[std::get<3>(row)]));
    targets = std::move(sorted);
}

Status markRotated(const Checkpoint& checkpoint, std::vector<GgufTarget>& targets, std::uint32_t heads,
                   std::uint32_t kvHeads)
{
    for (GgufTarget& target : targets) {
        if (target.role != Role::AttnQ && target.role != Role::AttnK)
            continue;
        const TensorInfo& tensor = checkpoint.tensors()[target.tensor];
        target.heads = target.role == Role::AttnQ ? heads : kvHeads;
        if (tensor.shape.empty() || tensor.shape.front() == 0
            || tensor.shape.front() % (2 * std::uint64_t{target.heads}) != 0)
            return failTensor(ErrorCode::ShapeMismatch, checkpoint, tensor,
                              fmt::format("shape {} does not divide into {} heads of rotary pairs",
                                          toString(tensor.shape), target.heads));
    }
    return {};
}

Status countParts(const Checkpoint& checkpoint, std::vector<GgufTarget>& targets, std::uint32_t experts)
{
    std::unordered_map<std::string_view, std::unordered_set<std::uint32_t>> stacks;
    for (GgufTarget& target : targets) {
        if (!expertPartOf(checkpoint.tensors()[target.tensor].name))
            continue;
        const TensorInfo& tensor = checkpoint.tensors()[target.tensor];
        if (target.part >= experts)
            return failTensor(
                ErrorCode::NotRepresentable, checkpoint, tensor,
                fmt::format("is expert {} of {} that the model says it has", std::uint64_t{target.part} + 1, experts));
        if (!stacks[target.name].insert(target.part).second)
            return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor,
                              fmt::format("a second tensor for expert {} of {}", target.part, target.name));
        target.parts = experts;
    }
    // Numbers are below `experts` and differ: a stack is whole when it has as many. Counting up ends soon after the
    // last.
    for (const GgufTarget& target : targets) {
        const auto stack = stacks.find(target.name);
        if (stack == stacks.end())
            continue;
        const TensorInfo& tensor = checkpoint.tensors()[target.tensor];
        if (!expertPartOf(tensor.name))
            return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor,
                              fmt::format("a second tensor for {}", target.name));
        if (stack->second.size() == experts)
            continue;
        std::uint32_t missing = 0;
        while (stack->second.contains(missing))
            ++missing;
        return fail(ErrorCode::MissingTensor, Where{checkpoint.path().string(), target.name, {}},
                    fmt::format("expert {} of 0 to {} is missing", missing, experts - 1));
    }
    return {};
}

Status checkTargets(const Checkpoint& checkpoint, const Architecture& architecture, const ModelConfig& config,
                    const std::vector<GgufTarget>& targets, bool needsOutput)
{
    std::unordered_set<std::string_view> present;
    for (const GgufTarget& target : targets) {
        present.insert(target.name);
        if (auto known = checkKnown(checkpoint, architecture, config, target); !known)
            return known;
    }
    for (const char* name : {"token_embd.weight", "output_norm.weight", "output.weight"}) {
        if (!present.contains(name) && (needsOutput || std::string_view(name) != "output.weight"))
            return failLacking(checkpoint, name);
    }
    for (std::uint32_t block = 0; block < config.blockCount; ++block) {
        for (const std::string_view part : architecture.required) {
            if (const std::string name = fmt::format("blk.{}.{}", block, part); !present.contains(name))
                return failLacking(checkpoint, name);
        }
    }
    return {};
}

void dropOutput(std::vector<GgufTarget>& targets)
{
    std::erase_if(targets, [](const GgufTarget& target) { return target.role == Role::Output; });
}

}  // namespace sigmascope
