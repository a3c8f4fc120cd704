// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"

#include <QAbstractTableModel>

#include <vector>

namespace sigmascope::ui {

class Session;

/// GGUF types by hand of the session's recipe (llama-quantize's --tensor-type), in the order that decides. Edits are
/// wishes to the session, as in RulesModel.
class TypesModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Pattern, Type, Tensors, ColumnCount };

    explicit TypesModel(Session& session, QObject* parent = nullptr);

    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
    [[nodiscard]] Qt::ItemFlags flags(const QModelIndex& index) const override;
    bool setData(const QModelIndex& index, const QVariant& value, int role) override;

    /// Before all others, for the tensors whose GGUF name ends as @p tensor's does, with the type that it has, or q6_k.
    void addFor(std::size_t tensor);
    void removeRow(int row);
    /// One place up or down.
    void moveRow(int row, int by);
    /// Tensors that this row decides.
    [[nodiscard]] std::vector<std::size_t> tensorsOf(int row) const;
    [[nodiscard]] QString asCsv() const;

signals:
    void refused(const QString& why);

private:
    void refresh();
    [[nodiscard]] const std::vector<TypeOverride>& types() const;

    Session& m_session;
    std::vector<std::size_t> m_counts;  // tensors of each row
};

}  // namespace sigmascope::ui
