// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/layouts/CheckpointLayout.h"

#include <initializer_list>
#include <string>
#include <string_view>

namespace sigmascope {

/// Collects the parts of one matrix, with the checks that all layouts share.
class PartFinder {
public:
    /// @param title  of the layout, for messages: "GPTQ".
    PartFinder(const CheckpointLayout& layout, std::string_view title, const TensorInfo& codes,
               const StoredTensors& tensors);

    /// The tensor @p codes itself. UnsupportedType for a type that is not among @p types (empty: any), Truncated or
    /// MissingShard if it is not wholly there.
    [[nodiscard]] Status takeCodes(std::string_view role, std::initializer_list<DType> types);
    /// Another stored tensor, as above; MissingTensor if there is none.
    [[nodiscard]] Result<const TensorInfo*> need(std::string_view role, const std::string& name,
                                                 std::initializer_list<DType> types);
    /// The same for one that need not be there: null then.
    [[nodiscard]] Result<const TensorInfo*> takeIfThere(std::string_view role, const std::string& name,
                                                        std::initializer_list<DType> types);
    /// UnsupportedVersion where the module's inputs are multiplied by numbers of their own first, as ModelOpt's
    /// smoothing and AWQ leave it: without them its weights are not the model's.
    /// @param module  "model.layers.0.mlp.down_proj."
    [[nodiscard]] Status refuseSmoothing(const std::string& module) const;
    /// ShapeMismatch naming both shapes. @param why  what asks for it: "for 4 bits in groups of 128".
    [[nodiscard]] Status expectShape(const TensorInfo& tensor, const Shape& expected, std::string_view why) const;
    /// ShapeMismatch unless the tensor has two dimensions, none of them 0.
    [[nodiscard]] Status expectMatrix(const TensorInfo& tensor) const;
    [[nodiscard]] tl::unexpected<Error> failAt(const TensorInfo& tensor, ErrorCode code, std::string_view what) const;

    [[nodiscard]] const TensorInfo& codes() const { return m_codes; }
    [[nodiscard]] PackedMatrix& matrix() { return m_matrix; }

private:
    [[nodiscard]] Status take(std::string_view role, const TensorInfo& tensor, std::initializer_list<DType> types);

    std::string_view m_title;
    const TensorInfo& m_codes;
    const StoredTensors& m_tensors;
    PackedMatrix m_matrix;
};

/// What GPTQ and AWQ store beside the codes of a module.
struct WordCompanions {
    const TensorInfo* zeros = nullptr;
    const TensorInfo* scales = nullptr;
};
/// Takes the finder's codes as qweight, then qzeros and scales: matrices all, in this order.
[[nodiscard]] Result<WordCompanions> takeWordParts(PartFinder& finder, const std::string& module);
/// InvalidMetadata unless @p size, said under "group_size", is absent, -1 (a group a row) or more than 0.
[[nodiscard]] Status checkGroupSize(const LayoutSettings& settings, const Result<std::optional<std::int64_t>>& size);

/// Name without its end. @pre name ends in it.
[[nodiscard]] std::string withoutEnd(std::string_view name, std::string_view end);
[[nodiscard]] std::uint64_t ceilOfRatio(std::uint64_t a, std::uint64_t b);
/// Group size of @p groups equal groups over @p cols values, the last one perhaps smaller; nothing if there is none.
[[nodiscard]] std::optional<std::uint64_t> groupSizeOf(std::uint64_t cols, std::uint64_t groups);
/// " g128", or " per row" for one group.
[[nodiscard]] std::string groupWord(std::uint64_t groupCols, std::uint64_t cols);

/// Codes of some rows with the scale and the zero point of every group.
struct GroupedRows {
    std::span<const std::uint8_t> codes;  ///< [rows x cols]
    std::span<const float> scales;  ///< [rows x groups]
    std::span<const std::uint8_t> zeros;  ///< [rows x groups], or empty: @ref zero
    std::span<const std::uint32_t> groupOf;  ///< of every column; empty: groups follow each other
    std::uint64_t cols = 0;
    std::uint64_t groups = 0;
    std::uint64_t groupCols = 0;
    int zero = 0;
    int zeroShift = 0;  ///< added to stored zeros, modulo 2^bits
    int bits = 0;
};
/// (code - zero) * scale, the difference exact, one rounding.
void dequantize(const GroupedRows& rows, std::span<float> out);

/// Column indices of groups, as stored in I32. @pre no fault.
/// @param groups  a bound, for the file may have changed since fault() looked; at least 1
[[nodiscard]] std::vector<std::uint32_t> groupIndices(std::span<const std::byte> bytes, std::uint64_t groups);
/// The first index that is no group's.
[[nodiscard]] std::optional<PartFault> indexFault(const PackedMatrix& matrix, PartBytes parts, std::string_view role,
                                                  std::uint64_t groups);
/// Scales stored [groups x rows] for rows [first, first + count), turned to [count x groups].
[[nodiscard]] std::vector<float> turnedScales(const LayoutPart& part, std::span<const std::byte> bytes,
                                              std::uint64_t first, std::uint64_t count);
/// Columns [first, first + count) of a matrix of 32-bit words, row after row.
[[nodiscard]] std::vector<std::byte> wordColumns(std::span<const std::byte> words, std::uint64_t perRow,
                                                 std::uint64_t first, std::uint64_t count);

}  // namespace sigmascope
