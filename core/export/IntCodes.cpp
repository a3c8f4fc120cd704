// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/IntCodes.h"

#include "core/grid/BitPacking.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace sigmascope {

namespace {

constexpr std::uint16_t kSmallestHalf = 0x0002;  // 2^-23 as F16
constexpr std::uint32_t kSmallestFloat = 0x34000000;  // and as F32

}  // namespace

IntCodes::IntCodes(const QuantizedTensor& quantized, const IntForm& form)
    : m_quantized(quantized)
    , m_form(form)
    , m_groups(form.groups(quantized.cols))
    , m_scaleBytes(form.scale == ScaleType::F16 ? 2 : 4)
    , m_codesAt(quantized.grid->rowBytes(quantized.cols) - packedBytes(quantized.cols, form.bits))
{
    assert(form.scale != ScaleType::F64);
    const auto count = static_cast<std::size_t>(quantized.rows * m_groups);
    m_scales.resize(count * m_scaleBytes);
    m_zeros.assign(count, static_cast<std::uint8_t>(1U << static_cast<unsigned>(form.bits - 1)));
    m_isEmpty.resize(count);
    const std::size_t rowBytes = quantized.grid->rowBytes(quantized.cols);
    for (std::uint64_t row = 0; row < quantized.rows; ++row)
        readScales(std::span(quantized.codes).subspan(row * rowBytes, m_codesAt), row * m_groups);
}

/// @param row  what stands before the codes: scales, then zero points.
void IntCodes::readScales(std::span<const std::byte> row, std::uint64_t at)
{
    const auto groups = static_cast<std::size_t>(m_groups);
    const auto scales = row.first(groups * m_scaleBytes);
    std::byte* out = m_scales.data() + at * m_scaleBytes;
    std::ranges::copy(scales, out);
    if (m_form.isAsymmetric)
        unpackBits(row.subspan(scales.size()), m_form.bits, std::span(m_zeros).subspan(at, groups));
    for (std::size_t g = 0; g < groups; ++g) {
        const auto scale = scales.subspan(g * m_scaleBytes, m_scaleBytes);
        m_isEmpty[at + g] = std::ranges::all_of(scale, [](std::byte byte) { return byte == std::byte{0}; });
        if (!m_isEmpty[at + g])
            continue;
        if (m_form.scale == ScaleType::F16)
            std::memcpy(out + g * m_scaleBytes, &kSmallestHalf, sizeof kSmallestHalf);
        else
            std::memcpy(out + g * m_scaleBytes, &kSmallestFloat, sizeof kSmallestFloat);
    }
}

void IntCodes::codes(std::uint64_t firstRow, std::uint64_t rows, std::uint64_t firstCol, std::uint64_t cols,
                     std::span<std::uint8_t> out) const
{
    const std::size_t rowBytes = m_quantized.grid->rowBytes(m_quantized.cols);
    const std::size_t begin = m_codesAt + packedBytes(firstCol, m_form.bits);
    const std::uint8_t offset = m_form.isAsymmetric ? 0 : 1;
    const std::uint64_t group = m_form.group == 0 ? m_quantized.cols : m_form.group;
    for (std::uint64_t r = 0; r < rows; ++r) {
        const std::uint64_t row = firstRow + r;
        const auto line = out.subspan(r * cols, cols);
        unpackBits(std::span(m_quantized.codes).subspan(row * rowBytes + begin, packedBytes(cols, m_form.bits)),
                   m_form.bits, line);
        for (std::uint8_t& code : line)
            code = static_cast<std::uint8_t>(code + offset);
        for (std::uint64_t col = 0; col < cols;) {
            const std::uint64_t g = (firstCol + col) / group;
            const std::uint64_t end = std::min(cols, (g + 1) * group - firstCol);
            const auto at = static_cast<std::size_t>(row * m_groups + g);
            if (m_isEmpty[at])
                std::ranges::fill(line.subspan(col, end - col), m_zeros[at]);
            col = end;
        }
    }
}

std::vector<std::byte> IntCodes::scales(bool isTransposed) const
{
    if (!isTransposed)
        return m_scales;
    std::vector<std::byte> turned(m_scales.size());
    for (std::uint64_t row = 0; row < m_quantized.rows; ++row) {
        for (std::uint64_t g = 0; g < m_groups; ++g)
            std::memcpy(turned.data() + (g * m_quantized.rows + row) * m_scaleBytes,
                        m_scales.data() + (row * m_groups + g) * m_scaleBytes, m_scaleBytes);
    }
    return turned;
}

}  // namespace sigmascope
