// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only: where the Equalizer draws what, in whole logical pixels.

#include "ui/plots/EqualizerView.h"

#include <QRect>

#include <vector>

namespace sigmascope::ui {

/// Columns on a whole-pixel pitch, three rects above each other, and the scales of their axes. Cheap to copy but for
/// the column positions; those are computed once per view, zoom or width: O(columns).
class EqualizerLayout {
public:
    /// Smallest pitch that is drawn; below it the columns scroll.
    static constexpr int kLeastPitch = 3;

    /// @param wantedPitch  0: whatever fits the width, at least kLeastPitch.
    void fit(const EqualizerView& view, const QSize& size, int wantedPitch);
    /// Axes from the data: top of the rank axis and both ends of the error axis. Not during a drag.
    void scaleTo(const EqualizerView& view);
    void setScroll(int scroll);

    [[nodiscard]] int scroll() const { return m_scroll; }
    [[nodiscard]] int maxScroll() const;
    [[nodiscard]] bool isScrolling() const { return maxScroll() > 0; }
    [[nodiscard]] int pitch() const { return m_pitch; }
    [[nodiscard]] int barWidth() const { return m_bar; }
    [[nodiscard]] int contentWidth() const { return m_contentWidth; }

    [[nodiscard]] const QRect& rank() const { return m_rank; }
    [[nodiscard]] const QRect& bits() const { return m_bits; }
    [[nodiscard]] const QRect& error() const { return m_error; }
    /// Band under everything that shows the whole model while it scrolls; empty otherwise.
    [[nodiscard]] const QRect& overview() const { return m_overview; }
    [[nodiscard]] QRect plotArea() const { return m_rank.united(m_error); }

    /// Left edge of a column's bar, in widget pixels (may lie outside the rects).
    [[nodiscard]] int barLeft(int column) const { return slotLeft(column) + (m_pitch - m_bar) / 2; }
    [[nodiscard]] int slotLeft(int column) const
    {
        return m_rank.left() + m_offset + m_left[static_cast<std::size_t>(column)] - m_scroll;
    }
    /// Column whose slot holds x, or the nearest; -1 when there is none or x lies left or right of all by a pitch.
    [[nodiscard]] int columnAt(int x) const;
    /// The same, clamped to the first and last.
    [[nodiscard]] int nearestColumn(int x) const;
    /// First and one past the last column that touch the rects.
    [[nodiscard]] std::pair<int, int> visible() const;
    /// Column at an x of the overview band.
    [[nodiscard]] int overviewScroll(int x) const;

    [[nodiscard]] double rankTop() const { return m_rankTop; }
    [[nodiscard]] int yOfRank(double rank) const;
    [[nodiscard]] double rankAt(double y) const;
    [[nodiscard]] int yOfBits(double bits) const;
    [[nodiscard]] double bitsAt(double y) const;
    /// Errors are relative; positive.
    [[nodiscard]] int yOfError(double error) const;
    [[nodiscard]] double errorLow() const { return m_errorLow; }
    [[nodiscard]] double errorHigh() const { return m_errorHigh; }

private:
    void placeRects(const QSize& size, bool withOverview);
    /// @param widen  added to every gap between groups.
    void placeColumns(const EqualizerView& view, int pitch, int widen = 0);

    QRect m_rank, m_bits, m_error, m_overview;
    std::vector<int> m_left;  // of each slot, from the first
    int m_pitch = kLeastPitch, m_bar = 2, m_contentWidth = 0, m_offset = 0, m_scroll = 0;
    double m_rankTop = 128;
    double m_errorLow = 0.01, m_errorHigh = 0.1;
};

/// Bits axis: kept layers reach its top.
inline constexpr double kBitsTop = 8.9;

}  // namespace sigmascope::ui
