// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/base/Result.h"
#include "core/tensor/DType.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// How the scales of an INT group are stored; codes are chosen after the scale is rounded to it.
enum class ScaleType { F16, F32, F64 };

/// The freedom of a grid's scales: how far each group's range reaches. A narrower range clips the outermost weights
/// and brings the levels closer together for all others. Rows are coded on the calling thread.
class ClipRange {
public:
    virtual ~ClipRange() = default;

    /// What a group of a row loses when it is coded with @p reach of the range that encode() gives it:
    /// sum of importance * (weight - stored value)^2, in double. Infinite if the scale does not fit its storage.
    /// @param importance  one per weight, >= 0; empty: all 1. @pre a whole group of finite weights, reach > 0.
    [[nodiscard]] virtual double clippedError(std::span<const float> group, std::span<const double> importance,
                                              double reach) const = 0;
    /// Codes groups of a row anew, each with its reach; those with reach 1 keep what encode() gave them.
    /// @param row  weights, @param reach one per group, @param coded the bytes that encode() made of the row.
    /// @pre every clippedError() of these reaches is finite.
    virtual void recode(std::span<const float> row, std::span<const double> reach, std::span<std::byte> coded) const = 0;
    /// Widest reach that can be of use: over 1 where a grid has more levels on one side of 0 than on the other.
    [[nodiscard]] virtual double widestReach() const { return 1; }
};

/// sum of importance * (weight - stored)^2 in double, in one order at every instruction set. @param importance  empty:
/// all 1.
[[nodiscard]] double storedLoss(std::span<const float> weights, std::span<const float> stored,
                                std::span<const double> importance);

/// A published encoder that weighs errors by what they cost, column by column: llama.cpp's, given an importance matrix.
class ImportanceSearch {
public:
    virtual ~ImportanceSearch() = default;

    /// As Grid::encode(), with scales and codes chosen for a small sum of importance * (weight - stored)^2; byte for byte
    /// what the published encoder writes where that is of use. Returns in words where it is not, empty for nowhere:
    /// importances that are not finite, or zero throughout a block, count as equal. May be Cancelled.
    /// @param importance  [cols], mean squares of the inputs
    [[nodiscard]] virtual Result<std::string> encodeWeighted(std::span<const float> weights, std::uint64_t rows,
                                                             std::uint64_t cols, std::span<const float> importance,
                                                             std::span<std::byte> out, const JobContext& job) const = 0;
};

/// A row-wise number format with all its parameters fixed: what a weight matrix is stored as.
/// Stateless and thread-safe: same input, same bytes. A row is coded on its own, so row permutation
/// commutes with encoding.
class Grid {
public:
    virtual ~Grid() = default;

    /// "q4_0", "int4-g128", "int3-g64-asym", "int4-row-f32", "mxint4-b32", "nf4-g64-dq": what recipes, `--grid` and
    /// JSON say.
    [[nodiscard]] virtual std::string id() const = 0;
    /// Width of a code: 4 for q4_0 and q4_1.
    [[nodiscard]] virtual int bits() const = 0;
    /// Elements that share a scale; 0 = the whole row.
    [[nodiscard]] virtual std::uint64_t groupSize() const = 0;
    /// False if this grid cannot code rows of this length (GGUF blocks need a multiple of 32; INT groups
    /// take a short last group).
    [[nodiscard]] virtual bool accepts(std::uint64_t cols) const = 0;
    /// Bytes of one coded row: scales, zero points and codes, whole bytes. @pre accepts(cols).
    [[nodiscard]] virtual std::size_t rowBytes(std::uint64_t cols) const = 0;
    /// The GGUF type with this very layout, if there is one.
    [[nodiscard]] virtual std::optional<DType> ggufType() const = 0;

    /// Codes rows * cols weights, row-major, by nearest code. NonFinite (naming the element and how many) or
    /// ScaleOutOfRange (a group's scale does not fit its storage); detail names row and column, the caller
    /// adds the tensor. @pre weights.size() == rows * cols, out.size() == rows * rowBytes(cols).
    [[nodiscard]] virtual Status encode(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                        std::span<std::byte> out) const = 0;
    /// @pre codes.size() == rows * rowBytes(cols), out.size() == rows * cols.
    virtual void decode(std::span<const std::byte> codes, std::uint64_t rows, std::uint64_t cols, std::span<float> out) const = 0;
    /// Null if the scales leave no choice, or if one group's would change another's codes.
    [[nodiscard]] virtual const ClipRange* clipRange() const { return nullptr; }
    /// Null if the format's encoder knows no importances.
    [[nodiscard]] virtual const ImportanceSearch* importanceSearch() const { return nullptr; }

    /// Values of all codes divided by the group's scale, ascending: -8…7 for q4_0, -1…1 for nf4. For asymmetric grids the
    /// zero point of a group shifts them (see groupScales). Empty for formats without codes (bf16).
    [[nodiscard]] virtual std::vector<double> levels() const = 0;
    struct GroupScale {
        float scale = 0;
        float offset = 0;  ///< value of level 0: -scale * zero point, or the block minimum
    };
    /// Scale and offset of every group of coded rows, row by row: what the Density plot divides by.
    [[nodiscard]] virtual std::vector<GroupScale> groupScales(std::span<const std::byte> codes, std::uint64_t rows,
                                                              std::uint64_t cols) const = 0;
};

/// A matrix on a grid. Decodable without any plan.
struct QuantizedTensor {
    const Grid* grid = nullptr;    ///< lives in the registry for the whole process
    std::uint64_t rows = 0, cols = 0;
    std::vector<std::byte> codes;  ///< rows * grid->rowBytes(cols)

    [[nodiscard]] double bitsPerWeight() const
    {
        return rows * cols == 0 ? 0 : 8.0 * static_cast<double>(codes.size()) / static_cast<double>(rows * cols);
    }
};

/// One family of grids as the combo box and `methods` list it.
struct GridFamily {
    std::string_view id;                ///< "q4_0"; "int-g128" and "int-g128-asym", "mxint-b32", "nf-g64" for families
    std::string_view title;             ///< "GGUF Q4_0", "INT, symmetric, group 128"
    std::string_view source;            ///< where the format is defined
    std::vector<int> bits;              ///< widths it has: {4}, {2,3,4,5,6,8}
};

/// Rows of the registry (core/grid/GridRegistry.cpp), explicit.
[[nodiscard]] std::span<const GridFamily> gridFamilies();
/// By id of a grid ("int4-g128"). InvalidOption, naming the nearest valid id, for anything else
/// (bits 0, 1, 9, 16 are refused here).
[[nodiscard]] Result<const Grid*> findGrid(std::string_view id);
/// Grid of a family at a width: ("int-g128", 4) -> "int4-g128"; ("q4_0", 4) -> "q4_0". InvalidOption if it has no such width.
[[nodiscard]] Result<const Grid*> gridOf(std::string_view familyId, int bits);
/// Family that a grid belongs to.
[[nodiscard]] const GridFamily& familyOf(const Grid& grid);

}  // namespace sigmascope
