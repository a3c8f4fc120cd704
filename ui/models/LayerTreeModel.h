// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Units.h"
#include "ui/models/LayerRoles.h"

#include <QAbstractItemModel>
#include <QString>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace sigmascope::ui {

/// Internal id of rows without a parent, in this model and in the filter before it.
inline constexpr quintptr kTopLevel = ~quintptr{0};

class Session;

/// Blocks with their tensors, and the tensors outside the blocks, of the open model. Text of a row is formatted
/// once and cached; data() only looks up. Rows change in place: nothing resets but opening another model.
class LayerTreeModel : public QAbstractItemModel {
    Q_OBJECT

public:
    explicit LayerTreeModel(Session& session, QObject* parent = nullptr);
    ~LayerTreeModel() override;

    [[nodiscard]] QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    [[nodiscard]] QModelIndex parent(const QModelIndex& child) const override;
    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

    /// Tensor of an index; nothing for a block row.
    [[nodiscard]] std::optional<std::size_t> tensorAt(const QModelIndex& index) const;
    /// All tensors of an index: one, or those of a block.
    [[nodiscard]] std::vector<std::size_t> tensorsAt(const QModelIndex& index) const;
    [[nodiscard]] QModelIndex indexOf(std::size_t tensor) const;
    /// Tensors covered by the plan by default, and all others.
    [[nodiscard]] std::size_t plannedCount() const;
    [[nodiscard]] std::size_t otherCount() const;

    /// Plan of a tensor differs from the one it was opened with.
    [[nodiscard]] bool isChanged(std::size_t tensor) const;

    // What filters and sorts of 100,000 rows ask, without a formatted row: a lookup each.
    /// Numbers of one tensor as planned. Negative = there is none.
    struct Figures {
        double bits = 0;
        double rank = -1;
        double error = -1;
        Bytes bytes = 0;
        bool isPinned = false, hasWarning = false;
    };
    [[nodiscard]] std::size_t tensorCount() const { return m_place.size(); }
    [[nodiscard]] Figures figures(std::size_t tensor) const;
    [[nodiscard]] double plannedBits(std::size_t tensor) const { return m_planned[tensor].bits; }
    [[nodiscard]] Bytes plannedBytes(std::size_t tensor) const { return m_planned[tensor].bytes; }
    /// Negative: none is known.
    [[nodiscard]] double shownError(std::size_t tensor) const { return m_planned[tensor].error; }
    /// Weight-averaged over the planned tensors of a top-level row; the tensor's own where it is one.
    [[nodiscard]] Figures figuresOfTop(int row) const;
    [[nodiscard]] int blockOfTop(int row) const { return m_top[static_cast<std::size_t>(row)].block; }
    [[nodiscard]] const std::vector<std::size_t>& membersOfTop(int row) const { return m_top[static_cast<std::size_t>(row)].members; }
    [[nodiscard]] std::optional<std::size_t> tensorOfTop(int row) const { return m_top[static_cast<std::size_t>(row)].tensor; }
    /// Top-level row and place among its members, -1 for a tensor by itself.
    [[nodiscard]] std::pair<int, int> placeOf(std::size_t tensor) const { return m_place[tensor]; }
    /// Names of all tensors in lower case, UTF-8, a line end after each; where each begins.
    struct SearchText {
        std::string text;
        std::vector<std::uint32_t> starts;
    };
    [[nodiscard]] std::shared_ptr<const SearchText> searchIndex() const { return m_search; }
    [[nodiscard]] const Session& session() const { return m_session; }
    /// Rows of these tensors, full precision, the same in every locale.
    [[nodiscard]] QString asCsv(const std::vector<std::size_t>& tensors) const;

private:
    struct Row;
    struct TopLevel {
        std::optional<std::size_t> tensor{};     ///< a tensor by itself, or …
        int block = -1;
        std::vector<std::size_t> members{};      ///< … a block
        mutable std::unique_ptr<Row> cache{};
        mutable std::optional<Figures> figures{};
    };

    struct Planned {
        double bits = 0;
        Bytes bytes = 0;
        double error = -1;  ///< as shown; negative: none
    };
    void rebuild();
    void indexNames();
    void indexFallbacks();
    void refresh(const std::vector<std::size_t>& tensors);
    [[nodiscard]] Planned plannedOf(std::size_t tensor) const;
    [[nodiscard]] QString warningOf(std::size_t tensor) const;
    [[nodiscard]] const Row& rowAt(const QModelIndex& index) const;
    [[nodiscard]] Row tensorRow(std::size_t tensor) const;
    [[nodiscard]] Row blockRow(const TopLevel& block) const;
    static void formatNumbers(Row& row, bool isBlock);

    Session& m_session;
    std::vector<TopLevel> m_top;
    std::vector<std::pair<int, int>> m_place;    // tensor -> (top-level row, member or -1)
    mutable std::vector<std::unique_ptr<Row>> m_rows;
    std::vector<std::size_t> m_initialHash;
    std::vector<Planned> m_planned;
    std::unordered_map<std::size_t, std::size_t> m_fallbackOf;  // tensor -> place in the session's fallbacks
    std::shared_ptr<const SearchText> m_search = std::make_shared<SearchText>();
};

}  // namespace sigmascope::ui
