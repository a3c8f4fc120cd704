#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Scale and zero point of INT groups: 8 groups a workgroup, 8 invocations a group, or a workgroup a group of a whole
// row. The scale is (largest magnitude) / qmax or (high - low) / topCode, rounded to float and then to half, all by
// integers: the bits of groupParameters() in core/compute/ops/GroupEncode.cpp.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "half.glsl"
#include "rounding.glsl"

layout(local_size_x = 64) in;

layout(constant_id = 0) const uint kTeam = 8u;  // invocations a group: 8 or 64

layout(set = 0, binding = 0, std430) readonly buffer Weights { uint weights[]; };  // rows without gaps
layout(set = 0, binding = 1, std430) buffer Rows { uint words[]; };  // header of 4 words, then coded rows
layout(push_constant) uniform Push {
    uint cols;
    uint group;
    uint groups;  // of a row
    uint bits;
    uint asymmetric;
    uint rowWords;  // of a coded row
    uint zerosAt;  // words
};

shared uint sharedLow[64];  // magnitude of the most negative value
shared uint sharedHigh[64];

// high + low (both magnitudes, normal or 0, 24 bits of mantissa) over `divisor`, rounded to float; false where the
// sum has more bits than the words here hold.
bool dividedSum(uint high, uint low, uint divisor, out uint quotient)
{
    quotient = 0u;
    const uint large = max(high, low);
    const uint small = min(high, low);
    if (large == 0u)
        return true;
    const uint apart = (large >> 23) - (small >> 23);
    if (small != 0u && apart > 24u)
        return false;
    // The sum times 2^24 in two words: at most 2^49, exact.
    uint upper = (large & 0x7FFFFFu) | 0x800000u;  // large = upper * 2^24
    uint lower = 0u;
    if (small != 0u) {
        const uint mantissa = (small & 0x7FFFFFu) | 0x800000u;
        const uint rest = apart == 0u ? 0u : (mantissa << (24u - apart)) & 0xFFFFFFu;
        upper += mantissa >> apart;
        lower = rest;
    }
    // Long division in base 2^24 with one more digit for the rounding: 3 digits of 24 bits by at most 255.
    const uint q0 = upper / divisor;
    uint rest = upper - q0 * divisor;
    // 24 bits at a time would overflow with a rest below 2^8: 32 bits hold exactly 24 + 8.
    uint part = (rest << 24) | lower;
    const uint q1 = part / divisor;
    rest = part - q1 * divisor;
    part = rest << 24;
    const uint q2 = part / divisor;
    const bool sticky = part != q2 * divisor;
    // The quotient q0 : q1 : q2, 24 bits each, of which the first that is set is at most bit 25 of q0.
    uint top = q0;
    uint below = q1;
    uint tail = q2;
    int exponent = int(large >> 23);
    if (top == 0u) {  // cannot be: upper >= 2^23 > divisor
        return false;
    }
    const int width = findMSB(top);  // bits in top less one
    uint mantissa;
    uint cut;  // the bits below the mantissa: half and rest
    bool inexact;
    if (width >= 24) {  // one or two bits too many
        const uint drop = uint(width - 23);
        mantissa = top >> drop;
        cut = (top >> (drop - 1u)) & 1u;
        inexact = (top & ((1u << (drop - 1u)) - 1u)) != 0u || below != 0u || tail != 0u || sticky;
    } else {
        const uint need = uint(23 - width);  // bits from below: 0..23
        mantissa = need == 0u ? top : (top << need) | (below >> (24u - need));
        const uint left = need == 0u ? below : (below << need) & 0xFFFFFFu;
        cut = left >> 23;
        inexact = (left & 0x7FFFFFu) != 0u || tail != 0u || sticky;
    }
    exponent += width - 23;
    if (cut != 0u && (inexact || (mantissa & 1u) != 0u))
        ++mantissa;
    quotient = (uint(exponent) << 23) + (mantissa - 0x800000u);
    return true;
}

void store(uint row, uint g, uint low, uint high)
{
    if (low >= kInfinity || high >= kInfinity) {
        atomicOr(words[0], kMetTrouble);
        return;
    }
    const uint largest = max(low, high);
    const uint top = asymmetric != 0u ? (1u << bits) - 1u : (1u << bits) - 2u;
    const uint base = 4u + row * rowWords;
    uint scale = 0u;
    if (largest != 0u) {
        uint quotient;
        const bool tiny = largest < kTinyBelow || (low != 0u && low < kTinyBelow) || (high != 0u && high < kTinyBelow);
        const bool exact = asymmetric != 0u ? dividedSum(high, low, top, quotient)
                                            : dividedSum(largest, 0u, top / 2u, quotient);
        if (tiny || !exact) {
            atomicOr(words[0], kMetTiny);
            return;
        }
        scale = max(floatBitsToHalf(quotient), 1u);
        if ((scale & 0x7C00u) == 0x7C00u) {
            atomicOr(words[0], kMetTrouble);
            return;
        }
    }
    atomicOr(words[base + g / 2u], scale << ((g & 1u) * 16u));
    if (asymmetric == 0u || scale == 0u)
        return;
    const uint zero = uint(clamp(nearestCode(uintBitsToFloat(low), uintBitsToFloat(halfToFloatBits(scale)), 511.0), 0,
                                 int(top)));
    const uint bit = g * bits;
    const uint at = base + zerosAt + (bit >> 5);
    const uint shift = bit & 31u;
    atomicOr(words[at], zero << shift);
    if (shift + bits > 32u)
        atomicOr(words[at + 1u], zero >> (32u - shift));
}

void main()
{
    const uint thread = gl_LocalInvocationID.x;
    const uint row = gl_WorkGroupID.y;
    const uint team = thread / kTeam;
    const uint member = thread % kTeam;
    const uint g = gl_WorkGroupID.x * (64u / kTeam) + team;
    uint low = 0u;
    uint high = 0u;
    const uint end = min((g + 1u) * group, cols);
    if (g < groups) {
        for (uint col = g * group + member; col < end; col += kTeam) {
            const uint value = weights[row * cols + col];
            if ((value & 0x80000000u) != 0u)
                low = max(low, value & 0x7FFFFFFFu);
            else
                high = max(high, value);
        }
    }
    sharedLow[thread] = low;
    sharedHigh[thread] = high;
    barrier();
    for (uint reach = kTeam / 2u; reach > 0u; reach >>= 1) {
        if (member < reach) {
            sharedLow[thread] = max(sharedLow[thread], sharedLow[thread + reach]);
            sharedHigh[thread] = max(sharedHigh[thread], sharedHigh[thread + reach]);
        }
        barrier();
    }
    if (member == 0u && g < groups)
        store(row, g, sharedLow[thread], sharedHigh[thread]);
    barrier();
    if (thread == 0u)
        atomicAdd(words[1], 1u);
}
