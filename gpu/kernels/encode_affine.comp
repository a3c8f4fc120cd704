#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// Q2_K, Q4_K and Q5_K: a run is scale * code - minimum, both coded in 4 or 6 bits relative to two halves of the
// super-block. As ggml's make_qkx2_quants and, with importances, make_qkx3_quants and make_qp_quants.
#extension GL_GOOGLE_include_directive : require
#include "super_blocks.glsl"

const uint kQ2 = 0u;
const uint kQ5 = 2u;  // Q4_K is 1

const uint kLength = kKind == kQ2 ? 16u : 32u;
const uint kRuns = 256u / kLength;
const uint kPerGroup = 32u / kRuns;
const float kTop = kKind == kQ2 ? 3.0 : kKind == kQ5 ? 31.0 : 15.0;
const float kScaleTop = kKind == kQ2 ? 15.0 : 63.0;
const uint kWords = kKind == kQ2 ? 21u : kKind == kQ5 ? 44u : 36u;
const bool kAbsolute = kKind == kQ2 && !kWeighted;  // losses are not squared

shared uint scaleCodes[64];  // of the scales, then of the minima
shared float commonScale[8];  // of the scales, then of the minima
shared uint halves[8];

struct Fit {
    float scale, minimum;
    float inverse, from;  // the codes found: inverse * (x - from), rounded
};

float codeOf(float value, float inverse, float from)
{
    precise float place = inverse * (value - from);
    if (kWeighted)
        return nearestWithin(place, 0.0, kTop);
    return float(clamp(nearestInt(place), 0, int(kTop)));
}

float lossOf(uint run, float inverse, float codeFrom, float scale, float from)
{
    precise float loss = 0.0;
    for (uint e = 0u; e < kLength; ++e) {
        const float value = x[e * kPitch + run];
        precise float rest = scale * codeOf(value, inverse, codeFrom) + from - value;
        precise float size = kAbsolute ? abs(rest) : rest * rest;
        loss = loss + w[e * kPitch + run] * size;
    }
    return loss;
}

Fit fitAffine(uint run)
{
    float low = x[run];
    float high = low;
    precise float sumW = w[run];
    precise float sumX = sumW * low;
    for (uint e = 1u; e < kLength; ++e) {
        const float value = x[e * kPitch + run];
        const float weight = w[e * kPitch + run];
        low = min(low, value);
        high = max(high, value);
        sumW = sumW + weight;
        sumX = sumX + weight * value;
    }
    float from = min(low, 0.0);
    if (high == from)
        return Fit(0.0, -from, 0.0, 0.0);
    const float first = kWeighted ? -0.9 : kKind == 1u ? -1.0 : -0.5;
    const float delta = kWeighted ? 0.05 : 0.1;
    const int steps = kWeighted ? 36 : kKind == 1u ? 20 : 15;

    precise float range = high - from;
    float inverse = quotient(kTop, range);
    float scale = quotient(1.0, inverse);
    float loss = lossOf(run, inverse, from, scale, from);
    float usedInverse = inverse;
    float usedFrom = from;
    for (int step = 0; step <= steps; ++step) {
        precise float span = high - from;
        precise float levels = first + delta * float(step) + kTop;
        inverse = quotient(levels, span);
        precise float l = 0.0;
        precise float l2 = 0.0;
        precise float xl = 0.0;
        for (uint e = 0u; e < kLength; ++e) {
            const float value = x[e * kPitch + run];
            const float code = codeOf(value, inverse, from);
            precise float weighted = w[e * kPitch + run] * code;
            l = l + weighted;
            l2 = l2 + weighted * code;
            xl = xl + weighted * value;
        }
        precise float determinant = sumW * l2 - l * l;
        if (!(determinant > 0.0))
            continue;
        precise float scaleUp = sumW * xl - sumX * l;
        precise float fromUp = l2 * sumX - l * xl;
        float trialScale = quotient(scaleUp, determinant);
        float trialFrom = quotient(fromUp, determinant);
        if (trialFrom > 0.0) {
            trialFrom = 0.0;
            trialScale = quotient(xl, l2);
        }
        const float trialLoss = lossOf(run, inverse, from, trialScale, trialFrom);
        if (!(trialLoss < loss))
            continue;
        usedInverse = inverse;
        usedFrom = from;
        loss = trialLoss;
        scale = trialScale;
        from = trialFrom;
    }
    return Fit(scale, -from, usedInverse, usedFrom);
}

// The runs' weights into w, their sum returned.
float weigh(uint run, uint super)
{
    if (kWeighted) {
        const float variance = energyOf(kLength, super) * (kKind == kQ2 ? 0.00390625 : 0.0078125);
        return weighByImportance(kLength, run, super, kPerGroup, variance, false);
    }
    largestOf(kLength, run, super);
    precise float energy = 0.0;
    for (uint e = 0u; e < kLength; ++e) {
        const float value = x[e * kPitch + run];
        energy = energy + value * value;
    }
    const float average = kKind == kQ2 ? 0.0 : root(energy * 0.03125);
    for (uint e = 0u; e < kLength; ++e) {
        precise float weight = average + abs(x[e * kPitch + run]);
        w[e * kPitch + run] = weight;
    }
    return 0.0;
}

float valueToCode(uint which, uint j)
{
    return which == 0u ? runScale[j] : runMinimum[j];
}

int nearestUpToTop(float value)
{
    return min(nearestInt(value), int(kScaleTop));
}

// The best of nine inverse scales for scales or minima under the weights of their runs.
float inverseByWeight(uint which, uint super, float largest)
{
    const uint first = super * kRuns;
    float inverse = quotient(kScaleTop, largest);
    float loss = 0.0;
    for (int trial = 0; trial < 9; ++trial) {
        const int place = trial <= 4 ? trial - 5 : trial - 4;
        precise float levels = 0.1 * float(place) + kScaleTop;
        const float tried = trial == 0 ? inverse : quotient(levels, largest);
        const float scale = quotient(1.0, tried);
        precise float sum = 0.0;
        for (uint j = 0u; j < kRuns; ++j) {
            const float value = valueToCode(which, first + j);
            precise float scaled = tried * value;
            const float code = float(trial == 0 ? nearestInt(scaled) & 255 : nearestUpToTop(scaled));
            precise float rest = value - scale * code;
            sum = sum + runTotal[first + j] * rest * rest;
        }
        if (sum != 0.0 && sum < 7.8886090522101181e-31)
            mark(super);
        if (trial == 0 || sum < loss) {
            inverse = tried;
            loss = sum;
        }
    }
    return inverse;
}

// Codes of scales or minima by that; then single codes are changed as long as the fit gains.
void codeByWeight(uint which, uint super)
{
    const uint first = super * kRuns;
    const uint to = which * 32u + first;
    float largest = 0.0;
    for (uint j = 0u; j < kRuns; ++j)
        largest = max(largest, valueToCode(which, first + j));
    commonScale[which * 4u + super] = 0.0;
    for (uint j = 0u; j < kRuns; ++j)
        scaleCodes[to + j] = 0u;
    if (largest < 1e-15)
        return;
    const float inverse = inverseByWeight(which, super, largest);
    precise float lx = 0.0;
    precise float l2 = 0.0;
    for (uint j = 0u; j < kRuns; ++j) {
        const float value = valueToCode(which, first + j);
        precise float scaled = inverse * value;
        const int code = nearestUpToTop(scaled);
        scaleCodes[to + j] = uint(code & 255);
        lx = lx + runTotal[first + j] * value * float(code);
        l2 = l2 + runTotal[first + j] * float(code) * float(code);
    }
    for (int sweep = 0; sweep < 5; ++sweep) {
        bool changed = false;
        for (uint j = 0u; j < kRuns; ++j) {
            const float value = valueToCode(which, first + j);
            const float weight = runTotal[first + j];
            const float code = float(scaleCodes[to + j]);
            precise float lxRest = lx - weight * value * code;
            precise float l2Rest = l2 - weight * code * code;
            if (!(lxRest > 0.0 && l2Rest > 0.0))
                continue;
            precise float up = value * l2Rest;
            const int next = nearestUpToTop(quotient(up, lxRest));
            if (next == int(scaleCodes[to + j]))
                continue;
            precise float lxNext = lxRest + weight * value * float(next);
            precise float l2Next = l2Rest + weight * float(next) * float(next);
            precise float gained = lxNext * lxNext * l2;
            precise float had = lx * lx * l2Next;
            if (isDoubtful(gained, lxNext, l2) || isDoubtful(had, lx, l2Next))
                mark(super);
            if (!(gained > had))
                continue;
            scaleCodes[to + j] = uint(next & 255);
            lx = lxNext;
            l2 = l2Next;
            changed = true;
        }
        if (!changed)
            break;
    }
    if (l2 > 0.0)
        commonScale[which * 4u + super] = quotient(lx, l2);
}

// Codes of the run's own scale and minimum relative to the largest.
void codeByLargest(uint run, uint super)
{
    for (uint which = 0u; which < 2u; ++which) {
        float largest = 0.0;
        for (uint j = 0u; j < kRuns; ++j)
            largest = max(largest, valueToCode(which, super * kRuns + j));
        const float inverse = largest > 0.0 ? quotient(kScaleTop, largest) : 0.0;
        precise float scaled = inverse * valueToCode(which, run);
        scaleCodes[which * 32u + run] = uint(nearestInt(scaled)) & 255u;
        if (run == super * kRuns)
            commonScale[which * 4u + super] = quotient(largest, kScaleTop);
    }
}

// Codes as they fit their bits, and what they make of the run.
void settle(uint run, uint super)
{
    if (kKind == kQ2) {
        const uint both = (scaleCodes[run] | (scaleCodes[32u + run] << 4)) & 255u;
        scaleCodes[run] = both & 15u;
        scaleCodes[32u + run] = both >> 4;
    } else {
        scaleCodes[run] = min(scaleCodes[run], 63u);
        scaleCodes[32u + run] = min(scaleCodes[32u + run], 63u);
    }
    const uint d = storedHalf(commonScale[super], super);
    const uint m = storedHalf(commonScale[4u + super], super);
    if (run == super * kRuns) {
        halves[super] = d;
        halves[4u + super] = m;
    }
    precise float scale = uintBitsToFloat(halfToFloatBits(d)) * float(scaleCodes[run]);
    precise float minimum = uintBitsToFloat(halfToFloatBits(m)) * float(scaleCodes[32u + run]);
    runScale[run] = scale;
    runMinimum[run] = minimum;
}

void codeRun(uint run, Fit fit)
{
    for (uint e = 0u; e < kLength; e += 4u) {
        uint four = 0u;
        for (uint i = 0u; i < 4u; ++i) {
            const float value = x[(e + i) * kPitch + run];
            uint code = 0u;
            if (runScale[run] == 0.0) {
                code = uint(codeOf(value, fit.inverse, fit.from));
            } else {
                precise float above = value + runMinimum[run];
                code = uint(clamp(nearestInt(quotient(above, runScale[run])), 0, int(kTop)));
            }
            four |= code << (8u * i);
        }
        storeCodes(kLength, run, e, four);
    }
}

uint sixBits(uint super, uint word)
{
    uint four = 0u;
    for (uint j = 0u; j < 4u; ++j) {
        const uint at = super * kRuns + j;
        const uint byte = word == 0u ? scaleCodes[at] | ((scaleCodes[at + 4u] >> 4) << 6)
            : word == 1u             ? scaleCodes[32u + at] | ((scaleCodes[36u + at] >> 4) << 6)
                                     : (scaleCodes[at + 4u] & 15u) | ((scaleCodes[36u + at] & 15u) << 4);
        four |= byte << (8u * j);
    }
    return four;
}

uint scaleBytes(uint super, uint word)
{
    uint four = 0u;
    for (uint j = 0u; j < 4u; ++j) {
        const uint at = super * kRuns + 4u * word + j;
        four |= (scaleCodes[at] | (scaleCodes[32u + at] << 4)) << (8u * j);
    }
    return four;
}

uint imageWord(uint super, uint word)
{
    const uint both = (marks[super] != 0u ? kMarked : halves[super]) | (halves[4u + super] << 16);
    if (kKind == kQ2)
        return word < 4u ? scaleBytes(super, word) : word < 20u ? twoBits(super, word - 4u) : both;
    if (word == 0u)
        return both;
    if (word < 4u)
        return sixBits(super, word - 1u);
    if (kKind == kQ5 && word < 12u)
        return oneBit(super, word - 4u, 4u);
    const uint nibble = word - (kKind == kQ5 ? 12u : 4u);
    const uint at = (nibble >> 3) * 16u + (nibble & 7u);
    return (fourCodes(super, at) & 0x0F0F0F0Fu) | ((fourCodes(super, at + 8u) & 0x0F0F0F0Fu) << 4);
}

void main()
{
    const uint run = lane();
    const uint super = run / kRuns;
    load(kLength, kPerGroup);
    runTotal[run] = weigh(run, super);
    const Fit fit = fitAffine(run);
    runScale[run] = fit.scale;
    runMinimum[run] = fit.minimum;
    barrier();
    if (!kWeighted)
        codeByLargest(run, super);
    else if (run - super * kRuns < 2u)
        codeByWeight(run - super * kRuns, super);
    barrier();
    settle(run, super);
    codeRun(run, fit);
    barrier();
    for (uint i = run; i < kPerGroup * kWords; i += 32u) {
        const uint at = gl_WorkGroupID.x * kPerGroup + i / kWords;
        if (at < supers)
            words[at * kWords + i % kWords] = imageWord(i / kWords, i % kWords);
    }
    tellDone(kPerGroup);
}
