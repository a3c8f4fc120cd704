// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/session/FallbackCosts.h"
#include "ui/session/Session.h"

#include <QAbstractTableModel>

#include <array>
#include <vector>

namespace sigmascope::ui {

/// What changed in the plan since an earlier one: layers of a block that changed alike share a row. Largest change of
/// size first. Texts are formatted once.
class PlanDiffModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Block, Layers, Bits, Rank, MiB, ColumnCount };

    explicit PlanDiffModel(Session& session, QObject* parent = nullptr);

    /// O(tensors); not for every move of a drag.
    void refresh(Session::Since since);
    [[nodiscard]] std::size_t changedLayers() const { return m_changed; }
    /// Of the changed tensors together, without padding.
    [[nodiscard]] double addedBytes() const { return m_added; }
    [[nodiscard]] std::vector<std::size_t> tensorsAt(int row) const;
    [[nodiscard]] QString asCsv() const;

    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    struct Row {
        std::vector<std::size_t> tensors;
        double bytes = 0;
        std::array<QString, ColumnCount> text;
        QString bits;  ///< for files: the same in every language
        QString toolTip;
    };
    [[nodiscard]] Row rowOf(const std::vector<std::size_t>& tensors, const QuantizationPlan& before) const;

    Session& m_session;
    std::vector<Row> m_rows;
    std::size_t m_changed = 0;
    double m_added = 0;
};

/// What the plan cannot do as asked, one row a tensor, with the cost.
class FallbackModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Layer, Cost, Detail, ColumnCount };

    explicit FallbackModel(Session& session, QObject* parent = nullptr);

    void refresh();
    [[nodiscard]] QString asCsv() const;
    [[nodiscard]] std::size_t tensorAt(int row) const { return m_fallbacks[static_cast<std::size_t>(row)].tensor; }
    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    [[nodiscard]] double costAt(int row);

    Session& m_session;
    FallbackCosts m_costs;
    std::vector<Fallback> m_fallbacks;
    std::vector<double> m_cost;
};

}  // namespace sigmascope::ui
