#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// The range of each INT group that leaves least under the metric: one invocation a group, which walks the ladder of
// bestReach() in core/compute/ops/ClipReach.cpp. Losses are relative to the group's largest value, so that no square
// leaves the range of float; parts of 32 squares are summed on their own.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "half.glsl"

layout(local_size_x = 64) in;

layout(set = 0, binding = 0, std430) readonly buffer Weights { float weights[]; };  // rows without gaps
layout(set = 0, binding = 1, std430) buffer Reaches { uint words[]; };  // header of 4 words, then one a group
layout(set = 0, binding = 2, std430) readonly buffer Scale { float scale[]; };
layout(push_constant) uniform Push {
    uint cols;
    uint group;
    uint groups;  // of a row
    uint all;  // groups of the slice
    uint bits;
    uint asymmetric;
    uint scaled;
};

const int kParts = 160;
const float kNever = 3.0e38;

struct Range {
    uint begin, end;  // in weights
    uint column;  // of begin
    float low, high;  // <= 0, >= 0
};

float lossOf(Range range, int reach)
{
    const float top = float((1u << bits) - (asymmetric != 0u ? 1u : 2u));
    const float part = float(reach) / float(kParts);
    const float wide = asymmetric != 0u ? (range.high - range.low) / top : max(range.high, -range.low) / (0.5 * top);
    const uint code = max(floatBitsToHalf(floatBitsToUint(wide * part)), 1u);
    if ((code & 0x7C00u) == 0x7C00u)
        return kNever;
    const float unit = uintBitsToFloat(halfToFloatBits(code));
    const float zero
        = asymmetric != 0u ? clamp(roundEven(-range.low * part / unit), 0.0, top) : 0.5 * top;
    const float inverse = 1.0 / unit;
    const float relative = 1.0 / max(range.high, -range.low);
    float sum = 0.0;
    for (uint begin = range.begin; begin < range.end; begin += 32u) {
        const uint end = min(begin + 32u, range.end);
        float few = 0.0;
        for (uint i = begin; i < end; ++i) {
            const float w = weights[i];
            const float steps = clamp(roundEven(w * inverse) + zero, 0.0, top) - zero;
            const float lost = (w - steps * unit) * relative;
            const float s = scaled != 0u ? scale[range.column + i - range.begin] : 1.0;
            few += lost * s * lost * s;
        }
        sum += few;
    }
    return sum;
}

int bestReach(Range range)
{
    int best = kParts;
    float least = lossOf(range, best);
    if (least == 0.0)
        return best;
    for (int reach = kParts - 8; reach >= 48; reach -= 8) {
        const float loss = lossOf(range, reach);
        if (loss < least) {
            least = loss;
            best = reach;
        }
        if (loss > 8.0 * least)
            break;
    }
    for (int step = 4; step > 0; step /= 2) {
        const int centre = best;
        for (int side = -1; side <= 1; side += 2) {
            const int reach = centre + side * step;
            if (reach >= kParts)
                continue;
            const float loss = lossOf(range, reach);
            if (loss < least) {
                least = loss;
                best = reach;
            }
        }
    }
    return best;
}

void main()
{
    const uint index = gl_GlobalInvocationID.x;
    if (index < all) {
        const uint row = index / groups;
        const uint g = index % groups;
        Range range;
        range.column = g * group;
        range.begin = row * cols + range.column;
        range.end = row * cols + min(range.column + group, cols);
        range.low = 0.0;
        range.high = 0.0;
        for (uint i = range.begin; i < range.end; ++i) {
            range.low = min(range.low, weights[i]);
            range.high = max(range.high, weights[i]);
        }
        // Groups of zeros have nothing to choose; tiny ones are the host's, as in group_scales.comp.
        const float largest = max(range.high, -range.low);
        if (largest != 0.0 && floatBitsToUint(largest) < kTinyBelow)
            atomicOr(words[1], kMetTiny);
        words[4u + index] = largest == 0.0 ? uint(kParts) : uint(bestReach(range));
    }
    barrier();
    if (gl_LocalInvocationID.x == 0u)
        atomicAdd(words[0], 1u);
}
