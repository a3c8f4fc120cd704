// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/GroupEncode.h"

#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/base/Rounding.h"
#include "core/compute/ops/NonFinite.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace sigmascope {

namespace {

/// Writes codes of a fixed width one after the other, little end first.
class BitWriter {
public:
    BitWriter(std::byte* out, int bits) : m_out(out), m_bits(bits) {}
    void put(std::uint32_t code)
    {
        m_window |= code << m_filled;
        for (m_filled += m_bits; m_filled >= 8; m_filled -= 8, m_window >>= 8)
            *m_out++ = static_cast<std::byte>(m_window & 0xFFU);
    }
    void finish()
    {
        if (m_filled > 0)
            *m_out = static_cast<std::byte>(m_window & 0xFFU);
    }

private:
    std::byte* m_out;
    int m_bits;
    std::uint32_t m_window = 0;
    int m_filled = 0;
};

std::uint32_t codeAt(std::span<const std::byte> packed, std::uint64_t index, int bits)
{
    const std::uint64_t bit = index * static_cast<std::uint64_t>(bits);
    const std::uint64_t byte = bit / 8;
    std::uint32_t window = std::to_integer<std::uint32_t>(packed[byte]);
    if (byte + 1 < packed.size())
        window |= std::to_integer<std::uint32_t>(packed[byte + 1]) << 8;
    return (window >> (bit % 8)) & ((1U << bits) - 1U);
}

/// False if a scale does not fit; the column of its group goes to @p misfit.
bool encodeRow(const GroupFormat& format, std::span<const float> row, std::span<std::byte> out, std::uint64_t& misfit)
{
    const std::uint64_t cols = row.size();
    const std::uint64_t length = format.groupLength(cols);
    BitWriter zeros(out.data() + format.zerosAt(cols), format.bits);
    BitWriter codes(out.data() + format.codesAt(cols), format.bits);
    for (std::uint64_t begin = 0, g = 0; begin < cols; begin += length, ++g) {
        const auto group = row.subspan(begin, std::min(length, cols - begin));
        float low = 0;
        float high = 0;
        for (const float value : group) {
            low = std::min(low, value);
            high = std::max(high, value);
        }
        const GroupParameters parameters = groupParameters(format, low, high);
        if (!std::isfinite(parameters.scale)) {
            misfit = begin;
            return false;
        }
        const std::uint16_t scale = floatToF16(parameters.scale);
        std::memcpy(out.data() + 2 * g, &scale, sizeof scale);
        if (format.asymmetric)
            zeros.put(static_cast<std::uint32_t>(parameters.zero));
        const double divisor = parameters.scale == 0 ? 1 : static_cast<double>(parameters.scale);
        for (const float value : group) {
            const double code = roundEven(static_cast<double>(value) / divisor) + parameters.zero;
            codes.put(static_cast<std::uint32_t>(std::clamp<double>(code, 0, format.topCode())));
        }
    }
    if (format.asymmetric)
        zeros.finish();
    codes.finish();
    return true;
}

std::uint64_t rowsPerTask(std::uint64_t cols)
{
    return std::max<std::uint64_t>(1, kReductionChunk / std::max<std::uint64_t>(1, cols));
}

}  // namespace

std::string GroupFormat::id() const
{
    return fmt::format("int{}-{}{}", bits, group == 0 ? std::string("row") : fmt::format("g{}", group),
                       asymmetric ? "-asym" : "");
}

std::uint64_t CodeFormat::rowBytes(std::uint64_t cols) const
{
    if (!block)
        return groups.rowBytes(cols);
    const DTypeInfo& type = info(*block);
    return cols / type.blockElements * (type.blockBits / 8);
}

std::string CodeFormat::id() const
{
    return block ? std::string(info(*block).name) : groups.id();
}

GroupParameters groupParameters(const GroupFormat& format, double low, double high)
{
    const auto stored = [](double scale) {
        // A scale that would vanish becomes the smallest one, so that codes stay within half a step.
        return scale == 0 ? 0.0F : std::max(f16ToFloat(floatToF16(static_cast<float>(scale))), 0x1.0p-24F);
    };
    if (!format.asymmetric) {
        const int qmax = format.topCode() / 2;
        return {stored(std::max(high, -low) / qmax), qmax};
    }
    const float scale = stored((high - low) / format.topCode());
    if (scale == 0 || !std::isfinite(scale))
        return {scale, 0};
    const double zero = roundEven(-low / static_cast<double>(scale));
    return {scale, static_cast<int>(std::clamp<double>(zero, 0, format.topCode()))};
}

Status encodeGroups(const GroupFormat& format, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                    std::span<std::byte> out, const JobContext& job)
{
    assert(weights.size() == rows * cols && out.size() == rows * format.rowBytes(cols));
    const std::uint64_t step = rowsPerTask(cols);
    const std::uint64_t coded = format.rowBytes(cols);
    constexpr std::uint64_t kNone = ~std::uint64_t{0};
    std::atomic<bool> isBad{false};
    std::atomic<std::uint64_t> misfit{kNone};
    parallelFor(static_cast<std::size_t>((rows + step - 1) / step), [&](std::size_t task) {
        if (job.cancelled())
            return;
        const std::uint64_t end = std::min(rows, (task + 1) * step);
        for (std::uint64_t row = task * step; row < end; ++row) {
            const auto values = weights.subspan(row * cols, cols);
            if (!std::ranges::all_of(values, [](float w) { return std::isfinite(w); })) {
                isBad = true;
                return;
            }
            std::uint64_t column = 0;
            if (encodeRow(format, values, out.subspan(row * coded, coded), column))
                continue;
            std::uint64_t before = misfit;
            const std::uint64_t here = row * cols + column;
            while (here < before && !misfit.compare_exchange_weak(before, here)) {}
        }
    });
    if (job.cancelled())
        return cancelledError();
    if (isBad)
        return nonFinite(weights, cols);
    if (misfit == kNone)
        return {};
    return fail(ErrorCode::ScaleOutOfRange,
                fmt::format("row {}, column {}: the scale of this group of {} is over 65504 and does not fit f16",
                            misfit / cols, misfit % cols, format.id()));
}

float decodedElement(const GroupFormat& format, std::span<const std::byte> row, std::uint64_t cols, std::uint64_t col)
{
    const std::uint64_t zerosAt = format.zerosAt(cols);
    const std::uint64_t codesAt = format.codesAt(cols);
    const std::uint64_t g = col / format.groupLength(cols);
    std::uint16_t half = 0;
    std::memcpy(&half, row.data() + 2 * g, sizeof half);
    const int zero = format.asymmetric
        ? static_cast<int>(codeAt(row.subspan(zerosAt, codesAt - zerosAt), g, format.bits))
        : format.topCode() / 2;
    // Exact: 11 bits of the scale times at most 9 of the code.
    return f16ToFloat(half) * static_cast<float>(static_cast<int>(codeAt(row.subspan(codesAt), col, format.bits)) - zero);
}

void decodeGroups(const GroupFormat& format, std::span<const std::byte> codes, std::uint64_t rows, std::uint64_t cols,
                  std::span<float> out)
{
    assert(codes.size() == rows * format.rowBytes(cols) && out.size() == rows * cols);
    const std::uint64_t coded = format.rowBytes(cols);
    const std::uint64_t step = rowsPerTask(cols);
    parallelFor(static_cast<std::size_t>((rows + step - 1) / step), [&](std::size_t task) {
        const std::uint64_t end = std::min(rows, (task + 1) * step);
        for (std::uint64_t row = task * step; row < end; ++row)
            for (std::uint64_t col = 0; col < cols; ++col)
                out[row * cols + col] = decodedElement(format, codes.subspan(row * coded, coded), cols, col);
    });
}

}  // namespace sigmascope
