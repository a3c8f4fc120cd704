#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Counts the finite elements surely outside a band and those too near its edges to tell, a record for each
// chunk of 16,384 elements. The limits are ordered keys, so every comparison is exact.
#extension GL_GOOGLE_include_directive : require
#include "decode.glsl"

layout(local_size_x = 128) in;

layout(set = 0, binding = 0, std430) readonly buffer Stored { uvec4 vectors[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Records { uvec4 records[]; };
// Surely an outlier: key < limits.x or key > limits.w. Surely none: limits.y <= key <= limits.z.
layout(push_constant) uniform Push { uvec4 limits; uint elements; };

const uint kThreads = 128u;
const uint kChunk = 16384u;
const uint kMagic = 0x53474F55u;

shared uint sharedCounts[kThreads];  // sure | unsure << 16

void main()
{
    const uint thread = gl_LocalInvocationID.x;
    const uint chunk = gl_WorkGroupID.x;
    const uint count = min(elements - chunk * kChunk, kChunk);
    const uint vectorsHere = (count + kPerVector - 1u) / kPerVector;
    const uint base = chunk * (kChunk / kPerVector);
    uint found = 0u;
    for (uint v = thread; v < vectorsHere; v += kThreads) {
        const uvec4 vector = vectors[base + v];
        const uint lanes = count - v * kPerVector;
        for (uint lane = 0u; lane < kPerVector; ++lane) {
            const uint bits = elementBits(vector, lane);
            if (lane >= lanes || (bits & 0x7FFFFFFFu) >= 0x7F800000u)
                continue;
            const uint key = orderedKey(bits);
            if (key < limits.x || key > limits.w)
                found += 1u;
            else if (key < limits.y || key > limits.z)
                found += 0x10000u;
        }
    }
    sharedCounts[thread] = found;
    barrier();
    for (uint reach = kThreads / 2u; reach > 0u; reach >>= 1) {
        if (thread < reach)
            sharedCounts[thread] += sharedCounts[thread + reach];
        barrier();
    }
    if (thread == 0u)
        records[chunk] = uvec4(count, sharedCounts[0] & 0xFFFFu, sharedCounts[0] >> 16, kMagic);
}
