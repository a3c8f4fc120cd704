// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/plots/EqualizerView.h"

#include <unordered_map>
#include <vector>

namespace sigmascope::ui {

class Session;

/// The layers of the open model as columns of the Equalizer, and which column is which tensor.
class EqualizerColumns {
public:
    enum class Order { Depth, Role };

    explicit EqualizerColumns(const Session& session)
        : m_session(session)
    {
    }

    /// All plannable tensors in order: by depth and in each block by role, or by role and in each by depth.
    [[nodiscard]] EqualizerView build(Order order);
    /// The column of one tensor as it is now; the place is that of the last build().
    [[nodiscard]] EqualizerColumn columnOf(std::size_t tensor) const;
    /// -1 for a tensor without a column.
    [[nodiscard]] int indexOf(std::size_t tensor) const;
    [[nodiscard]] std::size_t tensorAt(int column) const { return m_tensors[static_cast<std::size_t>(column)]; }
    [[nodiscard]] std::vector<std::size_t> tensorsAt(const std::vector<int>& columns) const;
    /// Ascending; tensors without a column are left out.
    [[nodiscard]] std::vector<int> indicesOf(const std::vector<std::size_t>& tensors) const;

private:
    struct Place {
        int group = 0, part = 0, fused = -1;
    };
    void sortByDepth(EqualizerView& view);
    void sortByRole(EqualizerView& view);
    void placeDepth(EqualizerView& view);
    [[nodiscard]] std::uint32_t widthsOf(std::size_t tensor) const;

    const Session& m_session;
    std::vector<std::size_t> m_tensors;
    std::vector<Place> m_places;
    std::vector<int> m_columns;  // by tensor; -1
    mutable std::unordered_map<std::string, std::uint32_t> m_widths;  // by grid and row length
};

}  // namespace sigmascope::ui
