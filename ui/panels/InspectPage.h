// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"

#include <QWidget>

#include <vector>

class QTabWidget;

namespace sigmascope::ui {

class ChannelsPanel;
class DensityPlot;
class HeatMapPanel;
class Session;
class SpectrumPlot;
class StatisticsPanel;
struct MarkerReadout;

/// The heart: Density, Spectrum, Channels, Heat map and Statistics of the current layer. The tab and the zoom survive a change of layer.
class InspectPage : public QWidget {
    Q_OBJECT

public:
    explicit InspectPage(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] SpectrumPlot* spectrum() const { return m_spectrum; }
    [[nodiscard]] DensityPlot* density() const { return m_density; }
    [[nodiscard]] ChannelsPanel* channels() const { return m_channels; }
    [[nodiscard]] HeatMapPanel* heatMap() const { return m_heatMap; }
    [[nodiscard]] StatisticsPanel* statistics() const { return m_statistics; }
    [[nodiscard]] QTabWidget* tabs() const { return m_tabs; }

private:
    void connectMarker();
    void refresh();
    void refreshDensity();
    void refreshSpectrum();
    void refreshMarker();
    [[nodiscard]] MarkerReadout readout(std::size_t tensor) const;
    [[nodiscard]] QString staleNote(std::size_t tensor) const;

    Session& m_session;
    QTabWidget* m_tabs = nullptr;
    DensityPlot* m_density = nullptr;
    SpectrumPlot* m_spectrum = nullptr;
    ChannelsPanel* m_channels = nullptr;
    HeatMapPanel* m_heatMap = nullptr;
    StatisticsPanel* m_statistics = nullptr;
    std::vector<std::pair<std::size_t, LayerPlan>> m_before;
    quint64 m_gesture = 0;
    const void* m_shownPreview = nullptr;
    QString m_shownKey;
};

}  // namespace sigmascope::ui
