// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/models/LayerRoles.h"

#include <QAbstractItemModel>
#include <QString>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

namespace sigmascope::ui {

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

private:
    struct Row;
    struct TopLevel {
        std::optional<std::size_t> tensor{};     ///< a tensor by itself, or …
        int block = -1;
        std::vector<std::size_t> members{};      ///< … a block
        mutable std::unique_ptr<Row> cache{};
    };

    void rebuild();
    void refresh(const std::vector<std::size_t>& tensors);
    [[nodiscard]] const Row& rowAt(const QModelIndex& index) const;
    [[nodiscard]] Row tensorRow(std::size_t tensor) const;
    [[nodiscard]] Row blockRow(const TopLevel& block) const;
    static void formatNumbers(Row& row, bool isBlock);

    Session& m_session;
    std::vector<TopLevel> m_top;
    std::vector<std::pair<int, int>> m_place;    // tensor -> (top-level row, member or -1)
    mutable std::vector<std::unique_ptr<Row>> m_rows;
    std::vector<std::size_t> m_initialHash;
};

}  // namespace sigmascope::ui
