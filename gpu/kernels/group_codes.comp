#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Codes of INT groups, a word of the packed stream by an invocation: it codes every element that has a bit there.
// The bytes of encodeGroups() in core/compute/ops/GroupEncode.cpp.
#extension GL_GOOGLE_include_directive : require
#include "half.glsl"
#include "rounding.glsl"

layout(local_size_x = 64) in;

layout(set = 0, binding = 0, std430) readonly buffer Weights { uint weights[]; };  // rows without gaps
layout(set = 0, binding = 1, std430) buffer Rows { uint words[]; };  // header of 4 words, then coded rows
layout(push_constant) uniform Push {
    uint cols;
    uint group;
    uint bits;
    uint asymmetric;
    uint rowWords;
    uint zerosAt;  // words
    uint codesAt;  // words
    uint codeWords;
};

int zeroPoint(uint base, uint g)
{
    if (asymmetric == 0u)
        return int((1u << (bits - 1u)) - 1u);
    const uint bit = g * bits;
    const uint at = base + zerosAt + (bit >> 5);
    const uint shift = bit & 31u;
    uint zero = words[at] >> shift;
    if (shift + bits > 32u)
        zero |= words[at + 1u] << (32u - shift);
    return int(zero & ((1u << bits) - 1u));
}

void main()
{
    const uint word = gl_GlobalInvocationID.x;
    const uint row = gl_WorkGroupID.y;
    const uint base = 4u + row * rowWords;
    if (word < codeWords) {
        const int top = int((1u << bits) - (asymmetric != 0u ? 1u : 2u));
        const uint firstBit = word * 32u;
        uint packed = 0u;
        uint known = 0xFFFFFFFFu;
        float scale = 0.0;
        int zero = 0;
        for (uint col = firstBit / bits; col < cols && col * bits < firstBit + 32u; ++col) {
            const uint g = col / group;
            if (g != known) {
                known = g;
                const uint halfBits = (words[base + g / 2u] >> ((g & 1u) * 16u)) & 0xFFFFu;
                scale = uintBitsToFloat(halfToFloatBits(halfBits));
                zero = zeroPoint(base, g);
            }
            // A group of zeros has scale 0 and codes of the value 0.
            const int steps = scale == 0.0 ? 0 : nearestCode(uintBitsToFloat(weights[row * cols + col]), scale, 1023.0);
            const uint code = uint(clamp(steps + zero, 0, top));
            const uint bit = col * bits;
            packed |= bit >= firstBit ? code << (bit - firstBit) : code >> (firstBit - bit);
        }
        words[base + codesAt + word] = packed;
    }
    barrier();
    if (gl_LocalInvocationID.x == 0u)
        atomicAdd(words[2], 1u);
}
