// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/solve/solvers/BlockParts.h"

#include <array>
#include <span>

namespace sigmascope {

/// Searches scales and minima of one block for a small sum of importance * (weight - value)^2.
///
/// A run's own best scale (and minimum) by many starts, each followed by least squares and nearest codes in turn; the
/// block's common d and m that spoil these least; then steps of one in every run's coded scale and minimum, and least
/// squares for d and m, in turn as long as the sum falls. Nothing is random, and sums run in a fixed order.
class WideBlockSearch {
public:
    explicit WideBlockSearch(const BlockShape& shape)
        : m_shape(shape)
    {
    }

    /// @param weights, importance  of one block: finite, importances >= 0; they outlive the search of this block.
    void begin(std::span<const float> weights, std::span<const double> importance);
    /// Improves what is there from its scales on; codes become the nearest ones. Returns the sum.
    double refine(BlockParts& parts) const;
    /// A start of its own. @return false if the block has none: nothing but zeros, or no importance.
    [[nodiscard]] bool fresh(BlockParts& parts) const;

private:
    static constexpr std::size_t kMost = 256;

    /// Sums over a run at given levels l: of h, h l, h l^2, h x, h x l, h x^2.
    struct Sums {
        double one = 0, l = 0, ll = 0, x = 0, xl = 0, xx = 0;
    };
    /// value = scale * level - minimum
    struct Line {
        double scale = 0, minimum = 0;
        double loss = 0;
    };
    /// The best starts of a run, best first.
    using Lines = std::array<Line, 3>;

    void levelsOf(std::size_t run, double scale, double minimum, std::span<double> levels) const;
    [[nodiscard]] Sums sumsOf(std::size_t run, std::span<const double> levels) const;
    [[nodiscard]] double lossOf(std::size_t run, double scale, double minimum) const;
    [[nodiscard]] double lossOf(const BlockParts& parts, std::size_t run) const;
    [[nodiscard]] double lossOf(const BlockParts& parts) const;
    [[nodiscard]] Line fitted(const Sums& sums) const;
    [[nodiscard]] Line bestLine(std::size_t run) const;
    /// Nearest codes of a line, and the line of least squares through them with what it leaves at these codes.
    [[nodiscard]] Line step(std::size_t run, const Line& line) const;
    void tryLine(std::size_t run, double scale, double minimum, Lines& lines) const;
    void trySymmetric(std::size_t run, Lines& lines) const;
    void tryAffine(std::size_t run, Lines& lines) const;
    bool refineRuns(BlockParts& parts, std::span<double> losses) const;
    bool refineCommon(BlockParts& parts, std::span<double> losses) const;
    void chooseCodes(BlockParts& parts) const;

    BlockShape m_shape;
    std::array<double, kMost> m_x{}, m_h{}, m_hx{};
    std::array<Sums, 16> m_fixed{};  ///< of a run: what no level changes
};

}  // namespace sigmascope
