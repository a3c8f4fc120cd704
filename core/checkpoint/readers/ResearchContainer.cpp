// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/readers/ResearchContainer.h"

#include "core/checkpoint/readers/CheckpointBuilder.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>

namespace sigmascope {

namespace {

constexpr std::size_t kLongestWord = 64;    // grids and parts have short names
constexpr std::size_t kMostParts = 16;
constexpr std::size_t kMostDimensions = 8;

/// A short text without control characters; empty if the member is none.
std::string word(const Json& object, const char* key)
{
    const auto it = object.find(key);
    if (it == object.end() || !it->is_string())
        return {};
    const std::string& text = it->get_ref<const std::string&>();
    const bool isPlain = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
    return isPlain && text.size() <= kLongestWord ? text : std::string();
}

/// What is wrong with a description; nothing if it was read.
std::string_view readDescription(const Json& json, CodedTensor& tensor)
{
    if (!json.is_object())
        return "its description is no object";
    tensor.grid = word(json, "grid");
    if (tensor.grid.empty())
        return "'grid' is no short text";
    const auto shape = json.find("shape");
    if (shape == json.end() || !shape->is_array() || shape->size() < 2 || shape->size() > kMostDimensions)
        return "'shape' is no array of 2 to 8 dimensions";
    for (const Json& size : *shape) {
        if (!size.is_number_unsigned() || size.get<std::uint64_t>() == 0)
            return "'shape' holds something else than positive whole numbers";
        tensor.shape.push_back(size.get<std::uint64_t>());
    }
    if (!checkedElementCount(tensor.shape))
        return "'shape' has more elements than can be counted";
    if (const auto rank = json.find("rank"); rank != json.end()) {
        if (!rank->is_number_unsigned() || rank->get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max())
            return "'rank' is no whole number of 32 bits";
        tensor.rank = static_cast<std::uint32_t>(rank->get<std::uint64_t>());
    }
    const auto parts = json.find("parts");
    if (parts == json.end() || !parts->is_array() || parts->empty() || parts->size() > kMostParts)
        return "'parts' is no array of 1 to 16 names";
    for (const Json& part : *parts) {
        if (!part.is_string() || part.get_ref<const std::string&>().empty() || part.get_ref<const std::string&>().size() > kLongestWord)
            return "'parts' holds something else than short names";
        tensor.parts.push_back({.name = part.get<std::string>()});
    }
    return {};
}

/// The worst of two.
TensorState worse(TensorState a, TensorState b)
{
    return a == TensorState::Missing || b == TensorState::Missing ? TensorState::Missing
        : a == TensorState::Truncated || b == TensorState::Truncated ? TensorState::Truncated
                                                                     : TensorState::Ok;
}

}  // namespace

Result<std::vector<CodedDescription>> parseCodedTensors(std::string_view json, const std::string& file)
{
    const auto parsed = parseJson(json, file, {.depth = 4});
    if (!parsed)
        return fail(ErrorCode::MalformedHeader, Where{file, std::string(kCodedTensorsKey), {}}, parsed.error().detail);
    if (!parsed->is_object())
        return fail(ErrorCode::MalformedHeader, Where{file, std::string(kCodedTensorsKey), {}}, "is no JSON object");
    std::vector<CodedDescription> descriptions;
    descriptions.reserve(parsed->size());
    for (const auto& [name, description] : parsed->items()) {
        CodedDescription coded{.name = name};
        if (const std::string_view wrong = readDescription(description, coded.tensor); !wrong.empty())
            return fail(ErrorCode::MalformedHeader, Where{file, name, {}}, wrong);
        descriptions.push_back(std::move(coded));
    }
    return descriptions;
}

Status CheckpointBuilder::foldCoded()
{
    if (m_options.coded == nullptr || m_containers.empty())
        return {};
    std::unordered_map<std::string_view, std::size_t> stored;
    for (std::size_t i = 0; i < m_checkpoint->m_tensors.size(); ++i)
        stored.emplace(m_checkpoint->m_tensors[i].name, i);
    std::vector<TensorInfo> folded;
    std::vector<CodedTensor> coded;
    std::unordered_set<std::size_t> used;
    for (const auto& [shard, notes] : m_containers) {
        const std::string file = m_checkpoint->m_shardPaths[shard].native();
        if (notes.version != kContainerVersion) {
            if (Status tolerated = m_findings.odd(ErrorCode::UnsupportedVersion, Where{file, std::string(kContainerVersionKey), {}},
                                                  "expected " + std::string(kContainerVersion) + ", found '" + escaped(notes.version)
                                                      + "': its stored tensors are listed as they are");
                !tolerated)
                return tolerated;
            continue;
        }
        auto descriptions = parseCodedTensors(notes.tensors, file);
        if (!descriptions)
            return passOn(descriptions);
        for (CodedDescription& description : *descriptions) {
            auto tensor = foldedTensor(description, shard, stored, used);
            if (!tensor)
                return passOn(tensor);
            folded.push_back(std::move(*tensor));
            coded.push_back(std::move(description.tensor));
        }
    }
    if (folded.empty())
        return {};
    replaceStored(std::move(folded), std::move(coded), used);
    return {};
}

Result<TensorInfo> CheckpointBuilder::foldedTensor(CodedDescription& description, std::uint32_t shard,
                                                   const std::unordered_map<std::string_view, std::size_t>& stored,
                                                   std::unordered_set<std::size_t>& used)
{
    const Where where{m_checkpoint->m_shardPaths[shard].native(), description.name, {}};
    if (stored.contains(description.name))
        return fail(ErrorCode::DuplicateName, where, "is described as coded, and is a stored tensor too");
    CodedTensor& tensor = description.tensor;
    TensorInfo info{.name = description.name, .shape = tensor.shape, .unknownDtype = tensor.grid};
    info.shard = shard;
    for (CodedPart& part : tensor.parts) {
        const auto it = stored.find(description.name + '.' + part.name);
        if (it == stored.end() || m_checkpoint->m_tensors[it->second].shard != shard)
            return fail(ErrorCode::MissingTensor, where, "its part '" + escaped(part.name) + "' is not in this file");
        if (!used.insert(it->second).second)
            return fail(ErrorCode::Overlap, where, "its part '" + escaped(part.name) + "' belongs to another tensor, or is given twice");
        const TensorInfo& found = m_checkpoint->m_tensors[it->second];
        part = {part.name, found.dtype, found.shape, found.offset, found.bytes};
        info.state = worse(info.state, found.state);
        info.offset = info.bytes == 0 ? found.offset : std::min(info.offset, found.offset);
        info.bytes += found.bytes;
    }
    // Whoever does not know the grid can still list it; whoever does demands that everything fits.
    info.dtype = DType::F32;
    if (const Status known = m_options.coded->check(tensor); !known) {
        if (known.error().code != ErrorCode::UnknownType)
            return fail(known.error().code, where, known.error().detail);
        info.dtype = DType::Unknown;
        if (Status tolerated = m_findings.odd(ErrorCode::UnknownType, where, known.error().detail); !tolerated)
            return passOn(tolerated);
    }
    return info;
}

/// Coded tensors stand where the first of their parts stood.
void CheckpointBuilder::replaceStored(std::vector<TensorInfo> folded, std::vector<CodedTensor> coded, const std::unordered_set<std::size_t>& used)
{
    std::vector<TensorInfo>& tensors = m_checkpoint->m_tensors;
    std::unordered_map<std::string, std::size_t> owner;  // stored name -> folded
    for (std::size_t i = 0; i < folded.size(); ++i) {
        for (const CodedPart& part : coded[i].parts)
            owner.emplace(folded[i].name + '.' + part.name, i);
    }
    m_checkpoint->m_byName.clear();
    std::vector<TensorInfo> listed;
    std::vector<bool> placed(folded.size(), false);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (!used.contains(i)) {
            listed.push_back(std::move(tensors[i]));
            continue;
        }
        const std::size_t index = owner.at(tensors[i].name);
        if (placed[index])
            continue;
        placed[index] = true;
        m_checkpoint->m_coded.emplace(listed.size(), std::move(coded[index]));
        listed.push_back(std::move(folded[index]));
    }
    tensors = std::move(listed);
    m_checkpoint->m_formats = m_options.coded;
}

}  // namespace sigmascope
