// SPDX-License-Identifier: GPL-3.0-or-later
// compressed-tensors, pack-quantized: words of codes along the inputs, row by row; zero points in words along the
// outputs. Both are stored with an offset of 2^(bits-1), which their difference does not know. Codes of 3, 5, 6 and 7
// bits: the library once left the rest of a word empty, later it let codes cross from word to word; the shape tells.
#include "core/checkpoint/layouts/LayoutParts.h"
#include "core/checkpoint/layouts/Layouts.h"
#include "core/checkpoint/layouts/Schemes.h"
#include "core/tensor/Decode.h"
#include "core/tensor/PackedInts.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace sigmascope {

namespace {

constexpr std::string_view kPackedEnd = ".weight_packed";
constexpr std::array kPackedBits{4, 8, 3, 2, 6, 5, 7, 1};  // 8 before 7: both lie four to a word
constexpr std::uint64_t kPackedUnit = 32;

/// How as many words hold as many codes; empty: they do not. Where both fit, as the library packs today.
std::optional<WordFill> fillOf(std::uint64_t codes, int bits, std::uint64_t words)
{
    if (32 % bits != 0 && packedWords(codes, bits, WordFill::Stream) == words)
        return WordFill::Stream;
    return packedWords(codes, bits, WordFill::WholeCodes) == words ? std::optional(WordFill::WholeCodes) : std::nullopt;
}

class PackedTensors final : public CheckpointLayout {
public:
    [[nodiscard]] bool claims(const TensorInfo& stored, const StoredTensors&, const LayoutSettings&) const override
    {
        return stored.name.ends_with(kPackedEnd) && stored.dtype == DType::I32;
    }

    [[nodiscard]] Status check(const LayoutSettings& settings) const override
    {
        if (!settings.method.empty() && settings.method != "compressed-tensors")
            return fail(ErrorCode::InvalidMetadata, settings.where("quant_method"),
                        "expected 'compressed-tensors' for tensors named weight_packed, found '"
                            + escaped(settings.method, 40) + "'");
        const auto schemes = schemesOf(settings);
        return schemes ? Status{} : passOn(schemes);
    }

    [[nodiscard]] Result<PackedMatrix> assemble(const TensorInfo& codes, const StoredTensors& tensors,
                                                const LayoutSettings& settings) const override
    {
        const std::string stem = withoutEnd(codes.name, "_packed");
        PartFinder finder(*this, "compressed-tensors", codes, tensors);
        if (const std::string form = textIn(settings.config, "format"); form.starts_with("marlin"))
            return fail(ErrorCode::UnsupportedVersion, settings.where("format"),
                        "expected 'pack-quantized', found '" + escaped(form, 40) + "'");
        if (Status taken = finder.takeCodes("weight_packed", {DType::I32}); !taken)
            return passOn(taken);
        const auto scales = finder.need("weight_scale", stem + "_scale", {DType::F16, DType::BF16, DType::F32});
        if (!scales)
            return passOn(scales);
        const auto shape = finder.need("weight_shape", stem + "_shape", {DType::I64, DType::I32});
        if (!shape)
            return passOn(shape);
        const auto zeros = finder.takeIfThere("weight_zero_point", stem + "_zero_point", {DType::I32});
        if (!zeros)
            return passOn(zeros);
        const auto index = finder.takeIfThere("weight_g_idx", stem + "_g_idx", {DType::I32});
        if (!index)
            return passOn(index);
        for (const std::string_view end : {"input_scale", "input_zero_point"})  // of static activations
            if (const auto taken = finder.takeIfThere(end, withoutEnd(stem, "weight") + std::string(end), {}); !taken)
                return passOn(taken);
        PackedMatrix& matrix = finder.matrix();
        matrix.name = stem;
        matrix.rowUnit = kPackedUnit;
        Status sized = finder.expectMatrix(codes);
        if (sized)
            sized = readShape(finder, **shape, tensors.bytes(**shape));
        const auto schemes = schemesOf(settings);
        if (sized && schemes)
            sized = findGroups(finder, **scales, *zeros, *schemes);
        if (sized && *index != nullptr)
            sized = finder.expectShape(**index, {matrix.cols}, "for as many inputs");
        if (!sized)
            return passOn(sized);
        matrix.format = "compressed-tensors int" + std::to_string(matrix.bits)
            + groupWord(matrix.groupCols, matrix.cols) + (*index != nullptr ? " act-order" : "");
        return std::move(matrix);
    }

    [[nodiscard]] std::optional<PartFault> fault(const PackedMatrix& matrix, PartBytes parts) const override
    {
        return indexFault(matrix, parts, "weight_g_idx", groupsOf(matrix));
    }

    void decode(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                std::span<float> out) const override
    {
        const std::uint64_t groups = groupsOf(matrix);
        PackedLayout layout = compressedTensorsCodes(matrix.bits);
        layout.fill = codeFillOf(matrix);
        const std::uint64_t rowBytes = packedWords(matrix.cols, matrix.bits, layout.fill) * 4;
        std::vector<std::uint8_t> codes(count * matrix.cols);
        [[maybe_unused]] const Status unpacked
            = unpackInts(parts[*matrix.find("weight_packed")].subspan(first * rowBytes, count * rowBytes), count,
                         matrix.cols, layout, codes);
        assert(unpacked);
        const auto zeros = zerosOf(matrix, parts, first, count, groups);
        const std::size_t scaleAt = *matrix.find("weight_scale");
        const LayoutPart& scalePart = matrix.parts[scaleAt];
        std::vector<float> scales(count * groups);
        const std::size_t width = info(scalePart.dtype).blockBits / 8;
        if (matrix.groupRows == 1) {
            sigmascope::decode(scalePart.dtype, parts[scaleAt].subspan(first * groups * width, count * groups * width),
                               scales);
        } else {
            sigmascope::decode(scalePart.dtype, parts[scaleAt], std::span(scales).first(1));
            std::ranges::fill(scales, scales.front());
        }
        const auto index = matrix.find("weight_g_idx");
        const auto groupOf = index ? groupIndices(parts[*index], groups) : std::vector<std::uint32_t>();
        dequantize({.codes = codes,
                    .scales = scales,
                    .zeros = zeros,
                    .groupOf = groupOf,
                    .cols = matrix.cols,
                    .groups = groups,
                    .groupCols = matrix.groupCols,
                    .zero = 1 << (matrix.bits - 1),
                    .bits = matrix.bits},
                   out);
    }

private:
    [[nodiscard]] static std::uint64_t groupsOf(const PackedMatrix& matrix)
    {
        return ceilOfRatio(matrix.cols, matrix.groupCols);
    }

    /// As findGroups() found it.
    [[nodiscard]] static WordFill codeFillOf(const PackedMatrix& matrix)
    {
        const LayoutPart& codes = matrix.parts[*matrix.find("weight_packed")];
        return fillOf(matrix.cols, matrix.bits, codes.shape[1]).value_or(WordFill::WholeCodes);
    }

    /// Empty: there are none.
    [[nodiscard]] static std::vector<std::uint8_t>
    zerosOf(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count, std::uint64_t groups)
    {
        const auto at = matrix.find("weight_zero_point");
        if (!at)
            return {};
        PackedLayout layout = compressedTensorsZeros(matrix.bits);
        layout.fill = codeFillOf(matrix);
        // The whole words, or 32 codes in as many as they have bits, around the rows.
        const auto each = static_cast<std::uint64_t>(layout.fill == WordFill::Stream ? 32 : 32 / matrix.bits);
        const std::uint64_t begin = first / each * each;
        const std::uint64_t end = std::min(ceilOfRatio(first + count, each) * each, matrix.rows);
        const std::uint64_t firstWord = packedWords(begin, matrix.bits, layout.fill);
        const std::uint64_t words = packedWords(end - begin, matrix.bits, layout.fill);
        std::vector<std::uint8_t> zeros((end - begin) * groups);
        [[maybe_unused]] const Status unpacked = unpackInts(
            parts[*at].subspan(firstWord * groups * 4, words * groups * 4), end - begin, groups, layout, zeros);
        assert(unpacked);
        zeros.erase(zeros.begin(), zeros.begin() + static_cast<std::ptrdiff_t>((first - begin) * groups));
        zeros.resize(count * groups);
        return zeros;
    }

    [[nodiscard]] static Status readShape(PartFinder& finder, const TensorInfo& tensor,
                                          std::span<const std::byte> bytes)
    {
        if (Status two = finder.expectShape(tensor, {2}, "for rows and columns"); !two)
            return two;
        std::array<std::int64_t, 2> sizes{};
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            std::int32_t narrow = 0;
            if (tensor.dtype == DType::I64)
                std::memcpy(&sizes[i], bytes.data() + i * sizeof(std::int64_t), sizeof(std::int64_t));
            else
                std::memcpy(&narrow, bytes.data() + i * sizeof narrow, sizeof narrow);
            sizes[i] = tensor.dtype == DType::I64 ? sizes[i] : narrow;
        }
        const TensorInfo& codes = finder.codes();
        // A word holds at most 32 codes: what is over that cannot be backed by the file.
        const bool isBacked = sizes[0] > 0 && sizes[1] > 0 && static_cast<std::uint64_t>(sizes[0]) == codes.shape[0]
            && static_cast<std::uint64_t>(sizes[1]) <= codes.shape[1] * 32;
        if (!isBacked)
            return finder.failAt(tensor, ErrorCode::ShapeMismatch,
                                 "expected the shape that " + toString(codes.shape) + " words hold, found values ["
                                     + std::to_string(sizes[0]) + ", " + std::to_string(sizes[1]) + "]");
        finder.matrix().rows = static_cast<std::uint64_t>(sizes[0]);
        finder.matrix().cols = static_cast<std::uint64_t>(sizes[1]);
        return {};
    }

    /// The bits that fit the words and, where the settings have schemes, the scheme that fits the scales.
    [[nodiscard]] static Status findGroups(PartFinder& finder, const TensorInfo& scales, const TensorInfo* zeros,
                                           const std::vector<QuantizationScheme>& schemes)
    {
        PackedMatrix& matrix = finder.matrix();
        const TensorInfo& codes = finder.codes();
        const bool isWhole = scales.elements() == 1;
        const std::uint64_t groups = scales.shape.size() == 2 ? scales.shape[1] : 1;
        bool anyFits = false;
        bool mayLackZeros = schemes.empty();
        for (const int bits : kPackedBits) {
            if (!fillOf(matrix.cols, bits, codes.shape[1]))
                continue;
            if (schemes.empty()) {
                anyFits = true;
                matrix.bits = bits;
                matrix.groupCols = groupSizeOf(matrix.cols, groups).value_or(0);
                break;
            }
            for (const QuantizationScheme& scheme : schemes) {
                if (scheme.bits != bits)
                    continue;
                anyFits = true;
                const std::uint64_t size = scheme.groupSize == 0 ? matrix.cols : scheme.groupSize;
                if ((matrix.bits != 0 && matrix.bits != bits) || ceilOfRatio(matrix.cols, size) != groups)
                    continue;
                matrix.groupCols = matrix.bits == 0 ? size : matrix.groupCols;
                matrix.bits = bits;
                mayLackZeros = mayLackZeros || scheme.isSymmetric;
            }
        }
        if (!anyFits)
            return finder.failAt(codes, ErrorCode::ShapeMismatch,
                                 "expected rows of " + std::to_string(matrix.cols) + " codes of " + bitsOf(schemes)
                                     + " bits in words of 32, found shape " + toString(codes.shape));
        if (matrix.bits == 0 || matrix.groupCols == 0)
            return finder.failAt(scales, ErrorCode::ShapeMismatch,
                                 "expected a scale for every group of " + groupsIn(schemes) + " of "
                                     + std::to_string(matrix.cols) + " inputs, found shape " + toString(scales.shape));
        matrix.groupRows = isWhole ? matrix.rows : 1;
        const Shape perRow{matrix.rows, groups};
        if (!isWhole)
            if (Status shaped = finder.expectShape(scales, perRow, "for " + std::to_string(matrix.rows) + " outputs");
                !shaped)
                return shaped;
        if (zeros == nullptr && !mayLackZeros)
            return finder.failAt(codes, ErrorCode::MissingTensor,
                                 "expected a weight_zero_point beside it, as its scheme is not symmetric, found none");
        if (zeros == nullptr)
            return {};
        const WordFill fill = *fillOf(matrix.cols, matrix.bits, codes.shape[1]);
        return finder.expectShape(*zeros, {packedWords(matrix.rows, matrix.bits, fill), groups},
                                  "for " + std::to_string(matrix.rows) + " outputs of " + std::to_string(matrix.bits)
                                      + " bits");
    }
};

}  // namespace

const CheckpointLayout& packedTensorsLayout()
{
    static const PackedTensors layout;
    return layout;
}

}  // namespace sigmascope
