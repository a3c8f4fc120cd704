// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/layouts/LayoutParts.h"

#include "core/tensor/Decode.h"

#include <algorithm>
#include <cstring>

namespace sigmascope {

namespace {

constexpr std::uint64_t kWordBytes = 4;

std::string typeNames(std::initializer_list<DType> types)
{
    std::string names;
    for (const DType type : types)
        names += (names.empty() ? "" : " or ") + std::string(info(type).name);
    return names;
}

}  // namespace

PartFinder::PartFinder(const CheckpointLayout& layout, std::string_view title, const TensorInfo& codes,
                       const StoredTensors& tensors)
    : m_title(title)
    , m_codes(codes)
    , m_tensors(tensors)
    , m_matrix{.layout = &layout}
{
}

tl::unexpected<Error> PartFinder::failAt(const TensorInfo& tensor, ErrorCode code, std::string_view what) const
{
    return fail(code, m_tensors.where(tensor), std::string(m_title) + ": " + std::string(what));
}

Status PartFinder::take(std::string_view role, const TensorInfo& tensor, std::initializer_list<DType> types)
{
    if (tensor.state == TensorState::Missing)
        return failAt(tensor, ErrorCode::MissingShard, "the file that holds it is missing");
    if (tensor.state == TensorState::Truncated)
        return failAt(tensor, ErrorCode::Truncated, "its data end past the end of the file");
    if (types.size() != 0 && std::ranges::find(types, tensor.dtype) == types.end())
        return failAt(tensor, ErrorCode::UnsupportedType,
                      "expected " + typeNames(types) + ", found " + escaped(tensor.typeName(), 40));
    m_matrix.parts.push_back(
        {role, tensor.name, tensor.dtype, tensor.shape, tensor.shard, tensor.offset, tensor.bytes});
    return {};
}

Status PartFinder::takeCodes(std::string_view role, std::initializer_list<DType> types)
{
    return take(role, m_codes, types);
}

Result<const TensorInfo*> PartFinder::need(std::string_view role, const std::string& name,
                                           std::initializer_list<DType> types)
{
    auto found = takeIfThere(role, name, types);
    if (found && *found == nullptr)
        return failAt(m_codes, ErrorCode::MissingTensor, "expected '" + escaped(name) + "' beside it, found none");
    return found;
}

Result<const TensorInfo*> PartFinder::takeIfThere(std::string_view role, const std::string& name,
                                                  std::initializer_list<DType> types)
{
    const TensorInfo* const tensor = m_tensors.find(name);
    if (tensor == nullptr)
        return nullptr;
    if (Status taken = take(role, *tensor, types); !taken)
        return passOn(std::move(taken));
    return tensor;
}

Status PartFinder::refuseSmoothing(const std::string& module) const
{
    const TensorInfo* const scales = m_tensors.find(module + "pre_quant_scale");
    return scales == nullptr ? Status{}
                             : failAt(*scales, ErrorCode::UnsupportedVersion,
                                      "inputs are multiplied by it before the weight sees them, which is not read");
}

Status PartFinder::expectShape(const TensorInfo& tensor, const Shape& expected, std::string_view why) const
{
    if (tensor.shape == expected)
        return {};
    return failAt(tensor, ErrorCode::ShapeMismatch,
                  "expected shape " + toString(expected) + " " + std::string(why) + ", found "
                      + toString(tensor.shape));
}

Status PartFinder::expectMatrix(const TensorInfo& tensor) const
{
    if (tensor.shape.size() == 2 && tensor.shape[0] != 0 && tensor.shape[1] != 0)
        return {};
    return failAt(tensor, ErrorCode::ShapeMismatch,
                  "expected a matrix that is not empty, found shape " + toString(tensor.shape));
}

std::string withoutEnd(std::string_view name, std::string_view end)
{
    return std::string(name.substr(0, name.size() - end.size()));
}

std::uint64_t ceilOfRatio(std::uint64_t a, std::uint64_t b)
{
    return a / b + (a % b == 0 ? 0 : 1);
}

std::optional<std::uint64_t> groupSizeOf(std::uint64_t cols, std::uint64_t groups)
{
    if (groups == 0 || cols == 0)
        return std::nullopt;
    const std::uint64_t size = ceilOfRatio(cols, groups);
    return ceilOfRatio(cols, size) == groups ? std::optional(size) : std::nullopt;
}

std::string groupWord(std::uint64_t groupCols, std::uint64_t cols)
{
    return groupCols >= cols ? std::string(" per row") : " g" + std::to_string(groupCols);
}

void dequantize(const GroupedRows& rows, std::span<float> out)
{
    const int mask = (1 << rows.bits) - 1;
    const std::uint64_t count = out.size() / rows.cols;
    std::vector<int> zeros(rows.groups, rows.zero);
    for (std::uint64_t r = 0; r < count; ++r) {
        const std::uint8_t* const codes = rows.codes.data() + r * rows.cols;
        const float* const scales = rows.scales.data() + r * rows.groups;
        float* const values = out.data() + r * rows.cols;
        for (std::uint64_t g = 0; g < rows.groups && !rows.zeros.empty(); ++g)
            zeros[g] = (rows.zeros[r * rows.groups + g] + rows.zeroShift) & mask;
        if (!rows.groupOf.empty()) {
            for (std::uint64_t c = 0; c < rows.cols; ++c)
                values[c] = static_cast<float>(codes[c] - zeros[rows.groupOf[c]]) * scales[rows.groupOf[c]];
            continue;
        }
        for (std::uint64_t g = 0; g < rows.groups; ++g) {
            const std::uint64_t end = std::min(rows.cols, (g + 1) * rows.groupCols);
            for (std::uint64_t c = g * rows.groupCols; c < end; ++c)
                values[c] = static_cast<float>(codes[c] - zeros[g]) * scales[g];
        }
    }
}

Result<WordCompanions> takeWordParts(PartFinder& finder, const std::string& module)
{
    if (Status taken = finder.takeCodes("qweight", {DType::I32}); !taken)
        return passOn(taken);
    const auto zeros = finder.need("qzeros", module + ".qzeros", {DType::I32});
    if (!zeros)
        return passOn(zeros);
    const auto scales = finder.need("scales", module + ".scales", {DType::F16, DType::BF16, DType::F32});
    if (!scales)
        return passOn(scales);
    for (const TensorInfo* tensor : {&finder.codes(), *zeros, *scales})
        if (Status shaped = finder.expectMatrix(*tensor); !shaped)
            return passOn(shaped);
    return WordCompanions{*zeros, *scales};
}

Status checkGroupSize(const LayoutSettings& settings, const Result<std::optional<std::int64_t>>& size)
{
    if (!size)
        return passOn(size);
    if (*size && **size != -1 && **size <= 0)
        return fail(ErrorCode::InvalidMetadata, settings.where("group_size"),
                    "expected -1 or more than 0, found " + std::to_string(**size));
    return {};
}

std::vector<std::uint32_t> groupIndices(std::span<const std::byte> bytes, std::uint64_t groups)
{
    std::vector<std::uint32_t> indices(bytes.size() / sizeof(std::uint32_t));
    if (!indices.empty())
        std::memcpy(indices.data(), bytes.data(), indices.size() * sizeof(std::uint32_t));
    for (std::uint32_t& index : indices)
        index = static_cast<std::uint32_t>(std::min<std::uint64_t>(index, groups - 1));
    return indices;
}

std::optional<PartFault> indexFault(const PackedMatrix& matrix, PartBytes parts, std::string_view role,
                                    std::uint64_t groups)
{
    const auto part = matrix.find(role);
    if (!part)
        return std::nullopt;
    const auto bytes = parts[*part];
    for (std::uint64_t at = 0; at + sizeof(std::int32_t) <= bytes.size(); at += sizeof(std::int32_t)) {
        std::int32_t index = 0;
        std::memcpy(&index, bytes.data() + at, sizeof index);
        if (index < 0 || static_cast<std::uint64_t>(index) >= groups)
            return PartFault{*part, at,
                             "column " + std::to_string(at / sizeof index) + ": expected a group from 0 to "
                                 + std::to_string(groups - 1) + ", found " + std::to_string(index)};
    }
    return std::nullopt;
}

std::vector<float> turnedScales(const LayoutPart& part, std::span<const std::byte> bytes, std::uint64_t first,
                                std::uint64_t count)
{
    const std::uint64_t groups = part.shape[0];
    const std::uint64_t rows = part.shape[1];
    const std::size_t width = info(part.dtype).blockBits / 8;
    std::vector<float> line(count);
    std::vector<float> turned(count * groups);
    for (std::uint64_t g = 0; g < groups; ++g) {
        decode(part.dtype, bytes.subspan((g * rows + first) * width, count * width), line);
        for (std::uint64_t r = 0; r < count; ++r)
            turned[r * groups + g] = line[r];
    }
    return turned;
}

std::vector<std::byte> wordColumns(std::span<const std::byte> words, std::uint64_t perRow, std::uint64_t first,
                                   std::uint64_t count)
{
    const std::uint64_t rows = words.size() / (perRow * kWordBytes);
    std::vector<std::byte> columns(rows * count * kWordBytes);
    for (std::uint64_t row = 0; row < rows; ++row)
        std::memcpy(columns.data() + row * count * kWordBytes, words.data() + (row * perRow + first) * kWordBytes,
                    count * kWordBytes);
    return columns;
}

}  // namespace sigmascope
