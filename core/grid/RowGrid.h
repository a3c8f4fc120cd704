// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What the research grids have in common. Included by the grids themselves only.

#include "core/grid/Grid.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sigmascope {

/// Groups whose parameters grids hand to a kernel at a time, from the stack.
inline constexpr std::size_t kGroupsAtOnce = 64;

/// A grid whose rows are cut into groups of consecutive elements, the last one short where the group does not divide
/// the row. A coded row is
///
///   [parameters of all groups][codes of all elements]
///
/// codes packed little end first (BitPacking.h), both parts filled up to whole bytes. Rows run in parallel.
class RowGrid : public Grid, public ClipRange {
public:
    [[nodiscard]] std::uint64_t groupSize() const final { return m_group; }
    [[nodiscard]] int bits() const final { return m_bits; }
    [[nodiscard]] bool accepts(std::uint64_t cols) const final { return cols > 0; }
    [[nodiscard]] std::optional<DType> ggufType() const final { return std::nullopt; }
    [[nodiscard]] std::size_t rowBytes(std::uint64_t cols) const final;
    [[nodiscard]] Status encode(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out) const final;
    void decode(std::span<const std::byte> codes, std::uint64_t rows, std::uint64_t cols, std::span<float> out) const final;
    [[nodiscard]] std::vector<GroupScale> groupScales(std::span<const std::byte> codes, std::uint64_t rows,
                                                      std::uint64_t cols) const final;
    [[nodiscard]] const ClipRange* clipRange() const override { return this; }
    [[nodiscard]] double clippedError(std::span<const float> group, std::span<const double> importance,
                                      double reach) const final;
    void recode(std::span<const float> row, std::span<const double> reach, std::span<std::byte> coded) const final;

protected:
    /// @param group  elements that share parameters; 0 = the row
    RowGrid(int bits, std::uint64_t group) : m_bits(bits), m_group(group) {}

    /// Parameters of one group as its storage gives them back.
    struct Group {
        double scale = 0;  ///< infinite: does not fit the storage
        int zero = 0;      ///< code of the value 0, where a grid moves it
    };
    /// A row's weights in groups of @p length, the last one short where it does not divide them.
    struct Row {
        std::span<const float> weights;
        std::size_t length;

        [[nodiscard]] std::span<const float> group(std::size_t g) const
        {
            return weights.subspan(g * length, std::min(length, weights.size() - g * length));
        }
        /// Groups [first, first + count) as a row.
        [[nodiscard]] Row part(std::size_t first, std::size_t count) const
        {
            return {weights.subspan(first * length, std::min(count * length, weights.size() - first * length)), length};
        }
    };
    /// Parameters of every group, from its weights with @p reach of their range (one per group, or empty: all of it).
    /// A scale that is not finite where a weight is not.
    virtual void fit(const Row& row, std::span<const double> reach, std::span<Group> groups) const = 0;
    /// Rounds parameters that are stored together. A grid that has any to round has no clip range.
    virtual void settle(std::span<Group> row) const { static_cast<void>(row); }
    /// Nearest codes. @pre weights and scales finite.
    virtual void code(const Row& row, std::span<const Group> groups, std::span<std::uint8_t> codes) const = 0;
    /// @param length  of a group
    virtual void restore(std::span<const std::uint8_t> codes, std::size_t length, std::span<const Group> groups,
                         std::span<float> values) const
        = 0;
    /// Sum of importance * (weight - stored value)^2 of one group. Goes by code() and restore(); a grid may know better.
    [[nodiscard]] virtual double lost(std::span<const float> group, std::span<const double> importance,
                                      const Group& parameters) const;
    [[nodiscard]] virtual std::size_t parameterBytes(std::size_t groups) const = 0;
    /// Infinite scales are stored as anything: the row is refused.
    virtual void store(std::span<const Group> groups, std::span<std::byte> out) const = 0;
    virtual void load(std::span<const std::byte> in, std::span<Group> groups) const = 0;
    /// Value of level 0 of a group.
    [[nodiscard]] virtual float offsetOf(const Group& group) const
    {
        static_cast<void>(group);
        return 0;
    }

private:
    struct Scratch {
        std::vector<Group> groups;
        std::vector<std::uint8_t> codes;
    };

    [[nodiscard]] std::size_t groupLength(std::uint64_t cols) const
    {
        return static_cast<std::size_t>(m_group == 0 ? cols : m_group);
    }
    [[nodiscard]] std::size_t groupCount(std::uint64_t cols) const
    {
        return static_cast<std::size_t>((cols + groupLength(cols) - 1) / groupLength(cols));
    }
    [[nodiscard]] Scratch scratchFor(std::uint64_t cols) const
    {
        return {std::vector<Group>(groupCount(cols)), std::vector<std::uint8_t>(cols)};
    }
    /// First column of a group whose scale does not fit. @param reach  one per group, or empty.
    std::optional<std::uint64_t> encodeRow(std::span<const float> row, std::span<const double> reach,
                                           std::span<std::byte> out, Scratch& scratch) const;
    void decodeRow(std::span<const std::byte> coded, std::span<float> row, Scratch& scratch) const;
    template <class Body> void forEachRow(std::uint64_t rows, std::uint64_t cols, const Body& body) const;

    int m_bits;
    std::uint64_t m_group;
};

}  // namespace sigmascope
