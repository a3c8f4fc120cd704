// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace sigmascope::ui {

/// One layer as the Equalizer draws it.
struct EqualizerColumn {
    std::size_t tensor = 0;
    int group = 0;                 ///< index into EqualizerView::groups; ascending
    int part = 0;                  ///< attention, MLP, …: one pixel more between parts of a group
    int fused = -1;                ///< neighbours with the same number ≥ 0 are bracketed
    bool isKept = true;
    bool isPinned = false;
    double bits = 0;               ///< width of the codes; ignored when kept
    int rank = 0;
    int maxRank = 0;               ///< 0: cannot be corrected
    std::uint32_t widths = 0;      ///< bit n set: n bits can be had
    float error = std::numeric_limits<float>::quiet_NaN();  ///< relative; NaN while unknown
    bool isMeasured = false;

    [[nodiscard]] bool hasError() const { return error == error; }
    friend bool operator==(const EqualizerColumn&, const EqualizerColumn&) = default;
};

/// What the Equalizer shows, in the order drawn.
struct EqualizerView {
    std::vector<EqualizerColumn> columns;
    std::vector<QString> groups;   ///< labels below the axis: "0", "1", …
    QString axisName;
};

/// Width of @p column nearest to @p bits, the wider of two equally near; 0 if it has none.
[[nodiscard]] int nearestWidth(const EqualizerColumn& column, double bits);

}  // namespace sigmascope::ui
