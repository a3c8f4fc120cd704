// SPDX-License-Identifier: GPL-3.0-or-later
// Bits of a float from the code of a half, by integers.

uint halfToFloatBits(uint h)
{
    const uint sign = (h & 0x8000u) << 16;
    const uint exponent = (h >> 10) & 0x1Fu;
    const uint mantissa = h & 0x3FFu;
    if (exponent == 0x1Fu)
        return sign | 0x7F800000u | (mantissa << 13);
    if (exponent != 0u)
        return sign | ((exponent + 112u) << 23) | (mantissa << 13);
    return sign | floatBitsToUint(float(mantissa) * 5.9604644775390625e-8);  // 2^-24: exact and normal, or 0
}
