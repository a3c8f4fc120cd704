// SPDX-License-Identifier: GPL-3.0-or-later
// Weights of one byte each, int8 or FP8, with scales per matrix, row, group or block: compressed-tensors'
// int-quantized, naive-quantized and float-quantized, and the fp8 checkpoints of weight_scale_inv, which multiplies as
// well.
#include "core/checkpoint/layouts/LayoutParts.h"
#include "core/checkpoint/layouts/Layouts.h"
#include "core/checkpoint/layouts/Schemes.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <array>

namespace sigmascope {

namespace {

constexpr std::string_view kScaledEnd = ".weight";
constexpr std::array<std::string_view, 5> kScaledMethods{"", "compressed-tensors", "fp8", "fbgemm_fp8", "modelopt"};

/// Rows and columns that share a scale.
struct ScaleBlock {
    std::uint64_t rows = 0;
    std::uint64_t cols = 0;
};

class ScaledCodes final : public CheckpointLayout {
public:
    [[nodiscard]] bool claims(const TensorInfo& stored, const StoredTensors& tensors,
                              const LayoutSettings&) const override
    {
        const bool isByte = stored.dtype == DType::I8 || stored.dtype == DType::F8E4M3 || stored.dtype == DType::F8E5M2;
        return isByte && stored.name.ends_with(kScaledEnd)
            && (tensors.find(stored.name + "_scale") != nullptr || tensors.find(stored.name + "_scale_inv") != nullptr);
    }

    [[nodiscard]] Status check(const LayoutSettings& settings) const override
    {
        if (std::ranges::find(kScaledMethods, settings.method) == kScaledMethods.end())
            return fail(ErrorCode::InvalidMetadata, settings.where("quant_method"),
                        "expected 'compressed-tensors' or 'fp8' for weights with a weight_scale, found '"
                            + escaped(settings.method, 40) + "'");
        const auto schemes = schemesOf(settings);
        return schemes ? Status{} : passOn(schemes);
    }

    [[nodiscard]] Result<PackedMatrix> assemble(const TensorInfo& codes, const StoredTensors& tensors,
                                                const LayoutSettings& settings) const override
    {
        PartFinder finder(*this, "scaled weights", codes, tensors);
        if (Status taken = finder.takeCodes("weight", {}); !taken)
            return passOn(taken);
        const bool isInverse = tensors.find(codes.name + "_scale") == nullptr;
        const auto scales = finder.need("weight_scale", codes.name + (isInverse ? "_scale_inv" : "_scale"),
                                        {DType::F16, DType::BF16, DType::F32});
        if (!scales)
            return passOn(scales);
        const auto zeros = finder.takeIfThere("weight_zero_point", codes.name + "_zero_point", {DType::I8});
        if (!zeros)
            return passOn(zeros);
        for (const std::string_view end : {"input_scale", "input_zero_point"})  // of static activations
            if (const auto taken = finder.takeIfThere(end, withoutEnd(codes.name, "weight") + std::string(end), {});
                !taken)
                return passOn(taken);
        if (Status plain = finder.refuseSmoothing(withoutEnd(codes.name, "weight")); !plain)
            return passOn(plain);
        PackedMatrix& matrix = finder.matrix();
        if (Status shaped = finder.expectMatrix(codes); !shaped)
            return passOn(shaped);
        matrix.name = codes.name;
        matrix.rows = codes.shape[0];
        matrix.cols = codes.shape[1];
        matrix.bits = 8;
        const auto schemes = schemesOf(settings);
        const auto block = schemes ? blockOf(matrix, (*scales)->shape, *schemes) : std::nullopt;
        if (!block)
            return finder.failAt(**scales, ErrorCode::ShapeMismatch,
                                 "expected a scale per matrix, row, group or block of " + toString(codes.shape)
                                     + ", found shape " + toString((*scales)->shape));
        matrix.groupRows = block->rows;
        matrix.groupCols = block->cols;
        if (*zeros != nullptr)
            if (Status shaped = finder.expectShape(**zeros, (*scales)->shape, "as the scales have"); !shaped)
                return passOn(shaped);
        matrix.format
            = (codes.dtype == DType::I8 ? std::string("scaled int8") : "scaled " + std::string(info(codes.dtype).name))
            + blockWord(matrix);
        return std::move(matrix);
    }

    void decode(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                std::span<float> out) const override
    {
        sigmascope::decode(matrix.parts[0].dtype, parts[0].subspan(first * matrix.cols, count * matrix.cols), out);
        const std::uint64_t blocks = ceilOfRatio(matrix.cols, matrix.groupCols);
        const auto zeroAt = matrix.find("weight_zero_point");
        std::vector<float> scales(blocks);
        std::vector<float> zeros(blocks);
        for (std::uint64_t row = 0; row < count; ++row) {
            const std::uint64_t line = (first + row) / matrix.groupRows * blocks;
            const std::size_t width = info(matrix.parts[1].dtype).blockBits / 8;
            sigmascope::decode(matrix.parts[1].dtype, parts[1].subspan(line * width, blocks * width), scales);
            if (zeroAt)
                sigmascope::decode(DType::I8, parts[*zeroAt].subspan(line, blocks), zeros);
            for (std::uint64_t c = 0; c < matrix.cols; ++c) {
                float& value = out[row * matrix.cols + c];
                value = (value - zeros[c / matrix.groupCols]) * scales[c / matrix.groupCols];
            }
        }
    }

private:
    /// What the shape of the scales means; nothing if it means nothing.
    [[nodiscard]] static std::optional<ScaleBlock> blockOf(const PackedMatrix& matrix, const Shape& scales,
                                                           const std::vector<QuantizationScheme>& schemes)
    {
        if (checkedElementCount(scales) == 1)
            return ScaleBlock{matrix.rows, matrix.cols};
        if (scales == Shape{matrix.rows} || scales == Shape{matrix.rows, 1})
            return ScaleBlock{1, matrix.cols};
        if (scales.size() != 2 || scales[1] == 0)
            return std::nullopt;
        const auto fits = [&](std::uint64_t rows, std::uint64_t cols) {
            return scales[0] == ceilOfRatio(matrix.rows, rows) && scales[1] == ceilOfRatio(matrix.cols, cols);
        };
        for (const QuantizationScheme& scheme : schemes) {
            if (scheme.block[0] != 0 && fits(scheme.block[0], scheme.block[1]))
                return ScaleBlock{scheme.block[0], scheme.block[1]};
            if (scheme.groupSize != 0 && fits(1, scheme.groupSize))
                return ScaleBlock{1, scheme.groupSize};
        }
        const auto size = groupSizeOf(matrix.cols, scales[1]);
        if (schemes.empty() && scales[0] == matrix.rows && size)
            return ScaleBlock{1, *size};
        return std::nullopt;
    }

    [[nodiscard]] static std::string blockWord(const PackedMatrix& matrix)
    {
        if (matrix.groupRows == 1)
            return groupWord(matrix.groupCols, matrix.cols);
        if (matrix.groupRows >= matrix.rows && matrix.groupCols >= matrix.cols)
            return " per matrix";
        return " " + std::to_string(matrix.groupRows) + "x" + std::to_string(matrix.groupCols);
    }
};

}  // namespace

const CheckpointLayout& scaledCodesLayout()
{
    static const ScaledCodes layout;
    return layout;
}

}  // namespace sigmascope
