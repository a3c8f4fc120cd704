// SPDX-License-Identifier: GPL-3.0-or-later
// bitsandbytes LLM.int8(): int8 weights with the largest magnitude of every row (SCB), which code 127 stands for.
#include "core/checkpoint/layouts/LayoutParts.h"
#include "core/checkpoint/layouts/Layouts.h"
#include "core/tensor/Decode.h"

namespace sigmascope {

namespace {

constexpr std::string_view kRowScaledEnd = "weight";
constexpr double kLargestCode = 127;

class RowScaled final : public CheckpointLayout {
public:
    [[nodiscard]] bool claims(const TensorInfo& stored, const StoredTensors& tensors,
                              const LayoutSettings&) const override
    {
        return stored.dtype == DType::I8 && stored.name.ends_with(".weight")
            && tensors.find(withoutEnd(stored.name, kRowScaledEnd) + "SCB") != nullptr;
    }

    [[nodiscard]] Status check(const LayoutSettings& settings) const override
    {
        if (settings.method.empty() || settings.method == "bitsandbytes")
            return {};
        return fail(ErrorCode::InvalidMetadata, settings.where("quant_method"),
                    "expected 'bitsandbytes' for tensors with SCB, found '" + escaped(settings.method, 40) + "'");
    }

    [[nodiscard]] Result<PackedMatrix> assemble(const TensorInfo& codes, const StoredTensors& tensors,
                                                const LayoutSettings&) const override
    {
        const std::string stem = withoutEnd(codes.name, kRowScaledEnd);
        PartFinder finder(*this, "bitsandbytes", codes, tensors);
        if (Status taken = finder.takeCodes("weight", {DType::I8}); !taken)
            return passOn(taken);
        const auto scales = finder.need("SCB", stem + "SCB", {DType::F32});
        if (!scales)
            return passOn(scales);
        if (const auto taken = finder.takeIfThere("weight_format", codes.name + "_format", {}); !taken)
            return passOn(taken);
        if (Status shaped = finder.expectMatrix(codes); !shaped)
            return passOn(shaped);
        if (Status shaped = finder.expectShape(**scales, {codes.shape[0]}, "for as many rows"); !shaped)
            return passOn(shaped);
        PackedMatrix& matrix = finder.matrix();
        matrix.name = codes.name;
        matrix.rows = codes.shape[0];
        matrix.cols = codes.shape[1];
        matrix.bits = 8;
        matrix.groupCols = matrix.cols;
        matrix.format = "bitsandbytes int8 per row";
        return std::move(matrix);
    }

    void decode(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                std::span<float> out) const override
    {
        sigmascope::decode(DType::I8, parts[0].subspan(first * matrix.cols, count * matrix.cols), out);
        std::vector<float> scales(count);
        sigmascope::decode(DType::F32, parts[*matrix.find("SCB")].subspan(first * sizeof(float), count * sizeof(float)),
                           scales);
        for (std::uint64_t i = 0; i < out.size(); ++i)
            out[i] = static_cast<float>(static_cast<double>(out[i]) * scales[i / matrix.cols] / kLargestCode);
    }
};

}  // namespace

const CheckpointLayout& rowScaledLayout()
{
    static const RowScaled layout;
    return layout;
}

}  // namespace sigmascope
