// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/TensorStats.h"

#include <algorithm>

namespace sigmascope {

namespace {

/// Pébay 2008, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
/// statistical moments", eq. 2.1 with p = 2, 3, 4.
void joinMoments(const TensorStats& a, const TensorStats& b, TensorStats& joint)
{
    const auto na = static_cast<double>(a.finite);
    const auto nb = static_cast<double>(b.finite);
    const double n = na + nb;
    const double delta = b.mean - a.mean;
    const double shareA = na / n;
    const double shareB = nb / n;
    const double delta2 = delta * delta;
    joint.mean = a.mean + delta * shareB;
    joint.m2 = a.m2 + b.m2 + delta2 * na * shareB;
    joint.m3 = a.m3 + b.m3 + delta2 * delta * na * shareB * (shareA - shareB)
        + 3 * delta * (shareA * b.m2 - shareB * a.m2);
    joint.m4 = a.m4 + b.m4
        + delta2 * delta2 * na * shareB * (shareA * shareA - shareA * shareB + shareB * shareB)
        + 6 * delta2 * (shareA * shareA * b.m2 + shareB * shareB * a.m2)
        + 4 * delta * (shareA * b.m3 - shareB * a.m3);
}

}  // namespace

TensorStats merged(const TensorStats& a, const TensorStats& b)
{
    TensorStats joint;
    if (b.finite == 0)
        joint = a;
    else if (a.finite == 0)
        joint = b;
    if (a.finite != 0 && b.finite != 0) {
        joint.min = std::min(a.min, b.min);
        joint.max = std::max(a.max, b.max);
        joinMoments(a, b, joint);
    }
    joint.count = a.count + b.count;
    joint.finite = a.finite + b.finite;
    joint.zeros = a.zeros + b.zeros;
    joint.nan = a.nan + b.nan;
    joint.inf = a.inf + b.inf;
    joint.subnormal = a.subnormal + b.subnormal;
    joint.outliers = a.outliers + b.outliers;
    joint.firstNonFinite = a.firstNonFinite;
    if (!joint.firstNonFinite && b.firstNonFinite)
        joint.firstNonFinite = a.count + *b.firstNonFinite;
    return joint;
}

}  // namespace sigmascope
