// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

namespace sigmascope::ui {

class HeatMapAnalysis;
class HeatMapPlot;
class Session;

/// The Heat map tab. Computes while it is visible.
class HeatMapPanel : public QWidget {
    Q_OBJECT

public:
    explicit HeatMapPanel(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] HeatMapPlot* plot() const { return m_plot; }
    [[nodiscard]] HeatMapAnalysis* analysis() const { return m_analysis; }

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    void refresh();

    Session& m_session;
    HeatMapAnalysis* m_analysis = nullptr;
    HeatMapPlot* m_plot = nullptr;
};

}  // namespace sigmascope::ui
