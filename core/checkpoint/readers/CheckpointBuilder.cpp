// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/readers/CheckpointBuilder.h"

#include "core/base/Parallel.h"
#include "core/checkpoint/readers/ConfigCheck.h"
#include "core/checkpoint/readers/GgufSplit.h"

#include <algorithm>
#include <atomic>
#include <iterator>

namespace sigmascope {

namespace fs = std::filesystem;

namespace {

constexpr Bytes kMaxConfig = 16'000'000;

Where whole(const fs::path& path)
{
    return {path.native(), {}, {}};
}

fs::path folderOf(const fs::path& file)
{
    const fs::path folder = file.parent_path();
    return folder.empty() ? fs::path(".") : folder;
}

}  // namespace

CheckpointBuilder::CheckpointBuilder(const fs::path& path, OpenOptions options, const JobContext& job)
    : m_options(options), m_job(job), m_findings(options.strict), m_checkpoint(new Checkpoint)
{
    m_checkpoint->m_path = path;
}

Result<std::shared_ptr<const Checkpoint>> CheckpointBuilder::build()
{
    const fs::path& path = m_checkpoint->m_path;
    std::error_code error;
    fs::path file = path;
    if (fs::is_directory(path, error)) {
        auto found = modelFileIn(path);
        if (!found)
            return passOn(found);
        file = std::move(*found);
    }
    if (const Status opened = openFile(file); !opened)
        return passOn(opened);
    if (const Status folded = foldCoded(); !folded)
        return passOn(folded);
    listExperts();
    if (const Status folded = foldPackedTensors(folderOf(file)); !folded)
        return passOn(folded);
    keepWarnings(m_findings.take(file.native()));
    // The table borrows the names, so it is made when they no longer move.
    if (m_checkpoint->m_byName.empty()) {
        m_checkpoint->m_byName.reserve(m_checkpoint->m_tensors.size());
        for (std::size_t i = 0; i < m_checkpoint->m_tensors.size(); ++i)
            m_checkpoint->m_byName.emplace(m_checkpoint->m_tensors[i].name, i);
    }
    return std::shared_ptr<const Checkpoint>(std::move(m_checkpoint));
}

Status CheckpointBuilder::openFile(const fs::path& path)
{
    auto file = MappedFile::open(path);
    if (!file)
        return passOn(file);
    const auto kind = fileKindOf(**file);
    if (!kind)
        return passOn(kind);
    switch (*kind) {
    case FileKind::Gguf: return openGguf(std::move(*file));
    case FileKind::Index: return openIndex(std::move(*file));
    case FileKind::Safetensors: break;
    }
    return openSafetensors(std::move(*file));
}

Status CheckpointBuilder::openSafetensors(std::unique_ptr<const MappedFile> file)
{
    auto content = readSafetensors(*file, {.strict = m_options.strict, .partOfSet = false});
    if (!content)
        return passOn(content);
    const fs::path folder = folderOf(file->path());
    m_checkpoint->m_shardPaths.push_back(file->path());
    m_checkpoint->m_files.push_back(std::move(file));
    adopt(std::move(*content), 0);
    return readConfig(folder);
}

Status CheckpointBuilder::openIndex(std::unique_ptr<const MappedFile> file)
{
    auto index = readShardIndex(*file, m_findings);
    if (!index)
        return passOn(index);
    const fs::path folder = folderOf(file->path());
    for (std::size_t i = 0; i < index->files.size(); ++i) {
        if (const Status inside = refuseLinkOutOf(folder, index->files[i]); !inside)
            return inside;
    }
    auto contents = readShards(folder, index->files, FileKind::Safetensors);
    if (!contents)
        return passOn(contents);
    if (const Status merged = mergeIndexed(*contents, *index, file->path()); !merged)
        return merged;
    if (const Status sized = checkTotalSize(*index, file->path()); !sized)
        return sized;
    file->release(file->bytes().size());
    return readConfig(folder);
}

Status CheckpointBuilder::openGguf(std::unique_ptr<const MappedFile> file)
{
    m_checkpoint->m_format = CheckpointFormat::Gguf;
    auto content = readGguf(*file, {.strict = m_options.strict, .partOfSet = false});
    if (!content)
        return passOn(content);
    if (isGgufSplit(*content) && !m_options.alone)
        return openGgufSplit(file->path(), *content);
    m_checkpoint->m_shardPaths.push_back(file->path());
    m_checkpoint->m_files.push_back(std::move(file));
    m_checkpoint->m_gguf = GgufMetadata(std::move(content->keys));
    adopt(std::move(*content), 0);
    return {};
}

Status CheckpointBuilder::openGgufSplit(const fs::path& path, const ShardContent& opened)
{
    const auto names = ggufSplitNames(path, opened);
    if (!names)
        return passOn(names);
    auto contents = readShards(folderOf(path), *names, FileKind::Gguf);
    if (!contents)
        return passOn(contents);
    for (std::size_t i = 0; i < contents->size(); ++i) {
        const Content& content = (*contents)[i];
        const fs::path shard = folderOf(path) / (*names)[i];
        if (!content) {
            if (i == 0)
                return fail(ErrorCode::MissingShard, whole(shard), "the first file of the split model, which has its keys, is missing");
            if (Status tolerated = m_findings.odd(ErrorCode::MissingShard, whole(shard), "a file of the split model is missing"); !tolerated)
                return tolerated;
        } else if (Status fits = checkGgufSplitKeys(shard, **content, i, names->size()); !fits) {
            return fits;
        }
    }
    if (const Status counted = checkGgufSplitTotal(path, *contents); !counted)
        return counted;
    m_checkpoint->m_gguf = GgufMetadata((*contents)[0]->value().keys);
    return mergeSplit(*contents);
}

Status CheckpointBuilder::mergeSplit(std::vector<Content>& contents)
{
    std::unordered_map<std::string_view, std::size_t> seen;
    for (std::size_t i = 0; i < contents.size(); ++i) {
        if (!contents[i])
            continue;
        for (const TensorInfo& tensor : contents[i]->value().tensors) {
            const auto [it, isNew] = seen.emplace(tensor.name, i);
            if (!isNew)
                return fail(ErrorCode::DuplicateName,
                            Where{m_checkpoint->m_files[i]->path().native(), tensor.name, tensor.offset},
                            "is also in '" + escaped(m_checkpoint->m_files[it->second]->path().native(), 4096) + "'");
        }
    }
    seen.clear();
    for (std::size_t i = 0; i < contents.size(); ++i) {
        if (contents[i])
            adopt(std::move(contents[i]->value()), static_cast<std::uint32_t>(i));
    }
    return {};
}

CheckpointBuilder::Content CheckpointBuilder::readShard(const fs::path& path, std::size_t shard, FileKind kind)
{
    auto file = MappedFile::open(path);
    if (!file && file.error().code == ErrorCode::NotFound)
        return std::nullopt;
    if (!file)
        return Result<ShardContent>(passOn(file));
    if (const auto found = fileKindOf(**file); !found)
        return Result<ShardContent>(passOn(found));
    const ReadMode mode{.strict = m_options.strict, .partOfSet = true};
    Result<ShardContent> content = kind == FileKind::Gguf ? readGguf(**file, mode) : readSafetensors(**file, mode);
    m_checkpoint->m_files[shard] = std::move(*file);
    return content;
}

Result<std::vector<CheckpointBuilder::Content>> CheckpointBuilder::readShards(const fs::path& folder,
                                                                              const std::vector<std::string>& files,
                                                                              FileKind kind)
{
    m_checkpoint->m_files.resize(files.size());
    m_checkpoint->m_shardPaths.reserve(files.size());
    for (const std::string& file : files)
        m_checkpoint->m_shardPaths.push_back(folder / file);
    std::vector<Content> contents(files.size());
    std::atomic<std::size_t> done{0};
    parallelFor(files.size(), [&](std::size_t i) {
        if (m_job.cancelled())
            return;
        contents[i] = readShard(folder / files[i], i, kind);
        const std::size_t count = ++done;
        m_job.report(static_cast<double>(count) / static_cast<double>(files.size()),
                     std::to_string(count) + " of " + std::to_string(files.size()) + " shards");
    });
    if (m_job.cancelled())
        return cancelledError();
    for (Content& content : contents) {
        if (content && !*content)
            return passOn(std::move(*content));
    }
    return contents;
}

Status CheckpointBuilder::mergeIndexed(std::vector<Content>& contents, const ShardIndex& index, const fs::path& path)
{
    std::size_t most = index.entries.size();
    bool anyPresent = contents.empty();
    for (const Content& content : contents) {
        most += content ? content->value().tensors.size() : 0;
        anyPresent = anyPresent || content.has_value();
    }
    if (!anyPresent)
        return fail(ErrorCode::MissingShard, whole(path),
                    "none of the " + std::to_string(contents.size()) + " files that the index names is there");
    m_checkpoint->m_tensors.reserve(most);  // m_byName borrows names from here on: nothing may move
    m_checkpoint->m_byName.reserve(index.entries.size());
    m_shardOf.reserve(index.entries.size());
    for (const ShardIndex::Entry& entry : index.entries)
        m_shardOf.emplace(entry.tensor, entry.shard);
    for (std::size_t i = 0; i < contents.size(); ++i) {
        if (!contents[i])
            continue;
        ShardContent& content = contents[i]->value();
        keepWarnings(std::move(content.warnings));
        keepContainer(content, static_cast<std::uint32_t>(i));
        if (m_checkpoint->m_notes.empty())
            m_checkpoint->m_notes = std::move(content.notes);
        for (TensorInfo& tensor : content.tensors) {
            tensor.shard = static_cast<std::uint32_t>(i);
            if (Status added = addIndexed(std::move(tensor), index, path); !added)
                return added;
        }
        contents[i].reset();
    }
    return listMissing(index, path);
}

Status CheckpointBuilder::addIndexed(TensorInfo&& tensor, const ShardIndex& index, const fs::path& path)
{
    const auto indexed = m_shardOf.find(tensor.name);
    const auto known = m_checkpoint->m_byName.find(tensor.name);
    const std::string shard = (folderOf(path) / index.files[tensor.shard]).native();
    if (known == m_checkpoint->m_byName.end()) {
        Status tolerated;
        if (indexed == m_shardOf.end())
            tolerated = m_findings.odd(ErrorCode::InconsistentShards, Where{shard, tensor.name, tensor.offset}, "is not in the index");
        else if (indexed->second != tensor.shard)
            tolerated = m_findings.odd(ErrorCode::InconsistentShards, Where{shard, tensor.name, tensor.offset},
                                       "the index says it is in '" + escaped(index.files[indexed->second]) + "'");
        m_checkpoint->m_tensors.push_back(std::move(tensor));
        m_checkpoint->m_byName.emplace(m_checkpoint->m_tensors.back().name, m_checkpoint->m_tensors.size() - 1);
        return tolerated;
    }
    TensorInfo& first = m_checkpoint->m_tensors[known->second];
    const bool differs = first.shape != tensor.shape || first.dtype != tensor.dtype;
    const Status tolerated = m_findings.odd(
        ErrorCode::InconsistentShards, Where{shard, tensor.name, tensor.offset},
        "is also in '" + escaped(index.files[first.shard]) + "'"
            + (differs ? ", with another shape or type: " + toString(first.shape) + " there, " + toString(tensor.shape) + " here"
                       : std::string()));
    // The index decides which of them counts; the name stays where it is, for the table borrows it.
    if (indexed != m_shardOf.end() && indexed->second == tensor.shard) {
        std::swap(first.name, tensor.name);
        std::swap(first, tensor);
    }
    return tolerated;
}

Status CheckpointBuilder::listMissing(const ShardIndex& index, const fs::path& path)
{
    std::vector<std::size_t> lost(index.files.size(), 0);
    for (const ShardIndex::Entry& entry : index.entries) {
        if (m_checkpoint->m_byName.contains(entry.tensor))
            continue;
        ++lost[entry.shard];
        TensorInfo tensor;
        tensor.name = entry.tensor;
        tensor.shard = entry.shard;
        tensor.dtype = DType::Unknown;
        tensor.state = TensorState::Missing;
        m_checkpoint->m_tensors.push_back(std::move(tensor));
        m_checkpoint->m_byName.emplace(m_checkpoint->m_tensors.back().name, m_checkpoint->m_tensors.size() - 1);
        if (m_checkpoint->m_files[entry.shard] == nullptr)
            continue;  // told once for the shard
        const Status tolerated =
            m_findings.odd(ErrorCode::MissingTensor, Where{path.native(), std::string(entry.tensor), entry.offset},
                           "is not in '" + escaped(index.files[entry.shard]) + "', where the index says it is");
        if (!tolerated)
            return tolerated;
    }
    for (std::size_t i = 0; i < index.files.size(); ++i) {
        if (m_checkpoint->m_files[i] != nullptr)
            continue;
        const Status tolerated = m_findings.odd(ErrorCode::MissingShard, whole(folderOf(path) / index.files[i]),
                                                "the file is missing, and with it " + std::to_string(lost[i]) + " tensors");
        if (!tolerated)
            return tolerated;
    }
    return {};
}

Status CheckpointBuilder::checkTotalSize(const ShardIndex& index, const fs::path& path)
{
    if (!index.totalSize)
        return {};
    for (const TensorInfo& tensor : m_checkpoint->m_tensors) {
        if (tensor.state == TensorState::Missing)
            return {};  // cannot be known
    }
    const Bytes found = m_checkpoint->totalBytes();
    if (found == *index.totalSize)
        return {};
    return m_findings.odd(ErrorCode::InvalidMetadata, whole(path),
                          "total_size is " + std::to_string(*index.totalSize) + ", the tensors have " + std::to_string(found) + " bytes");
}

Result<Json> CheckpointBuilder::jsonIn(const fs::path& path)
{
    const auto file = MappedFile::open(path);
    if (!file)
        return passOn(file);
    const auto bytes = (*file)->bytes();
    if (bytes.size() > kMaxConfig)
        return fail(ErrorCode::HeaderTooLarge, "over the limit of 16 MB");
    return parseJson({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.native());
}

Status CheckpointBuilder::readConfig(const fs::path& folder)
{
    const fs::path path = folder / "config.json";
    auto config = jsonIn(path);
    if (!config)
        return config.error().code == ErrorCode::NotFound
            ? Status{}
            : m_findings.odd(config.error().code, whole(path), "config.json is not used: " + config.error().detail);
    m_checkpoint->m_config = std::move(*config);
    for (const TensorInfo& tensor : m_checkpoint->m_tensors) {
        const std::string misfit = misfitToConfig(tensor, m_checkpoint->m_config);
        if (misfit.empty())
            continue;
        const std::string shard = m_checkpoint->m_files[tensor.shard]->path().native();
        if (Status tolerated = m_findings.odd(ErrorCode::InconsistentShards, Where{shard, tensor.name, tensor.offset}, misfit); !tolerated)
            return tolerated;
    }
    return {};
}

void CheckpointBuilder::adopt(ShardContent&& content, std::uint32_t shard)
{
    keepWarnings(std::move(content.warnings));
    keepContainer(content, shard);
    if (m_checkpoint->m_notes.empty())
        m_checkpoint->m_notes = std::move(content.notes);
    for (TensorInfo& tensor : content.tensors)
        tensor.shard = shard;
    if (m_checkpoint->m_tensors.empty()) {
        m_checkpoint->m_tensors = std::move(content.tensors);
        return;
    }
    for (TensorInfo& tensor : content.tensors)
        m_checkpoint->m_tensors.push_back(std::move(tensor));
}

void CheckpointBuilder::keepContainer(ShardContent& content, std::uint32_t shard)
{
    if (content.container.container == kResearchContainer)
        m_containers.emplace_back(shard, std::move(content.container));
}

void CheckpointBuilder::keepWarnings(std::vector<CheckpointWarning>&& warnings)
{
    std::ranges::move(warnings, std::back_inserter(m_checkpoint->m_warnings));
}

}  // namespace sigmascope
