// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"
#include "ui/widgets/SourceBadge.h"

#include <QString>
#include <QWidget>

#include <vector>

class QCheckBox;
class QComboBox;
class QGridLayout;
class QLabel;
class QSpinBox;
class QVBoxLayout;

namespace sigmascope::ui {

class ElidedLabel;
class RankSlider;
class SegmentedControl;
class Session;

/// Plan and result of the selected layers: equal values are shown, different ones as "mixed"; an edit goes to all of
/// them in one undo step.
class InspectorPanel : public QWidget {
    Q_OBJECT

public:
    explicit InspectorPanel(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] QSpinBox* rankField() const { return m_rank; }
    [[nodiscard]] SegmentedControl* bitsControl() const { return m_bits; }
    [[nodiscard]] QComboBox* gridCombo() const { return m_grid; }
    [[nodiscard]] QComboBox* solverCombo() const { return m_solver; }
    [[nodiscard]] SegmentedControl* factorsControl() const { return m_factors; }
    /// Text of a result row by its key ("output-error", "size", "bits"), for tests.
    [[nodiscard]] QString resultText(const QString& key) const;

signals:
    void captionChanged(const QString& text);

private:
    struct ResultRow {
        QString key;
        ElidedLabel* name = nullptr;
        QLabel* value = nullptr;
        SourceBadge* badge = nullptr;
        QString text;    // set first, shown once: a label that changes twice lays out twice
        Source source = Source::None;
    };

    void buildGrid(QVBoxLayout* layout);
    /// Methods and grids that the target has.
    void fillForTarget();
    void buildLowRank(QVBoxLayout* layout);
    void buildResult(QVBoxLayout* layout);
    ResultRow& addResult(QGridLayout* grid, const QString& key, const QString& name, const QString& explanation);
    [[nodiscard]] ResultRow& result(const QString& key);
    void refresh();
    void refreshAfterEdit();
    void refreshRank();
    void refreshFactors();
    /// Everything of the selected plans but their ranks, hashed.
    [[nodiscard]] std::size_t shapeOfPlans() const;
    void refreshTitle();
    void refreshPlan();
    void refreshBits();
    void refreshSolver();
    void refreshResult();
    void fillResult();
    /// Plannable ones of the selection.
    [[nodiscard]] std::vector<std::size_t> layers() const;

    Session& m_session;
    ElidedLabel* m_title = nullptr;
    ElidedLabel* m_facts = nullptr;
    QWidget* m_form = nullptr;
    QComboBox* m_method = nullptr;
    QComboBox* m_grid = nullptr;
    QLabel* m_gridReason = nullptr;
    SegmentedControl* m_bits = nullptr;
    ElidedLabel* m_group = nullptr;
    QComboBox* m_solver = nullptr;
    QSpinBox* m_rank = nullptr;
    RankSlider* m_rankSlider = nullptr;
    SegmentedControl* m_factors = nullptr;
    QComboBox* m_metric = nullptr;
    QLabel* m_metricNote = nullptr;
    QCheckBox* m_pinned = nullptr;
    std::vector<ResultRow> m_results;
    std::vector<std::pair<std::size_t, LayerPlan>> m_before;
    quint64 m_gesture = 0;
    std::size_t m_shownShape = 0;
    bool m_isShowing = false;
};

}  // namespace sigmascope::ui
