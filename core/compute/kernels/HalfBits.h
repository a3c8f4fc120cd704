// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// IEEE binary16 as core/base/Half.h has it, which the kernel objects may not include.

#include "core/compute/kernels/Vectors.h"

namespace sigmascope::kernels {
namespace {

/// Nearest, ties to even. Infinite for NaN too: a caller refuses both.
inline uint16_t halfOf(float value)
{
    const uint32_t bits = bitsOf(value);
    const uint32_t sign = (bits >> 16) & 0x8000U;
    const uint32_t magnitude = bits & 0x7FFFFFFFU;
    if (magnitude >= 0x47800000U)
        return static_cast<uint16_t>(sign | 0x7C00U);
    if (magnitude < 0x38800000U) {
        // Adding 0.5 leaves a multiple of 2^-24 in the low bits, rounded by the addition itself.
        return static_cast<uint16_t>(sign | (bitsOf(floatOf(magnitude) + 0.5F) - 0x3F000000U));
    }
    const uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

inline float floatOfHalf(uint16_t half)
{
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
    const uint32_t exponent = (half >> 10) & 0x1FU;
    const uint32_t mantissa = half & 0x3FFU;
    if (exponent == 0x1F)
        return floatOf(sign | 0x7F800000U | mantissa << 13);
    if (exponent != 0)
        return floatOf(sign | (exponent + 112U) << 23 | mantissa << 13);
    return floatOf(sign | bitsOf(static_cast<float>(mantissa) * 0x1.0p-24F));
}

}  // namespace
}  // namespace sigmascope::kernels
