// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QSortFilterProxyModel>
#include <QString>

#include <optional>
#include <vector>

namespace sigmascope::ui {

class LayerTreeModel;

/// Filter and sort of the layer tree. Free words match anywhere in the tensor's name; terms narrow further:
/// role:down  bits<4  rank>=16  error>5%  pinned  changed  warn. All must hold.
class LayerFilter : public QSortFilterProxyModel {
    Q_OBJECT

public:
    explicit LayerFilter(LayerTreeModel& model, QObject* parent = nullptr);

    /// Sets the filter; a term that cannot be understood is returned (the old filter stays), nothing otherwise.
    std::optional<QString> setText(const QString& text);
    [[nodiscard]] bool isFiltering() const { return !m_terms.empty(); }

protected:
    [[nodiscard]] bool filterAcceptsRow(int row, const QModelIndex& parent) const override;
    [[nodiscard]] bool lessThan(const QModelIndex& left, const QModelIndex& right) const override;

private:
    enum class Kind { Text, Role, Bits, Rank, Error, Pinned, Changed, Warn };
    enum class Comparison { Less, LessEqual, Equal, GreaterEqual, Greater };
    struct Term {
        Kind kind = Kind::Text;
        QString text;
        Comparison comparison = Comparison::Equal;
        double value = 0;
    };
    [[nodiscard]] static std::optional<Term> parsed(const QString& word);
    [[nodiscard]] bool holds(const Term& term, const QModelIndex& index) const;

    LayerTreeModel& m_model;
    std::vector<Term> m_terms;
};

}  // namespace sigmascope::ui
