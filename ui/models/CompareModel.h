// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/session/Comparison.h"

#include <QAbstractTableModel>

#include <memory>
#include <vector>

namespace sigmascope::ui {

/// Layers of a comparison. Columns depend on what is compared; sorts itself by numbers, the largest change for the worse
/// first, what is not known last.
class CompareModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Verdict, Layer, ErrorA, ErrorB, Difference, Largest, TypeA, TypeB, BitsA, BitsB, RankA, RankB, MiBA, MiBB, Note };
    /// LayerVerdict of a row, as an int.
    static constexpr int kVerdictRole = Qt::UserRole + 60;

    explicit CompareModel(QObject* parent = nullptr);

    /// Null for none. Sorted by the difference, largest first.
    void show(std::shared_ptr<const ComparisonResult> result);
    [[nodiscard]] Column columnAt(int section) const { return m_columns[static_cast<std::size_t>(section)]; }
    /// -1 where what is compared has no such column.
    [[nodiscard]] int sectionOf(Column column) const;
    /// Place of a row in the result's depth order, and back; -1 for none.
    [[nodiscard]] int layerAt(int row) const;
    [[nodiscard]] int rowOf(int layer) const;
    /// In the order shown, full precision.
    [[nodiscard]] QString asCsv() const;

    void sort(int section, Qt::SortOrder order) override;
    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    void order(Column column, Qt::SortOrder order);
    [[nodiscard]] QString textOf(const ComparedLayer& layer, Column column) const;
    [[nodiscard]] QString verdictWord(const ComparedLayer& layer) const;
    [[nodiscard]] QString noteOf(const ComparedLayer& layer) const;

    std::shared_ptr<const ComparisonResult> m_result;
    std::vector<Column> m_columns;
    std::vector<int> m_order;  ///< layer of each row
};

}  // namespace sigmascope::ui
