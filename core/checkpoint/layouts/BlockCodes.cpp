// SPDX-License-Identifier: GPL-3.0-or-later
// bitsandbytes NF4 and FP4: codes of 4 bits into a table of 16 values, the first of two in the high half of a byte, and
// the largest magnitude of every block. Blocks run over the flattened matrix and cross its rows. Doubly quantized, the
// magnitudes are codes themselves, into a table of 256, with a scale per nested block and an offset for all.
#include "core/checkpoint/layouts/LayoutParts.h"
#include "core/checkpoint/layouts/Layouts.h"
#include "core/tensor/Decode.h"

#include <array>
#include <cmath>

namespace sigmascope {

namespace {

constexpr std::string_view kBlockEnd = ".weight";
constexpr std::string_view kStatePrefix = ".quant_state.bitsandbytes__";
constexpr std::array<std::string_view, 2> kBlockTypes{"nf4", "fp4"};
constexpr Bytes kMostState = 65536;  // real ones have some 200 bytes
constexpr std::uint64_t kMostBlock = std::uint64_t{1} << 20;

/// Values of one f32 table or list of magnitudes.
std::vector<float> floatsOf(std::span<const std::byte> bytes)
{
    std::vector<float> values(bytes.size() / sizeof(float));
    decode(DType::F32, bytes.first(values.size() * sizeof(float)), values);
    return values;
}

class BlockCodes final : public CheckpointLayout {
public:
    [[nodiscard]] bool claims(const TensorInfo& stored, const StoredTensors& tensors,
                              const LayoutSettings& settings) const override
    {
        if (!stored.name.ends_with(kBlockEnd))
            return false;
        const bool hasParts = stateOf(stored, tensors) != nullptr || tensors.find(stored.name + ".absmax") != nullptr;
        const bool isFlat = stored.dtype == DType::U8 && stored.shape.size() == 2 && stored.shape[1] == 1;
        return hasParts || (isFlat && settings.method == "bitsandbytes");
    }

    [[nodiscard]] Status check(const LayoutSettings& settings) const override
    {
        if (settings.method.empty() || settings.method == "bitsandbytes")
            return {};
        return fail(ErrorCode::InvalidMetadata, settings.where("quant_method"),
                    "expected 'bitsandbytes' for tensors with a quant_state, found '" + escaped(settings.method, 40)
                        + "'");
    }

    [[nodiscard]] Result<PackedMatrix> assemble(const TensorInfo& codes, const StoredTensors& tensors,
                                                const LayoutSettings&) const override
    {
        PartFinder finder(*this, "bitsandbytes", codes, tensors);
        // Its storage may be called anything (bnb_4bit_quant_storage): only its bytes count.
        if (Status taken = finder.takeCodes("weight", {}); !taken)
            return passOn(taken);
        const TensorInfo* const known = stateOf(codes, tensors);
        const auto state
            = finder.need("quant_state",
                          known != nullptr ? known->name : codes.name + std::string(kStatePrefix) + "nf4", {DType::U8});
        if (!state)
            return passOn(state);
        const auto table = finder.need("quant_map", codes.name + ".quant_map", {DType::F32});
        if (!table)
            return passOn(table);
        const auto absmax = finder.need("absmax", codes.name + ".absmax", {DType::F32, DType::U8});
        if (!absmax)
            return passOn(absmax);
        PackedMatrix& matrix = finder.matrix();
        matrix.name = codes.name;
        matrix.bits = 4;
        const bool isNested = (*absmax)->dtype == DType::U8;
        Status checked = readState(finder, **state, tensors.bytes(**state), isNested);
        if (checked)
            checked = checkSizes(finder, **table, **absmax);
        if (checked && isNested)
            checked = takeNested(finder, **absmax);
        if (!checked)
            return passOn(checked);
        matrix.format = "bitsandbytes " + std::string((*state)->name.ends_with("fp4") ? "FP4" : "NF4") + " b"
            + std::to_string(matrix.groupCols) + (isNested ? " double" : "");
        return std::move(matrix);
    }

    void decode(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                std::span<float> out) const override
    {
        const auto table = floatsOf(parts[*matrix.find("quant_map")]);
        const auto bytes = parts[0];
        const std::uint64_t begin = first * matrix.cols;
        const std::uint64_t firstBlock = begin / matrix.groupCols;
        const std::uint64_t blocks
            = count == 0 ? 0 : (begin + count * matrix.cols - 1) / matrix.groupCols - firstBlock + 1;
        const auto magnitudes = magnitudesOf(matrix, parts, firstBlock, blocks);
        for (std::uint64_t i = 0; i < out.size(); ++i) {
            const std::uint64_t at = begin + i;
            const auto pair = static_cast<unsigned>(bytes[at / 2]);
            out[i] = table[at % 2 == 0 ? pair >> 4 : pair & 15U] * magnitudes[at / matrix.groupCols - firstBlock];
        }
    }

private:
    [[nodiscard]] static const TensorInfo* stateOf(const TensorInfo& codes, const StoredTensors& tensors)
    {
        for (const std::string_view type : kBlockTypes)
            if (const TensorInfo* state = tensors.find(codes.name + std::string(kStatePrefix) + std::string(type)))
                return state;
        return nullptr;
    }

    [[nodiscard]] static std::vector<float> magnitudesOf(const PackedMatrix& matrix, PartBytes parts,
                                                         std::uint64_t first, std::uint64_t count)
    {
        const auto absmax = parts[*matrix.find("absmax")];
        if (matrix.nestedGroup == 0)
            return floatsOf(absmax.subspan(first * sizeof(float), count * sizeof(float)));
        if (count == 0)
            return {};
        const auto table = floatsOf(parts[*matrix.find("nested_quant_map")]);
        const std::uint64_t firstScale = first / matrix.nestedGroup;
        const std::uint64_t scaleCount = (first + count - 1) / matrix.nestedGroup - firstScale + 1;
        const auto scales = floatsOf(
            parts[*matrix.find("nested_absmax")].subspan(firstScale * sizeof(float), scaleCount * sizeof(float)));
        std::vector<float> magnitudes(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            const float scaled
                = table[static_cast<std::size_t>(absmax[first + i])] * scales[(first + i) / matrix.nestedGroup - firstScale];
            magnitudes[i] = scaled + matrix.nestedOffset;
        }
        return magnitudes;
    }

    /// A whole number from 1 to kMostBlock.
    [[nodiscard]] static Result<std::uint64_t> blockIn(const PartFinder& finder, const TensorInfo& state,
                                                       const Json& json, const char* key)
    {
        const auto found = json.find(key);
        if (found != json.end() && found->is_number_unsigned() && found->get<std::uint64_t>() > 0
            && found->get<std::uint64_t>() <= kMostBlock)
            return found->get<std::uint64_t>();
        return finder.failAt(state, ErrorCode::InvalidMetadata,
                             std::string(key) + ": expected 1 to 1048576, found "
                                 + (found == json.end() ? std::string("none") : escaped(dumpJson(*found), 60)));
    }

    [[nodiscard]] static Status readState(PartFinder& finder, const TensorInfo& state, std::span<const std::byte> bytes,
                                          bool isNested)
    {
        if (bytes.size() > kMostState)
            return finder.failAt(state, ErrorCode::HeaderTooLarge,
                                 "expected at most 65536 bytes of JSON, found " + std::to_string(bytes.size()));
        const auto json
            = parseJson({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "quant_state", {.depth = 4});
        if (!json)
            return finder.failAt(state, ErrorCode::MalformedHeader, json.error().detail);
        if (!json->is_object())
            return finder.failAt(state, ErrorCode::MalformedHeader,
                                 "expected a JSON object, found " + escaped(dumpJson(*json), 60));
        const auto shape = json->find("shape");
        const bool isPair = shape != json->end() && shape->is_array() && shape->size() == 2
            && (*shape)[0].is_number_unsigned() && (*shape)[1].is_number_unsigned();
        if (!isPair)
            return finder.failAt(state, ErrorCode::InvalidMetadata,
                                 "shape: expected two whole numbers, found "
                                     + (shape == json->end() ? std::string("none") : escaped(dumpJson(*shape), 60)));
        PackedMatrix& matrix = finder.matrix();
        matrix.rows = (*shape)[0].get<std::uint64_t>();
        matrix.cols = (*shape)[1].get<std::uint64_t>();
        const auto block = blockIn(finder, state, *json, "blocksize");
        if (!block)
            return passOn(block);
        matrix.groupCols = *block;
        if (!isNested)
            return {};
        const auto nested = blockIn(finder, state, *json, "nested_blocksize");
        if (!nested)
            return passOn(nested);
        matrix.nestedGroup = *nested;
        const auto offset = json->find("nested_offset");
        matrix.nestedOffset
            = offset != json->end() && offset->is_number() ? static_cast<float>(offset->get<double>()) : NAN;
        if (!std::isfinite(matrix.nestedOffset))
            return finder.failAt(state, ErrorCode::InvalidMetadata,
                                 "nested_offset: expected a finite number, found "
                                     + (offset == json->end() ? std::string("none") : escaped(dumpJson(*offset), 60)));
        return {};
    }

    [[nodiscard]] static Status checkSizes(PartFinder& finder, const TensorInfo& table, const TensorInfo& absmax)
    {
        const PackedMatrix& matrix = finder.matrix();
        const Shape shape{matrix.rows, matrix.cols};
        const auto count = checkedElementCount(shape);
        if (!count || *count == 0 || ceilOfRatio(*count, 2) != finder.codes().bytes)
            return finder.failAt(finder.codes(), ErrorCode::ShapeMismatch,
                                 "expected half a byte for each value of the shape " + toString(shape)
                                     + " in its quant_state, found " + std::to_string(finder.codes().bytes) + " bytes");
        if (Status sized = finder.expectShape(table, {16}, "for codes of 4 bits"); !sized)
            return sized;
        return finder.expectShape(absmax, {ceilOfRatio(*count, matrix.groupCols)},
                                  "for blocks of " + std::to_string(matrix.groupCols));
    }

    [[nodiscard]] static Status takeNested(PartFinder& finder, const TensorInfo& absmax)
    {
        const std::string& name = finder.codes().name;
        const auto scales = finder.need("nested_absmax", name + ".nested_absmax", {DType::F32});
        if (!scales)
            return passOn(scales);
        const auto table = finder.need("nested_quant_map", name + ".nested_quant_map", {DType::F32});
        if (!table)
            return passOn(table);
        if (Status sized = finder.expectShape(**table, {256}, "for codes of 8 bits"); !sized)
            return sized;
        const std::uint64_t group = finder.matrix().nestedGroup;
        return finder.expectShape(**scales, {ceilOfRatio(absmax.shape[0], group)},
                                  "for nested blocks of " + std::to_string(group));
    }
};

}  // namespace

const CheckpointLayout& blockCodesLayout()
{
    static const BlockCodes layout;
    return layout;
}

}  // namespace sigmascope
