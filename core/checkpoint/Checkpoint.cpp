// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/Checkpoint.h"

#include "core/checkpoint/readers/CheckpointBuilder.h"

#include <algorithm>

namespace sigmascope {

namespace {

constexpr std::string_view kMissingFile =
    "the file that holds it is missing: put it beside the others and open the model again";

}  // namespace

Result<std::shared_ptr<const Checkpoint>> Checkpoint::open(const std::filesystem::path& path, OpenOptions options,
                                                           const JobContext& job)
{
    return CheckpointBuilder(path, options, job).build();
}

std::filesystem::path Checkpoint::folder() const
{
    std::error_code error;
    if (std::filesystem::is_directory(m_path, error))
        return m_path;
    const std::filesystem::path parent = m_path.parent_path();
    return parent.empty() ? std::filesystem::path(".") : parent;
}

std::optional<std::size_t> Checkpoint::find(std::string_view name) const
{
    const auto it = m_byName.find(name);
    return it == m_byName.end() ? std::nullopt : std::optional(it->second);
}

bool Checkpoint::isIncomplete() const
{
    return std::ranges::any_of(m_tensors, [](const TensorInfo& tensor) { return tensor.state != TensorState::Ok; })
        || std::ranges::any_of(m_files, [](const auto& file) { return file == nullptr; });
}

Result<TensorView> Checkpoint::view(std::size_t index) const
{
    const TensorInfo& tensor = m_tensors[index];
    const MappedFile* const file = m_files[tensor.shard].get();
    const Where where{m_shardPaths[tensor.shard].native(), tensor.name, {}};
    if (tensor.state == TensorState::Missing) {
        return file == nullptr ? fail(ErrorCode::MissingShard, where, kMissingFile)
                               : fail(ErrorCode::MissingTensor, where, "the index names it, the file does not hold it");
    }
    const Where placed{where.file, where.tensor, tensor.offset};
    if (tensor.state == TensorState::Truncated)
        return fail(ErrorCode::Truncated, placed,
                    "its data end at byte " + std::to_string(tensor.offset + tensor.bytes) + ", the file has "
                        + std::to_string(file->bytes().size()));
    if (tensor.dtype == DType::Unknown)
        return fail(ErrorCode::UnknownType, placed, "the type '" + escaped(tensor.unknownDtype) + "' is not known");
    return TensorView{.dtype = tensor.dtype,
                      .shape = tensor.shape,
                      .bytes = file->bytes().subspan(static_cast<std::size_t>(tensor.bytes == 0 ? 0 : tensor.offset),
                                                     static_cast<std::size_t>(tensor.bytes))};
}

Status Checkpoint::checkUnchanged(std::size_t index) const
{
    const TensorInfo& tensor = m_tensors[index];
    if (const MappedFile* const file = m_files[tensor.shard].get())
        return file->checkUnchanged();
    return fail(ErrorCode::MissingShard, Where{m_shardPaths[tensor.shard].native(), tensor.name, {}}, kMissingFile);
}

std::uint64_t Checkpoint::totalElements() const
{
    std::uint64_t total = 0;
    for (const TensorInfo& tensor : m_tensors)
        total += tensor.elements();
    return total;
}

Bytes Checkpoint::totalBytes() const
{
    Bytes total = 0;
    for (const TensorInfo& tensor : m_tensors)
        total += tensor.bytes;
    return total;
}

}  // namespace sigmascope
