// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/tensor/DType.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace sigmascope {

/// INT codes with one f16 scale per group of a row. A coded row is [scales][zero points][codes]: f16 little-endian,
/// one per group; zero points (asymmetric only) and codes of `bits` each, packed little end first; each part filled
/// up to whole bytes. The layout of the grids "int4-g128", "int3-row-asym" and their like.
struct GroupFormat {
    int bits = 4;             ///< 2 to 8
    std::uint64_t group = 0;  ///< elements per scale; 0 = the row. The last group of a row may be short.
    bool asymmetric = false;

    [[nodiscard]] std::uint64_t groupLength(std::uint64_t cols) const { return group == 0 ? cols : group; }
    [[nodiscard]] std::uint64_t groups(std::uint64_t cols) const
    {
        return cols == 0 ? 0 : (cols + groupLength(cols) - 1) / groupLength(cols);
    }
    /// Byte in a coded row where the zero points begin.
    [[nodiscard]] std::uint64_t zerosAt(std::uint64_t cols) const { return 2 * groups(cols); }
    /// Byte in a coded row where the codes begin.
    [[nodiscard]] std::uint64_t codesAt(std::uint64_t cols) const
    {
        return zerosAt(cols) + (asymmetric ? packed(groups(cols)) : 0);
    }
    [[nodiscard]] std::uint64_t rowBytes(std::uint64_t cols) const { return codesAt(cols) + packed(cols); }
    /// Bytes of @p count packed codes.
    [[nodiscard]] std::uint64_t packed(std::uint64_t count) const
    {
        return (count * static_cast<std::uint64_t>(bits) + 7) / 8;
    }
    /// Largest code.
    [[nodiscard]] int topCode() const { return asymmetric ? (1 << bits) - 1 : (1 << bits) - 2; }
    /// "int4-g128-asym"
    [[nodiscard]] std::string id() const;
};

/// How codes of a matrix are laid out, for ops that read or write them without knowing the grid.
struct CodeFormat {
    std::optional<DType> block{};  ///< a GGUF block type
    GroupFormat groups{};          ///< of INT groups, when there is no block type

    [[nodiscard]] std::uint64_t rowBytes(std::uint64_t cols) const;
    /// "Q4_0", "int4-g128"
    [[nodiscard]] std::string id() const;
};

/// E = W - Q(W) as an operand. Borrowed: weights and codes must outlive whatever is made of it.
struct ResidualSource {
    std::span<const float> weights{};     ///< W [rows x cols] row-major, finite; E itself when there is no format
    std::uint64_t rows = 0, cols = 0;
    std::optional<CodeFormat> format{};
    std::span<const std::byte> codes{};   ///< rows * format->rowBytes(cols)
};

/// || E ||^2, || E S ||^2, || W ||^2 and || W S ||^2 (Frobenius), S = diag(scale), in double over parts of a row.
/// The scaled ones equal the plain ones when there is no scale.
struct ErrorSums {
    double residual = 0, scaledResidual = 0;
    double weight = 0, scaledWeight = 0;
};

}  // namespace sigmascope
