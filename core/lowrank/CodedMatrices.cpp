// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/CodedMatrices.h"

#include "core/grid/BitPacking.h"
#include "core/tensor/Blas.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::uint64_t kChunkValues = std::uint64_t{1} << 20;
constexpr std::uint64_t kGroupsPerTop = 256;  // of doubly quantized scales

std::uint64_t ceilDiv(std::uint64_t a, std::uint64_t b)
{
    return (a + b - 1) / b;
}

DType scaleTypeOf(std::string_view gridId)
{
    return gridId.ends_with("-f32") ? DType::F32 : gridId.ends_with("-f64") ? DType::F64 : DType::F16;
}

/// Names and types of what stands before the codes in a row; their sizes in bytes must add up to it.
std::vector<std::pair<CodedArray, std::uint64_t>> parametersOf(const Grid& grid, std::uint64_t cols)
{
    const std::uint64_t groups = ceilDiv(cols, grid.groupSize() == 0 ? cols : grid.groupSize());
    const std::string id = grid.id();
    if (id.starts_with("int")) {
        std::vector<std::pair<CodedArray, std::uint64_t>> parts{{{.name = "scales", .dtype = scaleTypeOf(id)}, groups}};
        if (id.find("-asym") != std::string::npos)
            parts.push_back({{.name = "zeros"}, packedBytes(groups, grid.bits())});
        return parts;
    }
    if (id.starts_with("mxint") || id.starts_with("bfp"))
        return {{{.name = "exponents"}, groups}};
    if (id.starts_with("nf") && id.ends_with("-dq"))
        return {{{.name = "scale_tops", .dtype = DType::F32}, ceilDiv(groups, kGroupsPerTop)}, {{.name = "scale_codes"}, groups}};
    if (id.starts_with("nf"))
        return {{{.name = "scales", .dtype = DType::F16}, groups}};
    return {};
}

std::size_t widthOf(DType dtype)
{
    return info(dtype).blockBits / 8;
}

constexpr std::array<std::pair<FactorType, DType>, 5> kArrayTypes{{{FactorType::F32, DType::F32},
                                                                   {FactorType::F16, DType::F16},
                                                                   {FactorType::BF16, DType::BF16},
                                                                   {FactorType::Q8_0, DType::U8},  // blocks
                                                                   {FactorType::I8, DType::I8}}};

/// Factors say what they are by the type of their array.
std::optional<FactorType> factorTypeOf(const CodedTensor& tensor)
{
    const auto left = std::ranges::find(tensor.parts, "left", &CodedPart::name);
    if (left == tensor.parts.end())
        return std::nullopt;
    const auto found = std::ranges::find(kArrayTypes, left->dtype, [](const auto& row) { return row.second; });
    return found == kArrayTypes.end() ? std::nullopt : std::optional(found->first);
}

class RegistryFormats final : public CodedFormats {
public:
    [[nodiscard]] Status check(const CodedTensor& tensor) const override
    {
        const auto grid = findGrid(tensor.grid);
        if (!grid)
            return fail(ErrorCode::UnknownType, fmt::format("the grid '{}' is not known", escaped(tensor.grid)));
        if (!(*grid)->accepts(tensor.cols()))
            return fail(ErrorCode::ShapeMismatch, fmt::format("the grid {} has no rows of {} elements", tensor.grid, tensor.cols()));
        const auto factors = factorTypeOf(tensor);
        if (tensor.rank > 0 && std::ranges::find(tensor.parts, "left", &CodedPart::name) == tensor.parts.end())
            return fail(ErrorCode::ShapeMismatch, fmt::format("the array 'left' of a correction of rank {} is missing", tensor.rank));
        if (tensor.rank > 0 && !factors)
            return fail(ErrorCode::UnknownType, "the type of the factors is not known");
        if (tensor.rank > std::min(tensor.rows(), tensor.cols()))
            return fail(ErrorCode::ShapeMismatch, fmt::format("rank {} is over min(rows, cols) of {}", tensor.rank, toString(tensor.shape)));
        if (tensor.rank > 0 && !canStore(*factors, tensor.cols(), tensor.rank))
            return fail(ErrorCode::ShapeMismatch, fmt::format("blocks of 32 do not fill factors of rank {} and {} columns", tensor.rank, tensor.cols()));
        auto expected = arraysOf(**grid, tensor.rows(), tensor.cols());
        if (tensor.rank > 0)
            std::ranges::move(arraysOf(*factors, tensor.rows(), tensor.cols(), tensor.rank), std::back_inserter(expected));
        if (expected.size() != tensor.parts.size())
            return fail(ErrorCode::ShapeMismatch, fmt::format("{} arrays are expected, {} are there", expected.size(), tensor.parts.size()));
        for (const CodedArray& array : expected) {
            const auto part = std::ranges::find(tensor.parts, array.name, &CodedPart::name);
            if (part == tensor.parts.end())
                return fail(ErrorCode::ShapeMismatch, fmt::format("the array '{}' of the grid {} is missing", array.name, tensor.grid));
            if (part->dtype != array.dtype || part->shape != array.shape)
                return fail(ErrorCode::ShapeMismatch,
                            fmt::format("the array '{}' is {} {}, expected {} {}", array.name, info(part->dtype).name,
                                        toString(part->shape), info(array.dtype).name, toString(array.shape)));
        }
        return {};
    }

    void decode(const CodedTensor& tensor, std::span<const std::span<const std::byte>> parts, std::span<float> out) const override
    {
        const Grid& grid = **findGrid(tensor.grid);
        const std::uint64_t rows = tensor.rows();
        const std::uint64_t cols = tensor.cols();
        const auto arrays = arraysOf(grid, rows, cols);
        const auto bytesOf = [&](std::string_view name) {
            const auto part = std::ranges::find(tensor.parts, name, &CodedPart::name);
            return parts[static_cast<std::size_t>(part - tensor.parts.begin())];
        };
        MatrixF left;
        MatrixF right;
        if (tensor.rank > 0) {
            const auto copied = [](std::span<const std::byte> bytes) { return std::vector<std::byte>(bytes.begin(), bytes.end()); };
            const auto scalesOf = [&](std::string_view name) {
                return std::ranges::find(tensor.parts, name, &CodedPart::name) == tensor.parts.end() ? std::vector<std::byte>() : copied(bytesOf(name));
            };
            const StoredFactors factors{.type = *factorTypeOf(tensor), .rows = rows, .cols = cols, .rank = tensor.rank,
                                        .left = copied(bytesOf("left")), .right = copied(bytesOf("right")),
                                        .leftScales = scalesOf("left_scales"), .rightScales = scalesOf("right_scales")};
            left = factors.decodedLeft();
            right = factors.decodedRight();
        }
        const std::size_t rowBytes = grid.rowBytes(cols);
        const std::uint64_t step = std::clamp<std::uint64_t>(kChunkValues / cols, 1, rows);
        std::vector<std::byte> coded;
        for (std::uint64_t first = 0; first < rows; first += step) {
            const std::uint64_t count = std::min(step, rows - first);
            coded.resize(count * rowBytes);
            for (const CodedArray& array : arrays) {
                const auto bytes = bytesOf(array.name);
                for (std::uint64_t row = 0; row < count; ++row)
                    std::memcpy(coded.data() + row * rowBytes + array.rowOffset, bytes.data() + (first + row) * array.rowBytes, array.rowBytes);
            }
            const auto values = out.subspan(first * cols, count * cols);
            grid.decode(coded, count, cols, values);
            if (tensor.rank > 0)
                blas::gemm(blas::Transpose::No, blas::Transpose::No, count, cols, tensor.rank, 1.0F, left.data() + first * tensor.rank,
                           tensor.rank, right.data(), cols, 1.0F, values.data(), cols);
        }
    }
};

}  // namespace

std::vector<CodedArray> arraysOf(const Grid& grid, std::uint64_t rows, std::uint64_t cols)
{
    const std::size_t rowBytes = grid.rowBytes(cols);
    if (grid.ggufType())
        return {{.name = "blocks", .dtype = DType::U8, .shape = {rows, rowBytes}, .rowBytes = rowBytes}};
    const std::size_t codes = packedBytes(cols, grid.bits());
    std::vector<CodedArray> arrays;
    std::size_t at = 0;
    for (auto& [array, count] : parametersOf(grid, cols)) {
        array.rowOffset = at;
        array.rowBytes = static_cast<std::size_t>(count) * widthOf(array.dtype);
        array.shape = {rows, count};
        at += array.rowBytes;
        arrays.push_back(std::move(array));
    }
    if (at != rowBytes - codes)  // a grid whose parameters have no names here
        arrays = {{.name = "parameters", .shape = {rows, rowBytes - codes}, .rowBytes = rowBytes - codes}};
    arrays.push_back({.name = "codes", .shape = {rows, codes}, .rowOffset = rowBytes - codes, .rowBytes = codes});
    return arrays;
}

std::vector<CodedArray> arraysOf(FactorType type, std::uint64_t rows, std::uint64_t cols, std::uint64_t rank)
{
    if (rank == 0)
        return {};
    const DType dtype = std::ranges::find(kArrayTypes, type, [](const auto& row) { return row.first; })->second;
    const auto inner = [type](std::uint64_t values) { return type == FactorType::Q8_0 ? factorRowBytes(type, values) : values; };
    std::vector<CodedArray> arrays{{.name = "left", .dtype = dtype, .shape = {rows, inner(rank)}},
                                   {.name = "right", .dtype = dtype, .shape = {rank, inner(cols)}}};
    if (type == FactorType::I8) {
        arrays.push_back({.name = "left_scales", .dtype = DType::F16, .shape = {rank}});
        arrays.push_back({.name = "right_scales", .dtype = DType::F16, .shape = {rank}});
    }
    return arrays;
}

const CodedFormats& codedFormats()
{
    static const RegistryFormats formats;
    return formats;
}

}  // namespace sigmascope
