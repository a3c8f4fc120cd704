// SPDX-License-Identifier: GPL-3.0-or-later
// The budget strip of the window: sizes of the target that is chosen, and the mean error of the plan.

#include "ui/MainWindow.h"
#include "ui/session/ExportChoice.h"
#include "ui/session/FallbackCosts.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/widgets/BudgetStrip.h"

namespace sigmascope::ui {

namespace {

constexpr int kFewReasons = 12;  // of fallbacks, in a tooltip
constexpr int kErrorSoon = 150;  // ms: a drag changes errors frame by frame
/// More layers are not averaged: it would take longer than a frame.
constexpr std::size_t kMostAveraged = 20'000;

}  // namespace

void MainWindow::connectBudget()
{
    m_errorSoon.setSingleShot(true);
    m_errorSoon.setInterval(kErrorSoon);
    connect(&m_errorSoon, &QTimer::timeout, this, &MainWindow::refreshMeanError);
    const auto errorSoon = [this] {
        if (!m_errorSoon.isActive())
            m_errorSoon.start();
    };
    for (const auto signal : {&Session::targetChanged, &Session::recipeChanged, &Session::templateChanged})
        connect(&m_session, signal, this, &MainWindow::refreshBudget);
    connect(&m_session, &Session::planChanged, this, [this, errorSoon] {
        refreshBudget();
        errorSoon();
    });
    connect(&m_session, &Session::analysisChanged, this, errorSoon);
    for (const auto signal : {&Session::opened, &Session::closed, &Session::calibrationChanged})
        connect(&m_session, signal, this, errorSoon);
    for (const auto signal : {&ExportChoice::changed, &ExportChoice::offersChanged})
        connect(m_export, signal, this, &MainWindow::refreshBudget);
}

bool MainWindow::isOneGguf() const
{
    return m_export->target() == QLatin1String("gguf") && m_export->split() == ExportSplit{};
}

/// Known exactly for a GGUF in one file, frame by frame; of anything else as soon as it has been worked out.
const SizeEstimate* MainWindow::budgetSizes() const
{
    if (!m_session.isOpen())
        return nullptr;
    if (isOneGguf())
        return m_session.estimate() ? &*m_session.estimate() : nullptr;
    m_export->refreshSoon();
    const ExportOffer* offer = m_export->offer();
    return offer != nullptr && offer->sizes ? &*offer->sizes : nullptr;
}

void MainWindow::refreshBudget()
{
    BudgetView view;
    if (const SizeEstimate* size = budgetSizes()) {
        view.fileBytes = size->total;
        view.codeBytes = size->codes;
        view.factorBytes = size->factors;
        view.keptBytes = size->kept + size->overhead;
        view.bitsPerWeight = size->bitsPerWeight(m_session.checkpoint()->totalElements());
        view.targetBytes = m_session.target();
        view.memoryBytes = m_session.memoryNeeded(*size);
        view.memoryContext = m_session.context();
        view.isRecomputing = !isOneGguf() && !m_export->isCurrent();
    } else {
        view.sizeSource = Source::None;
        const bool isRefused = m_session.isOpen() && (isOneGguf() || m_export->isCurrent());
        if (isRefused)
            view.refusal = tr("%1 cannot carry this plan; see Export").arg(runtimeOf(m_session.exportTarget()));
    }
    view.outputError = m_meanError;
    view.errorSource = m_isErrorMeasured ? Source::Measured : Source::Estimated;
    view.isWeightError = m_session.calibration() == nullptr;
    view.fallbacks = static_cast<int>(m_session.fallbacks().size());
    view.fallbackBytes = m_fallbackCosts->total();
    QStringList reasons;
    for (const Fallback& fallback : m_session.fallbacks()) {
        if (reasons.size() == kFewReasons) {
            reasons << tr("… and %1 more. A click lists them all").arg(view.fallbacks - kFewReasons);
            break;
        }
        reasons << QString::fromStdString(fallback.detail);
    }
    view.fallbackText = reasons.join(QLatin1Char('\n'));
    m_budget->show(view);
}

/// Over all quantized layers, as soon as every one is known.
void MainWindow::refreshMeanError()
{
    m_meanError.reset();
    m_isErrorMeasured = true;
    double sum = 0;
    std::size_t count = 0;
    const std::size_t layers = m_session.isOpen() ? m_session.plan().layers.size() : 0;
    for (std::size_t i = 0; i < layers; ++i) {
        if (m_session.layer(i).keep)
            continue;
        const auto error = m_session.shownError(i);
        if (!error || ++count > kMostAveraged) {
            refreshBudget();
            return;
        }
        sum += error->value;
        m_isErrorMeasured = m_isErrorMeasured && error->isMeasured;
    }
    if (count > 0)
        m_meanError = sum / static_cast<double>(count);
    refreshBudget();
}

}  // namespace sigmascope::ui
