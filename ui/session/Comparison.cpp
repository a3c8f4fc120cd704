// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/Comparison.h"

#include "core/lowrank/CodedMatrices.h"
#include "core/project/Compare.h"
#include "core/project/ProjectFile.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sigmascope::ui {

namespace {

using ModelPtr = std::shared_ptr<const Checkpoint>;

/// A run with the name of its calibration.
struct MeasuredRun {
    std::shared_ptr<const ComparedRun> run;
    QString calibration;
};

void sortByDepth(std::vector<ComparedLayer>& layers)
{
    std::ranges::stable_sort(layers, {}, [](const ComparedLayer& layer) { return depthOf(layer.place); });
}

Result<ModelPtr> modelOf(const CompareSource& source, const JobContext& job)
{
    if (source.model)
        return source.model;
    return Checkpoint::open(toPath(source.path), {.coded = &codedFormats()}, job);
}

/// Sizes come from the model: the open one if the session was saved with it, else the one it names. Without either the
/// errors can be compared all the same.
Result<MeasuredRun> measuredRun(const CompareSource& source, const ModelPtr& open, const JobContext& job)
{
    if (source.run)
        return MeasuredRun{source.run, source.calibration};
    auto project = loadProject(toPath(source.path));
    if (!project)
        return passOn(project);
    if (project->results.empty())
        return fail(ErrorCode::NotFound, {.file = toPath(source.path).string()}, "this session has no finished run: expected measured layers, found none");
    ModelPtr model = open != nullptr && structureOf(*open) == project->fingerprint ? open : nullptr;
    if (model == nullptr) {
        const auto opened = Checkpoint::open(project->checkpoint, {.coded = &codedFormats()}, job);
        if (opened)
            model = *opened;
        else if (opened.error().code == ErrorCode::Cancelled)
            return passOn(opened);
    }
    ComparedRun run;
    for (const ProjectFile::MeasuredLayer& layer : project->results) {
        const auto tensor = model ? model->find(layer.result.name) : std::nullopt;
        run.elements.push_back(tensor ? model->tensors()[*tensor].elements() : 0);
        run.layers.push_back(layer.result);
    }
    return MeasuredRun{std::make_shared<const ComparedRun>(std::move(run)), fromPath(project->calibration.filename())};
}

ComparedLayer::Side sideOf(const ComparedRun& run, std::size_t at, const std::optional<double>& error)
{
    const TensorResult& layer = run.layers[at];
    const bool isKept = layer.method == "keep";
    return {.type = layer.grid,
            .error = error.value_or(kUnknown),
            .bits = layer.bitsPerWeight,
            .rank = isKept ? kUnknown : static_cast<double>(layer.rank),
            .bytes = run.elements[at] == 0 ? kUnknown : std::round(layer.bitsPerWeight * static_cast<double>(run.elements[at]) / 8)};
}

ComparedLayer layerOf(const std::string& name)
{
    ComparedLayer layer;
    layer.name = name;
    layer.place = placeOf(name);
    return layer;
}

ComparisonResult shown(const RunComparison& found, const ComparedRun& a, const ComparedRun& b)
{
    ComparisonResult result{.isOfRuns = true, .kind = found.kind, .a = found.a, .b = found.b, .ratio = found.ratio};
    for (const RunDifference& pair : found.layers) {
        ComparedLayer layer = layerOf(a.layers[pair.a].name);
        layer.a = sideOf(a, pair.a, pair.errorA);
        layer.b = sideOf(b, pair.b, pair.errorB);
        layer.difference = pair.change().value_or(kUnknown);
        layer.verdict = pair.verdict;
        result.differing += pair.verdict == LayerVerdict::Same ? 0 : 1;
        result.layers.push_back(std::move(layer));
    }
    const auto addLone = [&](const ComparedRun& run, std::size_t at, bool isA) {
        ComparedLayer layer = layerOf(run.layers[at].name);
        const TensorResult& found_ = run.layers[at];
        (isA ? layer.a : layer.b) = sideOf(run, at, found.kind == ErrorKind::Output ? found_.metricError : found_.weightError);
        layer.verdict = LayerVerdict::Changed;
        layer.isOnOneSide = true;
        result.layers.push_back(std::move(layer));
    };
    for (const std::size_t at : found.onlyA)
        addLone(a, at, true);
    for (const std::size_t at : found.onlyB)
        addLone(b, at, false);
    result.onlyA = found.onlyA.size();
    result.onlyB = found.onlyB.size();
    sortByDepth(result.layers);
    return result;
}

ComparedLayer::Side sideOf(const TensorInfo& tensor)
{
    const auto elements = static_cast<double>(tensor.elements());
    return {.type = escaped(tensor.typeName()),
            .bits = elements > 0 ? 8.0 * static_cast<double>(tensor.bytes) / elements : kUnknown,
            .bytes = static_cast<double>(tensor.bytes)};
}

RunTotals totalsOf(const Checkpoint& model)
{
    RunTotals totals{.bytes = model.totalBytes()};
    if (model.totalElements() > 0)
        totals.bitsPerWeight = 8.0 * static_cast<double>(model.totalBytes()) / static_cast<double>(model.totalElements());
    return totals;
}

ComparisonResult shown(const ModelComparison& found, const Checkpoint& a, const Checkpoint& b)
{
    ComparisonResult result{.isOfRuns = false, .a = totalsOf(a), .b = totalsOf(b), .difference = found.relativeError};
    for (const TensorDifference& pair : found.tensors) {
        ComparedLayer layer = layerOf(pair.name);
        layer.a = sideOf(a.tensors()[pair.a]);
        layer.b = sideOf(b.tensors()[pair.b]);
        layer.difference = pair.sameBytes ? 0.0 : pair.relativeError.value_or(kUnknown);
        layer.largest = pair.sameBytes ? 0.0 : pair.largest.value_or(kUnknown);
        layer.isSameBytes = pair.sameBytes;
        layer.reason = pair.sameBytes ? std::string() : pair.reason;
        const bool isSame = pair.sameBytes || (pair.reason.empty() && pair.largest.value_or(1) == 0);
        layer.verdict = !layer.reason.empty() ? LayerVerdict::Worse : isSame ? LayerVerdict::Same : LayerVerdict::Changed;
        result.differing += isSame ? 0 : 1;
        result.layers.push_back(std::move(layer));
    }
    const auto addLone = [&](const TensorInfo& tensor, bool isA) {
        ComparedLayer layer = layerOf(tensor.name);
        (isA ? layer.a : layer.b) = sideOf(tensor);
        layer.verdict = LayerVerdict::Changed;
        layer.isOnOneSide = true;
        result.layers.push_back(std::move(layer));
    };
    for (const std::size_t at : found.onlyA)
        addLone(a.tensors()[at], true);
    for (const std::size_t at : found.onlyB)
        addLone(b.tensors()[at], false);
    result.onlyA = found.onlyA.size();
    result.onlyB = found.onlyB.size();
    sortByDepth(result.layers);
    return result;
}

using ResultPtr = std::shared_ptr<const ComparisonResult>;

Result<ResultPtr> comparedRuns(const CompareSource& first, const CompareSource& second, ErrorKind kind, const ModelPtr& open,
                               const JobContext& job)
{
    const auto a = measuredRun(first, open, job);
    if (!a)
        return passOn(a);
    const auto b = measuredRun(second, open, job);
    if (!b)
        return passOn(b);
    const bool hasOutput = canCompareBy(ErrorKind::Output, *a->run, *b->run);
    const bool hasWeight = canCompareBy(ErrorKind::Weight, *a->run, *b->run);
    if (!(kind == ErrorKind::Output ? hasOutput : hasWeight) && (hasOutput || hasWeight))
        kind = hasOutput ? ErrorKind::Output : ErrorKind::Weight;
    ComparisonResult result = shown(compareRuns(*a->run, *b->run, kind), *a->run, *b->run);
    result.hasOutputError = hasOutput;
    result.hasWeightError = hasWeight;
    result.hasOtherCalibration = a->calibration != b->calibration;
    return std::make_shared<const ComparisonResult>(std::move(result));
}

Result<ResultPtr> comparedModels(const CompareSource& first, const CompareSource& second, const JobContext& job)
{
    const auto a = modelOf(first, job);
    if (!a)
        return passOn(a);
    const auto b = modelOf(second, job);
    if (!b)
        return passOn(b);
    const auto found = compareModels(**a, **b, job);
    if (!found)
        return passOn(found);
    return std::make_shared<const ComparisonResult>(shown(*found, **a, **b));
}

}  // namespace

Comparison::Comparison(Session& session, QObject* parent)
    : QObject(parent)
    , m_session(session)
{
}

void Comparison::start(const CompareSource& a, const CompareSource& b, ErrorKind kind)
{
    assert(a.isMeasured() == b.isMeasured());
    m_error.reset();
    m_job.start(
        [a, b, kind, open = m_session.checkpoint()](const JobContext& job) {
            return a.isMeasured() ? comparedRuns(a, b, kind, open, job) : comparedModels(a, b, job);
        },
        [this](Result<ResultPtr> answer) {
            m_result = answer ? std::move(*answer) : nullptr;
            if (!answer)
                m_error = answer.error();
            emit changed();
        },
        [this](double share, const QString& what) { emit progressed(share, what); });
    emit changed();
}

void Comparison::cancel()
{
    m_job.cancel();
    m_error = Error{ErrorCode::Cancelled, {}};
    m_result.reset();
    emit changed();
}

void Comparison::clear()
{
    m_job.cancel();
    m_error.reset();
    m_result.reset();
    emit changed();
}

}  // namespace sigmascope::ui
