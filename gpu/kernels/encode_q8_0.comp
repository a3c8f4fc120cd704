#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Q8_0 of two blocks of 32 weights by one invocation: 2 x 34 bytes are seventeen whole words.
// As ggml's quantize_row_q8_0_ref: the scale is the largest magnitude over 127, codes are x / d with the
// reciprocal taken once, rounded half away from zero.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"

layout(local_size_x = 64) in;

layout(set = 0, binding = 0, std430) readonly buffer Weights { uvec4 weights[]; };  // 8 a block
layout(set = 0, binding = 1, std430) buffer Blocks { uvec4 header; uint words[]; };
layout(push_constant) uniform Push { uint blocks; };

// Bits of a / 127, correctly rounded. @pre a is normal and at least 2^-100.
uint dividedBy127(uint a)
{
    const uint exponent = a >> 23;
    const uint numerator = ((a & 0x7FFFFFu) | 0x800000u) << 7;
    const uint quotient = numerator / 127u;
    const uint rest = numerator - quotient * 127u;
    if (quotient < 0x1000000u)  // 24 bits; no tie, 127 is odd
        return ((exponent - 7u) << 23) + (quotient + (2u * rest > 127u ? 1u : 0u) - 0x800000u);
    const uint kept = quotient >> 1;
    const bool up = (quotient & 1u) != 0u && (rest != 0u || (kept & 1u) != 0u);
    return ((exponent - 6u) << 23) + (kept + (up ? 1u : 0u) - 0x800000u);
}

uint code(uint bits, float inverse)
{
    precise float scaled = uintBitsToFloat(bits) * inverse;
    const float magnitude = abs(scaled);
    const float whole = floor(magnitude);
    const int rounded = int(whole) + (magnitude - whole >= 0.5 ? 1 : 0);
    return uint(scaled < 0.0 ? -rounded : rounded) & 0xFFu;
}

// Returns the scale's code; the 32 codes go to the eight words of out.
uint encoded(uint block, out uint codes[8])
{
    uvec4 w[8];
    uint largest = 0u;
    for (uint i = 0u; i < 8u; ++i) {
        w[i] = weights[block * 8u + i];
        for (uint k = 0u; k < 4u; ++k)
            largest = max(largest, w[i][k] & 0x7FFFFFFFu);
    }
    for (uint i = 0u; i < 8u; ++i)
        codes[i] = 0u;
    if (largest == 0u)
        return 0u;
    if (largest < kTinyBelow || largest >= kInfinity) {
        atomicOr(header.x, largest < kTinyBelow ? kMetTiny : kMetTrouble);
        return 0u;
    }
    const uint d = dividedBy127(largest);
    const uint scale = floatBitsToHalf(d);
    if ((scale & 0x7C00u) == 0x7C00u)
        atomicOr(header.x, kMetTrouble);
    const float inverse = uintBitsToFloat(reciprocalBits(d));
    for (uint i = 0u; i < 8u; ++i)
        for (uint k = 0u; k < 4u; ++k)
            codes[i] |= code(w[i][k], inverse) << (8u * k);
    return scale;
}

void main()
{
    const uint pair = gl_GlobalInvocationID.x;
    if (2u * pair >= blocks)
        return;
    uint a[8];
    uint b[8];
    const uint scaleA = encoded(2u * pair, a);
    uint scaleB = 0u;
    for (uint i = 0u; i < 8u; ++i)
        b[i] = 0u;
    if (2u * pair + 1u < blocks)
        scaleB = encoded(2u * pair + 1u, b);
    const uint at = pair * 17u;
    words[at] = scaleA | (a[0] << 16);
    for (uint i = 1u; i < 8u; ++i)
        words[at + i] = (a[i - 1u] >> 16) | (a[i] << 16);
    words[at + 8u] = (a[7] >> 16) | (scaleB << 16);
    for (uint i = 0u; i < 8u; ++i)
        words[at + 9u + i] = b[i];
    if (2u * pair + 2u >= blocks)
        header.y = blocks;
}
