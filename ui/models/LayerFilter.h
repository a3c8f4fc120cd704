// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/ModelTopology.h"
#include "ui/session/LatestJob.h"

#include <QAbstractProxyModel>
#include <QString>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope::ui {

class LayerTreeModel;

/// Filter and sort of the layer tree. Free words match anywhere in the tensor's name, or in a block's; terms narrow
/// further: role:down  bits<4  rank>=16  error>5%  pinned  changed  warn. All must hold. Above 10,000 tensors what a
/// filter finds is a flat list.
///
/// Made for 100,000 rows: names are searched as one text, numbers are looked up, rows are sorted by keys made once a
/// sort. Figures that change meanwhile neither hide nor move a row: it must not jump away under the user's hand.
class LayerFilter : public QAbstractProxyModel {
    Q_OBJECT

public:
    explicit LayerFilter(LayerTreeModel& model, QObject* parent = nullptr);

    /// Sets the filter; a term that cannot be understood is returned (the old filter stays), nothing otherwise.
    std::optional<QString> setText(const QString& text);
    [[nodiscard]] bool isFiltering() const { return !m_terms.empty(); }
    [[nodiscard]] bool isFlat() const { return m_isFlat; }
    /// Tensors that are listed, whether their block is open or not.
    [[nodiscard]] std::size_t listedCount() const { return m_listed; }
    /// In the order shown.
    [[nodiscard]] std::vector<std::size_t> listedTensors() const;

    [[nodiscard]] QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    [[nodiscard]] QModelIndex parent(const QModelIndex& child) const override;
    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] bool hasChildren(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    /// Known here: a view asks for every row it lays out.
    [[nodiscard]] Qt::ItemFlags flags(const QModelIndex& index) const override;
    [[nodiscard]] QModelIndex mapToSource(const QModelIndex& proxy) const override;
    [[nodiscard]] QModelIndex mapFromSource(const QModelIndex& source) const override;
    /// Column -1: the model's own order.
    void sort(int column, Qt::SortOrder order = Qt::AscendingOrder) override;

private:
    enum class Kind { Text, Role, Bits, Rank, Error, Pinned, Changed, Warn };
    enum class Comparison { Less, LessEqual, Equal, GreaterEqual, Greater };
    struct Term {
        Kind kind = Kind::Text;
        QString text;
        Comparison comparison = Comparison::Equal;
        double value = 0;
    };
    /// A top-level row of the tree: a block with those of its members that are listed, or a tensor by itself.
    struct Top {
        int source = 0;  ///< top-level row of the model
        std::vector<int> members;  ///< places in the block, in the order shown
    };
    [[nodiscard]] static std::optional<Term> parsed(const QString& word);
    /// One number for each name a role has.
    [[nodiscard]] static int roleKey(const TensorPlace& place)
    {
        return static_cast<int>(place.role) * 2 + (place.bias ? 1 : 0);
    }
    void rebuild();
    void rebuildFlat(const std::vector<char>& isIn);
    void rebuildTree(const std::vector<char>& isIn);
    [[nodiscard]] std::vector<char> matches() const;
    void applyTerm(const Term& term, std::vector<char>& isIn) const;
    void applyText(const Term& term, std::vector<char>& isIn) const;
    void applyRole(const Term& term, std::vector<char>& isIn) const;
    void sortRows();
    void sortTree();
    /// Where each row is now shown.
    void indexRows();
    /// Sort key of each tensor for the column sorted by.
    [[nodiscard]] std::vector<double> tensorKeys() const;
    void orderNames();
    [[nodiscard]] const std::vector<double>& nameKeys() const;
    [[nodiscard]] std::vector<char> namesWith(const QString& words) const;
    [[nodiscard]] double topKey(int row) const;
    void forwardDataChanged(const QModelIndex& first, const QModelIndex& last);

    LayerTreeModel& m_model;
    std::vector<Term> m_terms;
    bool m_isFlat = false;
    std::size_t m_listed = 0;
    int m_column = -1;
    Qt::SortOrder m_order = Qt::AscendingOrder;
    std::vector<Top> m_top;              // of a tree
    std::vector<std::uint32_t> m_flat;   // of a flat list: tensors
    std::vector<int> m_rowOfTop;         // model's top-level row -> row shown, -1 if hidden
    std::vector<int> m_rowOfMember;      // tensor -> row within its block or the flat list, -1 if hidden
    mutable std::vector<double> m_nameKeys;
    LatestJob<std::vector<double>> m_nameJob;
};

}  // namespace sigmascope::ui
