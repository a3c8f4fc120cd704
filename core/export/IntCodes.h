// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/grid/IntForm.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sigmascope {

/// The codes of a matrix on an INT grid in the convention of GPTQ, AWQ and compressed-tensors:
///
///   w = scale * (code - zero), code and zero in 0 … 2^b - 1; symmetric: zero = 2^(b-1)
///
/// Our symmetric codes begin at 0 for -(2^(b-1) - 1), so theirs are one more; values are the same, bit for bit. A group
/// whose scale is 0 (all of its values are) gets the scale 2^-23 and codes that stand for 0: a scale of 0 turns into
/// NaN in runtimes that divide by it.
class IntCodes {
public:
    /// @pre the tensor outlives this; its grid is of this form, with F16 or F32 scales.
    IntCodes(const QuantizedTensor& quantized, const IntForm& form);

    /// Codes of a part of the matrix, row-major. @pre firstCol is a multiple of 8, out.size() == rows * cols.
    void codes(std::uint64_t firstRow, std::uint64_t rows, std::uint64_t firstCol, std::uint64_t cols,
               std::span<std::uint8_t> out) const;
    /// [rows × groups]
    [[nodiscard]] const std::vector<std::uint8_t>& zeros() const { return m_zeros; }
    /// [rows × groups], little-endian, of the form's type; transposed [groups × rows].
    [[nodiscard]] std::vector<std::byte> scales(bool isTransposed) const;
    [[nodiscard]] std::uint64_t groups() const { return m_groups; }

private:
    void readScales(std::span<const std::byte> row, std::uint64_t at);

    const QuantizedTensor& m_quantized;
    IntForm m_form;
    std::uint64_t m_groups;
    std::size_t m_scaleBytes;
    std::size_t m_codesAt;  // in a coded row
    std::vector<std::byte> m_scales;  // [rows × groups]
    std::vector<std::uint8_t> m_zeros;  // likewise
    std::vector<bool> m_isEmpty;  // likewise: groups of zeros
};

}  // namespace sigmascope
