// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// How ggml chooses scales (make_qx, make_q3, make_qkx and make_qp of ggml-quants.c, whose results these are): every
// lane searches for one run of weights, element by element in the order of the scalar code, so that each lane's
// roundings are the scalar code's. Runs lie transposed: element e of all lanes at e * kTeam.

#include "core/compute/kernels/WideVectors.h"

namespace sigmascope::kernels {
namespace {

/// Below it a run counts as all zeros.
constexpr float kNothing = 1e-15F;
/// Up to here the addition of kRounder rounds; beyond, bits must be taken apart as ggml does.
constexpr float kRoundable = 4194303.0F;

/// Integer in [low, high] nearest to x, as a float. @pre |x| <= kRoundable, or the bound it exceeds is meant.
inline Wide nearestWithin(Wide x, Wide low, Wide high)
{
    const Wide rounder = wide(kRounder);
    return (least(most(x, low), high) + rounder) - rounder;
}

/// scale * (code - half), code = inverse * x rounded.
struct Symmetric {
    Wide scale;
    Wide inverse;  ///< that the codes were found with; 0 where empty
    WideInts empty;  ///< nothing but zeros: scale 0
};

struct Extreme {
    Wide value, size;
};

/// The value of largest magnitude; of a tie the one that comes first.
template <size_t n> Extreme extremeOf(const float* x)
{
    Wide value = wide(0);
    Wide size = wide(0);
    for (size_t e = 0; e < n; ++e) {
        const Wide one = loadWide(x + e * kTeam);
        const Wide its = magnitude(one);
        value = chosen(its > size, one, value);
        size = most(its, size);
    }
    return {value, size};
}

/// Codes of -half…half-1 at 19 scales around the one that the extreme asks for; the best of them by least squares.
template <size_t n, int half> Symmetric fitSymmetric(const float* x, const float* w)
{
    const auto [extreme, size] = extremeOf<n>(x);
    const WideInts empty = size < wide(kNothing);
    const Wide pivot = chosen(empty, wide(1), extreme);
    const Wide low = wide(-half);
    const Wide high = wide(half - 1);
    Wide inverse = wide(-half) / pivot;
    Wide scale = wide(0);
    Wide best = wide(0);
    // Trials do not depend on one another: two at a time, the first alone. Counted as ggml does, without the middle.
    for (int trial = -1; trial < 18; trial += 2) {
        const auto of = [](int t) { return t < 9 ? t - 9 : t - 8; };
        const Wide first = trial < 0 ? inverse : wide(-(half + 0.1F * static_cast<float>(of(trial)))) / pivot;
        const Wide second = wide(-(half + 0.1F * static_cast<float>(of(trial + 1)))) / pivot;
        Wide lx[2] = {wide(0), wide(0)};
        Wide l2[2] = {wide(0), wide(0)};
        for (size_t e = 0; e < n; ++e) {
            const Wide value = loadWide(x + e * kTeam);
            const Wide weight = loadWide(w + e * kTeam);
            const Wide product = weight * value;
            const Wide one = nearestWithin(first * value, low, high);
            const Wide two = nearestWithin(second * value, low, high);
            lx[0] = lx[0] + product * one;
            l2[0] = l2[0] + weight * one * one;
            lx[1] = lx[1] + product * two;
            l2[1] = l2[1] + weight * two * two;
        }
        for (int i = 0; i < 2 && trial + i < 18; ++i) {
            if (i == 0 && trial < 0) {
                scale = chosen(l2[0] != wide(0), lx[0] / l2[0], wide(0));
                best = scale * lx[0];
                continue;
            }
            const WideInts better = (l2[i] > wide(0)) & (lx[i] * lx[i] > best * l2[i]);
            if (!any(better))
                continue;
            const Wide found = lx[i] / l2[i];
            scale = chosen(better, found, scale);
            best = chosen(better, found * lx[i], best);
            inverse = chosen(better, i == 0 ? first : second, inverse);
        }
    }
    return {chosen(empty, wide(0), scale), chosen(empty, wide(0), inverse), empty};
}

/// Q3_K without importances: codes -half…half-1 changed one by one, at most five times over, as long as the fit gains.
/// @param codes  [n x kTeam], half added; 0 where a run is empty
template <size_t n, int half> Wide fitByDescent(const float* x, uint8_t* codes)
{
    const auto [extreme, size] = extremeOf<n>(x);
    const WideInts empty = size < wide(kNothing);
    const Wide inverse = wide(-half) / chosen(empty, wide(1), extreme);
    Wide lx = wide(0);
    Wide l2 = wide(0);
    Wide code[n];
    for (size_t e = 0; e < n; ++e) {
        const Wide value = loadWide(x + e * kTeam);
        const Wide weight = value * value;
        code[e] = nearestWithin(inverse * value, wide(-half), wide(half - 1));
        lx = lx + weight * value * code[e];
        l2 = l2 + weight * code[e] * code[e];
    }
    // A lane that a sweep left alone stays so: no need to remember which lanes are done.
    for (int sweep = 0; sweep < 5; ++sweep) {
        WideInts changed{};
        for (size_t e = 0; e < n; ++e) {
            const Wide value = loadWide(x + e * kTeam);
            const Wide weight = value * value;
            const Wide product = weight * value;
            const Wide lxRest = lx - product * code[e];
            const Wide l2Rest = l2 - weight * code[e] * code[e];
            const Wide next = toFloats(bounded(nearestInt(value * l2Rest / lxRest), -half, half - 1));
            const Wide lxNext = lxRest + product * next;
            const Wide l2Next = l2Rest + weight * next * next;
            const WideInts take = (lxRest > wide(0)) & (next != code[e]) & (l2Next > wide(0))
                & (lxNext * lxNext * l2 > lx * lx * l2Next);
            code[e] = chosen(take, next, code[e]);
            lx = chosen(take, lxNext, lx);
            l2 = chosen(take, l2Next, l2);
            changed = changed | take;
        }
        if (!any(changed))
            break;
    }
    for (size_t e = 0; e < n; ++e) {
        const Wide stored = chosen(empty, wide(0), code[e] + wide(half));
        store(codes + e * kTeam, __builtin_convertvector(__builtin_convertvector(stored.a, Ints), Int8s));
        store(codes + e * kTeam + kFloats, __builtin_convertvector(__builtin_convertvector(stored.b, Ints), Int8s));
    }
    return chosen(empty | ~(l2 > wide(0)), wide(0), lx / l2);
}

/// Which inverse scales an affine search tries: (first + i * delta + top) / range, i = 0…steps.
struct AffineSearch {
    float top;
    float first, delta;
    int steps;
};

/// scale * code - minimum
struct Affine {
    Wide scale, minimum;
    Wide inverse, from;  ///< the codes found: inverse * (x - from), rounded
};

/// Codes 0…top of one scale and minimum, into `codes`, where `isSafe` says that rounding needs no care.
template <size_t n> void affineCodes(const float* x, Wide inverse, Wide from, float top, bool isSafe, Wide* codes)
{
    for (size_t e = 0; e < n; ++e) {
        const Wide place = inverse * (loadWide(x + e * kTeam) - from);
        codes[e] = isSafe ? nearestWithin(place, wide(0), wide(top))
                          : toFloats(bounded(nearestInt(place), 0, static_cast<int32_t>(top)));
    }
}

template <size_t n, bool absolute>
Wide affineLoss(const float* x, const float* w, const Wide* codes, Wide scale, Wide from)
{
    Wide loss = wide(0);
    for (size_t e = 0; e < n; ++e) {
        const Wide rest = scale * codes[e] + from - loadWide(x + e * kTeam);
        loss = loss + loadWide(w + e * kTeam) * (absolute ? magnitude(rest) : rest * rest);
    }
    return loss;
}

/// True if no value in [low, high] leads past kRoundable.
inline bool isRoundable(Wide inverse, Wide low, Wide high, Wide from)
{
    const Wide bound = wide(kRoundable);
    return !any(~((magnitude(inverse * (low - from)) <= bound) & (magnitude(inverse * (high - from)) <= bound)));
}

/// For each of many scales: nearest codes, least squares for scale and minimum, weighted loss; the least loss wins.
/// @tparam guarded  codes are bounded before they are rounded, as in the search with importances
template <size_t n, bool absolute, bool guarded>
Affine fitAffine(const float* x, const float* w, const AffineSearch& how)
{
    Wide lowest = loadWide(x);
    Wide high = lowest;
    Wide sumW = loadWide(w);
    Wide sumX = sumW * lowest;
    for (size_t e = 1; e < n; ++e) {
        const Wide value = loadWide(x + e * kTeam);
        const Wide weight = loadWide(w + e * kTeam);
        lowest = least(value, lowest);
        high = most(value, high);
        sumW = sumW + weight;
        sumX = sumX + weight * value;
    }
    const Wide start = chosen(lowest > wide(0), wide(0), lowest);
    const WideInts flat = high == start;
    // Lanes without a range search in vain; with one of their own they do not slow the others.
    Wide from = chosen(flat, wide(0), start);
    high = chosen(flat, wide(1), high);

    Wide inverse = wide(how.top) / (high - from);
    Wide scale = wide(1) / inverse;
    Wide codes[n];
    affineCodes<n>(x, inverse, from, how.top, isRoundable(inverse, lowest, high, from), codes);
    Wide loss = affineLoss<n, absolute>(x, w, codes, scale, from);
    // A range so small that its inverse is infinite has codes 0 only.
    Wide usedInverse = guarded ? chosen(magnitude(inverse) <= wide(0x1.fffffep127F), inverse, wide(0)) : inverse;
    Wide usedFrom = from;
    for (int step = 0; step <= how.steps; ++step) {
        inverse = wide(how.first + how.delta * static_cast<float>(step) + how.top) / (high - from);
        affineCodes<n>(x, inverse, from, how.top, guarded || isRoundable(inverse, lowest, high, from), codes);
        Wide l = wide(0);
        Wide l2 = wide(0);
        Wide xl = wide(0);
        for (size_t e = 0; e < n; ++e) {
            const Wide weighted = loadWide(w + e * kTeam) * codes[e];
            l = l + weighted;
            l2 = l2 + weighted * codes[e];
            xl = xl + weighted * loadWide(x + e * kTeam);
        }
        const Wide determinant = sumW * l2 - l * l;
        Wide trialScale = (sumW * xl - sumX * l) / determinant;
        Wide trialFrom = (l2 * sumX - l * xl) / determinant;
        const WideInts isAbove = trialFrom > wide(0);
        if (any(isAbove)) {
            trialFrom = chosen(isAbove, wide(0), trialFrom);
            trialScale = chosen(isAbove, xl / l2, trialScale);
        }
        const Wide trialLoss = affineLoss<n, absolute>(x, w, codes, trialScale, trialFrom);
        const WideInts better = (determinant > wide(0)) & (trialLoss < loss);
        usedInverse = chosen(better, inverse, usedInverse);
        usedFrom = chosen(better, from, usedFrom);
        loss = chosen(better, trialLoss, loss);
        scale = chosen(better, trialScale, scale);
        from = chosen(better, trialFrom, from);
    }
    return {chosen(flat, wide(0), scale), -chosen(flat, start, from), chosen(flat, wide(0), usedInverse),
            chosen(flat, wide(0), usedFrom)};
}

/// The codes that fitAffine() found, once more.
template <size_t n, bool guarded> void affineCodesOf(const float* x, const Affine& fit, float top, Wide* codes)
{
    affineCodes<n>(x, fit.inverse, fit.from, top, guarded, codes);
}

/// Scales and minima of n runs to codes 0…top under weights: nine scales, then single codes as long as the fit gains.
/// @param x, w  of run j at [j]   @param codes  eight bits are kept, as in ggml
template <size_t n> Wide fitNonNegative(const Wide* x, const Wide* w, int32_t top, WideInts* codes)
{
    const auto nearest = [top](Wide value) {
        const WideInts code = nearestInt(value);
        return WideInts{smaller(code.a, Ints{} + top), smaller(code.b, Ints{} + top)};
    };
    const auto bytes = [](WideInts code) { return WideInts{code.a & 255, code.b & 255}; };
    Wide largest = wide(0);
    for (size_t j = 0; j < n; ++j)
        largest = chosen(largest > x[j], largest, x[j]);
    const WideInts empty = largest < wide(kNothing);
    largest = chosen(empty, wide(1), largest);
    Wide inverse = wide(static_cast<float>(top)) / largest;
    Wide loss = wide(0);
    for (int trial = 0; trial < 9; ++trial) {
        const int place = trial == 0 ? 0 : trial <= 4 ? trial - 5 : trial - 4;
        const Wide tried
            = trial == 0 ? inverse : wide(0.1F * static_cast<float>(place) + static_cast<float>(top)) / largest;
        const Wide scale = wide(1) / tried;
        Wide sum = wide(0);
        for (size_t j = 0; j < n; ++j) {
            const Wide code = toFloats(trial == 0 ? bytes(nearestInt(tried * x[j])) : nearest(tried * x[j]));
            const Wide rest = x[j] - scale * code;
            sum = sum + w[j] * rest * rest;
        }
        const WideInts better = sum < loss;
        inverse = trial == 0 ? inverse : chosen(better, tried, inverse);
        loss = trial == 0 ? sum : chosen(better, sum, loss);
    }
    Wide lx = wide(0);
    Wide l2 = wide(0);
    for (size_t j = 0; j < n; ++j) {
        const WideInts code = nearest(inverse * x[j]);
        codes[j] = bytes(code);
        lx = lx + w[j] * x[j] * toFloats(code);
        l2 = l2 + w[j] * toFloats(code) * toFloats(code);
    }
    for (int sweep = 0; sweep < 5; ++sweep) {
        WideInts changed{};
        for (size_t j = 0; j < n; ++j) {
            const Wide code = toFloats(codes[j]);
            const Wide lxRest = lx - w[j] * x[j] * code;
            const Wide l2Rest = l2 - w[j] * code * code;
            const WideInts next = nearest(x[j] * l2Rest / lxRest);
            const Wide lxNext = lxRest + w[j] * x[j] * toFloats(next);
            const Wide l2Next = l2Rest + w[j] * toFloats(next) * toFloats(next);
            const WideInts take = (lxRest > wide(0)) & (l2Rest > wide(0)) & (next != codes[j])
                & (lxNext * lxNext * l2 > lx * lx * l2Next);
            codes[j] = chosen(take, bytes(next), codes[j]);
            lx = chosen(take, lxNext, lx);
            l2 = chosen(take, l2Next, l2);
            changed = changed | take;
        }
        if (!any(changed))
            break;
    }
    for (size_t j = 0; j < n; ++j)
        codes[j] = chosen(empty, WideInts{}, codes[j]);
    return chosen(empty | ~(l2 > wide(0)), wide(0), lx / l2);
}

}  // namespace
}  // namespace sigmascope::kernels
