// SPDX-License-Identifier: GPL-3.0-or-later
// What the encoders of super-blocks of 256 weights have in common: a run of 16 or 32 weights an invocation, searched as
// ggml does, in the order and with the roundings of the CPU's core/compute/kernels. 2 or 4 super-blocks a workgroup.
//
// The CPU's result depends on subnormals and infinities only where weights or importances are out of all proportion. A
// super-block that may get there, or whose scale is no half, is marked by a NaN for its scale: the host does it.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "half.glsl"

layout(local_size_x = 32) in;

layout(constant_id = 0) const uint kWhat = 0u;  // SuperKind in SuperEncodeOp.cpp, times 2, and 1 with importances

layout(set = 0, binding = 0, std430) readonly buffer Weights { uint weights[]; };
layout(set = 0, binding = 1, std430) buffer Blocks { uvec4 header; uint words[]; };
layout(set = 0, binding = 2, std430) readonly buffer Importance { float importance[]; };
layout(push_constant) uniform Push { uint supers; uint firstPlace; uint perRow; };

const uint kKind = kWhat >> 1;
const bool kWeighted = (kWhat & 1u) != 0u;

const uint kMarked = 0x7E00u;
const uint kPitch = 33u;  // of a row of one element of all runs: no two of a run in one bank

// Magnitudes that a run's largest may have, and what any other weight is at least, unless they are 0.
const uint kLargestBelow = 139u << 23;  // 2^12
const uint kLargestFrom = 107u << 23;  // 2^-20
const uint kFaint = 47u << 23;  // 2^-80
// Importances, unless 0.
const uint kImportanceFrom = 57u << 23;  // 2^-70
const uint kImportanceBelow = 167u << 23;  // 2^40

shared float x[32u * kPitch];  // [element][run]
shared float w[32u * kPitch];
shared float runScale[32];
shared float runMinimum[32];
shared float runTotal[32];
shared uint codes[256];  // four codes a word, in the order of the weights
shared uint marks[4];

uint lane()
{
    return gl_LocalInvocationID.x;
}

void mark(uint super)
{
    atomicOr(marks[super], 1u);
}

// True for a product of factors that are not 0, if it is too near to what a device flushes or a float cannot hold.
bool isDoubtful(float product, float a, float b)
{
    return a != 0.0 && b != 0.0 && !(abs(product) >= 7.8886090522101181e-31 && abs(product) <= 1.2676506002282294e30);
}

// The integer nearest to |x| <= 2^22; ggml's result, whatever it is, of all other floats.
int nearestInt(float value)
{
    precise float shifted = value + 12582912.0;
    return int(floatBitsToUint(shifted) & 0x007FFFFFu) - 0x00400000;
}

// x <= 2^22 between low and high, to the nearest integer.
float nearestWithin(float value, float low, float high)
{
    precise float shifted = min(max(value, low), high) + 12582912.0;
    precise float nearest = shifted - 12582912.0;
    return nearest;
}

// Weights of the workgroup's super-blocks into x; zeros past the last.
void load(uint length, uint perGroup)
{
    const uint first = gl_WorkGroupID.x * perGroup * 256u;
    if (lane() < 4u)
        marks[lane()] = 0u;
    barrier();
    for (uint i = lane(); i < perGroup * 256u; i += 32u) {
        const bool inside = first + i < supers * 256u;
        const uint bits = inside ? weights[first + i] : 0u;
        const uint magnitude = bits & 0x7FFFFFFFu;
        if (magnitude != 0u && (magnitude < kFaint || magnitude >= kLargestBelow))
            mark(i >> 8);
        x[(i % length) * kPitch + i / length] = uintBitsToFloat(bits);
    }
    barrier();
}

// The largest magnitude of a run.
float largestOf(uint length, uint run, uint super)
{
    uint largest = 0u;
    for (uint e = 0u; e < length; ++e)
        largest = max(largest, floatBitsToUint(x[e * kPitch + run]) & 0x7FFFFFFFu);
    if (largest != 0u && largest < kLargestFrom)
        mark(super);
    return uintBitsToFloat(largest);
}

// Sum of squares in the order of the weights.
float energyOf(uint length, uint super)
{
    precise float energy = 0.0;
    for (uint i = 0u; i < 256u; ++i) {
        const float value = x[(i % length) * kPitch + super * (256u / length) + i / length];
        energy = energy + value * value;
    }
    return energy;
}

// importance * sqrt(variance + x^2) into w, or the importance alone; their sum is returned.
float weighByImportance(uint length, uint run, uint super, uint perGroup, float variance, bool alone)
{
    const uint place = (firstPlace + gl_WorkGroupID.x * perGroup + super) % perRow;
    const uint from = place * 256u + run * length % 256u;
    const float largest = largestOf(length, run, super);
    precise float total = 0.0;
    for (uint e = 0u; e < length; ++e) {
        const float given = importance[from + e];
        const uint bits = floatBitsToUint(given);
        if (bits != 0u && (bits < kImportanceFrom || bits >= kImportanceBelow))
            mark(super);
        const float value = x[e * kPitch + run];
        precise float square = variance + value * value;
        precise float weight = given;
        if (!alone)
            weight = given * root(square);
        // What is left of such a weight times a square near rounding must not vanish: 2^-75.
        if (weight != 0.0 && weight * largest * largest < 2.6469779601696886e-23 && largest != 0.0)
            mark(super);
        w[e * kPitch + run] = weight;
        total = total + weight;
    }
    return total;
}

// A scale as it is stored; marks those beyond half.
uint storedHalf(float scale, uint super)
{
    const uint code = floatBitsToHalf(floatBitsToUint(scale));
    if ((code & 0x7C00u) == 0x7C00u)
        mark(super);
    return code;
}

// Four codes of each word, a byte apart.
uint fourCodes(uint super, uint at)
{
    return codes[super * 64u + at];
}

void storeCodes(uint length, uint run, uint e, uint four)
{
    codes[(run * length + e) >> 2] = four;
}

// Two-bit codes, elements 32 apart in a byte: word 0…15.
uint twoBits(uint super, uint word)
{
    const uint at = (word >> 3) * 32u + (word & 7u);
    return (fourCodes(super, at) & 0x03030303u) | ((fourCodes(super, at + 8u) & 0x03030303u) << 2)
        | ((fourCodes(super, at + 16u) & 0x03030303u) << 4) | ((fourCodes(super, at + 24u) & 0x03030303u) << 6);
}

// One bit of each code, elements 32 apart in a byte: word 0…7.
uint oneBit(uint super, uint word, uint shift)
{
    uint bits = 0u;
    for (uint j = 0u; j < 8u; ++j)
        bits |= ((fourCodes(super, 8u * j + word) >> shift) & 0x01010101u) << j;
    return bits;
}

// Says what was done and whether the host has work left; once a workgroup, after all marks.
void tellDone(uint perGroup)
{
    if (lane() != 0u)
        return;
    const uint first = gl_WorkGroupID.x * perGroup;
    const uint done = min(perGroup, supers - first);
    for (uint super = 0u; super < done; ++super)
        if (marks[super] != 0u)
            atomicOr(header.x, kMetTiny);
    atomicAdd(header.y, done);
}
