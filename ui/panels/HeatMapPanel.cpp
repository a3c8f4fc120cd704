// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/HeatMapPanel.h"

#include "ui/plots/HeatMapPlot.h"
#include "ui/session/HeatMapAnalysis.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <QVBoxLayout>

namespace sigmascope::ui {

static_assert(HeatMapPlot::kTile == HeatMapAnalysis::kTile);

HeatMapPanel::HeatMapPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_analysis(new HeatMapAnalysis(session, this))
    , m_plot(new HeatMapPlot)
{
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->addWidget(m_plot);
    connect(m_analysis, &HeatMapAnalysis::changed, this, &HeatMapPanel::refresh);
    connect(m_analysis, &HeatMapAnalysis::progressed, m_plot, &PlotFrame::setLoadingProgress);
    connect(m_analysis, &HeatMapAnalysis::tilesReady, m_plot, &HeatMapPlot::addTiles);
    connect(m_plot, &HeatMapPlot::tilesWanted, m_analysis, &HeatMapAnalysis::request);
    connect(m_plot, &HeatMapPlot::quantityChosen, m_analysis, &HeatMapAnalysis::setQuantity);
    connect(m_plot, &PlotFrame::cancelRequested, m_analysis, &HeatMapAnalysis::cancel);
    refresh();
}

void HeatMapPanel::refresh()
{
    const auto& subject = m_analysis->subject();
    if (!subject) {
        m_plot->showEmpty(m_session.isOpen() ? tr("Select a layer to see its weights as a picture")
                                             : tr("Open a model to see its weights"));
        return;
    }
    const TensorInfo& tensor = m_session.tensor(subject->tensor);
    m_plot->setSubject(QString::fromStdString(tensor.name));
    const QString noError = subject->grid.empty() ? tr("This layer is kept as it is: no error to show")
                                                  : tr("Values that are not finite have no error");
    const std::string plain = plainReason(*subject);
    const QString noMetric = m_analysis->has(HeatQuantity::E)
        ? (plain.empty() ? tr("plain metric") : QString::fromStdString(plain))
        : noError;
    const std::array<bool, 3> has{true, m_analysis->has(HeatQuantity::E), m_analysis->has(HeatQuantity::ES)};
    const std::array<QString, 3> reasons{QString(), noError, noMetric};
    if (const auto& error = m_analysis->error()) {
        m_plot->showFailed(titleOf(error->code), QString::fromStdString(error->detail));
    } else if (m_analysis->overview() == nullptr) {
        m_plot->setQuantities(m_analysis->quantity(), has, reasons);
        if (m_analysis->isRunning())
            m_plot->showLoading(tr("Heat map"));
        else
            m_plot->showEmpty(tr("Cancelled. Select the layer again to see its weights as a picture"));
    } else {
        const std::uint64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
        m_plot->show({.rows = tensor.elements() / cols,
                      .cols = cols,
                      .quantity = m_analysis->quantity(),
                      .overview = m_analysis->overview(),
                      .has = has,
                      .reasons = reasons});
        m_plot->setSource(Source::Exact,
                          tr("exact, %1 × %2").arg(wholeNumber(tensor.elements() / cols), wholeNumber(cols)));
    }
}

void HeatMapPanel::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_analysis->setWatched(true);
}

void HeatMapPanel::hideEvent(QHideEvent* event)
{
    m_analysis->setWatched(false);
    QWidget::hideEvent(event);
}

}  // namespace sigmascope::ui
