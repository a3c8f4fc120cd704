// SPDX-License-Identifier: GPL-3.0-or-later
// GPTQ, as AutoGPTQ and GPTQModel store it: words of codes along the inputs, one group of scales and zero points for a
// run of inputs, or for those that g_idx names (act-order). v1 stores zero points less one, modulo 2^bits.
#include "core/checkpoint/layouts/LayoutParts.h"
#include "core/checkpoint/layouts/Layouts.h"
#include "core/tensor/PackedInts.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace sigmascope {

namespace {

constexpr std::string_view kGptqEnd = ".qweight";
constexpr std::array kGptqBits{4, 8, 3, 2};
constexpr std::uint64_t kGptqUnit = 32;  // outputs whose zero points fill whole words, whatever the bits

bool isSizeByModule(const LayoutSettings& settings)
{
    const auto dynamic = settings.config.find("dynamic");
    return dynamic != settings.config.end() && dynamic->is_object() && !dynamic->empty();
}

class Gptq final : public CheckpointLayout {
public:
    [[nodiscard]] bool claims(const TensorInfo& stored, const StoredTensors& tensors,
                              const LayoutSettings& settings) const override
    {
        return stored.name.ends_with(kGptqEnd) && !awqLayout().claims(stored, tensors, settings);
    }

    [[nodiscard]] Status check(const LayoutSettings& settings) const override
    {
        if (!settings.method.empty() && settings.method != "gptq")
            return fail(ErrorCode::InvalidMetadata, settings.where("quant_method"),
                        "expected 'gptq' or 'awq' for tensors named qweight, found '" + escaped(settings.method, 40)
                            + "'");
        const auto bits = settings.number(settings.config, "bits");
        if (!bits)
            return passOn(bits);
        if (*bits && std::ranges::find(kGptqBits, **bits) == kGptqBits.end())
            return fail(ErrorCode::InvalidMetadata, settings.where("bits"),
                        "expected 2, 3, 4 or 8, found " + std::to_string(**bits));
        if (Status group = checkGroupSize(settings, settings.number(settings.config, "group_size")); !group)
            return group;
        const std::string format = formatOf(settings);
        if (format != "gptq" && format != "gptq_v2")
            return fail(ErrorCode::UnsupportedVersion, settings.where("checkpoint_format"),
                        "expected 'gptq' or 'gptq_v2', found '" + escaped(format, 40) + "'");
        return {};
    }

    [[nodiscard]] Result<PackedMatrix> assemble(const TensorInfo& codes, const StoredTensors& tensors,
                                                const LayoutSettings& settings) const override
    {
        const std::string module = withoutEnd(codes.name, kGptqEnd);
        PartFinder finder(*this, "GPTQ", codes, tensors);
        const auto beside = takeWordParts(finder, module);
        if (!beside)
            return passOn(beside);
        const auto index = finder.takeIfThere("g_idx", module + ".g_idx", {DType::I32});
        if (!index)
            return passOn(index);
        PackedMatrix& matrix = finder.matrix();
        matrix.name = module + ".weight";
        matrix.rows = codes.shape[1];
        matrix.rowUnit = kGptqUnit;
        const bool isV2 = formatOf(settings) == "gptq_v2";
        matrix.zeroShift = isV2 ? 0 : 1;
        Status sized = findBits(finder, *beside->zeros, settings);
        if (sized)
            sized = findInputs(finder, *index);
        if (sized)
            sized = findGroups(finder, *beside->zeros, *beside->scales, settings);
        if (!sized)
            return passOn(sized);
        const auto order = settings.config.find("desc_act");
        const bool isOrdered = order != settings.config.end() && order->is_boolean() && order->get<bool>();
        matrix.format = std::string(isV2 ? "GPTQ v2" : "GPTQ") + " int" + std::to_string(matrix.bits)
            + groupWord(matrix.groupCols, matrix.cols) + (isOrdered ? " act-order" : "");
        return std::move(matrix);
    }

    [[nodiscard]] std::optional<PartFault> fault(const PackedMatrix& matrix, PartBytes parts) const override
    {
        return indexFault(matrix, parts, "g_idx", matrix.parts[*matrix.find("scales")].shape[0]);
    }

    void decode(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                std::span<float> out) const override
    {
        const LayoutPart& scalePart = matrix.parts[*matrix.find("scales")];
        const LayoutPart& zeroPart = matrix.parts[*matrix.find("qzeros")];
        const std::uint64_t groups = scalePart.shape[0];
        std::vector<std::uint8_t> codes(count * matrix.cols);
        std::vector<std::uint8_t> zeros(count * groups);
        const auto words = wordColumns(parts[*matrix.find("qweight")], matrix.rows, first, count);
        [[maybe_unused]] const Status unpacked = unpackInts(words, count, matrix.cols, gptqCodes(matrix.bits), codes);
        assert(unpacked);
        const std::uint64_t zeroWords = packedWords(count, matrix.bits, WordFill::Stream);
        const auto zeroColumns = wordColumns(parts[*matrix.find("qzeros")], zeroPart.shape[1],
                                             packedWords(first, matrix.bits, WordFill::Stream), zeroWords);
        [[maybe_unused]] const Status unpackedZeros
            = unpackInts(zeroColumns, count, groups, gptqZeros(matrix.bits), zeros);
        assert(unpackedZeros);
        const auto scales = turnedScales(scalePart, parts[*matrix.find("scales")], first, count);
        const auto index = matrix.find("g_idx");
        const auto groupOf = index ? groupIndices(parts[*index], groups) : std::vector<std::uint32_t>();
        dequantize({.codes = codes,
                    .scales = scales,
                    .zeros = zeros,
                    .groupOf = groupOf,
                    .cols = matrix.cols,
                    .groups = groups,
                    .groupCols = matrix.groupCols,
                    .zeroShift = matrix.zeroShift,
                    .bits = matrix.bits},
                   out);
    }

private:
    [[nodiscard]] static std::string formatOf(const LayoutSettings& settings)
    {
        const std::string format = textIn(settings.config, "checkpoint_format");
        return format.empty() ? "gptq" : format;
    }

    /// The settings say; where modules differ, or nobody says, the width of the zero points tells.
    [[nodiscard]] static Status findBits(PartFinder& finder, const TensorInfo& zeros, const LayoutSettings& settings)
    {
        PackedMatrix& matrix = finder.matrix();
        const auto asked = settings.number(settings.config, "bits");
        const auto fits = [&](int bits) { return packedWords(matrix.rows, bits, WordFill::Stream) == zeros.shape[1]; };
        if (asked && *asked)
            matrix.bits = static_cast<int>(**asked);
        if (matrix.bits != 0 && (fits(matrix.bits) || !isSizeByModule(settings)))
            return {};
        const auto found = std::ranges::find_if(kGptqBits, fits);
        if (found == kGptqBits.end())
            return finder.failAt(zeros, ErrorCode::ShapeMismatch,
                                 "expected words of 2, 3, 4 or 8 bits for " + std::to_string(matrix.rows)
                                     + " outputs, found " + toString(zeros.shape));
        matrix.bits = *found;
        return {};
    }

    [[nodiscard]] static Status findInputs(PartFinder& finder, const TensorInfo* index)
    {
        PackedMatrix& matrix = finder.matrix();
        const TensorInfo& codes = finder.codes();
        if (index != nullptr) {
            if (index->shape.size() != 1 || index->shape[0] == 0)
                return finder.failAt(*index, ErrorCode::ShapeMismatch,
                                     "expected one dimension, found shape " + toString(index->shape));
            matrix.cols = index->shape[0];
            return finder.expectShape(codes, {packedWords(matrix.cols, matrix.bits, WordFill::Stream), matrix.rows},
                                      "for " + std::to_string(matrix.cols) + " inputs of " + std::to_string(matrix.bits)
                                          + " bits");
        }
        const std::uint64_t width = codes.shape[0] * 32;
        matrix.cols = width / static_cast<std::uint64_t>(matrix.bits);
        if (width % static_cast<std::uint64_t>(matrix.bits) == 0)
            return {};
        return finder.failAt(codes, ErrorCode::ShapeMismatch,
                             "expected whole words of " + std::to_string(matrix.bits)
                                 + " bits along the inputs, found shape " + toString(codes.shape));
    }

    [[nodiscard]] static Status findGroups(PartFinder& finder, const TensorInfo& zeros, const TensorInfo& scales,
                                           const LayoutSettings& settings)
    {
        PackedMatrix& matrix = finder.matrix();
        const auto asked = settings.number(settings.config, "group_size");
        const std::uint64_t groups = scales.shape[0];
        if (asked && *asked && !isSizeByModule(settings)) {
            matrix.groupCols = **asked < 0 ? matrix.cols : static_cast<std::uint64_t>(**asked);
            const std::string why
                = "for " + std::to_string(matrix.cols) + " inputs in groups of " + std::to_string(**asked);
            if (Status shaped
                = finder.expectShape(scales, {ceilOfRatio(matrix.cols, matrix.groupCols), matrix.rows}, why);
                !shaped)
                return shaped;
        } else {
            const auto size = groupSizeOf(matrix.cols, groups);
            if (!size || scales.shape[1] != matrix.rows)
                return finder.failAt(scales, ErrorCode::ShapeMismatch,
                                     "expected groups of equal size of " + std::to_string(matrix.cols) + " inputs for "
                                         + std::to_string(matrix.rows) + " outputs, found shape "
                                         + toString(scales.shape));
            matrix.groupCols = *size;
        }
        return finder.expectShape(zeros, {groups, packedWords(matrix.rows, matrix.bits, WordFill::Stream)},
                                  "for " + std::to_string(groups) + " groups of " + std::to_string(matrix.bits)
                                      + " bits");
    }
};

}  // namespace

const CheckpointLayout& gptqLayout()
{
    static const Gptq layout;
    return layout;
}

}  // namespace sigmascope
