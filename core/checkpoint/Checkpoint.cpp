// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/Checkpoint.h"

#include "core/checkpoint/readers/CheckpointBuilder.h"

#include <algorithm>

namespace sigmascope {

namespace {

constexpr std::string_view kMissingFile =
    "the file that holds it is missing: put it beside the others and open the model again";

/// Q + L R of the whole matrix, owned by the view.
TensorView decodedView(const CodedTensor& tensor, const CodedFormats& formats, std::span<const std::byte> file)
{
    std::vector<std::span<const std::byte>> parts;
    for (const CodedPart& part : tensor.parts)
        parts.push_back(file.subspan(static_cast<std::size_t>(part.bytes == 0 ? 0 : part.offset), static_cast<std::size_t>(part.bytes)));
    auto values = std::make_shared<std::vector<float>>(static_cast<std::size_t>(tensor.rows() * tensor.cols()));
    formats.decode(tensor, parts, *values);
    const auto bytes = std::as_bytes(std::span<const float>(*values));
    return TensorView{.dtype = DType::F32, .shape = tensor.shape, .bytes = bytes, .owner = std::move(values)};
}

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
    if (const CodedTensor* const matrix = coded(index))
        return decodedView(*matrix, *m_formats, file->bytes());
    return TensorView{.dtype = tensor.dtype,
                      .shape = tensor.shape,
                      .bytes = file->bytes().subspan(static_cast<std::size_t>(tensor.bytes == 0 ? 0 : tensor.offset),
                                                     static_cast<std::size_t>(tensor.bytes))};
}

const CodedTensor* Checkpoint::coded(std::size_t index) const
{
    const auto it = m_coded.find(index);
    return it == m_coded.end() ? nullptr : &it->second;
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
