// SPDX-License-Identifier: GPL-3.0-or-later
// AWQ GEMM: words of eight neighbouring outputs of one input, their nibbles in the order 0 2 4 6 1 3 5 7; zero points
// alike. The channel scaling of AWQ is folded into the layers before, so nothing is left to undo.
#include "core/checkpoint/layouts/LayoutParts.h"
#include "core/checkpoint/layouts/Layouts.h"
#include "core/tensor/PackedInts.h"

#include <algorithm>
#include <cassert>

namespace sigmascope {

namespace {

constexpr std::string_view kAwqEnd = ".qweight";
constexpr std::uint64_t kAwqWord = 8;  // outputs in one
constexpr std::uint64_t kAwqUnit = 32;

/// A number under the key of today, or AutoAWQ's old one.
Result<std::optional<std::int64_t>> awqNumber(const LayoutSettings& settings, const char* key, const char* oldKey)
{
    auto number = settings.number(settings.config, key);
    return number && !*number ? settings.number(settings.config, oldKey) : number;
}

class Awq final : public CheckpointLayout {
public:
    [[nodiscard]] bool claims(const TensorInfo& stored, const StoredTensors& tensors,
                              const LayoutSettings& settings) const override
    {
        if (!stored.name.ends_with(kAwqEnd))
            return false;
        if (!settings.method.empty())
            return settings.method == "awq";
        const TensorInfo* const scales = tensors.find(withoutEnd(stored.name, kAwqEnd) + ".scales");
        return scales != nullptr && scales->shape.size() == 2 && stored.shape.size() == 2
            && stored.shape[1] != scales->shape[1] && stored.shape[1] == scales->shape[1] / kAwqWord;
    }

    [[nodiscard]] Status check(const LayoutSettings& settings) const override
    {
        const auto bits = awqNumber(settings, "bits", "w_bit");
        if (!bits)
            return passOn(bits);
        if (*bits && **bits != 4)
            return fail(ErrorCode::InvalidMetadata, settings.where("bits"),
                        "expected 4, found " + std::to_string(**bits));
        if (Status group = checkGroupSize(settings, awqNumber(settings, "group_size", "q_group_size")); !group)
            return group;
        std::string version = textIn(settings.config, "version");
        std::ranges::transform(version, version.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
        if (!version.empty() && version != "gemm")
            return fail(ErrorCode::UnsupportedVersion, settings.where("version"),
                        "expected 'gemm', found '" + escaped(version, 40) + "'");
        return {};
    }

    [[nodiscard]] Result<PackedMatrix> assemble(const TensorInfo& codes, const StoredTensors& tensors,
                                                const LayoutSettings& settings) const override
    {
        const std::string module = withoutEnd(codes.name, kAwqEnd);
        PartFinder finder(*this, "AWQ", codes, tensors);
        const auto beside = takeWordParts(finder, module);
        if (!beside)
            return passOn(beside);
        PackedMatrix& matrix = finder.matrix();
        matrix.name = module + ".weight";
        matrix.bits = 4;
        matrix.rows = codes.shape[1] * kAwqWord;
        matrix.cols = codes.shape[0];
        matrix.rowUnit = kAwqUnit;
        if (Status grouped = findGroups(finder, *beside->zeros, *beside->scales, settings); !grouped)
            return passOn(grouped);
        matrix.format = "AWQ int4" + groupWord(matrix.groupCols, matrix.cols);
        return std::move(matrix);
    }

    void decode(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                std::span<float> out) const override
    {
        const LayoutPart& scalePart = matrix.parts[*matrix.find("scales")];
        const std::uint64_t groups = scalePart.shape[0];
        const std::uint64_t perRow = matrix.rows / kAwqWord;
        std::vector<std::uint8_t> codes(count * matrix.cols);
        std::vector<std::uint8_t> zeros(count * groups);
        const auto words = wordColumns(parts[*matrix.find("qweight")], perRow, first / kAwqWord, count / kAwqWord);
        [[maybe_unused]] const Status unpacked = unpackInts(words, count, matrix.cols, awqCodes(), codes);
        assert(unpacked);
        const auto zeroWords = wordColumns(parts[*matrix.find("qzeros")], perRow, first / kAwqWord, count / kAwqWord);
        [[maybe_unused]] const Status unpackedZeros = unpackInts(zeroWords, count, groups, awqCodes(), zeros);
        assert(unpackedZeros);
        const auto scales = turnedScales(scalePart, parts[*matrix.find("scales")], first, count);
        dequantize({.codes = codes,
                    .scales = scales,
                    .zeros = zeros,
                    .groupOf = {},
                    .cols = matrix.cols,
                    .groups = groups,
                    .groupCols = matrix.groupCols,
                    .bits = matrix.bits},
                   out);
    }

private:
    [[nodiscard]] static Status findGroups(PartFinder& finder, const TensorInfo& zeros, const TensorInfo& scales,
                                           const LayoutSettings& settings)
    {
        PackedMatrix& matrix = finder.matrix();
        const auto asked = awqNumber(settings, "group_size", "q_group_size");
        std::string why = "for " + std::to_string(matrix.rows) + " outputs";
        if (asked && *asked) {
            matrix.groupCols = **asked < 0 ? matrix.cols : static_cast<std::uint64_t>(**asked);
            why += " and " + std::to_string(matrix.cols) + " inputs in groups of " + std::to_string(**asked);
        } else if (const auto size = groupSizeOf(matrix.cols, scales.shape[0])) {
            matrix.groupCols = *size;
        } else {
            return finder.failAt(scales, ErrorCode::ShapeMismatch,
                                 "expected groups of equal size of " + std::to_string(matrix.cols)
                                     + " inputs, found shape " + toString(scales.shape));
        }
        const std::uint64_t groups = ceilOfRatio(matrix.cols, matrix.groupCols);
        if (Status shaped = finder.expectShape(scales, {groups, matrix.rows}, why); !shaped)
            return shaped;
        return finder.expectShape(zeros, {groups, matrix.rows / kAwqWord}, why);
    }
};

}  // namespace

const CheckpointLayout& awqLayout()
{
    static const Awq layout;
    return layout;
}

}  // namespace sigmascope
