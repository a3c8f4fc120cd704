// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/grid/Grid.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sigmascope {

/// A grid that is one GGUF block type with an encoder of core/compute and its decoder. What is left to say: its levels,
/// and where a block keeps the scale of each group.
class CodedBlock : public Grid, public ImportanceSearch {
public:
    [[nodiscard]] std::string id() const override;
    [[nodiscard]] int bits() const override { return m_bits; }
    [[nodiscard]] std::uint64_t groupSize() const override { return m_group; }
    [[nodiscard]] bool accepts(std::uint64_t cols) const override;
    [[nodiscard]] std::size_t rowBytes(std::uint64_t cols) const override;
    [[nodiscard]] std::optional<DType> ggufType() const override { return m_type; }

    [[nodiscard]] Status encode(std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out) const override;
    void decode(std::span<const std::byte> codes, std::uint64_t rows, std::uint64_t cols,
                std::span<float> out) const override;
    [[nodiscard]] const ImportanceSearch* importanceSearch() const override;
    [[nodiscard]] Result<std::string> encodeWeighted(std::span<const float> weights, std::uint64_t rows,
                                                     std::uint64_t cols, std::span<const float> importance,
                                                     std::span<std::byte> out, const JobContext& job) const override;

    [[nodiscard]] std::vector<double> levels() const override { return m_levels; }
    [[nodiscard]] std::vector<GroupScale> groupScales(std::span<const std::byte> codes, std::uint64_t rows,
                                                      std::uint64_t cols) const override;

protected:
    /// @param bits  width of a code, @param group  elements that share a scale, @param levels  as Grid::levels().
    CodedBlock(DType type, int bits, std::uint64_t group, std::vector<double> levels);

    [[nodiscard]] DType type() const { return m_type; }
    /// Scale of group @p group of a block, as decode() multiplies levels by it.
    [[nodiscard]] virtual float scaleOf(std::span<const std::byte> block, std::size_t group) const = 0;

private:
    DType m_type;
    int m_bits;
    std::uint64_t m_group;
    std::vector<double> m_levels;
};

/// An f16 among the bytes of a block.
[[nodiscard]] float halfAt(std::span<const std::byte> block, std::size_t at);

}  // namespace sigmascope
