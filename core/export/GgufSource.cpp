// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/GgufSource.h"

#include "core/export/Exporter.h"
#include "core/export/GgufTargets.h"
#include "core/export/GgufTokenizer.h"
#include "core/export/architectures/Architecture.h"
#include "core/model/ModelConfig.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

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
    for (const std::string_view key :
         {"general.alignment", "general.quantization_version", "general.file_type", "general.type"})
        keys.remove(key);
}

Status copyKeys(const Checkpoint& gguf, GgufSource& source)
{
    const auto architecture = gguf.gguf().string("general.architecture");
    if (!architecture || architecture->empty())
        return fail(ErrorCode::InvalidMetadata, Where{gguf.path().string(), {}, {}},
                    "the key general.architecture is missing");
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

/// Row of the registry for a folder: by its configuration, which a template makes unnecessary. Null for a GGUF, and
/// where neither tells.
Result<const Architecture*> architectureFor(const Checkpoint& checkpoint, const Checkpoint* templateGguf)
{
    if (checkpoint.format() == CheckpointFormat::Gguf)
        return nullptr;
    const std::string configPath = (checkpoint.folder() / "config.json").string();
    if (templateGguf == nullptr && checkpoint.config().is_null())
        return fail(
            ErrorCode::NotRepresentable, Where{configPath, {}, {}},
            "is absent or not JSON: a GGUF needs the model's configuration, or a GGUF of the same model as template");
    const auto config = modelConfigFromHf(checkpoint.config(), configPath);
    const Architecture* own = config ? architectureOfClass(config->modelClass) : nullptr;
    if (templateGguf == nullptr)
        return config ? Result<const Architecture*>(own) : passOn(config);
    const auto id = templateGguf->gguf().string("general.architecture");
    const Architecture* wanted = id ? architectureOfId(*id) : nullptr;
    if (own != nullptr && wanted != nullptr && own->id != wanted->id)
        return fail(ErrorCode::NotRepresentable, Where{templateGguf->path().string(), {}, {}},
                    fmt::format("the template is a \"{}\", the model a \"{}\"", wanted->id, own->id));
    return wanted != nullptr && own != nullptr ? own : wanted;
}

/// Straight from an HF folder: everything is in config.json and the tokenizer's files.
Status fillFromFolder(const Checkpoint& checkpoint, const Architecture& architecture, GgufSource& source)
{
    const fs::path configPath = checkpoint.folder() / "config.json";
    const auto config = modelConfigFromHf(checkpoint.config(), configPath.string());
    if (!config)
        return passOn(config);
    if (auto carried = checkArchitecture(architecture, *config, checkpoint.config(), configPath.string()); !carried)
        return carried;
    const bool hasOutput = std::any_of(source.targets.begin(), source.targets.end(),
                                       [](const GgufTarget& target) { return target.role == Role::Output; });
    source.tiedEmbeddings = !architecture.hasOutput || config->tiedEmbeddings.value_or(!hasOutput);
    if (source.tiedEmbeddings && architecture.needsOutput)
        return fail(
            ErrorCode::NotRepresentable, Where{configPath.string(), {}, {}},
            fmt::format("the output shares the embedding's weights, llama.cpp's {} needs an output matrix of its own",
                        architecture.id));
    if (source.tiedEmbeddings)
        dropOutput(source.targets);  // transformers ignores it too
    if (auto counted = countParts(checkpoint, source.targets, config->experts); !counted)
        return counted;
    if (auto whole = checkTargets(checkpoint, architecture, *config, source.targets, !source.tiedEmbeddings); !whole)
        return whole;
    if (architecture.interleavesRotary) {
        if (auto rotated = markRotated(checkpoint, source.targets, config->heads, config->kvHeads); !rotated)
            return rotated;
    }
    const auto tokenizer = readTokenizer(checkpoint.folder(), checkpoint.config(), config->vocabularySize);
    if (!tokenizer)
        return passOn(tokenizer);

    source.architecture = config->architecture;
    source.keys.set("general.architecture", std::string_view(config->architecture));
    source.keys.set("general.type", "model");
    source.keys.set("general.name", std::string_view(nameOf(checkpoint)));
    setModelKeys(architecture, *config, source.keys);
    setTokenizerKeys(*tokenizer, source.keys);
    source.extras = ropeExtras(*config);
    for (std::string& note : architectureNotes(architecture, *config))
        source.notes.push_back(std::move(note));
    for (std::string& note : tokenizerNotes(*tokenizer))
        source.notes.push_back(std::move(note));
    return {};
}

bool isRopeFactors(std::string_view name)
{
    return name == "rope_freqs.weight" || name == "rope_factors_long.weight" || name == "rope_factors_short.weight";
}

/// The template must be the same model: every tensor of it found, in its shape; the parts of a stack in its inner one.
Status checkAgainstTemplate(const Checkpoint& checkpoint, const Checkpoint& gguf,
                            const std::vector<GgufTarget>& targets)
{
    std::unordered_map<std::string_view, std::vector<const GgufTarget*>> byName;
    for (const GgufTarget& target : targets)
        byName[target.name].push_back(&target);
    for (const TensorInfo& wanted : gguf.tensors()) {
        if (isRopeFactors(wanted.name))
            continue;
        const auto found = byName.find(wanted.name);
        if (found == byName.end())
            return fail(ErrorCode::MissingTensor, Where{checkpoint.path().string(), wanted.name, {}},
                        "the template has this tensor, the model does not");
        for (const GgufTarget* target : found->second) {
            const TensorInfo& tensor = checkpoint.tensors()[target->tensor];
            Shape shape = tensor.shape;
            if (target->parts > 1)
                shape.insert(shape.begin(), target->parts);
            else if (shape.size() == 2 && shape.front() == 1)
                shape.erase(shape.begin());  // GGUF drops outer ones
            if (shape != wanted.shape)
                return failTensor(
                    ErrorCode::ShapeMismatch, checkpoint, tensor,
                    fmt::format("the template has the shape {}, found {}", toString(wanted.shape), toString(shape)));
        }
        byName.erase(found);
    }
    if (!byName.empty())
        return failTensor(ErrorCode::NotRepresentable, checkpoint,
                          checkpoint.tensors()[byName.begin()->second.front()->tensor],
                          "the template has no such tensor");
    return {};
}

Status copyRopeFactors(const Checkpoint& gguf, GgufSource& source)
{
    for (std::size_t i = 0; i < gguf.tensors().size(); ++i) {
        if (!isRopeFactors(gguf.tensors()[i].name))
            continue;
        const auto view = gguf.view(i);
        if (!view)
            return passOn(view);
        source.extras.push_back(
            {{gguf.tensors()[i].name, view->dtype, view->shape}, {view->bytes.begin(), view->bytes.end()}});
        if (Status same = gguf.checkUnchanged(i); !same)
            return same;
    }
    return {};
}

/// HF weights under the keys of a GGUF of the same model.
Status fillFromTemplate(const Checkpoint& checkpoint, const Checkpoint& gguf, const Architecture* architecture,
                        GgufSource& source)
{
    if (auto copied = copyKeys(gguf, source); !copied)
        return copied;
    if (architecture == nullptr)
        return fail(
            ErrorCode::NotRepresentable, Where{gguf.path().string(), {}, {}},
            fmt::format(
                "weights of the architecture \"{}\" are changed on their way into GGUF in ways not built here; open "
                "the GGUF itself as model",
                escaped(source.architecture, 40)));
    const auto number
        = [&](std::string_view key) { return gguf.gguf().u32(fmt::format("{}.{}", architecture->id, key)); };
    source.tiedEmbeddings = !gguf.find("output.weight");
    if (source.tiedEmbeddings)
        dropOutput(source.targets);
    if (auto counted = countParts(checkpoint, source.targets, number("expert_count").value_or(0)); !counted)
        return counted;
    if (auto same = checkAgainstTemplate(checkpoint, gguf, source.targets); !same)
        return same;
    if (architecture->interleavesRotary) {
        const auto heads = number("attention.head_count");
        const auto kvHeads = number("attention.head_count_kv");
        if (!heads || *heads == 0 || (kvHeads && *kvHeads == 0))
            return fail(ErrorCode::InvalidMetadata, Where{gguf.path().string(), {}, {}},
                        fmt::format("{}.attention.head_count must be one number greater than 0", architecture->id));
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
                    fmt::format("the template is a \"{}\", the model a \"{}\"", escaped(source.architecture, 40),
                                escaped(*own, 40)));
    return {};
}

void addInputs(const Checkpoint& checkpoint, std::vector<fs::path>& inputs)
{
    for (std::size_t i = 0; i < checkpoint.shardCount(); ++i) {
        if (const MappedFile* shard = checkpoint.shard(i))
            inputs.push_back(shard->path());
    }
    inputs.push_back(checkpoint.path());
    for (const char* name :
         {"config.json", "model.safetensors.index.json", "tokenizer.model", "tokenizer.json", "tokenizer_config.json",
          "added_tokens.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja",
          "chat_template.json", "vocab.json", "merges.txt"})
        inputs.push_back(checkpoint.folder() / name);
}

}  // namespace

Result<GgufSource> ggufSourceOf(const Checkpoint& checkpoint, const Checkpoint* templateGguf)
{
    if (templateGguf != nullptr && templateGguf->format() != CheckpointFormat::Gguf)
        return fail(ErrorCode::InvalidOption, Where{templateGguf->path().string(), {}, {}},
                    "a template must be a GGUF file");
    GgufSource source;
    const auto architecture = architectureFor(checkpoint, templateGguf);
    if (!architecture)
        return passOn(architecture);
    auto targets = ggufTargetsOf(checkpoint, *architecture, source.notes, source.apart);
    if (!targets)
        return passOn(std::move(targets));
    source.targets = std::move(*targets);
    Status filled;
    if (checkpoint.format() == CheckpointFormat::Gguf)
        filled = fillFromGguf(checkpoint, templateGguf, source);
    else
        filled = templateGguf != nullptr ? fillFromTemplate(checkpoint, *templateGguf, *architecture, source)
                                         : fillFromFolder(checkpoint, **architecture, source);
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
