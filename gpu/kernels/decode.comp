#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Stored elements as floats, bit for bit as core/tensor/Decode does: an element an invocation.
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 256) in;

layout(set = 0, binding = 0, std430) readonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 1, std430) buffer Values { uint values[]; };  // header of 4 words, then floats
layout(push_constant) uniform Push { uint elements; uint blockBytes; uint halves; };  // halves: 0 F32, 1 BF16, 2 F16

#define weights codes
#include "coded.glsl"

uint quiet(uint bits)
{
    return (bits & 0x7FFFFFFFu) > 0x7F800000u ? bits | 0x400000u : bits;
}

void main()
{
    const uint i = gl_GlobalInvocationID.x;
    if (i < elements) {
        uint bits;
        if (kKind != 0u) {
            Matrix m;
            m.codeBase = 0u;
            m.codeStride = blockBytes;
            bits = floatBitsToUint(quantized(m, i >> kBlockShift, i & ((1u << kBlockShift) - 1u)));
        } else if (halves == 0u) {
            bits = codes[i];
        } else {
            const uint code = (codes[i >> 1] >> ((i & 1u) * 16u)) & 0xFFFFu;
            bits = halves == 1u ? code << 16 : quiet(halfToFloatBits(code));
        }
        values[4u + i] = bits;
    }
    barrier();
    if (gl_LocalInvocationID.x == 0u)
        atomicAdd(values[0], 1u);
}
