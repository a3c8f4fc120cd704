#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// How often each 16-bit code occurs; of F32 the upper half of the bits. A workgroup counts 8,192 elements at most into
// one of 4 tables, so that one common code is not waited for by all. Integers: any order gives the same counts.
#extension GL_GOOGLE_include_directive : require
#include "decode.glsl"

layout(local_size_x = 256) in;

layout(set = 0, binding = 0, std430) readonly buffer Stored { uvec4 vectors[]; };
layout(set = 0, binding = 1, std430) buffer Counts { uint counts[]; };  // header of 4 words, then 4 x 65,536
layout(push_constant) uniform Push { uint elements; };

const uint kChunk = 8192u;

void main()
{
    const uint first = gl_WorkGroupID.x * kChunk;
    const uint count = min(elements - first, kChunk);
    const uint base = first / kPerVector;
    const uint table = 4u + (gl_WorkGroupID.x & 3u) * 65536u;
    const uint vectorsHere = (count + kPerVector - 1u) / kPerVector;
    for (uint v = gl_LocalInvocationID.x; v < vectorsHere; v += 256u) {
        const uvec4 vector = vectors[base + v];
        for (uint lane = 0u; lane < kPerVector; ++lane) {
            if (v * kPerVector + lane >= count)
                continue;
            const uint code = kType == 0u ? vector[lane] >> 16
                                          : (vector[lane >> 1] >> ((lane & 1u) * 16u)) & 0xFFFFu;
            atomicAdd(counts[table + code], 1u);
        }
    }
    barrier();
    if (gl_LocalInvocationID.x == 0u)
        atomicAdd(counts[0], 1u);
}
