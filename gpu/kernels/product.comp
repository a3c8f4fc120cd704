#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// P E^T (columns) or P E (rows) for a thin panel P of row vectors; E = W - Q formed while it is loaded.
//
// A workgroup does 64 rows (or columns) of E times 32 vectors; an invocation 4 x 4 of these. The sum runs over parts
// of 32 products in float; the parts are joined with the rounding error of every addition kept (Knuth's two-sum), so
// the error does not grow with the length. Over rows the sums go on from what earlier slices left in `results`:
// slices begin at multiples of 32 rows, so how a matrix is sliced changes no bit.
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 128) in;

layout(constant_id = 1) const uint kOverRows = 0u;

layout(set = 0, binding = 0, std430) readonly buffer Weights { uint weights[]; };
layout(set = 0, binding = 1, std430) readonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 2, std430) readonly buffer Panel { float panel[]; };
layout(set = 0, binding = 3, std430) buffer Results { vec2 results[]; };  // sum and what rounding left of it
layout(set = 0, binding = 4, std430) buffer Done { uint done; };  // workgroups that came to their end

#include "coded.glsl"

layout(push_constant) uniform Push {
    Matrix m;
    uint firstRow;  // of the slice in the operand's buffer
    uint rows;  // of the slice
    uint vectors;
    uint panelStride;  // floats from vector to vector
    uint panelFirst;  // of a vector: where the slice's first row is met (over rows)
    uint resultBase, resultStride;
    uint goOn;  // not the first slice: add to what is there
};

const uint kSide = 64u;
const uint kVectors = 32u;
const uint kDepth = 32u;

shared float tileE[kDepth][kSide + 1u];
shared float tileP[kDepth][kVectors + 1u];

void load(uint side, uint sides, uint depth, uint depths, uint vector, uint thread)
{
    for (uint i = thread; i < kSide * kDepth; i += 128u) {
        const uint s = kOverRows != 0u ? i % kSide : i / kDepth;
        const uint d = kOverRows != 0u ? i / kSide : i % kDepth;
        const bool inside = side + s < sides && depth + d < depths;
        const uint row = firstRow + (kOverRows != 0u ? depth + d : side + s);
        const uint col = kOverRows != 0u ? side + s : depth + d;
        tileE[d][s] = inside ? residual(m, row, col) : 0.0;
    }
    for (uint i = thread; i < kVectors * kDepth; i += 128u) {
        const uint d = i % kDepth;
        const uint v = i / kDepth;
        const bool inside = vector + v < vectors && depth + d < depths;
        tileP[d][v] = inside ? panel[(vector + v) * panelStride + panelFirst + depth + d] : 0.0;
    }
}

vec2 joined(vec2 sum, float part)
{
    precise float high = sum.x + part;
    precise float back = high - sum.x;
    precise float lost = (sum.x - (high - back)) + (part - back);
    precise float low = sum.y + lost;
    return vec2(high, low);
}

void main()
{
    const uint thread = gl_LocalInvocationID.x;
    const uint side = gl_WorkGroupID.x * kSide;
    const uint vector = gl_WorkGroupID.y * kVectors;
    const uint sides = kOverRows != 0u ? m.cols : rows;
    const uint depths = kOverRows != 0u ? rows : m.cols;
    const uint ownSide = thread & 15u;
    const uint ownVector = thread >> 4;

    vec2 sums[4][4];
    for (uint i = 0u; i < 4u; ++i)
        for (uint j = 0u; j < 4u; ++j) {
            const uint s = side + ownSide + 16u * j;
            const uint v = vector + ownVector + 8u * i;
            const bool inside = goOn != 0u && s < sides && v < vectors;
            sums[i][j] = inside ? results[resultBase + v * resultStride + s] : vec2(0.0);
        }
    for (uint depth = 0u; depth < depths; depth += kDepth) {
        load(side, sides, depth, depths, vector, thread);
        barrier();
        float part[4][4];
        for (uint i = 0u; i < 4u; ++i)
            for (uint j = 0u; j < 4u; ++j)
                part[i][j] = 0.0;
        for (uint d = 0u; d < kDepth; ++d) {
            float e[4];
            for (uint j = 0u; j < 4u; ++j)
                e[j] = tileE[d][ownSide + 16u * j];
            for (uint i = 0u; i < 4u; ++i) {
                const float p = tileP[d][ownVector + 8u * i];
                for (uint j = 0u; j < 4u; ++j)
                    part[i][j] += p * e[j];
            }
        }
        for (uint i = 0u; i < 4u; ++i)
            for (uint j = 0u; j < 4u; ++j)
                sums[i][j] = joined(sums[i][j], part[i][j]);
        barrier();
    }
    for (uint i = 0u; i < 4u; ++i)
        for (uint j = 0u; j < 4u; ++j) {
            const uint s = side + ownSide + 16u * j;
            const uint v = vector + ownVector + 8u * i;
            if (s < sides && v < vectors)
                results[resultBase + v * resultStride + s] = sums[i][j];
        }
    barrier();
    if (thread == 0u)
        atomicAdd(done, 1u);
}
