#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Sums of e^2, (e s)^2, w^2 and (w s)^2 over 1,024 columns of a row by one workgroup: 8 squares an invocation, then a
// fixed tree of 7 levels. The host adds the parts in double.
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 128) in;

layout(set = 0, binding = 0, std430) readonly buffer Weights { uint weights[]; };
layout(set = 0, binding = 1, std430) buffer Codes { uint codes[]; };  // may be the buffer that holds the sums
layout(set = 0, binding = 2, std430) readonly buffer Scale { float scale[]; };
layout(set = 0, binding = 3, std430) buffer Sums { uint sums[]; };

#include "coded.glsl"

layout(push_constant) uniform Push {
    Matrix m;
    uint scaled;  // 0: there is no scale, the plain sums stand for both
    uint sumsAt;  // in words
    uint doneAt;  // word that counts workgroups
};

shared vec4 sharedSums[128];

void main()
{
    const uint thread = gl_LocalInvocationID.x;
    const uint row = gl_WorkGroupID.y;
    vec4 own = vec4(0.0);
    for (uint i = 0u; i < 8u; ++i) {
        const uint col = gl_WorkGroupID.x * 1024u + i * 128u + thread;
        if (col >= m.cols)
            continue;
        const float w = weight(m, row, col);
        const float e = w - quantized(m, row, col);
        const float s = scaled != 0u ? scale[col] : 1.0;
        const vec4 values = vec4(e, e * s, w, w * s);
        own += values * values;
    }
    sharedSums[thread] = own;
    barrier();
    for (uint reach = 64u; reach > 0u; reach >>= 1) {
        if (thread < reach)
            sharedSums[thread] += sharedSums[thread + reach];
        barrier();
    }
    if (thread == 0u) {
        const uint at = sumsAt + (row * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 4u;
        for (uint i = 0u; i < 4u; ++i)
            sums[at + i] = floatBitsToUint(sharedSums[0][i]);
        atomicAdd(sums[doneAt], 1u);
    }
}
