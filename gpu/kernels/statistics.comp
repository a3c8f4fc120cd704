#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// One record of counts, extremes and power sums for each chunk of 16,384 elements; one workgroup a chunk.
//
// Two sweeps, the second out of the cache: the first counts, finds the extremes and a rough mean; the second
// sums powers of the deviations from that mean, scaled by a power of two so that neither 1e38 nor 1e-30 leaves
// the range of a float in its fourth power. The host turns a record into exact central moments in double.
// A thread sums the elements of one 16-byte load first and adds that to its total: no chain of additions is
// longer than 32, then 7 levels of a fixed tree. No atomics: the same bits whatever the tiling.
#extension GL_GOOGLE_include_directive : require
#include "decode.glsl"

layout(local_size_x = 128) in;

layout(set = 0, binding = 0, std430) readonly buffer Stored { uvec4 vectors[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Records { uvec4 records[]; };  // 4 a chunk: Moments.h
layout(push_constant) uniform Push { uint elements; };

const uint kThreads = 128u;
const uint kChunk = 16384u;
const uint kMagic = 0x53475354u;
const uint kNone = 0xFFFFFFFFu;
const uint kTinyBelow = 27u << 23;  // 2^-100: the host does such chunks, where subnormals would be flushed

shared uvec4 sharedCounts[kThreads];  // nan | inf << 16, zeros | subnormal << 16, first non-finite, unused
shared uvec2 sharedKeys[kThreads];
shared vec4 sharedSums[kThreads];
shared vec2 sharedShift;  // scale, scaled pivot

void main()
{
    const uint thread = gl_LocalInvocationID.x;
    const uint chunk = gl_WorkGroupID.x;
    const uint count = min(elements - chunk * kChunk, kChunk);
    const uint vectorsHere = (count + kPerVector - 1u) / kPerVector;
    const uint base = chunk * (kChunk / kPerVector);

    uint nonFinite = 0u, small = 0u, first = kNone, minKey = kNone, maxKey = 0u;
    float roughSum = 0.0;
    for (uint v = thread; v < vectorsHere; v += kThreads) {
        const uvec4 vector = vectors[base + v];
        const uint lanes = count - v * kPerVector;
        for (uint lane = 0u; lane < kPerVector; ++lane) {  // a constant count, so that drivers unroll it
            if (lane >= lanes)
                continue;
            const uint bits = elementBits(vector, lane);
            const uint magnitude = bits & 0x7FFFFFFFu;
            if (magnitude >= 0x7F800000u) {
                nonFinite += magnitude > 0x7F800000u ? 1u : 0x10000u;
                first = min(first, v * kPerVector + lane);
                continue;
            }
            small += magnitude == 0u ? 1u : (magnitude < kSubnormalBelow ? 0x10000u : 0u);
            const uint key = orderedKey(bits);
            minKey = min(minKey, key);
            maxKey = max(maxKey, key);
            roughSum += uintBitsToFloat(bits) * 9.5367431640625e-7;  // 2^-20: 16,384 of the largest do not overflow
        }
    }
    sharedCounts[thread] = uvec4(nonFinite, small, first, 0u);
    sharedKeys[thread] = uvec2(minKey, maxKey);
    sharedSums[thread] = vec4(roughSum);
    barrier();
    for (uint reach = kThreads / 2u; reach > 0u; reach >>= 1) {
        if (thread < reach) {
            const uvec4 a = sharedCounts[thread], b = sharedCounts[thread + reach];
            sharedCounts[thread] = uvec4(a.x + b.x, a.y + b.y, min(a.z, b.z), 0u);
            const uvec2 k = sharedKeys[thread], l = sharedKeys[thread + reach];
            sharedKeys[thread] = uvec2(min(k.x, l.x), max(k.y, l.y));
            sharedSums[thread].x += sharedSums[thread + reach].x;
        }
        barrier();
    }

    const uint finite = count - (sharedCounts[0].x & 0xFFFFu) - (sharedCounts[0].x >> 16);
    uint exponent = 127u;
    bool tiny = false;
    if (finite != 0u) {
        const uint largest = max(bitsOfKey(sharedKeys[0].x) & 0x7FFFFFFFu, bitsOfKey(sharedKeys[0].y) & 0x7FFFFFFFu);
        tiny = largest != 0u && largest < kTinyBelow;
        if (largest != 0u && !tiny)
            exponent = min(largest >> 23, 253u);
    }
    if (thread == 0u) {
        const float scale = uintBitsToFloat((254u - exponent) << 23);
        // The pivot need not be the mean to the last bit: the sums are taken about the float that is stored.
        const float pivot = finite == 0u || tiny ? 0.0 : sharedSums[0].x * scale * (1048576.0 / float(finite));
        sharedShift = vec2(scale, pivot);
    }
    barrier();

    const float scale = sharedShift.x;
    const float pivot = sharedShift.y;
    vec4 sums = vec4(0.0);
    for (uint v = thread; v < vectorsHere; v += kThreads) {
        const uvec4 vector = vectors[base + v];
        const uint lanes = count - v * kPerVector;
        vec4 few = vec4(0.0);
        for (uint lane = 0u; lane < kPerVector; ++lane) {
            const uint bits = elementBits(vector, lane);
            if (lane >= lanes || (bits & 0x7FFFFFFFu) >= 0x7F800000u)
                continue;
            const float deviation = uintBitsToFloat(bits) * scale - pivot;
            const float square = deviation * deviation;
            few += vec4(deviation, square, square * deviation, square * square);
        }
        sums += few;
    }
    sharedSums[thread] = sums;
    barrier();
    for (uint reach = kThreads / 2u; reach > 0u; reach >>= 1) {
        if (thread < reach)
            sharedSums[thread] += sharedSums[thread + reach];
        barrier();
    }
    if (thread == 0u) {
        const uint at = chunk * 4u;
        records[at] = uvec4(count, sharedCounts[0].x, sharedCounts[0].y, sharedCounts[0].z);
        records[at + 1u] = uvec4(sharedKeys[0].x, sharedKeys[0].y, exponent, floatBitsToUint(pivot));
        records[at + 2u] = floatBitsToUint(sharedSums[0]);
        records[at + 3u] = uvec4(kMagic, chunk, tiny ? 1u : 0u, 0u);
    }
}
