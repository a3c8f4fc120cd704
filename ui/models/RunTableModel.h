// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/project/Pipeline.h"

#include <QAbstractTableModel>

#include <array>
#include <vector>

namespace sigmascope::ui {

class Session;

/// Results of a run, one row a layer, in the order they finished. Texts are formatted once.
class RunTableModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { Layer, Method, GridName, Rank, OutputError, WeightError, Bits, Seconds, Device, Note, ColumnCount };

    explicit RunTableModel(Session& session, QObject* parent = nullptr);

    void clear();
    void append(const TensorResult& result);
    /// All of a finished run.
    void setAll(const std::vector<TensorResult>& results);
    [[nodiscard]] const std::vector<TensorResult>& results() const { return m_results; }
    [[nodiscard]] QString asCsv() const;

    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    using Texts = std::array<QString, ColumnCount>;
    [[nodiscard]] Texts texts(const TensorResult& result) const;

    Session& m_session;
    std::vector<TensorResult> m_results;
    std::vector<Texts> m_texts;
};

}  // namespace sigmascope::ui
