// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/GgufSource.h"

#include "core/export/Exporter.h"
#include "core/export/GgufTokenizer.h"
#include "core/model/ModelConfig.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRopeFactors = "rope_freqs.weight";
constexpr std::size_t kLongestGgufName = 63;  // ggml's own limit, with the NUL that ends it

tl::unexpected<Error> failTensor(ErrorCode code, const Checkpoint& checkpoint, const TensorInfo& tensor, std::string_view what)
{
    return fail(code, Where{checkpoint.shardPath(tensor.shard).string(), tensor.name, tensor.offset}, what);
}

/// Buffers of old HF checkpoints that no GGUF has.
bool isDerivedBuffer(std::string_view name)
{
    return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".attention.masked_bias") || name.ends_with(".attention.bias");
}

/// Norms and everything of one dimension.
bool isVector(const TensorInfo& tensor, std::string_view ggufName)
{
    return tensor.shape.size() <= 1 || ggufName.ends_with("_norm.weight");
}

/// What of a tensor no GGUF can hold, seen before anything else so that the message names file and offset.
Status checkHoldable(const Checkpoint& checkpoint, const TensorInfo& tensor, const GgufTarget& target)
{
    // ggml keeps names as C strings: what follows a NUL would be lost, and two tensors could become one.
    if (target.name.find('\0') != std::string::npos)
        return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor, "the name holds a NUL, which llama.cpp's names cannot");
    if (target.name.size() > kLongestGgufName)
        return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor,
                          fmt::format("the name has {} bytes, llama.cpp takes at most {}", target.name.size(), kLongestGgufName));
    if (info(target.keptType).ggmlId >= 0)
        return {};
    return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor,
                      fmt::format("GGUF has no type {}", escaped(tensor.typeName(), 40)));
}

/// A tensor that is not there, or not wholly.
tl::unexpected<Error> failIncomplete(const Checkpoint& checkpoint, std::size_t tensor)
{
    const auto view = checkpoint.view(tensor);
    Error error = view ? Error{ErrorCode::MissingTensor, "not there"} : view.error();
    error.detail += "; an export needs every tensor";
    return tl::unexpected<Error>(std::move(error));
}

/// One target per tensor, in checkpoint order; derived buffers and tensors without elements left out.
Result<std::vector<GgufTarget>> targetsOf(const Checkpoint& checkpoint, std::vector<std::string>& notes)
{
    const bool fromGguf = checkpoint.format() == CheckpointFormat::Gguf;
    std::vector<GgufTarget> targets;
    targets.reserve(checkpoint.tensors().size());
    for (std::size_t i = 0; i < checkpoint.tensors().size(); ++i) {
        const TensorInfo& tensor = checkpoint.tensors()[i];
        if (isDerivedBuffer(tensor.name))
            continue;
        if (tensor.state != TensorState::Ok)
            return failIncomplete(checkpoint, i);
        if (tensor.elements() == 0) {
            notes.push_back(fmt::format("{}: not written, its shape {} holds no elements and GGUF has no such tensors",
                                        escaped(tensor.name), toString(tensor.shape)));
            continue;
        }
        auto name = fromGguf ? std::optional(tensor.name) : ggufNameOf(tensor.name);
        if (!name)
            return failTensor(ErrorCode::NotRepresentable, checkpoint, tensor, "no tensor of a llama-like GGUF has this meaning");
        GgufTarget target{.tensor = i, .name = std::move(*name), .role = placeOf(tensor.name).role};
        target.vector = isVector(tensor, target.name);
        target.keptType = keptType(checkpoint, i);
        if (auto holdable = checkHoldable(checkpoint, tensor, target); !holdable)
            return passOn(std::move(holdable));
        targets.push_back(std::move(target));
    }
    // A split GGUF has no list of what its files hold: the tensors of an absent one are not even known.
    for (std::size_t i = 0; i < checkpoint.shardCount(); ++i) {
        if (checkpoint.shard(i) == nullptr)
            return fail(ErrorCode::MissingShard, Where{checkpoint.shardPath(i).string(), {}, {}},
                        "the file is missing: put it beside the others and open the model again; an export needs every tensor");
    }
    return targets;
}

/// Embedding first, blocks in order, the rest behind; within a block as in the checkpoint.
void sortByDepth(const Checkpoint& checkpoint, std::vector<GgufTarget>& targets)
{
    const auto depth = [&](const GgufTarget& target) {
        const TensorPlace place = placeOf(checkpoint.tensors()[target.tensor].name);
        if (place.role == Role::Embedding)
            return std::int64_t{-1};
        return place.block >= 0 ? std::int64_t{place.block} : std::numeric_limits<std::int64_t>::max();
    };
    std::vector<std::pair<std::int64_t, std::size_t>> order;
    for (std::size_t i = 0; i < targets.size(); ++i)
        order.emplace_back(depth(targets[i]), i);
    std::sort(order.begin(), order.end());
    std::vector<GgufTarget> sorted;
    sorted.reserve(targets.size());
    for (const auto& [key, index] : order)
        sorted.push_back(std::move(targets[index]));
    targets = std::move(sorted);
}

/// Rows of q and k of an HF llama change places; every other row stays.
Status markRotated(const Checkpoint& checkpoint, std::vector<GgufTarget>& targets, std::uint32_t heads, std::uint32_t kvHeads)
{
    for (GgufTarget& target : targets) {
        if (target.role != Role::AttnQ && target.role != Role::AttnK)
            continue;
        const TensorInfo& tensor = checkpoint.tensors()[target.tensor];
        target.heads = target.role == Role::AttnQ ? heads : kvHeads;
        if (tensor.shape.empty() || tensor.shape.front() == 0 || tensor.shape.front() % (2 * std::uint64_t{target.heads}) != 0)
            return failTensor(ErrorCode::ShapeMismatch, checkpoint, tensor,
                              fmt::format("shape {} does not divide into {} heads of rotary pairs", toString(tensor.shape), target.heads));
    }
    return {};
}

std::string nameOf(const Checkpoint& checkpoint)
{
    std::error_code error;
    const fs::path whole = fs::weakly_canonical(checkpoint.path(), error);
    const fs::path path = error ? checkpoint.path() : whole;
    std::string name = (fs::is_directory(path, error) ? path : path.parent_path()).filename().string();
    if (checkpoint.format() == CheckpointFormat::Gguf)
        name = path.stem().string();
    return name.empty() ? "model" : escaped(name, 120);
}

/// Keys that describe the file at hand, not the model: written anew or dropped. Rank and offsets come from the layout.
void dropFileKeys(GgufKeys& keys)
{
    keys.removeAll("split.");
    keys.removeAll("sigmascope.");
    keys.removeAll("quantize.imatrix.");
    for (const std::string_view key : {"general.alignment", "general.quantization_version", "general.file_type", "general.type"})
        keys.remove(key);
}

Status copyKeys(const Checkpoint& gguf, GgufSource& source)
{
    const auto architecture = gguf.gguf().string("general.architecture");
    if (!architecture || architecture->empty())
        return fail(ErrorCode::InvalidMetadata, Where{gguf.path().string(), {}, {}}, "the key general.architecture is missing");
    if (const auto type = gguf.gguf().string("general.type"); type && *type != "model")
        return fail(ErrorCode::NotRepresentable, Where{gguf.path().string(), {}, {}},
                    fmt::format("holds a GGUF of type \"{}\", not a model", escaped(*type, 40)));
    source.architecture = *architecture;
    for (const GgufKey& key : gguf.gguf().keys())
        source.keys.copy(key);
    dropFileKeys(source.keys);
    source.keys.set("general.type", "model");
    if (!source.keys.contains("general.name"))
        source.keys.set("general.name", nameOf(gguf));
    const MappedFile* file = gguf.shardCount() > 0 ? gguf.shard(0) : nullptr;
    return file == nullptr ? Status{} : file->checkUnchanged();  // the keys were copied out of the mapping
}

void setModelKeys(const ModelConfig& config, GgufKeys& keys)
{
    const auto key = [&](std::string_view name) { return fmt::format("{}.{}", config.architecture, name); };
    keys.set(key("context_length"), config.contextLength);
    keys.set(key("embedding_length"), config.embeddingLength);
    keys.set(key("block_count"), config.blockCount);
    keys.set(key("feed_forward_length"), config.feedForwardLength);
    keys.set(key("attention.head_count"), config.heads);
    keys.set(key("attention.head_count_kv"), config.kvHeads);
    if (std::uint64_t{config.headLength} * config.heads != config.embeddingLength) {
        keys.set(key("attention.key_length"), config.headLength);
        keys.set(key("attention.value_length"), config.headLength);
    }
    keys.set(key("rope.dimension_count"), config.headLength);
    keys.set(key("rope.freq_base"), config.ropeBase);
    keys.set(key("attention.layer_norm_rms_epsilon"), config.rmsEpsilon);
    keys.set(key("vocab_size"), config.vocabularySize);
    const bool linear = config.rope.kind == RopeScaling::Kind::Linear;
    if (!linear && config.rope.kind != RopeScaling::Kind::Yarn)
        return;
    keys.set(key("rope.scaling.type"), linear ? "linear" : "yarn");
    keys.set(key("rope.scaling.factor"), config.rope.factor);
    if (config.rope.originalContext)
        keys.set(key("rope.scaling.original_context_length"), *config.rope.originalContext);
}

/// Shape a matrix must have by the configuration; nothing for roles it does not fix.
std::optional<Shape> expectedShape(const ModelConfig& config, Role role)
{
    const std::uint64_t embedding = config.embeddingLength;
    const std::uint64_t queries = std::uint64_t{config.heads} * config.headLength;
    const std::uint64_t keys = std::uint64_t{config.kvHeads} * config.headLength;
    switch (role) {
    case Role::Embedding:
    case Role::Output: return Shape{config.vocabularySize, embedding};
    case Role::AttnQ: return Shape{queries, embedding};
    case Role::AttnK:
    case Role::AttnV: return Shape{keys, embedding};
    case Role::AttnOutput: return Shape{embedding, queries};
    case Role::FfnGate:
    case Role::FfnUp: return Shape{config.feedForwardLength, embedding};
    case Role::FfnDown: return Shape{embedding, config.feedForwardLength};
    case Role::OutputNorm:
    case Role::AttnNorm:
    case Role::FfnNorm: return Shape{embedding};
    default: return std::nullopt;
    }
}

Status checkShapes(const Checkpoint& checkpoint, const ModelConfig& config, const std::vector<GgufTarget>& targets)
{
    for (const GgufTarget& target : targets) {
        const TensorInfo& tensor = checkpoint.tensors()[target.tensor];
        const auto expected = expectedShape(config, target.role);
        if (expected && !placeOf(tensor.name).bias && tensor.shape != *expected)
            return failTensor(ErrorCode::ShapeMismatch, checkpoint, tensor,
                              fmt::format("config.json asks for the shape {}, found {}", toString(*expected), toString(tensor.shape)));
    }
    return {};
}

Status checkComplete(const Checkpoint& checkpoint, const std::vector<GgufTarget>& targets, std::uint32_t blocks, bool needsOutput)
{
    constexpr std::array<std::string_view, 9> kPerBlock{"attn_norm", "attn_q",   "attn_k", "attn_v",  "attn_output",
                                                        "ffn_norm",  "ffn_gate", "ffn_up", "ffn_down"};
    std::unordered_set<std::string_view> present;
    for (const GgufTarget& target : targets)
        present.insert(target.name);
    const auto require = [&](const std::string& name) -> Status {
        if (present.contains(name))
            return {};
        return fail(ErrorCode::MissingTensor, Where{checkpoint.path().string(), name, {}}, "the model lacks the tensor of this GGUF name");
    };
    std::vector<std::string> required{"token_embd.weight", "output_norm.weight"};
    if (needsOutput)
        required.emplace_back("output.weight");
    for (const std::string& name : required) {
        if (auto found = require(name); !found)
            return found;
    }
    for (std::uint32_t block = 0; block < blocks; ++block) {
        for (const std::string_view part : kPerBlock) {
            if (auto found = require(fmt::format("blk.{}.{}.weight", block, part)); !found)
                return found;
        }
    }
    return {};
}

void dropOutput(std::vector<GgufTarget>& targets)
{
    std::erase_if(targets, [](const GgufTarget& target) { return target.role == Role::Output; });
}

/// Straight from an HF folder: everything is in config.json and tokenizer.model.
Status fillFromFolder(const Checkpoint& checkpoint, GgufSource& source)
{
    const fs::path configPath = checkpoint.folder() / "config.json";
    if (checkpoint.config().is_null())
        return fail(ErrorCode::NotRepresentable, Where{configPath.string(), {}, {}},
                    "is absent or not JSON: a GGUF needs the model's configuration, or a GGUF of the same model as template");
    const auto config = modelConfigFromHf(checkpoint.config(), configPath.string());
    if (!config)
        return passOn(config);
    const bool hasOutput = std::any_of(source.targets.begin(), source.targets.end(),
                                       [](const GgufTarget& target) { return target.role == Role::Output; });
    source.tiedEmbeddings = config->tiedEmbeddings.value_or(!hasOutput);
    if (source.tiedEmbeddings)
        dropOutput(source.targets);  // transformers ignores it too
    if (auto shapes = checkShapes(checkpoint, *config, source.targets); !shapes)
        return shapes;
    if (auto complete = checkComplete(checkpoint, source.targets, config->blockCount, !source.tiedEmbeddings); !complete)
        return complete;
    if (auto rotated = markRotated(checkpoint, source.targets, config->heads, config->kvHeads); !rotated)
        return rotated;
    const auto tokenizer = readTokenizer(checkpoint.folder(), checkpoint.config(), config->vocabularySize);
    if (!tokenizer)
        return passOn(tokenizer);

    source.architecture = config->architecture;
    source.keys.set("general.architecture", std::string_view(config->architecture));
    source.keys.set("general.type", "model");
    source.keys.set("general.name", std::string_view(nameOf(checkpoint)));
    setModelKeys(*config, source.keys);
    setTokenizerKeys(*tokenizer, source.keys);
    for (std::string& note : tokenizerNotes(*tokenizer))
        source.notes.push_back(std::move(note));
    if (const auto factors = ropeFrequencyFactors(*config); !factors.empty()) {
        GgufExtra extra{{std::string(kRopeFactors), DType::F32, {factors.size()}}, {}};
        const auto bytes = std::as_bytes(std::span(factors));
        extra.bytes.assign(bytes.begin(), bytes.end());
        source.extras.push_back(std::move(extra));
    }
    return {};
}

/// The template must be the same model: every tensor of it found, in its shape.
Status checkAgainstTemplate(const Checkpoint& checkpoint, const Checkpoint& gguf, const std::vector<GgufTarget>& targets)
{
    std::unordered_map<std::string_view, std::size_t> byName;
    for (const GgufTarget& target : targets)
        byName.emplace(target.name, target.tensor);
    for (const TensorInfo& wanted : gguf.tensors()) {
        if (wanted.name == kRopeFactors)
            continue;
        const auto found = byName.find(wanted.name);
        if (found == byName.end())
            return fail(ErrorCode::MissingTensor, Where{checkpoint.path().string(), wanted.name, {}},
                        "the template has this tensor, the model does not");
        const TensorInfo& tensor = checkpoint.tensors()[found->second];
        if (tensor.shape != wanted.shape)
            return failTensor(ErrorCode::ShapeMismatch, checkpoint, tensor,
                              fmt::format("the template has the shape {}, found {}", toString(wanted.shape), toString(tensor.shape)));
        byName.erase(found);
    }
    if (!byName.empty())
        return failTensor(ErrorCode::NotRepresentable, checkpoint, checkpoint.tensors()[byName.begin()->second],
                          "the template has no such tensor");
    return {};
}

Status copyRopeFactors(const Checkpoint& gguf, GgufSource& source)
{
    const auto index = gguf.find(kRopeFactors);
    if (!index)
        return {};
    const auto view = gguf.view(*index);
    if (!view)
        return passOn(view);
    source.extras.push_back({{std::string(kRopeFactors), view->dtype, view->shape}, {view->bytes.begin(), view->bytes.end()}});
    return gguf.checkUnchanged(*index);
}

/// HF weights under the keys of a GGUF of the same model.
Status fillFromTemplate(const Checkpoint& checkpoint, const Checkpoint& gguf, GgufSource& source)
{
    if (auto copied = copyKeys(gguf, source); !copied)
        return copied;
    const std::string& architecture = source.architecture;
    if (architecture != "llama" && architecture != "qwen2" && architecture != "qwen3")
        return fail(ErrorCode::NotRepresentable, Where{gguf.path().string(), {}, {}},
                    fmt::format("weights of the architecture \"{}\" are changed on their way into GGUF in ways not built here; open "
                                "the GGUF itself as model",
                                escaped(architecture, 40)));
    source.tiedEmbeddings = !gguf.find("output.weight");
    if (source.tiedEmbeddings)
        dropOutput(source.targets);
    if (auto same = checkAgainstTemplate(checkpoint, gguf, source.targets); !same)
        return same;
    if (architecture == "llama") {
        const auto heads = gguf.gguf().u32("llama.attention.head_count");
        const auto kvHeads = gguf.gguf().u32("llama.attention.head_count_kv");
        if (!heads || *heads == 0 || (kvHeads && *kvHeads == 0))
            return fail(ErrorCode::InvalidMetadata, Where{gguf.path().string(), {}, {}},
                        "llama.attention.head_count must be one number greater than 0");
        if (auto rotated = markRotated(checkpoint, source.targets, *heads, kvHeads.value_or(*heads)); !rotated)
            return rotated;
    }
    return copyRopeFactors(gguf, source);
}

Status fillFromGguf(const Checkpoint& checkpoint, const Checkpoint* templateGguf, GgufSource& source)
{
    source.tiedEmbeddings = !checkpoint.find("output.weight");
    if (templateGguf == nullptr)
        return copyKeys(checkpoint, source);
    const auto own = checkpoint.gguf().string("general.architecture");
    if (auto copied = copyKeys(*templateGguf, source); !copied)
        return copied;
    if (own && *own != source.architecture)
        return fail(ErrorCode::NotRepresentable, Where{templateGguf->path().string(), {}, {}},
                    fmt::format("the template is a \"{}\", the model a \"{}\"", escaped(source.architecture, 40), escaped(*own, 40)));
    return {};
}

void addInputs(const Checkpoint& checkpoint, std::vector<fs::path>& inputs)
{
    for (std::size_t i = 0; i < checkpoint.shardCount(); ++i) {
        if (const MappedFile* shard = checkpoint.shard(i))
            inputs.push_back(shard->path());
    }
    inputs.push_back(checkpoint.path());
    for (const char* name : {"config.json", "model.safetensors.index.json", "tokenizer.model", "tokenizer.json", "tokenizer_config.json",
                             "added_tokens.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja",
                             "chat_template.json", "vocab.json", "merges.txt"})
        inputs.push_back(checkpoint.folder() / name);
}

}  // namespace

DType keptType(const Checkpoint& checkpoint, std::size_t tensor)
{
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const bool isReal = source.dtype == DType::F64 || source.dtype == DType::F32 || source.dtype == DType::F16
                        || source.dtype == DType::BF16;
    if (checkpoint.format() == CheckpointFormat::Gguf || !isReal)
        return source.dtype;
    const bool vector = isVector(source, ggufNameOf(source.name).value_or(std::string()));
    return vector || source.dtype == DType::F64 ? DType::F32 : source.dtype;
}

Result<GgufSource> ggufSourceOf(const Checkpoint& checkpoint, const Checkpoint* templateGguf)
{
    if (templateGguf != nullptr && templateGguf->format() != CheckpointFormat::Gguf)
        return fail(ErrorCode::InvalidOption, Where{templateGguf->path().string(), {}, {}}, "a template must be a GGUF file");
    GgufSource source;
    auto targets = targetsOf(checkpoint, source.notes);
    if (!targets)
        return passOn(std::move(targets));
    source.targets = std::move(*targets);
    Status filled;
    if (checkpoint.format() == CheckpointFormat::Gguf)
        filled = fillFromGguf(checkpoint, templateGguf, source);
    else
        filled = templateGguf != nullptr ? fillFromTemplate(checkpoint, *templateGguf, source) : fillFromFolder(checkpoint, source);
    if (!filled)
        return passOn(std::move(filled));
    if (checkpoint.format() != CheckpointFormat::Gguf)
        sortByDepth(checkpoint, source.targets);
    addInputs(checkpoint, source.inputs);
    if (templateGguf != nullptr)
        addInputs(*templateGguf, source.inputs);
    return source;
}

}  // namespace sigmascope
