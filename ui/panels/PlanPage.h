// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/panels/EqualizerColumns.h"
#include "ui/plots/EqualizerPlot.h"
#include "ui/session/Session.h"

#include <QTimer>
#include <QWidget>

#include <unordered_map>

class QComboBox;
class QSplitter;

namespace sigmascope::ui {

class ElidedLabel;
class EqualizerLegend;
class ModelMapPanel;
class PlanDiff;
class PlanSettings;
class RulesPanel;

/// The plan of the whole model: Equalizer above, model map and what changed below, settings, rules and presets right.
class PlanPage : public QWidget {
    Q_OBJECT

public:
    explicit PlanPage(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] EqualizerPlot* equalizer() const { return m_equalizer; }
    [[nodiscard]] PlanSettings* settings() const { return m_settings; }
    [[nodiscard]] RulesPanel* rules() const { return m_rules; }
    [[nodiscard]] PlanDiff* diff() const { return m_diff; }
    [[nodiscard]] ModelMapPanel* modelMap() const { return m_map; }
    [[nodiscard]] const EqualizerColumns& columns() const { return m_columns; }
    [[nodiscard]] QComboBox* orderChoice() const { return m_order; }
    void focusEqualizer();
    /// The widgets that F6 goes through.
    [[nodiscard]] QList<QWidget*> regions() const;

signals:
    void messageRaised(const QString& text);

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    void build();
    [[nodiscard]] QWidget* buildEqualizer();
    void connectPlot();
    void connectSession();
    void rebuild();
    void refreshColumns(const std::vector<std::size_t>& tensors);
    void showSelection();
    void beginGesture(const std::vector<int>& columns);
    void refreshBubble(int column, EqualizerPlot::Handle dragged);
    [[nodiscard]] QString consequence(std::size_t tensor, EqualizerPlot::Handle dragged) const;
    [[nodiscard]] quint64 keyGesture();

    Session& m_session;
    EqualizerColumns m_columns;
    EqualizerPlot* m_equalizer = nullptr;
    EqualizerLegend* m_legend = nullptr;
    ElidedLabel* m_caption = nullptr;
    QComboBox* m_order = nullptr;
    PlanSettings* m_settings = nullptr;
    RulesPanel* m_rules = nullptr;
    PlanDiff* m_diff = nullptr;
    ModelMapPanel* m_map = nullptr;
    QSplitter* m_rows = nullptr;
    QSplitter* m_sides = nullptr;
    QWidget* m_sidebar = nullptr;

    quint64 m_gesture = 0;               ///< of the drag under way
    Session::LayerPlans m_before;        ///< plans that it found, the one in the hand first
    Bytes m_sizeBefore = 0;
    quint64 m_keyGesture = 0;
    QTimer m_legendSoon;                 ///< counted once for many changes
};

}  // namespace sigmascope::ui
