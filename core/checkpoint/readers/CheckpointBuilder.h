// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"
#include "core/checkpoint/readers/FileKind.h"
#include "core/checkpoint/readers/Findings.h"
#include "core/checkpoint/readers/ResearchContainer.h"
#include "core/checkpoint/readers/ShardContent.h"
#include "core/checkpoint/readers/ShardIndex.h"

#include <unordered_set>
#include <utility>

namespace sigmascope {

/// Puts one Checkpoint together from the files that make it up. Used once.
class CheckpointBuilder {
public:
    CheckpointBuilder(const std::filesystem::path& path, OpenOptions options, const JobContext& job);

    [[nodiscard]] Result<std::shared_ptr<const Checkpoint>> build();

private:
    using Content = std::optional<Result<ShardContent>>;  // nothing for an absent shard

    [[nodiscard]] Status openFile(const std::filesystem::path& path);
    [[nodiscard]] Status openSafetensors(std::unique_ptr<const MappedFile> file);
    [[nodiscard]] Status openIndex(std::unique_ptr<const MappedFile> file);
    [[nodiscard]] Status openGguf(std::unique_ptr<const MappedFile> file);
    [[nodiscard]] Status openGgufSplit(const std::filesystem::path& path, const ShardContent& opened);
    [[nodiscard]] Status readConfig(const std::filesystem::path& folder);

    /// Opens and reads files[i] of @p folder into shard i, several at a time.
    [[nodiscard]] Result<std::vector<Content>> readShards(const std::filesystem::path& folder,
                                                          const std::vector<std::string>& files, FileKind kind);
    [[nodiscard]] Content readShard(const std::filesystem::path& path, std::size_t shard, FileKind kind);
    [[nodiscard]] Status mergeIndexed(std::vector<Content>& contents, const ShardIndex& index, const std::filesystem::path& path);
    [[nodiscard]] Status addIndexed(TensorInfo&& tensor, const ShardIndex& index, const std::filesystem::path& path);
    [[nodiscard]] Status listMissing(const ShardIndex& index, const std::filesystem::path& path);
    [[nodiscard]] Status checkTotalSize(const ShardIndex& index, const std::filesystem::path& path);
    [[nodiscard]] Status mergeSplit(std::vector<Content>& contents);
    /// Puts coded tensors in the place of the stored ones that make them up (ResearchContainer.cpp).
    [[nodiscard]] Status foldCoded();
    [[nodiscard]] Result<TensorInfo> foldedTensor(CodedDescription& description, std::uint32_t shard,
                                                  const std::unordered_map<std::string_view, std::size_t>& stored,
                                                  std::unordered_set<std::size_t>& used);
    void replaceStored(std::vector<TensorInfo> folded, std::vector<CodedTensor> coded, const std::unordered_set<std::size_t>& used);
    /// Lists the matrices of stacked experts one by one (ExpertStacks.cpp).
    void listExperts();
    /// Puts weights in the place of the stored tensors of a quantized checkpoint (PackedTensorsReader.cpp).
    [[nodiscard]] Status foldPackedTensors(const std::filesystem::path& folder);
    /// A JSON file of the model's folder, of at most 16 MB. NotFound if there is none.
    [[nodiscard]] static Result<Json> jsonIn(const std::filesystem::path& path);
    void keepContainer(ShardContent& content, std::uint32_t shard);
    void adopt(ShardContent&& content, std::uint32_t shard);
    void keepWarnings(std::vector<CheckpointWarning>&& warnings);

    OpenOptions m_options;
    const JobContext& m_job;
    Findings m_findings;
    std::shared_ptr<Checkpoint> m_checkpoint;
    std::vector<std::pair<std::uint32_t, ContainerNotes>> m_containers;  // by shard
    std::unordered_map<std::string_view, std::uint32_t> m_shardOf;  // what the index says
};

/// The file of a folder to open: the shard index, else model.safetensors, else the only *.safetensors,
/// else the only *.gguf (or the first of one split set).
[[nodiscard]] Result<std::filesystem::path> modelFileIn(const std::filesystem::path& folder);

}  // namespace sigmascope
