#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// How many elements lie between given edges. Values and edges are compared as ordered keys, so exactly.
#extension GL_GOOGLE_include_directive : require
#include "decode.glsl"

layout(local_size_x = 256) in;

layout(set = 0, binding = 0, std430) readonly buffer Stored { uvec4 vectors[]; };
layout(set = 0, binding = 1, std430) buffer Counts { uint counts[]; };  // header of 4 words, edges + 1 bins, non-finite
layout(set = 0, binding = 2, std430) readonly buffer Edges { uint edgeKeys[]; };
layout(push_constant) uniform Push { uint elements; uint edges; };

const uint kChunk = 8192u;

uint binOf(uint bits)
{
    if ((bits & 0x7FFFFFFFu) >= 0x7F800000u)
        return edges + 1u;
    const uint key = orderedKey((bits & 0x7FFFFFFFu) == 0u ? 0u : bits);
    uint low = 0u;  // edges known to be at or below the value
    uint high = edges;
    while (low < high) {
        const uint middle = (low + high) / 2u;
        if (edgeKeys[middle] <= key)
            low = middle + 1u;
        else
            high = middle;
    }
    return low;
}

void main()
{
    const uint first = gl_WorkGroupID.x * kChunk;
    const uint count = min(elements - first, kChunk);
    const uint base = first / kPerVector;
    const uint vectorsHere = (count + kPerVector - 1u) / kPerVector;
    for (uint v = gl_LocalInvocationID.x; v < vectorsHere; v += 256u) {
        const uvec4 vector = vectors[base + v];
        for (uint lane = 0u; lane < kPerVector; ++lane) {
            if (v * kPerVector + lane >= count)
                continue;
            atomicAdd(counts[4u + binOf(elementBits(vector, lane))], 1u);
        }
    }
    barrier();
    if (gl_LocalInvocationID.x == 0u)
        atomicAdd(counts[0], 1u);
}
