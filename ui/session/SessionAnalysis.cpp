// SPDX-License-Identifier: GPL-3.0-or-later
// The looking half of Session: what is known of a tensor, and the jobs that find it out.

#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <algorithm>

namespace sigmascope::ui {

namespace {

/// Models up to this size get the error of every layer without being asked, one layer at a time while nothing else
/// runs; larger ones layer by layer as they are looked at, or by a run.
constexpr std::uint64_t kSurveyElements = 64ULL << 20U;

}  // namespace

const ValueAnalysis* Session::values(std::size_t index) const
{
    const auto it = m_values.find(index);
    return it == m_values.end() ? nullptr : &it->second;
}

const LayerPreview* Session::preview(std::size_t index) const
{
    const auto it = m_previews.find(index);
    return it == m_previews.end() ? nullptr : &it->second;
}

bool Session::isPreviewCurrent(std::size_t index) const
{
    const LayerPreview* shown = preview(index);
    const LayerPlan& plan = layer(index);
    return shown != nullptr && shown->grid == (plan.keep ? std::string() : plan.grid)
        && (plan.keep || (shown->metricKind == plan.metric && shown->solver == plan.solver));
}

const TensorResult* Session::measured(std::size_t index) const
{
    const auto it = m_measured.find(index);
    if (it == m_measured.end())
        return nullptr;
    LayerPlan ran = it->second.plan;
    ran.pinned = layer(index).pinned;  // a pin does not change what is stored
    ran.preset = layer(index).preset;
    return ran == layer(index) ? &it->second.result : nullptr;
}

std::optional<ShownError> Session::shownError(std::size_t index) const
{
    if (layer(index).keep)
        return std::nullopt;
    if (const TensorResult* result = measured(index)) {
        if (const auto error = result->metricError ? result->metricError : result->weightError)
            return ShownError{.value = *error, .isMeasured = true};
    }
    const LayerPreview* shown = preview(index);
    if (shown == nullptr || !isPreviewCurrent(index) || shown->shownError().isEmpty())
        return std::nullopt;
    const ErrorSpectrum& error = shown->shownError();
    return ShownError{.value = error.errorAtRank(layer(index).rank), .isUpperBound = layer(index).rank > error.maxRank()};
}

void Session::setBusy(bool busy)
{
    m_isBusy = busy;
    if (busy)
        m_surveyJob.cancel();
    else
        surveyNext();
}

void Session::recordResult(const TensorResult& result, const LayerPlan& plan)
{
    m_measured.insert_or_assign(result.tensor, MeasuredLayer{result, plan});
    emit analysisChanged(result.tensor);
}

void Session::analyseCurrent()
{
    m_valuesJob.cancel();
    m_previewJob.cancel();
    m_surveyJob.cancel();
    m_scopeJob.cancel();
    m_scopedDensity.reset();
    m_analysisError.reset();
    if (!m_checkpoint || !m_current)
        return;
    const std::size_t index = *m_current;
    emit analysisStarted();
    if (m_values.contains(index)) {
        startPreview(index);
        return;
    }
    m_valuesJob.start(
        [checkpoint = m_checkpoint, backend = m_backend, index](const JobContext& job) {
            return analyseValues(*checkpoint, index, *backend, job);
        },
        [this, index](Result<ValueAnalysis> analysis) {
            if (analysis)
                m_values.insert_or_assign(index, std::move(*analysis));
            else
                m_analysisError = analysis.error();
            emit analysisChanged(index);
            if (analysis.has_value())
                startPreview(index);
        });
}

void Session::startPreview(std::size_t index)
{
    const ValueAnalysis* known = values(index);
    const bool isNumeric = known != nullptr && known->stats.nan + known->stats.inf == 0;
    // Without numbers there is no spectrum; the statistics say so.
    if (!isPlannable(index) || isPreviewCurrent(index) || !isNumeric) {
        startScope();
        surveyNext();
        return;
    }
    std::shared_ptr<const Spectrum> spectrumOfW;
    if (const LayerPreview* earlier = preview(index))
        spectrumOfW = std::make_shared<const Spectrum>(earlier->w);
    m_previewJob.start(
        [checkpoint = m_checkpoint, backend = m_backend, calibration = m_calibration, plan = layer(index), seed = m_plan.seed,
         spectrumOfW, index](const JobContext& job) {
            return previewLayer(*checkpoint, index, plan, calibration.get(), spectrumOfW.get(), seed, *backend, job);
        },
        [this, index](Result<LayerPreview> preview) {
            if (preview)
                m_previews.insert_or_assign(index, std::move(*preview));
            else
                m_analysisError = preview.error();
            emit analysisChanged(index);
            startScope();
            surveyNext();
        });
    emit analysisChanged(index);
}

void Session::surveyNext()
{
    if (!m_checkpoint || isAnalysing() || m_surveyJob.isRunning() || m_isBusy)
        return;
    std::uint64_t elements = 0;
    std::optional<std::size_t> next;
    for (std::size_t i = 0; i < m_plan.layers.size(); ++i) {
        if (m_plan.layers[i].keep)
            continue;
        elements += tensor(i).elements();
        if (!next && isPlannable(i) && !isPreviewCurrent(i) && !m_unsurveyable.contains(i))
            next = i;
    }
    if (!next || elements > kSurveyElements)
        return;
    m_surveyJob.start(
        [checkpoint = m_checkpoint, backend = m_backend, calibration = m_calibration, plan = layer(*next), seed = m_plan.seed,
         index = *next](const JobContext& job) {
            return previewLayer(*checkpoint, index, plan, calibration.get(), nullptr, seed, *backend, job);
        },
        [this, index = *next](Result<LayerPreview> preview) {
            if (preview)
                m_previews.insert_or_assign(index, std::move(*preview));
            else
                m_unsurveyable.insert(index);
            emit analysisChanged(index);
            surveyNext();
        });
}

void Session::setDensityScope(DensityScope scope)
{
    if (scope == m_scope)
        return;
    m_scope = scope;
    m_scopedDensity.reset();
    startScope();
    if (m_current)
        emit analysisChanged(*m_current);
}

std::uint64_t Session::groupsInRow(std::size_t index) const
{
    const auto grid = findGrid(layer(index).grid);
    return layer(index).keep || !grid ? 0 : ui::groupsInRow(**grid, tensor(index).shape.back());
}

std::shared_ptr<const GridDensity> Session::density() const
{
    if (!m_current || preview(*m_current) == nullptr || !isPreviewCurrent(*m_current))
        return nullptr;
    return m_scope.kind == DensityScope::Kind::Tensor ? preview(*m_current)->density : m_scopedDensity;
}

void Session::startScope()
{
    m_scopeJob.cancel();
    if (!m_current || m_scope.kind == DensityScope::Kind::Tensor)
        return;
    const std::size_t index = *m_current;
    const LayerPreview* known = preview(index);
    if (known == nullptr || known->density == nullptr || !isPreviewCurrent(index))
        return;
    m_scope.row = std::min(m_scope.row, known->rows - 1);
    m_scope.group = std::min(m_scope.group, groupsInRow(index) - 1);
    m_scopeJob.start(
        [checkpoint = m_checkpoint, backend = m_backend, calibration = m_calibration, plan = layer(index), scope = m_scope,
         index](const JobContext& job) {
            return densityOf(*checkpoint, index, plan, calibration.get(), scope, *backend, job);
        },
        [this, index](Result<GridDensity> density) {
            if (density)
                m_scopedDensity = std::make_shared<const GridDensity>(std::move(*density));
            else
                emit messageRaised(textOf(density.error()));
            emit analysisChanged(index);
        });
}

}  // namespace sigmascope::ui
