// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Energy of a row and of its residual, read once.

#include "core/compute/kernels/KernelTable.h"
#include "core/compute/kernels/Vectors.h"

namespace sigmascope::kernels {
namespace {

struct SquareLanes {
    Doubles weight[kGroups] = {}, residual[kGroups] = {}, scaledWeight[kGroups] = {}, scaledResidual[kGroups] = {};

    /// 16 values of each.
    template <bool isScaled>
    void add(const float* w, const float* e, const float* s)
    {
        for (size_t g = 0; g < kGroups; ++g) {
            const Doubles value = widened(reinterpret_cast<const uint8_t*>(w + g * kDoubles));
            const Doubles rest = widened(reinterpret_cast<const uint8_t*>(e + g * kDoubles));
            weight[g] = withExactProduct(weight[g], value, value);
            residual[g] = withExactProduct(residual[g], rest, rest);
            if (isScaled) {
                const Doubles by = widened(reinterpret_cast<const uint8_t*>(s + g * kDoubles));
                const Doubles scaled = value * by;
                const Doubles left = rest * by;
                scaledWeight[g] += scaled * scaled;
                scaledResidual[g] += left * left;
            }
        }
    }
};

inline double sumOf(const Doubles* groups)
{
    double lanes[kLanes];
    __builtin_memcpy(lanes, groups, sizeof lanes);
    return joined(lanes);
}

template <bool isScaled>
void addSquares(const float* weights, const float* residual, const float* scale, size_t n, RowSquares* out)
{
    SquareLanes lanes;
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
        lanes.add<isScaled>(weights + i, residual + i, isScaled ? scale + i : nullptr);
    if (i < n) {
        float w[kLanes] = {}, e[kLanes] = {}, s[kLanes] = {};
        for (size_t k = 0; i + k < n; ++k) {
            w[k] = weights[i + k];
            e[k] = residual[i + k];
            if (isScaled)
                s[k] = scale[i + k];
        }
        lanes.add<isScaled>(w, e, s);
    }
    *out = {sumOf(lanes.weight), sumOf(lanes.residual), sumOf(lanes.scaledWeight), sumOf(lanes.scaledResidual)};
}

void rowSquares(const float* weights, const float* residual, const float* scale, size_t n, RowSquares* out)
{
    if (scale == nullptr)
        addSquares<false>(weights, residual, scale, n, out);
    else
        addSquares<true>(weights, residual, scale, n, out);
}

}  // namespace
}  // namespace sigmascope::kernels
