// SPDX-License-Identifier: GPL-3.0-or-later
// Codes of 4 bits that are floats themselves (E2M1), the first of two in the low half of a byte, with a scale for every
// group of inputs. NVFP4: groups of 16, scales of FP8 and one for the whole matrix, which compressed-tensors divides by
// and ModelOpt multiplies with. MXFP4: groups of 32, scales that are powers of two; compressed-tensors' by the layer,
// gpt-oss' for all experts of a layer at once.
#include "core/checkpoint/layouts/LayoutParts.h"
#include "core/checkpoint/layouts/Layouts.h"
#include "core/checkpoint/layouts/Schemes.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sigmascope {

namespace {

constexpr std::string_view kFloatPackedEnd = ".weight_packed";
constexpr std::string_view kFloatWeightEnd = ".weight";
constexpr std::string_view kFloatBlocksEnd = "_blocks";
constexpr std::uint64_t kNvGroup = 16;
constexpr std::uint64_t kMxGroup = 32;
constexpr std::uint64_t kBlockBytes = kMxGroup / 2;
constexpr std::array<float, 16> kE2M1{0, 0.5F, 1, 1.5F, 2, 3, 4, 6, -0.0F, -0.5F, -1, -1.5F, -2, -3, -4, -6};
constexpr std::array<std::string_view, 5> kFloatMethods{"", "compressed-tensors", "modelopt", "modelopt_fp4", "mxfp4"};

/// 2^(code - 127), as all of MX has it; 255 is no number.
float powerOfTwo(std::byte code)
{
    constexpr int kBias = 127;
    constexpr int kNoNumber = 255;
    const int exponent = std::to_integer<int>(code);
    return exponent == kNoNumber ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, exponent - kBias);
}

enum class FloatForm { None, CompressedTensors, ModelOpt, Experts };

class FloatCodes final : public CheckpointLayout {
public:
    [[nodiscard]] bool claims(const TensorInfo& stored, const StoredTensors& tensors,
                              const LayoutSettings&) const override
    {
        return formOf(stored, tensors) != FloatForm::None;
    }

    [[nodiscard]] Status check(const LayoutSettings& settings) const override
    {
        if (std::ranges::find(kFloatMethods, settings.method) == kFloatMethods.end())
            return fail(ErrorCode::InvalidMetadata, settings.where("quant_method"),
                        "expected 'compressed-tensors', 'modelopt' or 'mxfp4' for codes of E2M1, found '"
                            + escaped(settings.method, 40) + "'");
        const auto schemes = schemesOf(settings);
        return schemes ? Status{} : passOn(schemes);
    }

    [[nodiscard]] Result<PackedMatrix> assemble(const TensorInfo& codes, const StoredTensors& tensors,
                                                const LayoutSettings&) const override
    {
        const FloatForm form = formOf(codes, tensors);
        PartFinder finder(*this,
                          form == FloatForm::ModelOpt      ? "ModelOpt"
                              : form == FloatForm::Experts ? "MXFP4"
                                                           : "compressed-tensors",
                          codes, tensors);
        if (Status taken = finder.takeCodes("weight", {DType::U8}); !taken)
            return passOn(taken);
        const Status found = form == FloatForm::Experts ? findExperts(finder) : findMatrix(finder, form);
        if (!found)
            return passOn(found);
        finder.matrix().bits = 4;
        return std::move(finder.matrix());
    }

    [[nodiscard]] std::optional<PartFault> fault(const PackedMatrix& matrix, PartBytes parts) const override
    {
        const auto whole = matrix.find("whole_scale");
        if (!whole)
            return std::nullopt;
        const float scale = wholeScale(parts[*whole]);
        const bool mayBe = std::isfinite(scale) && (scale != 0 || !isDivisor(matrix.parts[*whole]));
        return mayBe
            ? std::nullopt
            : std::optional(PartFault{*whole, 0, "expected a finite scale, not 0, found " + std::to_string(scale)});
    }

    void decode(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                std::span<float> out) const override
    {
        const std::uint64_t groups = matrix.cols / matrix.groupCols;
        const std::size_t scaleAt = *matrix.find("scale");
        const auto codes = parts[0].subspan(first * matrix.cols / 2, count * matrix.cols / 2);
        std::vector<float> scales(count * groups);
        readScales(matrix, parts, parts[scaleAt].subspan(first * groups, count * groups), scales);
        const std::uint64_t pairs = matrix.groupCols / 2;  // both codes of a byte have one scale: groups are even
        for (std::uint64_t group = 0; group < scales.size(); ++group) {
            const float scale = scales[group];
            float* const to = out.data() + group * matrix.groupCols;
            for (std::uint64_t i = 0; i < pairs; ++i) {
                const auto pair = std::to_integer<unsigned>(codes[group * pairs + i]);
                to[2 * i] = kE2M1[pair & 15U] * scale;
                to[2 * i + 1] = kE2M1[pair >> 4] * scale;
            }
        }
    }

private:
    [[nodiscard]] static FloatForm formOf(const TensorInfo& stored, const StoredTensors& tensors)
    {
        if (stored.dtype != DType::U8)
            return FloatForm::None;
        if (stored.name.ends_with(kFloatPackedEnd))
            return FloatForm::CompressedTensors;
        if (stored.name.ends_with(kFloatWeightEnd) && tensors.find(stored.name + "_scale_2") != nullptr)
            return FloatForm::ModelOpt;
        const bool isBlocks = stored.name.ends_with(kFloatBlocksEnd)
            && tensors.find(withoutEnd(stored.name, kFloatBlocksEnd) + "_scales") != nullptr;
        return isBlocks ? FloatForm::Experts : FloatForm::None;
    }
    [[nodiscard]] static bool isDivisor(const LayoutPart& part) { return part.name.ends_with("_global_scale"); }
    [[nodiscard]] static float wholeScale(std::span<const std::byte> bytes)
    {
        std::array<float, 1> scale{};
        sigmascope::decode(DType::F32, bytes, scale);
        return scale.front();
    }

    static void readScales(const PackedMatrix& matrix, PartBytes parts, std::span<const std::byte> bytes,
                           std::span<float> scales)
    {
        if (matrix.parts[*matrix.find("scale")].dtype != DType::F8E4M3) {
            std::ranges::transform(bytes, scales.begin(), powerOfTwo);
            return;
        }
        sigmascope::decode(DType::F8E4M3, bytes, scales);
        const auto whole = matrix.find("whole_scale");
        if (!whole)
            return;
        const float factor = wholeScale(parts[*whole]);
        const bool divides = isDivisor(matrix.parts[*whole]);
        for (float& scale : scales)
            scale = divides ? scale / factor : scale * factor;
    }

    /// [out, in / 2] codes, [out, in / group] scales and, for NVFP4, the scale of the whole.
    [[nodiscard]] static Status findMatrix(PartFinder& finder, FloatForm form)
    {
        const TensorInfo& codes = finder.codes();
        const bool isModelOpt = form == FloatForm::ModelOpt;
        const std::string stem = isModelOpt ? codes.name : withoutEnd(codes.name, "_packed");
        if (Status shaped = finder.expectMatrix(codes); !shaped)
            return shaped;
        const auto scales = isModelOpt
            ? finder.need("scale", stem + "_scale", {DType::F8E4M3})
            : finder.need("scale", stem + "_scale", {DType::F8E4M3, DType::U8, DType::F8E8M0});
        if (!scales)
            return passOn(scales);
        const bool isNv = (*scales)->dtype == DType::F8E4M3;
        if (isNv) {
            const auto whole
                = finder.need("whole_scale", stem + (isModelOpt ? "_scale_2" : "_global_scale"), {DType::F32});
            if (!whole)
                return passOn(whole);
            if ((*whole)->elements() != 1)
                return finder.failAt(**whole, ErrorCode::ShapeMismatch,
                                     "expected one value, found shape " + toString((*whole)->shape));
        }
        for (const std::string_view end : {"input_scale", "input_global_scale"})  // of activations
            if (const auto taken = finder.takeIfThere(end, withoutEnd(stem, "weight") + std::string(end), {}); !taken)
                return passOn(taken);
        if (Status plain = finder.refuseSmoothing(withoutEnd(stem, "weight")); !plain)
            return plain;
        PackedMatrix& matrix = finder.matrix();
        matrix.name = stem;
        matrix.rows = codes.shape[0];
        matrix.groupCols = isNv ? kNvGroup : kMxGroup;
        const auto cols = checkedMul(codes.shape[1], 2);
        if (!cols || *cols % matrix.groupCols != 0)
            return finder.failAt(codes, ErrorCode::ShapeMismatch,
                                 "expected rows of whole groups of " + std::to_string(matrix.groupCols)
                                     + " codes, found shape " + toString(codes.shape) + " of two codes a byte");
        matrix.cols = *cols;
        matrix.format
            = std::string(isModelOpt ? "ModelOpt " : "compressed-tensors ") + (isNv ? "NVFP4 g16" : "MXFP4 g32");
        return finder.expectShape(**scales, {matrix.rows, matrix.cols / matrix.groupCols},
                                  "for groups of " + std::to_string(matrix.groupCols));
    }

    /// [experts, out, in / 32, 16] codes and [experts, out, in / 32] scales.
    [[nodiscard]] static Status findExperts(PartFinder& finder)
    {
        const TensorInfo& codes = finder.codes();
        const Shape& shape = codes.shape;
        const std::string stem = withoutEnd(codes.name, kFloatBlocksEnd);
        const auto scales = finder.need("scale", stem + "_scales", {DType::U8, DType::F8E8M0});
        if (!scales)
            return passOn(scales);
        if (shape.size() != 4 || codes.elements() == 0 || shape[3] != kBlockBytes)
            return finder.failAt(codes, ErrorCode::ShapeMismatch,
                                 "expected [experts, outputs, blocks, 16], found shape " + toString(shape));
        PackedMatrix& matrix = finder.matrix();
        matrix.name = stem;
        matrix.rows = shape[0] * shape[1];
        matrix.cols = shape[2] * kMxGroup;  // as many codes as the file has bytes, doubled: no product is too large
        matrix.groupCols = kMxGroup;
        matrix.shape = {shape[0], shape[1], matrix.cols};
        matrix.format = "MXFP4 g32";
        return finder.expectShape(**scales, {shape[0], shape[1], shape[2]}, "for as many blocks");
    }
};

}  // namespace

const CheckpointLayout& floatCodesLayout()
{
    static const FloatCodes layout;
    return layout;
}

}  // namespace sigmascope
