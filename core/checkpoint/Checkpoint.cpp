// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/Checkpoint.h"

#include "core/base/Parallel.h"
#include "core/checkpoint/layouts/CheckpointLayout.h"
#include "core/checkpoint/readers/CheckpointBuilder.h"

#include <algorithm>

namespace sigmascope {

namespace {

constexpr std::string_view kMissingFile =
    "the file that holds it is missing: put it beside the others and open the model again";

constexpr std::uint64_t kPackedTask = std::uint64_t{1} << 18;  // values that one thread decodes at a time

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
    if (const PackedMatrix* const matrix = packed(index))
        return packedView(*matrix);
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

const PackedMatrix* Checkpoint::packed(std::size_t index) const
{
    const auto it = m_packed.find(index);
    return it == m_packed.end() ? nullptr : it->second.get();
}

Result<std::vector<std::span<const std::byte>>> Checkpoint::partsOf(const PackedMatrix& matrix) const
{
    std::vector<std::span<const std::byte>> parts;
    for (const LayoutPart& part : matrix.parts)
        parts.push_back(m_files[part.shard]->bytes().subspan(static_cast<std::size_t>(part.bytes == 0 ? 0 : part.offset),
                                                             static_cast<std::size_t>(part.bytes)));
    if (const auto fault = matrix.layout->fault(matrix, parts)) {
        const LayoutPart& part = matrix.parts[fault->part];
        return fail(ErrorCode::InvalidNumber, Where{m_shardPaths[part.shard].native(), part.name, part.offset + fault->offset}, fault->what);
    }
    return parts;
}

Status Checkpoint::readPackedRows(std::size_t index, std::uint64_t first, std::uint64_t count, std::span<float> out) const
{
    const PackedMatrix& matrix = *packed(index);
    const auto parts = partsOf(matrix);
    if (!parts)
        return passOn(parts);
    decodePackedRows(matrix, *parts, first, count, out);
    return {};
}

Result<TensorView> Checkpoint::packedView(const PackedMatrix& matrix) const
{
    const auto parts = partsOf(matrix);
    if (!parts)
        return passOn(parts);
    auto values = std::make_shared<std::vector<float>>(static_cast<std::size_t>(matrix.rows * matrix.cols));
    const std::uint64_t step = std::max<std::uint64_t>(1, kPackedTask / matrix.cols / matrix.rowUnit) * matrix.rowUnit;
    parallelFor(static_cast<std::size_t>((matrix.rows + step - 1) / step), [&](std::size_t task) {
        const std::uint64_t first = task * step;
        const std::uint64_t count = std::min(step, matrix.rows - first);
        decodePackedRows(matrix, *parts, first, count, std::span(*values).subspan(first * matrix.cols, count * matrix.cols));
    });
    const auto bytes = std::as_bytes(std::span<const float>(*values));
    const Shape shape = matrix.shape.empty() ? Shape{matrix.rows, matrix.cols} : matrix.shape;
    return TensorView{.dtype = DType::F32, .shape = shape, .bytes = bytes, .owner = std::move(values)};
}

Status Checkpoint::checkUnchanged(std::size_t index) const
{
    if (const PackedMatrix* const matrix = packed(index)) {
        for (const LayoutPart& part : matrix->parts)
            if (Status same = m_files[part.shard]->checkUnchanged(); !same)
                return same;
        return {};
    }
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
