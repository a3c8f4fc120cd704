// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/project/Pipeline.h"

#include <QAbstractTableModel>

#include <optional>
#include <vector>

namespace sigmascope::ui {

class Session;

/// What QueueDelegate reads beside Qt::DisplayRole; the roles of LayerRoles.h end below.
enum QueueRole {
    QueueStateRole = Qt::UserRole + 101,  ///< int of QueueState
    QueueStageRole,  ///< int of RunStage, of a layer that is worked on
    QueueReasonRole,  ///< QString: why a layer failed
};

enum class QueueState {
    Waiting,
    Running,
    Done,
    DoneOtherwise,  ///< not as planned: the note says why
    Failed,
};

/// The queue of a run: one row a layer, those that are finished first, then the one that is worked on, then those that
/// wait, in the order in which they will run. Before a run all wait. Rows are read off when they are shown; nothing but
/// moving one is more than O(1).
class RunTableModel : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column {
        Order,
        Layer,
        PlanText,
        State,
        OutputError,
        Deviation,
        WeightError,
        Bits,
        Seconds,
        Device,
        Note,
        ColumnCount
    };

    explicit RunTableModel(Session& session, QObject* parent = nullptr);

    void clear();
    /// All layers of the plan wait, as they lie in the model; an order wished for before is kept.
    void showPlan();
    /// A run begins: all wait, and what is estimated of their errors now is what they will be compared with.
    void beginRun();
    /// The layers that the run will do; those that it leaves out vanish.
    void setLayers(const std::vector<std::size_t>& tensors);
    void setStage(std::size_t tensor, RunStage stage);
    void finish(const TensorResult& result);
    void fail(std::size_t tensor, const QString& why);
    /// A failed layer waits again, behind all others.
    void requeue(std::size_t tensor);
    /// The run has ended: what was being worked on waits again.
    void endRun();

    /// @p rows of waiting layers go, in their order, before @p row, which may be the number of rows. Returns their new
    /// rows; empty if nothing moves. orderChanged() follows.
    std::vector<int> moveRows(std::vector<int> rows, int row);
    using QAbstractTableModel::moveRows;
    [[nodiscard]] bool isWaiting(int row) const;
    [[nodiscard]] int firstWaiting() const { return m_firstWaiting; }
    /// The order that the user wished for; empty if it is the file's.
    [[nodiscard]] std::vector<std::size_t> wishedOrder() const;
    [[nodiscard]] std::size_t tensorAt(int row) const { return m_rows[static_cast<std::size_t>(row)].tensor; }
    [[nodiscard]] std::optional<int> rowOf(std::size_t tensor) const;
    [[nodiscard]] int doneCount() const { return m_done; }
    [[nodiscard]] int failedCount() const { return m_failed; }
    /// Of the first layer that failed.
    [[nodiscard]] std::optional<int> firstFailed() const;
    [[nodiscard]] QString asCsv() const;
    /// Right-aligned, in digits of one width.
    [[nodiscard]] static bool isNumber(int column);

    [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
    [[nodiscard]] QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

signals:
    /// By the user: waiting layers in the order in which they are wanted.
    void orderChanged(const std::vector<std::size_t>& tensors);

private:
    struct Row {
        std::size_t tensor = 0;
        QueueState state = QueueState::Waiting;
        RunStage stage = RunStage::Codes;
        std::optional<double> estimate{};  // of the error that will be measured
        std::optional<TensorResult> result{};
        QString reason{};
    };
    void setRows(std::vector<Row> rows);
    void reindex(int first, int last);
    /// Behind those that have begun.
    int bringForward(int row);
    void changed(int row);
    [[nodiscard]] QString text(const Row& row, int number, int column) const;
    [[nodiscard]] QString stateText(const Row& row) const;
    [[nodiscard]] QString planText(std::size_t tensor) const;
    [[nodiscard]] std::optional<double> deviation(const Row& row) const;
    [[nodiscard]] QVariant sortKey(const Row& row, int number, int column) const;

    Session& m_session;
    std::vector<Row> m_rows;
    std::vector<int> m_rowOf;  // by tensor; -1: none
    int m_firstWaiting = 0;
    int m_done = 0;
    int m_failed = 0;
    bool m_isReordered = false;
};

}  // namespace sigmascope::ui
