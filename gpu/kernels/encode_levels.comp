#version 450
// SPDX-License-Identifier: GPL-3.0-or-later
// IQ4_XS: sixteen uneven levels times the scale of a run of 32, coded in 6 bits relative to a half of the super-block.
// As ggml's quantize_row_iq4_nl_impl.
#extension GL_GOOGLE_include_directive : require
#include "super_blocks.glsl"

const uint kLength = 32u;
const uint kRuns = 8u;
const uint kPerGroup = 4u;
const uint kWords = 34u;

const float kLevels[16] = float[](-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0,
                                  69.0, 89.0, 113.0);
// The middle between a level and the next.
const float kMiddles[15] = float[](-115.5, -93.5, -74.0, -57.0, -42.0, -28.5, -16.0, -4.5, 7.0, 19.0, 31.5, 45.5, 61.0,
                                   79.0, 101.0);

shared float level[16];
shared float middle[16];
shared uint scaleCodes[32];
shared float steps[4];

uint nearestLevel(float value)
{
    uint index = value >= -4.5 ? 8u : 0u;
    index += value >= middle[index + 3u] ? 4u : 0u;
    index += value >= middle[index + 1u] ? 2u : 0u;
    index += value >= middle[index] ? 1u : 0u;
    return index;
}

uint codeOf(float value, float inverse)
{
    precise float place = inverse * value;
    return nearestLevel(place);
}

// The best of sixteen scales, each refitted to the codes it gives.
float searchedScale(uint run, uint super)
{
    float extreme = 0.0;
    for (uint e = 0u; e < kLength; ++e)
        if (abs(x[e * kPitch + run]) > abs(extreme))
            extreme = x[e * kPitch + run];
    if (abs(extreme) < 1e-15)
        return 0.0;
    float scale = 0.0;
    float best = 0.0;
    for (int offset = -8; offset <= 7; ++offset) {
        const float inverse
            = offset == -8 ? quotient(1.0, quotient(extreme, 127.0)) : quotient(float(offset - 127), extreme);
        precise float crossed = 0.0;
        precise float square = 0.0;
        for (uint e = 0u; e < kLength; ++e) {
            const float value = x[e * kPitch + run];
            const float at = level[codeOf(value, inverse)];
            precise float weighted = w[e * kPitch + run] * at;
            crossed = crossed + weighted * value;
            square = square + weighted * at;
        }
        if (offset == -8) {
            if (square == 0.0) {
                mark(super);  // no weight is above 0
                return 0.0;
            }
            scale = quotient(crossed, square);
            precise float gain = scale * crossed;
            best = gain;
            continue;
        }
        precise float squared = crossed * crossed;
        precise float needed = best * square;
        if (isDoubtful(squared, crossed, crossed) || isDoubtful(needed, best, square))
            mark(super);
        if (!(square > 0.0 && squared > needed))
            continue;
        scale = quotient(crossed, square);
        precise float gain = scale * crossed;
        best = gain;
    }
    return scale;
}

void weigh(uint run, uint super)
{
    if (kWeighted) {
        weighByImportance(kLength, run, super, kPerGroup, energyOf(kLength, super) * 0.0078125, false);
        return;
    }
    largestOf(kLength, run, super);
    for (uint e = 0u; e < kLength; ++e) {
        precise float weight = x[e * kPitch + run] * x[e * kPitch + run];
        w[e * kPitch + run] = weight;
    }
}

void codeRun(uint run, uint super)
{
    float extreme = 0.0;
    for (uint j = 0u; j < kRuns; ++j)
        if (abs(runScale[super * kRuns + j]) > abs(extreme))
            extreme = runScale[super * kRuns + j];
    const float step = extreme * -0.03125;
    if (run == super * kRuns)
        steps[super] = step;
    const float inverseStep = step == 0.0 ? 0.0 : quotient(1.0, step);
    precise float place = inverseStep * runScale[run];
    const int code = clamp(nearestInt(place), -32, 31);
    scaleCodes[run] = uint(code + 32);
    precise float stored = step * float(code);
    const float inverse = stored == 0.0 ? 0.0 : quotient(1.0, stored);
    for (uint e = 0u; e < kLength; e += 4u) {
        uint four = 0u;
        for (uint i = 0u; i < 4u; ++i)
            four |= codeOf(x[(e + i) * kPitch + run], inverse) << (8u * i);
        storeCodes(kLength, run, e, four);
    }
}

uint imageWord(uint super, uint word)
{
    if (word == 0u) {
        // -0 of nothing but zeros, as the CPU has it.
        const uint d = steps[super] == 0.0 ? 0x8000u : storedHalf(steps[super], super);
        uint high = 0u;
        for (uint j = 0u; j < kRuns; ++j)
            high |= (scaleCodes[super * kRuns + j] >> 4) << (2u * j);
        return (marks[super] != 0u ? kMarked : d) | (high << 16);
    }
    if (word == 1u) {
        uint low = 0u;
        for (uint j = 0u; j < kRuns; ++j)
            low |= (scaleCodes[super * kRuns + j] & 15u) << (4u * j);
        return low;
    }
    const uint at = ((word - 2u) >> 2) * 8u + ((word - 2u) & 3u);
    return fourCodes(super, at) | (fourCodes(super, at + 4u) << 4);
}

void main()
{
    const uint run = lane();
    const uint super = run / kRuns;
    if (run < 16u) {
        level[run] = kLevels[run];
        middle[run] = kMiddles[min(run, 14u)];
    }
    load(kLength, kPerGroup);
    weigh(run, super);
    runScale[run] = searchedScale(run, super);
    barrier();
    codeRun(run, super);
    barrier();
    for (uint i = run; i < kPerGroup * kWords; i += 32u) {
        const uint at = gl_WorkGroupID.x * kPerGroup + i / kWords;
        if (at < supers)
            words[at * kWords + i % kWords] = imageWord(i / kWords, i % kWords);
    }
    barrier();
    tellDone(kPerGroup);
}
