// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <bit>
#include <cstdint>

// Scalar conversions of the 16- and 8-bit floats; every vector kernel must agree with these to the bit.

namespace sigmascope {

[[nodiscard]] constexpr float bf16ToFloat(std::uint16_t bits)
{
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Nearest, ties to even; a NaN stays a NaN and becomes quiet.
[[nodiscard]] constexpr std::uint16_t floatToBf16(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7FFFFFFFU) > 0x7F800000U)
        return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

/// IEEE binary16, subnormals included; a NaN becomes quiet, as the CPU's own conversion makes it.
[[nodiscard]] constexpr float f16ToFloat(std::uint16_t bits)
{
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1FU;
    const std::uint32_t mantissa = bits & 0x3FFU;
    if (exponent == 0x1F)
        return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13) | (mantissa != 0 ? 0x400000U : 0U));
    if (exponent != 0)
        return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (mantissa << 13));
    const float magnitude = static_cast<float>(mantissa) * 0x1.0p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

/// Nearest, ties to even; overflow becomes infinity, a NaN stays a (quiet) NaN.
[[nodiscard]] constexpr std::uint16_t floatToF16(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    if (magnitude > 0x7F800000U)
        return static_cast<std::uint16_t>(sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU));
    if (magnitude >= 0x47800000U)  // 65536 and up; 65520..65536 round up to infinity below
        return static_cast<std::uint16_t>(sign | 0x7C00U);
    if (magnitude < 0x38800000U) {  // below 2^-14: a multiple of 2^-24
        if (magnitude < 0x33000000U)
            return sign;
        const std::uint32_t shift = 126U - (magnitude >> 23);
        const std::uint32_t mantissa = (magnitude & 0x7FFFFFU) | 0x800000U;
        const std::uint32_t kept = mantissa >> shift;
        const std::uint32_t rest = mantissa & ((1U << shift) - 1U);
        const std::uint32_t half = 1U << (shift - 1U);
        const std::uint32_t up = rest > half || (rest == half && (kept & 1U) != 0) ? 1U : 0U;
        return static_cast<std::uint16_t>(sign | (kept + up));
    }
    const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
    return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

/// OCP FP8 E4M3 (finite only: no infinity, S.1111.111 is NaN, max 448).
[[nodiscard]] constexpr float f8e4m3ToFloat(std::uint8_t bits)
{
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x80U) << 24;
    const std::uint32_t exponent = (bits >> 3) & 0xFU;
    const std::uint32_t mantissa = bits & 7U;
    if (exponent == 0xF && mantissa == 7)
        return std::bit_cast<float>(sign | 0x7FC00000U);
    if (exponent != 0)
        return std::bit_cast<float>(sign | ((exponent + 120U) << 23) | (mantissa << 20));
    const float magnitude = static_cast<float>(mantissa) * 0x1.0p-9F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

/// OCP FP8 E5M2: the upper byte of a binary16.
[[nodiscard]] constexpr float f8e5m2ToFloat(std::uint8_t bits)
{
    return f16ToFloat(static_cast<std::uint16_t>(bits << 8));
}

}  // namespace sigmascope
