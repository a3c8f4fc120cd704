// SPDX-License-Identifier: GPL-3.0-or-later
// Stored BF16, F16 and F32 as the bits of a float, by integer operations only: a driver may flush
// subnormals and fold isnan() away, integers it leaves alone.

layout(constant_id = 0) const uint kType = 0u;  // 0 F32, 1 BF16, 2 F16: StoredType in KernelTable.h

const uint kPerVector = kType == 0u ? 4u : 8u;  // elements in one 16-byte load
const uint kSubnormalBelow = kType == 2u ? 0x38800000u : 0x00800000u;  // 2^-14, 2^-126 as float bits

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

uint elementBits(uvec4 vector, uint lane)
{
    if (kType == 0u)
        return vector[lane];
    const uint code = (vector[lane >> 1] >> ((lane & 1u) * 16u)) & 0xFFFFu;
    return kType == 1u ? code << 16 : halfToFloatBits(code);
}

// Order of the keys is the order of the numbers.
uint orderedKey(uint bits)
{
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

uint bitsOfKey(uint key)
{
    return (key & 0x80000000u) != 0u ? key & 0x7FFFFFFFu : ~key;
}
