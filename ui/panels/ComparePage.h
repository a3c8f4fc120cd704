// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/session/Comparison.h"
#include "ui/session/RunHistory.h"

#include <QWidget>

#include <array>
#include <vector>

class QComboBox;
class QTableView;
class QToolButton;

namespace sigmascope::ui {

class CompareModel;
class ComparePlot;
class CompareTotals;
class SegmentedControl;

/// Two runs, or two models, side by side: what they come to, the error of every layer as a plot and as a table, worst
/// first. Compares as soon as both sides are chosen.
class ComparePage : public QWidget {
    Q_OBJECT

public:
    enum Side { A, B };

    ComparePage(Session& session, RunController& run, QWidget* parent = nullptr);

    /// Puts a file on a side: a session by its suffix, else a model.
    void choose(Side side, const QString& path);

    [[nodiscard]] QComboBox* sourceCombo(Side side) const { return m_combos[side]; }
    [[nodiscard]] QToolButton* swapButton() const { return m_swap; }
    [[nodiscard]] SegmentedControl* errorControl() const { return m_error; }
    [[nodiscard]] CompareTotals* totals() const { return m_totals; }
    [[nodiscard]] ComparePlot* plot() const { return m_plot; }
    [[nodiscard]] QTableView* table() const { return m_table; }
    [[nodiscard]] const Comparison& comparison() const { return *m_comparison; }
    [[nodiscard]] QList<QWidget*> regions() const;

signals:
    /// A layer is to be looked at in Inspect.
    void layerChosen(const QString& name);
    void messageRaised(const QString& text);

protected:
    void showEvent(QShowEvent* event) override;

private:
    enum Entry { SessionFileEntry = -1, ModelFileEntry = -2, ModelFolderEntry = -3 };
    void build();
    QWidget* buildHead();
    void buildTable();
    void connectParts();
    void refreshSources();
    void fillCombo(Side side);
    void sourceActivated(Side side, int row);
    void askForFile(Side side, Entry entry);
    void preselect();
    void compare();
    void refresh();
    void showResult();
    void chooseRow(int row);
    [[nodiscard]] QString incompleteText() const;

    Session& m_session;
    RunHistory* m_history = nullptr;
    Comparison* m_comparison = nullptr;
    std::vector<CompareSource> m_sources, m_files;
    std::array<std::optional<CompareSource>, 2> m_chosen;
    ErrorKind m_kind = ErrorKind::Output;
    bool m_isStale = true;

    std::array<QComboBox*, 2> m_combos{};
    QToolButton* m_swap = nullptr;
    SegmentedControl* m_error = nullptr;
    CompareTotals* m_totals = nullptr;
    ComparePlot* m_plot = nullptr;
    QTableView* m_table = nullptr;
    CompareModel* m_model = nullptr;
};

}  // namespace sigmascope::ui
