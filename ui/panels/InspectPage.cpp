// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/InspectPage.h"

#include "ui/Theme.h"
#include "ui/panels/ChannelsPanel.h"
#include "ui/panels/HeatMapPanel.h"
#include "ui/panels/StatisticsPanel.h"
#include "ui/plots/DensityPlot.h"
#include "ui/plots/SpectrumPlot.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QLocale>
#include <QTabBar>
#include <QTabWidget>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {

namespace {

SingularValues shown(const Spectrum& spectrum)
{
    return {.values = spectrum.values,
            .total = spectrum.total,
            .lowerBound = spectrum.lowerBound,
            .certified = spectrum.certified,
            .floor = spectrum.floor,
            .unresolvedShare = spectrum.totalEnergy > 0 ? spectrum.unresolvedEnergy / spectrum.totalEnergy : 0,
            .noiseEdge = spectrum.noiseEdge};
}

/// The grid as it lies over a typical group: levels times the median scale. Whole levels are the codes themselves,
/// others are numbered.
std::vector<DensityLevel> levelsOf(const LayerPreview& preview)
{
    const bool isWhole = std::ranges::all_of(preview.levels, [](double level) { return level == std::round(level); });
    std::vector<DensityLevel> levels;
    for (std::size_t i = 0; i < preview.levels.size(); ++i) {
        const double level = preview.levels[i];
        levels.push_back({.weight = level * preview.medianScale + preview.medianOffset,
                          .level = level,
                          .code = static_cast<int>(isWhole ? std::lround(level) : static_cast<long>(i))});
    }
    return levels;
}

}  // namespace

InspectPage::InspectPage(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_tabs(new QTabWidget(this))
    , m_density(new DensityPlot)
    , m_spectrum(new SpectrumPlot)
    , m_channels(new ChannelsPanel(session))
    , m_heatMap(new HeatMapPanel(session))
    , m_statistics(new StatisticsPanel(session))
{
    m_tabs->setDocumentMode(true);
    m_tabs->setAccessibleName(tr("Views of the layer"));
    m_tabs->tabBar()->setAccessibleName(tr("Views of the layer"));
    m_tabs->addTab(m_density, tr("Density"));
    m_tabs->addTab(m_spectrum, tr("Spectrum"));
    m_tabs->addTab(m_channels, tr("Channels"));
    m_tabs->addTab(m_heatMap, tr("Heat map"));
    m_tabs->addTab(m_statistics, tr("Statistics"));
    m_tabs->setCurrentWidget(m_spectrum);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_tabs);

    connect(&session, &Session::selectionChanged, this, &InspectPage::refresh);
    connect(&session, &Session::opened, this, &InspectPage::refresh);
    connect(&session, &Session::closed, this, &InspectPage::refresh);
    connect(&session, &Session::analysisStarted, this, &InspectPage::refresh);
    connect(&session, &Session::analysisChanged, this, [this](std::size_t tensor) {
        if (m_session.current() == tensor)
            refresh();
    });
    connect(&session, &Session::planChanged, this, [this](const std::vector<std::size_t>& tensors) {
        if (!m_session.current() || std::ranges::find(tensors, *m_session.current()) == tensors.end())
            return;
        // A rank alone needs no new curves: the marker follows in this very frame.
        if (m_session.isPreviewCurrent(*m_session.current()))
            refreshMarker();
        else
            refresh();
    });
    connect(m_density, &DensityPlot::partChosen, this, [this](DensityPart part, quint64 row, quint64 group) {
        m_session.setDensityScope({static_cast<DensityScope::Kind>(part), row, group});
    });
    connectMarker();
    refresh();
}

void InspectPage::connectMarker()
{
    connect(m_spectrum, &SpectrumPlot::rankDragStarted, this, [this] {
        m_gesture = m_session.newGesture();
        m_before = m_session.plansOf(m_session.selection());
    });
    connect(m_spectrum, &SpectrumPlot::rankDragged, this, [this](int rank) { m_session.setRank(m_session.selection(), rank, m_gesture); });
    connect(m_spectrum, &SpectrumPlot::rankDragFinished, this,
            [this](int rank) { m_session.setRank(m_session.selection(), rank, m_gesture); });
    connect(m_spectrum, &SpectrumPlot::rankDragCancelled, this, [this] { m_session.restore(m_before, m_gesture); });
}

void InspectPage::refresh()
{
    const QString subject = m_session.current() ? QString::fromStdString(m_session.tensor(*m_session.current()).name) : QString();
    m_density->setSubject(subject);
    m_spectrum->setSubject(subject);
    m_statistics->refresh();
    refreshDensity();
    refreshSpectrum();
    refreshMarker();
}

QString InspectPage::staleNote(std::size_t tensor) const
{
    const LayerPreview* preview = m_session.preview(tensor);
    const LayerPlan& plan = m_session.layer(tensor);
    const QString was = preview->grid.empty() ? tr("kept") : QString::fromStdString(preview->grid);
    const QString now = plan.keep ? tr("kept") : QString::fromStdString(plan.grid);
    if (was != now)
        return tr("for %1, now %2").arg(was, now);
    return preview->metricKind != plan.metric ? tr("for another metric") : tr("for another solver");
}

void InspectPage::refreshDensity()
{
    if (!m_session.current()) {
        m_density->showEmpty(m_session.isOpen() ? tr("Select a layer to see how its weights are distributed") : tr("Open a model to see its weights"));
        return;
    }
    const std::size_t index = *m_session.current();
    const ValueAnalysis* values = m_session.values(index);
    if (values == nullptr) {
        if (const auto& error = m_session.analysisError())
            m_density->showFailed(titleOf(error->code), QString::fromStdString(error->detail));
        else
            m_density->showLoading(tr("Distribution"));
        return;
    }
    if (values->stats.finite == 0) {
        m_density->showEmpty(tr("No finite value to show"));
        return;
    }
    DensityView view;
    view.codes = values->codes;
    view.min = values->stats.min;
    view.max = values->stats.max;
    view.elements = values->stats.count;
    view.centre = values->median;
    const LayerPreview* preview = m_session.preview(index);
    if (preview != nullptr && m_session.isPreviewCurrent(index) && !preview->levels.empty()) {
        view.levels = levelsOf(*preview);
        view.levelsNote = tr("Levels of the median of %1 groups").arg(wholeNumber(preview->groups));
        view.grid = m_session.density();
        view.rows = preview->rows;
        view.groupsInRow = m_session.groupsInRow(index);
        // A row or group is on its way: the picture before it stays.
        if (view.grid == nullptr && preview->density != nullptr && m_density->state() == PlotFrame::State::Ready)
            return;
    }
    const DensityScope& scope = m_session.densityScope();
    m_density->setPart(static_cast<DensityPart>(scope.kind), scope.row, scope.group);
    m_density->show(view);
    const bool isExact = view.grid != nullptr || values->codes->exactCodes;
    const QString weights = wholeNumber(view.grid != nullptr ? view.grid->elements : values->stats.count);
    m_density->setSource(isExact ? Source::Exact : Source::Estimated,
                         isExact ? tr("exact, %1 weights").arg(weights) : tr("bins of 1 in 128, %1 weights").arg(weights));
}

void InspectPage::refreshSpectrum()
{
    if (!m_session.current()) {
        m_shownPreview = nullptr;
        m_shownKey.clear();
        m_spectrum->showEmpty(m_session.isOpen() ? tr("Select a layer to see its spectrum") : tr("Open a model to see its spectra"));
        return;
    }
    const std::size_t index = *m_session.current();
    const LayerPreview* preview = m_session.preview(index);
    if (preview == nullptr) {
        m_shownKey.clear();
        const ValueAnalysis* values = m_session.values(index);
        if (const auto& error = m_session.analysisError())
            m_spectrum->showFailed(titleOf(error->code), QString::fromStdString(error->detail));
        else if (values != nullptr && values->stats.nan + values->stats.inf > 0)
            m_spectrum->showFailed(tr("%1 values are not finite").arg(values->stats.nan + values->stats.inf),
                                   tr("A spectrum needs numbers. The layer is copied, not quantized."));
        else if (!m_session.isPlannable(index))
            m_spectrum->showEmpty(tr("A vector has no spectrum. Select a matrix."));
        else
            m_spectrum->showLoading(tr("Spectrum"));
        return;
    }
    const QString key = QStringLiteral("%1/%2/%3/%4")
                            .arg(index)
                            .arg(QString::fromStdString(preview->grid))
                            .arg(static_cast<int>(preview->metricKind))
                            .arg(QString::fromStdString(preview->solver));
    if (key != m_shownKey || preview != m_shownPreview) {
        SpectrumView view;
        view.w = shown(preview->w);
        view.maxRank = m_session.maxRank(index);
        if (!preview->grid.empty()) {
            view.e = shown(preview->e);
            view.weightError = preview->weightError;
            if (preview->es) {
                view.es = shown(*preview->es);
                view.outputError = preview->outputError;
            } else {
                view.plainReason = preview->metric.note.empty() ? tr("plain metric") : QString::fromStdString(preview->metric.note);
            }
        }
        m_spectrum->show(view);
        m_shownKey = key;
        m_shownPreview = preview;
        const Spectrum& main = preview->es ? *preview->es : preview->grid.empty() ? preview->w : preview->e;
        m_spectrum->setSource(main.complete ? Source::Measured : Source::Estimated,
                              main.complete ? tr("exact, %1 of %1 values").arg(main.total)
                                            : tr("%1 of %2 values, each within 1 %").arg(main.certified).arg(main.total));
    }
    if (!m_session.isPreviewCurrent(index)) {
        m_spectrum->showStale(staleNote(index));
        m_shownKey.clear();
    }
}

MarkerReadout InspectPage::readout(std::size_t tensor) const
{
    const LayerPlan& plan = m_session.layer(tensor);
    MarkerReadout readout;
    readout.identity = tr("rank %1").arg(plan.rank);
    readout.isEstimated = !m_session.isPreviewCurrent(tensor);
    const LayerPreview* preview = m_session.preview(tensor);
    if (preview == nullptr || preview->shownError().isEmpty())
        return readout;
    const ErrorSpectrum& error = preview->shownError();
    readout.captured = tr("%1 of %2 energy").arg(percent(error.capturedAtRank(plan.rank)), preview->es ? QStringLiteral("E·S") : QStringLiteral("E"));
    const double added = m_session.bytesPerRank(tensor) * plan.rank;
    const double addedBits = 8 * added / static_cast<double>(m_session.tensor(tensor).elements());
    // Past the computed values the error is at most that of the last one.
    const QString left = bounded(percent(error.errorAtRank(plan.rank)), plan.rank > error.maxRank());
    readout.consequence = tr("error %1 → %2 · +%3 bpw · %4").arg(percent(error.errorAtRank(0)), left, number3(addedBits), addedSize(added));
    return readout;
}

void InspectPage::refreshMarker()
{
    if (!m_session.current() || !m_session.isPlannable(*m_session.current()) || m_session.layer(*m_session.current()).keep) {
        m_spectrum->hideMarker();
        return;
    }
    m_spectrum->setMarker(static_cast<int>(m_session.layer(*m_session.current()).rank), readout(*m_session.current()));
}

}  // namespace sigmascope::ui
