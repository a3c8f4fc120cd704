// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/solve/solvers/WideBlockSearch.h"

#include "core/base/Half.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::size_t kLongestRun = 32;
constexpr int kAlternations = 6;
constexpr int kSweeps = 8;
/// A sweep that gains less of the sum is the last.
constexpr double kWorthwhile = 1e-4;
/// Sums of a run go into so many lanes, so that they fit vectors without their order depending on them.
constexpr std::size_t kSumLanes = 4;

/// To the nearest whole number, ties to even. @pre |x| < 2^51
double toWhole(double x)
{
    constexpr double kShift = 0x1.8p52;
    return (x + kShift) - kShift;
}

double halved(double value)
{
    return f16ToFloat(floatToF16(static_cast<float>(value)));
}

bool isHalf(double value)
{
    return std::isfinite(value) && std::fabs(value) <= 65504;
}

double sumOf(const std::array<double, kSumLanes>& lanes)
{
    double sum = 0;
    for (const double lane : lanes)
        sum += lane;
    return sum;
}

/// The next f16 up (by 1) or down in magnitude.
double neighbour(double half, int step)
{
    const std::uint16_t bits = floatToF16(static_cast<float>(half));
    const int magnitude = std::clamp((bits & 0x7FFF) + step, 0, 0x7BFF);
    return f16ToFloat(static_cast<std::uint16_t>((bits & 0x8000) | magnitude));
}

/// By halves, without a branch.
std::size_t nearestUneven(double x)
{
    constexpr std::array<double, 15> kMiddles{-115.5, -93.5, -74,  -57,  -42, -28.5, -16, -4.5,
                                              7,      19,    31.5, 45.5, 61,  79,    101};
    std::size_t index = x >= kMiddles[7] ? 8U : 0U;
    index += x >= kMiddles[index + 3] ? 4U : 0U;
    index += x >= kMiddles[index + 1] ? 2U : 0U;
    return index + (x >= kMiddles[index] ? 1U : 0U);
}

/// Whole numbers whose multiples of one common value come near the runs' own ones.
struct Commons {
    std::array<double, 16> value{}, weight{};  ///< of each run, and what a squared error in it costs
    std::size_t runs = 0;
    int low = 0, high = 0;

    [[nodiscard]] int coded(std::size_t run, double common) const
    {
        return common == 0 ? std::clamp(0, low, high)
                           : static_cast<int>(std::clamp(toWhole(std::clamp(value[run] / common, -1e6, 1e6)),
                                                         static_cast<double>(low), static_cast<double>(high)));
    }
    [[nodiscard]] double spoilt(double common) const
    {
        double sum = 0;
        for (std::size_t run = 0; run < runs; ++run) {
            const double rest = value[run] - common * coded(run, common);
            sum += weight[run] * rest * rest;
        }
        return sum;
    }
    /// The best of many between the one that reaches the largest value and a little beyond.
    [[nodiscard]] double best() const
    {
        double largest = 0;
        for (std::size_t run = 0; run < runs; ++run)
            largest = std::fabs(value[run]) > std::fabs(largest) ? value[run] : largest;
        double chosen = 0;
        double least = std::numeric_limits<double>::infinity();
        for (const int top : {high, low}) {
            for (double reach = -0.5; top != 0 && reach <= 2.01; reach += 0.125) {
                const double common = halved(largest / (top + (top < 0 ? reach : -reach)));
                if (!isHalf(common))
                    continue;
                if (const double sum = spoilt(common); sum < least) {
                    least = sum;
                    chosen = common;
                }
            }
        }
        return chosen;
    }
};

}  // namespace

void WideBlockSearch::begin(std::span<const float> weights, std::span<const double> importance)
{
    for (std::size_t i = 0; i < m_shape.elements; ++i) {
        m_x[i] = weights[i];
        m_h[i] = importance.empty() ? 1.0 : importance[i];
        m_hx[i] = m_h[i] * m_x[i];
    }
    for (std::size_t run = 0; run < m_shape.runs(); ++run) {
        Sums& sums = m_fixed[run] = {};
        for (std::size_t i = run * m_shape.run; i < (run + 1) * m_shape.run; ++i) {
            sums.one += m_h[i];
            sums.x += m_hx[i];
            sums.xx += m_hx[i] * m_x[i];
        }
    }
}

void WideBlockSearch::levelsOf(std::size_t run, double scale, double minimum, std::span<double> levels) const
{
    const double inverse = scale == 0 ? 0.0 : 1 / scale;
    const double* x = m_x.data() + run * m_shape.run;
    if (m_shape.uneven) {
        for (std::size_t e = 0; e < m_shape.run; ++e)
            levels[e] = kUnevenLevels[nearestUneven(x[e] * inverse)];
        return;
    }
    const double low = m_shape.lowest;
    const double high = m_shape.highest;
    for (std::size_t e = 0; e < m_shape.run; ++e) {
        double place = (x[e] + minimum) * inverse;
        place = place > low ? place : low;
        levels[e] = toWhole(place < high ? place : high);
    }
}

WideBlockSearch::Sums WideBlockSearch::sumsOf(std::size_t run, std::span<const double> levels) const
{
    std::array<double, kSumLanes> l{};
    std::array<double, kSumLanes> ll{};
    std::array<double, kSumLanes> xl{};
    const double* h = m_h.data() + run * m_shape.run;
    const double* hx = m_hx.data() + run * m_shape.run;
    for (std::size_t e = 0; e < m_shape.run; e += kSumLanes) {
        for (std::size_t lane = 0; lane < kSumLanes; ++lane) {
            const double level = levels[e + lane];
            const double weighted = h[e + lane] * level;
            l[lane] += weighted;
            ll[lane] += weighted * level;
            xl[lane] += hx[e + lane] * level;
        }
    }
    Sums sums = m_fixed[run];
    sums.l = sumOf(l);
    sums.ll = sumOf(ll);
    sums.xl = sumOf(xl);
    return sums;
}

double WideBlockSearch::lossOf(std::size_t run, double scale, double minimum) const
{
    std::array<double, kLongestRun> levels;
    levelsOf(run, scale, minimum, levels);
    std::array<double, kSumLanes> loss{};
    const std::size_t first = run * m_shape.run;
    for (std::size_t e = 0; e < m_shape.run; e += kSumLanes) {
        for (std::size_t lane = 0; lane < kSumLanes; ++lane) {
            const double rest = m_x[first + e + lane] + minimum - scale * levels[e + lane];
            loss[lane] += m_h[first + e + lane] * rest * rest;
        }
    }
    return sumOf(loss);
}

double WideBlockSearch::lossOf(const BlockParts& parts, std::size_t run) const
{
    // Products as a decoder rounds them.
    return lossOf(run, parts.d * static_cast<float>(parts.scale[run]),
                  parts.m * static_cast<float>(parts.minimum[run]));
}

double WideBlockSearch::lossOf(const BlockParts& parts) const
{
    double loss = 0;
    for (std::size_t run = 0; run < m_shape.runs(); ++run)
        loss += lossOf(parts, run);
    return loss;
}

WideBlockSearch::Line WideBlockSearch::fitted(const Sums& sums) const
{
    Line line;
    const double determinant = sums.ll * sums.one - sums.l * sums.l;
    if (m_shape.hasMinimum() && determinant > 1e-12 * sums.ll * sums.one) {
        line.scale = (sums.xl * sums.one - sums.l * sums.x) / determinant;
        line.minimum = (sums.l * sums.xl - sums.ll * sums.x) / determinant;
        if (line.minimum >= 0 || m_shape.hasFreeMinimum())
            return line;
    }
    line.minimum = 0;
    line.scale = sums.ll > 0 ? sums.xl / sums.ll : 0.0;
    return line;
}

WideBlockSearch::Line WideBlockSearch::step(std::size_t run, const Line& line) const
{
    std::array<double, kLongestRun> levels;
    levelsOf(run, line.scale, line.minimum, levels);
    const Sums sums = sumsOf(run, levels);
    Line next = fitted(sums);
    const auto [s, m] = std::pair(next.scale, next.minimum);
    next.loss = sums.xx - 2 * (s * sums.xl - m * sums.x) + s * s * sums.ll - 2 * s * m * sums.l + m * m * sums.one;
    return next;
}

void WideBlockSearch::tryLine(std::size_t run, double scale, double minimum, Lines& lines) const
{
    const Line line = step(run, {scale, minimum, 0});
    if (line.scale == 0)
        return;
    // Starts that lead to the same codes give the same line.
    for (const Line& known : lines) {
        if (line.scale == known.scale && line.minimum == known.minimum)
            return;
    }
    if (line.loss >= lines.back().loss)
        return;
    lines.back() = line;
    for (std::size_t i = lines.size() - 1; i > 0 && lines[i].loss < lines[i - 1].loss; --i)
        std::swap(lines[i], lines[i - 1]);
}

void WideBlockSearch::trySymmetric(std::size_t run, Lines& lines) const
{
    double extreme = 0;
    for (std::size_t e = 0; e < m_shape.run; ++e) {
        const double x = m_x[run * m_shape.run + e];
        extreme = m_h[run * m_shape.run + e] > 0 && std::fabs(x) > std::fabs(extreme) ? x : extreme;
    }
    if (extreme == 0)
        return;
    const double reach = m_shape.uneven ? 127 : -m_shape.lowest;
    const double widest = m_shape.uneven ? 24 : std::min(2.0, reach / 2);
    for (const double sign : {-1.0, 1.0}) {
        for (double beyond = -widest; beyond <= widest * 0.76; beyond += widest / 12)
            tryLine(run, sign * extreme / (reach + beyond), 0, lines);
    }
}

void WideBlockSearch::tryAffine(std::size_t run, Lines& lines) const
{
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (std::size_t e = 0; e < m_shape.run; ++e) {
        const std::size_t i = run * m_shape.run + e;
        if (!(m_h[i] > 0))
            continue;
        low = std::min(low, m_x[i]);
        high = std::max(high, m_x[i]);
    }
    if (!m_shape.hasFreeMinimum())
        low = std::min(low, 0.0);
    if (!(high > low)) {
        if (std::isfinite(low))
            lines.front() = {0, -low, lossOf(run, 0, -low)};
        return;
    }
    for (double below = -0.6; below <= 0.91; below += 0.3) {
        for (double above = -0.6; above <= 0.91; above += 0.3) {
            const double scale = (high - low) / (m_shape.highest + below + above);
            tryLine(run, scale,
                    std::max(m_shape.hasFreeMinimum() ? -std::numeric_limits<double>::infinity() : 0.0,
                             -(low + below * scale)),
                    lines);
        }
    }
}

WideBlockSearch::Line WideBlockSearch::bestLine(std::size_t run) const
{
    Line best{0, 0, lossOf(run, 0, 0)};
    if (best.loss == 0)
        return best;
    constexpr double kNone = std::numeric_limits<double>::infinity();
    Lines lines{{{0, 0, kNone}, {0, 0, kNone}, {0, 0, kNone}}};
    if (m_shape.hasMinimum())
        tryAffine(run, lines);
    else
        trySymmetric(run, lines);
    for (Line line : lines) {
        for (int i = 0; i < kAlternations && line.loss < kNone; ++i) {
            if (line.loss < best.loss)
                best = line;
            if (line.scale == 0)
                break;
            const Line next = step(run, line);
            if (!(next.loss < line.loss))
                break;
            line = next;
        }
    }
    return best;
}

bool WideBlockSearch::fresh(BlockParts& parts) const
{
    Commons scales{.runs = m_shape.runs(), .low = m_shape.scaleLow, .high = m_shape.scaleHigh};
    Commons minima{.runs = m_shape.runs(), .low = m_shape.minimumLow, .high = m_shape.minimumHigh};
    std::array<double, kLongestRun> levels;
    bool found = false;
    for (std::size_t run = 0; run < m_shape.runs(); ++run) {
        const Line line = bestLine(run);
        levelsOf(run, line.scale, line.minimum, levels);
        const Sums sums = sumsOf(run, levels);
        scales.value[run] = line.scale;
        scales.weight[run] = sums.ll;
        minima.value[run] = line.minimum;
        minima.weight[run] = sums.one;
        found = found || line.scale != 0 || line.minimum != 0;
    }
    if (!found)
        return false;
    // A scale of its own needs no whole numbers.
    const double d = m_shape.scaleLow == m_shape.scaleHigh ? halved(scales.value[0]) : scales.best();
    const double m = m_shape.hasFreeMinimum() ? halved(minima.value[0]) : m_shape.hasMinimum() ? minima.best() : 0.0;
    if (!isHalf(d) || !isHalf(m))
        return false;
    parts.d = static_cast<float>(d);
    parts.m = static_cast<float>(m);
    for (std::size_t run = 0; run < m_shape.runs(); ++run) {
        parts.scale[run] = scales.coded(run, d);
        parts.minimum[run] = m_shape.hasMinimum() ? minima.coded(run, m) : 0;
    }
    return true;
}

bool WideBlockSearch::refineRuns(BlockParts& parts, std::span<double> losses) const
{
    bool changed = false;
    for (std::size_t run = 0; run < m_shape.runs(); ++run) {
        const int scale = parts.scale[run];
        const int minimum = parts.minimum[run];
        int bestScale = scale;
        int bestMinimum = minimum;
        for (int s = std::max(scale - 1, m_shape.scaleLow); s <= std::min(scale + 1, m_shape.scaleHigh); ++s) {
            for (int n = std::max(minimum - 1, m_shape.minimumLow); n <= std::min(minimum + 1, m_shape.minimumHigh);
                 ++n) {
                if (s == scale && n == minimum)
                    continue;
                parts.scale[run] = s;
                parts.minimum[run] = n;
                if (const double loss = lossOf(parts, run); loss < losses[run]) {
                    losses[run] = loss;
                    bestScale = s;
                    bestMinimum = n;
                }
            }
        }
        changed = changed || bestScale != scale || bestMinimum != minimum;
        parts.scale[run] = bestScale;
        parts.minimum[run] = bestMinimum;
    }
    return changed;
}

bool WideBlockSearch::refineCommon(BlockParts& parts, std::span<double> losses) const
{
    // Least squares for d and m at the codes as they are; runs count by their own scale and minimum.
    Sums all;
    std::array<double, kLongestRun> levels;
    for (std::size_t run = 0; run < m_shape.runs(); ++run) {
        const double s = parts.scale[run];
        const double n = parts.minimum[run];
        levelsOf(run, parts.d * static_cast<float>(parts.scale[run]), parts.m * static_cast<float>(parts.minimum[run]),
                 levels);
        const Sums sums = sumsOf(run, levels);
        all.one += n * n * sums.one;
        all.l += n * s * sums.l;
        all.ll += s * s * sums.ll;
        all.x += n * sums.x;
        all.xl += s * sums.xl;
    }
    const Line line = fitted(all);
    const double d = halved(line.scale);
    const double m = halved(line.minimum);
    const std::array<std::pair<double, double>, 7> candidates{{{d, m},
                                                               {d, parts.m},
                                                               {parts.d, m},
                                                               {neighbour(d, 1), m},
                                                               {neighbour(d, -1), m},
                                                               {d, neighbour(m, 1)},
                                                               {d, neighbour(m, -1)}}};
    double total = 0;
    for (std::size_t run = 0; run < m_shape.runs(); ++run)
        total += losses[run];
    bool changed = false;
    BlockParts trial = parts;
    for (const auto& [scale, minimum] : candidates) {
        if (!isHalf(scale) || !isHalf(minimum) || scale == 0)
            continue;
        trial.d = static_cast<float>(scale);
        trial.m = static_cast<float>(minimum);
        if (const double loss = lossOf(trial); loss < total) {
            parts.d = trial.d;
            parts.m = trial.m;
            changed = true;
            break;  // the next sweep goes on from here
        }
    }
    for (std::size_t run = 0; run < m_shape.runs() && changed; ++run)
        losses[run] = lossOf(parts, run);
    return changed;
}

double WideBlockSearch::refine(BlockParts& parts) const
{
    std::array<double, 16> losses{};
    for (std::size_t run = 0; run < m_shape.runs(); ++run)
        losses[run] = lossOf(parts, run);
    double before = std::accumulate(losses.begin(), losses.end(), 0.0);
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
        const bool common = refineCommon(parts, losses);
        const bool runs = m_shape.scaleLow < m_shape.scaleHigh && refineRuns(parts, losses);
        const double after = std::accumulate(losses.begin(), losses.end(), 0.0);
        if ((!common && !runs) || !(after < (1 - kWorthwhile) * before))
            break;
        before = after;
    }
    chooseCodes(parts);
    return lossOf(parts);
}

void WideBlockSearch::chooseCodes(BlockParts& parts) const
{
    std::array<double, kLongestRun> levels;
    for (std::size_t run = 0; run < m_shape.runs(); ++run) {
        levelsOf(run, parts.d * static_cast<float>(parts.scale[run]), parts.m * static_cast<float>(parts.minimum[run]),
                 levels);
        for (std::size_t e = 0; e < m_shape.run; ++e) {
            const double level = levels[e];
            parts.code[run * m_shape.run + e] = static_cast<std::uint8_t>(
                m_shape.uneven ? nearestUneven(level) : static_cast<std::size_t>(level - m_shape.lowest));
        }
    }
}

}  // namespace sigmascope
