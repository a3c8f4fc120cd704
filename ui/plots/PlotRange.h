// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only: ranges of linear and logarithmic axes.

#include <qcustomplot.h>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

inline constexpr double kBeyond = 0.05;  // zoom never leaves the data by more than this share

inline double toScale(double value, bool log)
{
    return log ? std::log(std::max(value, 1e-300)) : value;
}

inline double fromScale(double value, bool log)
{
    return log ? std::exp(value) : value;
}

/// Range moved, then cut, to the data plus five per cent either side.
inline QCPRange limited(QCPRange range, double lower, double upper, bool log)
{
    const double from = toScale(lower, log), to = toScale(upper, log);
    const double margin = kBeyond * (to - from);
    double a = toScale(range.lower, log), b = toScale(range.upper, log);
    if (b - a < (to - from) * 1e-4) {  // deep enough: finer than any screen resolves
        const double middle = (a + b) / 2;
        a = middle - (to - from) * 5e-5;
        b = middle + (to - from) * 5e-5;
    }
    if (b - a >= to - from + 2 * margin)
        return {fromScale(from - margin, log), fromScale(to + margin, log)};
    const double shift = std::max(0.0, from - margin - a) - std::max(0.0, b - (to + margin));
    return {fromScale(a + shift, log), fromScale(b + shift, log)};
}

}  // namespace sigmascope::ui
