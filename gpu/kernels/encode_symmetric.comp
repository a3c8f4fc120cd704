#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Q3_K and Q6_K: a run of 16 is scale * code, the scale coded in 6 or 8 bits relative to a half of the super-block. As
// ggml's make_q3_quants (Q3_K without importances) and make_qx_quants.
#extension GL_GOOGLE_include_directive : require
#include "super_blocks.glsl"

const bool kIsQ6 = kKind == 4u;  // Q3_K is 3
const uint kLength = 16u;
const uint kRuns = 16u;
const uint kPerGroup = 2u;
const int kHalf = kIsQ6 ? 32 : 4;
const uint kImageWords = kIsQ6 ? 53u : 28u;  // the last one half used
const uint kPairWords = kIsQ6 ? 105u : 55u;
const bool kDescends = !kIsQ6 && !kWeighted;

// Where the scales of a super-block lie as values to be fitted, behind those of the runs.
const uint kScalesAt = 16u * kPitch;

shared uint scaleCodes[32];
shared float commonScale[2];
shared uint halves[2];
shared uint isNothing[2];

struct Fit {
    float scale;
    float inverse;  // that the codes were found with; 0 where there is nothing but zeros
};

// Where 16 values and their weights lie.
struct Values {
    uint first, pitch;
};

float codeOf(float value, float inverse, int top)
{
    precise float place = inverse * value;
    return nearestWithin(place, float(-top), float(top - 1));
}

// The value of largest magnitude, the first of equal ones.
float extremeOf(Values values)
{
    float extreme = 0.0;
    for (uint e = 0u; e < 16u; ++e) {
        const float value = x[values.first + e * values.pitch];
        if (abs(value) > abs(extreme))
            extreme = value;
    }
    return extreme;
}

Fit fitSymmetric(Values values, int top, uint super)
{
    const float extreme = extremeOf(values);
    if (abs(extreme) < 1e-15)
        return Fit(0.0, 0.0);
    Fit fit = Fit(0.0, quotient(float(-top), extreme));
    float best = 0.0;
    for (int trial = -1; trial < 18; ++trial) {
        const int place = trial < 9 ? trial - 9 : trial - 8;
        precise float levels = -(float(top) + 0.1 * float(place));
        const float inverse = trial < 0 ? fit.inverse : quotient(levels, extreme);
        precise float lx = 0.0;
        precise float l2 = 0.0;
        for (uint e = 0u; e < 16u; ++e) {
            const float value = x[values.first + e * values.pitch];
            const float weight = w[values.first + e * values.pitch];
            const float code = codeOf(value, inverse, top);
            precise float product = weight * value;
            lx = lx + product * code;
            l2 = l2 + weight * code * code;
        }
        if (trial < 0) {
            if (l2 != 0.0)
                fit.scale = quotient(lx, l2);
            precise float gain = fit.scale * lx;
            best = gain;
            continue;
        }
        precise float squared = lx * lx;
        precise float needed = best * l2;
        if (isDoubtful(squared, lx, lx) || isDoubtful(needed, best, l2))
            mark(super);
        if (!(l2 > 0.0 && squared > needed))
            continue;
        fit.scale = quotient(lx, l2);
        precise float gain = fit.scale * lx;
        best = gain;
        fit.inverse = inverse;
    }
    return fit;
}

// Codes changed one by one as long as the fit gains, at most five times over; they lie in w afterwards.
Fit fitByDescent(uint run, uint super)
{
    const float extreme = extremeOf(Values(run, kPitch));
    const bool isEmpty = abs(extreme) < 1e-15;
    const float inverse = isEmpty ? 0.0 : quotient(float(-kHalf), extreme);
    precise float lx = 0.0;
    precise float l2 = 0.0;
    for (uint e = 0u; e < 16u; ++e) {
        const float value = x[e * kPitch + run];
        const float code = codeOf(value, inverse, kHalf);
        w[e * kPitch + run] = code;
        precise float weight = value * value;
        lx = lx + weight * value * code;
        l2 = l2 + weight * code * code;
    }
    for (int sweep = 0; sweep < 5 && !isEmpty; ++sweep) {
        bool changed = false;
        for (uint e = 0u; e < 16u; ++e) {
            const float value = x[e * kPitch + run];
            const float code = w[e * kPitch + run];
            precise float weight = value * value;
            precise float product = weight * value;
            precise float lxRest = lx - product * code;
            if (!(lxRest > 0.0))
                continue;
            precise float l2Rest = l2 - weight * code * code;
            precise float up = value * l2Rest;
            const float next = float(clamp(nearestInt(quotient(up, lxRest)), -kHalf, kHalf - 1));
            if (next == code)
                continue;
            precise float lxNext = lxRest + product * next;
            precise float l2Next = l2Rest + weight * next * next;
            precise float gained = lxNext * lxNext * l2;
            precise float had = lx * lx * l2Next;
            if (isDoubtful(gained, lxNext, l2) || isDoubtful(had, lx, l2Next))
                mark(super);
            if (!(l2Next > 0.0 && gained > had))
                continue;
            w[e * kPitch + run] = next;
            lx = lxNext;
            l2 = l2Next;
            changed = true;
        }
        if (!changed)
            break;
    }
    for (uint e = 0u; e < 16u; ++e)
        w[e * kPitch + run] = isEmpty ? 0.0 : w[e * kPitch + run] + float(kHalf);
    const float scale = !isEmpty && l2 > 0.0 ? quotient(lx, l2) : 0.0;
    return Fit(scale, scale);
}

Fit searchRun(uint run, uint super)
{
    if (kWeighted) {
        const float variance = kIsQ6 ? 0.0 : energyOf(kLength, super) * 0.0078125;
        runTotal[run] = weighByImportance(kLength, run, super, kPerGroup, variance, kIsQ6);
    } else {
        largestOf(kLength, run, super);
        if (kDescends)
            return fitByDescent(run, super);
        for (uint e = 0u; e < kLength; ++e) {
            precise float weight = x[e * kPitch + run] * x[e * kPitch + run];
            w[e * kPitch + run] = weight;
        }
    }
    return fitSymmetric(Values(run, kPitch), kHalf, super);
}

// Six-bit codes of the scales by the weights of the runs.
void codeByWeight(uint super)
{
    const uint at = kScalesAt + super * 16u;
    for (uint j = 0u; j < kRuns; ++j) {
        x[at + j] = runScale[super * kRuns + j];
        w[at + j] = runTotal[super * kRuns + j];
    }
    const Fit fit = fitSymmetric(Values(at, 1u), 32, super);
    commonScale[super] = fit.scale;
    const bool isEmpty = abs(extremeOf(Values(at, 1u))) < 1e-15;
    for (uint j = 0u; j < kRuns; ++j) {
        precise float place = fit.inverse * x[at + j];
        scaleCodes[super * kRuns + j] = isEmpty ? 0u : uint(clamp(nearestInt(place), -32, 31) + 32);
    }
}

// Codes of the run's scale relative to the scale of largest magnitude: six bits, or eight of Q6_K.
void codeByExtreme(uint run, uint super)
{
    float extreme = 0.0;
    for (uint j = 0u; j < kRuns; ++j)
        if (abs(runScale[super * kRuns + j]) > abs(extreme))
            extreme = runScale[super * kRuns + j];
    const bool nothing = kIsQ6 ? abs(extreme) < 1e-15 : extreme == 0.0;
    uint code = 0u;
    float step = 0.0;
    if (!nothing) {
        const float inverse = quotient(kIsQ6 ? -128.0 : -32.0, extreme);
        step = quotient(1.0, inverse);
        precise float place = inverse * runScale[run];
        const int nearest = nearestInt(place);
        code = kIsQ6 ? uint(min(nearest, 127)) & 255u : uint(clamp((nearest << 24) >> 24, -32, 31) + 32);
    }
    scaleCodes[run] = code;
    if (run == super * kRuns) {
        commonScale[super] = step;
        isNothing[super] = nothing ? 1u : 0u;
    }
}

// What the codes make of the run's scale.
void settle(uint run, uint super)
{
    const uint d = storedHalf(commonScale[super], super);
    if (run == super * kRuns)
        halves[super] = d;
    const int code = kIsQ6 ? int(scaleCodes[run] << 24) >> 24 : int(scaleCodes[run]) - 32;
    precise float scale = uintBitsToFloat(halfToFloatBits(d)) * float(code);
    runScale[run] = scale;
}

void codeRun(uint run, float inverse)
{
    const float scale = runScale[run];
    for (uint e = 0u; e < kLength; e += 4u) {
        uint four = 0u;
        for (uint i = 0u; i < 4u; ++i) {
            const float value = x[(e + i) * kPitch + run];
            int code = 0;
            if (scale != 0.0) {
                code = clamp(nearestInt(quotient(value, scale)), -kHalf, kHalf - 1) + kHalf;
            } else if (kDescends) {
                code = int(w[(e + i) * kPitch + run]);
            } else if (inverse != 0.0) {
                precise float place = inverse * value;
                code = clamp(nearestInt(place), -kHalf, kHalf - 1) + kHalf;
            }
            four |= uint(code) << (8u * i);
        }
        storeCodes(kLength, run, e, four);
    }
}

uint byteWord(uint first)
{
    return scaleCodes[first] | (scaleCodes[first + 1u] << 8) | (scaleCodes[first + 2u] << 16)
        | (scaleCodes[first + 3u] << 24);
}

uint imageOfQ6(uint super, uint word)
{
    if (word < 32u) {
        const uint at = (word >> 4) * 32u + (word & 15u);
        return (fourCodes(super, at) & 0x0F0F0F0Fu) | ((fourCodes(super, at + 16u) & 0x0F0F0F0Fu) << 4);
    }
    if (word < 48u) {
        const uint at = ((word - 32u) >> 3) * 32u + (word & 7u);
        uint four = 0u;
        for (uint j = 0u; j < 4u; ++j)
            four |= ((fourCodes(super, at + 8u * j) >> 4) & 0x03030303u) << (2u * j);
        return four;
    }
    return byteWord(super * kRuns + 4u * (word - 48u));
}

uint imageOfQ3(uint super, uint word)
{
    if (word < 8u)
        return oneBit(super, word, 2u);
    if (word < 24u)
        return twoBits(super, word - 8u);
    uint four = 0u;
    for (uint i = 0u; i < 4u; ++i) {
        const uint at = super * kRuns + i;
        const uint pair = at + 4u * (word - 24u);
        const uint byte = word < 26u
            ? (scaleCodes[pair] & 15u) | ((scaleCodes[pair + 8u] & 15u) << 4)
            : (scaleCodes[at] >> 4) | ((scaleCodes[at + 4u] >> 4) << 2) | ((scaleCodes[at + 8u] >> 4) << 4)
                | ((scaleCodes[at + 12u] >> 4) << 6);
        four |= byte << (8u * i);
    }
    return four;
}

uint imageWord(uint super, uint word)
{
    if (word == kImageWords - 1u)
        return marks[super] != 0u ? kMarked : halves[super];
    if (kIsQ6)
        return isNothing[super] != 0u ? 0u : imageOfQ6(super, word);
    return imageOfQ3(super, word);
}

// The second super-block of a pair begins in the middle of a word.
uint pairWord(uint word)
{
    if (word + 1u < kImageWords)
        return imageWord(0u, word);
    const uint second = word + 1u - kImageWords;
    const uint below = second == 0u ? imageWord(0u, word) & 0xFFFFu : imageWord(1u, second - 1u) >> 16;
    return below | (imageWord(1u, second) << 16);
}

void main()
{
    const uint run = lane();
    const uint super = run / kRuns;
    load(kLength, kPerGroup);
    const Fit fit = searchRun(run, super);
    runScale[run] = fit.scale;
    barrier();
    if (kIsQ6 || !kWeighted)
        codeByExtreme(run, super);
    else if (run == super * kRuns)
        codeByWeight(super);
    barrier();
    settle(run, super);
    codeRun(run, fit.inverse);
    barrier();
    for (uint i = run; i < kPairWords; i += 32u)
        words[gl_WorkGroupID.x * kPairWords + i] = pairWord(i);
    tellDone(kPerGroup);
}
