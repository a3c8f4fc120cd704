// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/EqualizerLayout.h"

#include "ui/Theme.h"

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {
namespace {

constexpr int kWidestSlot = 40;  // design pixels; a model of a few layers is not blown up
constexpr int kWidestBar = 16;

double octaves(double rank)
{
    return std::log2(1 + rank);
}

/// The next of 1, 2, 5 · 10ⁿ below or above.
double roundDown(double value)
{
    const double decade = std::pow(10, std::floor(std::log10(value)));
    const double digit = value / decade;
    return decade * (digit >= 5 ? 5 : digit >= 2 ? 2 : 1);
}

double roundUp(double value)
{
    const double decade = std::pow(10, std::floor(std::log10(value)));
    const double digit = value / decade;
    return decade * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

}  // namespace

int nearestWidth(const EqualizerColumn& column, double bits)
{
    int best = 0;
    for (int width = 1; width < 32; ++width) {
        if ((column.widths >> static_cast<unsigned>(width) & 1U) == 0)
            continue;
        if (best == 0 || std::abs(width - bits) <= std::abs(best - bits))
            best = width;
    }
    return best;
}

void EqualizerLayout::placeRects(const QSize& size, bool withOverview)
{
    const int left = px(48), right = size.width() - px(16);
    const int names = px(38), overview = withOverview ? px(20) : 0;
    const int gap = px(18), brackets = px(10), room = px(12);
    const int height = std::max(px(90), size.height() - px(6) - names - overview - gap - brackets - room);
    const int error = std::clamp(height * 15 / 100, px(28), px(70));
    const int rank = (height - error) * 34 / 100;
    const int bits = height - error - rank;
    const int width = std::max(1, right - left);
    m_rank = QRect(left, px(6), width, rank);
    m_bits = QRect(left, m_rank.bottom() + 1 + gap, width, bits);
    m_error = QRect(left, m_bits.bottom() + 1 + brackets + room, width, error);
    m_overview = withOverview ? QRect(left, size.height() - px(14), width, px(9)) : QRect();
}

void EqualizerLayout::placeColumns(const EqualizerView& view, int pitch, int widen)
{
    m_pitch = pitch;
    m_bar = std::min(px(kWidestBar), std::max(2, pitch - std::max(1, pitch / 4)));
    const int between = (pitch <= px(8) ? px(5) : pitch * 5 / 8) + widen;
    const int parts = std::max(1, pitch / 5);
    m_left.resize(view.columns.size());
    int x = 0;
    for (std::size_t i = 0; i < view.columns.size(); ++i) {
        if (i > 0 && view.columns[i].group != view.columns[i - 1].group)
            x += between;
        else if (i > 0 && view.columns[i].part != view.columns[i - 1].part)
            x += parts;
        m_left[i] = x;
        x += pitch;
    }
    m_contentWidth = x;
}

void EqualizerLayout::fit(const EqualizerView& view, const QSize& size, int wantedPitch)
{
    placeRects(size, false);
    int pitch = wantedPitch;
    if (pitch <= 0) {
        pitch = px(kWidestSlot);
        do {
            placeColumns(view, pitch);
            // The first guess is nearly right: gaps grow with the pitch.
            const int guess = m_contentWidth == 0
                ? pitch
                : static_cast<int>(static_cast<std::int64_t>(pitch) * m_rank.width() / m_contentWidth);
            pitch = std::min(pitch - 1, std::max(guess, kLeastPitch));
        } while (m_contentWidth > m_rank.width() && m_pitch > kLeastPitch);
    } else {
        placeColumns(view, std::max(wantedPitch, kLeastPitch));
    }
    // What whole pixels leave over goes between the blocks, as long as they still read as one row.
    const int gaps = static_cast<int>(view.groups.size()) - 1, left = m_rank.width() - m_contentWidth;
    if (gaps > 0 && left >= gaps)
        placeColumns(view, m_pitch, std::min(left / gaps, 2 * m_pitch));
    if (m_contentWidth > m_rank.width())
        placeRects(size, true);
    m_offset = std::max(0, (m_rank.width() - m_contentWidth) / 2);
    setScroll(m_scroll);
}

void EqualizerLayout::scaleTo(const EqualizerView& view)
{
    int highest = 0;
    double low = 0, high = 0;
    for (const EqualizerColumn& column : view.columns) {
        highest = std::max(highest, column.isKept ? 0 : column.rank);
        if (!column.hasError() || !(column.error > 0))
            continue;
        const double error = column.error;
        low = low == 0 ? error : std::min(low, error);
        high = std::max(high, error);
    }
    // Room to drag upwards: two octaves over the highest rank.
    m_rankTop = 128;
    while (m_rankTop < 4.0 * highest)
        m_rankTop *= 2;
    if (high > 0) {
        m_errorLow = roundDown(low * 0.8);
        m_errorHigh = std::max(roundUp(high), 2 * m_errorLow);
    }
}

void EqualizerLayout::setScroll(int scroll)
{
    m_scroll = std::clamp(scroll, 0, maxScroll());
}

int EqualizerLayout::maxScroll() const
{
    return std::max(0, m_contentWidth - m_rank.width());
}

int EqualizerLayout::nearestColumn(int x) const
{
    if (m_left.empty())
        return -1;
    const int at = x - m_rank.left() - m_offset + m_scroll;
    const auto after = std::upper_bound(m_left.begin(), m_left.end(), at);
    if (after == m_left.begin())
        return 0;
    const auto column = static_cast<int>(after - m_left.begin()) - 1;
    // In the gap behind a slot the nearer neighbour counts.
    if (after != m_left.end() && at >= *(after - 1) + m_pitch && *after - at < at - *(after - 1) - m_pitch)
        return column + 1;
    return column;
}

int EqualizerLayout::columnAt(int x) const
{
    const int column = nearestColumn(x);
    if (column < 0 || x < m_rank.left() || x > m_rank.right())
        return -1;
    const int left = slotLeft(column);
    return x < left - m_pitch || x > left + 2 * m_pitch ? -1 : column;
}

std::pair<int, int> EqualizerLayout::visible() const
{
    if (m_left.empty())
        return {0, 0};
    const int from = m_scroll - m_offset, to = from + m_rank.width();
    const auto first = std::upper_bound(m_left.begin(), m_left.end(), from - m_pitch);
    const auto last = std::lower_bound(m_left.begin(), m_left.end(), to);
    return {static_cast<int>(first - m_left.begin()), static_cast<int>(last - m_left.begin())};
}

int EqualizerLayout::overviewScroll(int x) const
{
    if (m_overview.isEmpty())
        return 0;
    const double share = (x - m_overview.left()) / static_cast<double>(m_overview.width());
    return static_cast<int>(share * m_contentWidth) - m_rank.width() / 2;
}

int EqualizerLayout::yOfRank(double rank) const
{
    const double share = std::clamp(octaves(rank) / octaves(m_rankTop), 0.0, 1.0);
    return m_rank.bottom() - qRound(share * (m_rank.height() - px(4)));
}

double EqualizerLayout::rankAt(double y) const
{
    const double share = std::clamp((m_rank.bottom() - y) / (m_rank.height() - px(4)), 0.0, 1.0);
    return std::exp2(share * octaves(m_rankTop)) - 1;
}

int EqualizerLayout::yOfBits(double bits) const
{
    return m_bits.bottom() + 1 - qRound(std::clamp(bits, 0.0, kBitsTop) / kBitsTop * m_bits.height());
}

double EqualizerLayout::bitsAt(double y) const
{
    return std::clamp((m_bits.bottom() + 1 - y) / m_bits.height(), 0.0, 1.0) * kBitsTop;
}

int EqualizerLayout::yOfError(double error) const
{
    const double span = std::log(m_errorHigh / m_errorLow);
    const double share = error > 0 ? std::clamp(std::log(error / m_errorLow) / span, 0.0, 1.0) : 0;
    // What is known is seen, however small.
    return m_error.bottom() + 1 - std::max(2, qRound(share * m_error.height()));
}

}  // namespace sigmascope::ui
