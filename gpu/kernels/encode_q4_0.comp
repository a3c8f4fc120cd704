#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Q4_0 of two blocks of 32 weights by one invocation: 2 x 18 bytes are nine whole words.
// As ggml's quantize_row_q4_0_ref: the scale is the first weight of largest magnitude over -8; codes are
// trunc(x / d + 8.5) with the reciprocal taken once, at most 15.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"

layout(local_size_x = 64) in;

layout(set = 0, binding = 0, std430) readonly buffer Weights { uvec4 weights[]; };  // 8 a block
layout(set = 0, binding = 1, std430) buffer Blocks { uvec4 header; uint words[]; };
layout(push_constant) uniform Push { uint blocks; };

struct Block {
    uint scale;
    uvec4 codes;  // 16 bytes: low nibbles weights 0..15, high nibbles 16..31
};

uint code(uint bits, float inverse)
{
    precise float scaled = uintBitsToFloat(bits) * inverse;
    precise float shifted = scaled + 8.5;
    return uint(clamp(int(shifted), 0, 15));
}

uint fourCodes(uvec4 low, uvec4 high, float inverse)
{
    uint packed = 0u;
    for (uint i = 0u; i < 4u; ++i)
        packed |= (code(low[i], inverse) | (code(high[i], inverse) << 4)) << (8u * i);
    return packed;
}

Block encoded(uint block)
{
    uvec4 w[8];
    uint largest = 0u;
    uint largestMagnitude = 0u;
    for (uint i = 0u; i < 8u; ++i) {
        w[i] = weights[block * 8u + i];
        for (uint k = 0u; k < 4u; ++k) {
            const uint magnitude = w[i][k] & 0x7FFFFFFFu;
            if (magnitude > largestMagnitude) {
                largestMagnitude = magnitude;
                largest = w[i][k];
            }
        }
    }
    if (largestMagnitude == 0u)
        return Block(0x8000u, uvec4(0x88888888u));  // 0 / -8 is -0, and 0 lies at code 8
    if (largestMagnitude < kTinyBelow || largestMagnitude >= kInfinity) {
        atomicOr(header.x, largestMagnitude < kTinyBelow ? kMetTiny : kMetTrouble);
        return Block(0u, uvec4(0u));
    }
    const uint d = (largest ^ 0x80000000u) - (3u << 23);
    const uint scale = floatBitsToHalf(d);
    if ((scale & 0x7C00u) == 0x7C00u)
        atomicOr(header.x, kMetTrouble);
    const float inverse = uintBitsToFloat(reciprocalBits(d));
    return Block(scale, uvec4(fourCodes(w[0], w[4], inverse), fourCodes(w[1], w[5], inverse),
                              fourCodes(w[2], w[6], inverse), fourCodes(w[3], w[7], inverse)));
}

void main()
{
    const uint pair = gl_GlobalInvocationID.x;
    if (2u * pair >= blocks)
        return;
    const Block a = encoded(2u * pair);
    Block b = Block(0u, uvec4(0u));
    if (2u * pair + 1u < blocks)
        b = encoded(2u * pair + 1u);
    const uint at = pair * 9u;
    words[at] = a.scale | (a.codes.x << 16);
    words[at + 1u] = (a.codes.x >> 16) | (a.codes.y << 16);
    words[at + 2u] = (a.codes.y >> 16) | (a.codes.z << 16);
    words[at + 3u] = (a.codes.z >> 16) | (a.codes.w << 16);
    words[at + 4u] = (a.codes.w >> 16) | (b.scale << 16);
    words[at + 5u] = b.codes.x;
    words[at + 6u] = b.codes.y;
    words[at + 7u] = b.codes.z;
    words[at + 8u] = b.codes.w;
    if (2u * pair + 2u >= blocks)
        header.y = blocks;
}
