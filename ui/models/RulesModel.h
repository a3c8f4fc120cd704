// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"

#include <QAbstractTableModel>

#include <optional>
#include <vector>

namespace sigmascope::ui {

class Session;

/// The rules of the session's recipe, in the order that decides. An edit is a wish to the session; what it refuses, and
/// a text that means nothing, leaves the rule as it is and is said by refused().
class RulesModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Pattern, Bits, Rank, Layers, ColumnCount };

    explicit RulesModel(Session& session, QObject* parent = nullptr);

    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
    [[nodiscard]] Qt::ItemFlags flags(const QModelIndex& index) const override;
    bool setData(const QModelIndex& index, const QVariant& value, int role) override;

    /// Before all others, for the layers named as @p tensor is by its last part, with its bits and rank: there it wins.
    void addFor(std::size_t tensor);
    void removeRule(int row);
    /// One place up or down.
    void moveRule(int row, int by);
    /// Layers that this rule decides.
    [[nodiscard]] std::vector<std::size_t> layersOf(int row) const;
    [[nodiscard]] QString asCsv() const;
    /// What is wrong with a pattern and where; empty for a good one.
    [[nodiscard]] static QString faultText(const QString& pattern);

signals:
    void refused(const QString& why);

private:
    void refresh();
    [[nodiscard]] const std::vector<RecipeRule>& rules() const;
    [[nodiscard]] QString text(const RecipeRule& rule, int column, int row) const;
    bool setBits(RecipeRule& rule, const QString& text);
    bool setRank(RecipeRule& rule, const QString& text);

    Session& m_session;
    std::vector<std::size_t> m_counts;  // layers of each rule
};

}  // namespace sigmascope::ui
