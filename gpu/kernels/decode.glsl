// SPDX-License-Identifier: GPL-3.0-or-later
// Stored BF16, F16 and F32 as the bits of a float, by integer operations only: a driver may flush
// subnormals and fold isnan() away, integers it leaves alone.

#extension GL_GOOGLE_include_directive : require
#include "half.glsl"

layout(constant_id = 0) const uint kType = 0u;  // 0 F32, 1 BF16, 2 F16: StoredType in KernelTable.h

const uint kPerVector = kType == 0u ? 4u : 8u;  // elements in one 16-byte load
const uint kSubnormalBelow = kType == 2u ? 0x38800000u : 0x00800000u;  // 2^-14, 2^-126 as float bits

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
