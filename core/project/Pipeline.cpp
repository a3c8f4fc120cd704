// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/Pipeline.h"

#include "core/project/Journal.h"
#include "core/project/LayerRun.h"
#include "core/project/WorkModel.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <new>
#include <system_error>

#include <fmt/format.h>

namespace sigmascope
{

namespace
{

using Kind = WorkModel::Kind;

/// Bytes written between two times that everything is put on the disk: what a power cut may cost.
constexpr Bytes kSyncStep = Bytes{64} << 20;

Kind kindOf(const LayerPlan& plan)
{
    return plan.keep ? Kind::Keep : plan.rank > 0 ? Kind::Correct : Kind::Code;
}

/// Work of one layer in units of its kind: a correction costs some ten products with the matrix.
double unitsOf(const TensorInfo& tensor, const LayerPlan& plan)
{
    const auto elements = static_cast<double>(std::max<std::uint64_t>(1, tensor.elements()));
    return plan.rank > 0 && !plan.keep ? elements * (6.0 + static_cast<double>(plan.rank) / 8.0) : elements;
}

using Reasons = std::map<std::size_t, std::string>;

void addReason(std::string& text, const std::string& reason)
{
    if (text.find(reason) != std::string::npos)
        return;
    text = reason.find(text) != std::string::npos ? reason : text + "; " + reason;
}

void addReasons(Reasons& reasons, const std::vector<Fallback>& fallbacks)
{
    for (const Fallback& fallback : fallbacks)
        addReason(reasons[fallback.tensor], fallback.detail);
}

Error refusal(const Checkpoint& checkpoint, const Reasons& reasons)
{
    const auto& [tensor, reason] = *reasons.begin();
    return {ErrorCode::NotRepresentable,
            fmt::format(
                "{}: tensor '{}': {} ({} of {} tensors would not become what was planned, and fallbacks are refused)",
                escaped(checkpoint.path().string()), escaped(checkpoint.tensors()[tensor].name), reason, reasons.size(),
                checkpoint.tensors().size())};
}

/// Errors that are not one layer's: the input or the output is gone, or nobody wants the result any more.
bool endsTheRun(const Error& error)
{
    switch (error.code) {
    case ErrorCode::Cancelled:
    case ErrorCode::FileChanged:
    case ErrorCode::FileBroken:
    case ErrorCode::IoFailed:
    case ErrorCode::NoSpace:
    case ErrorCode::WriteFailed:
    case ErrorCode::PermissionDenied:
    case ErrorCode::VerifyFailed:
        return true;
    default:
        return false;
    }
}

/// A file without codes and factors: what counts is what stands in it.
void adopt(TensorResult& result, const StoredForm& stored, std::uint64_t elements)
{
    if (elements != 0)
        result.bitsPerWeight = 8.0 * static_cast<double>(stored.bytes) / static_cast<double>(elements);
    if (result.method == "keep") {
        result.publishedBits = result.bitsPerWeight;
        result.grid.assign(info(stored.type).name);
        std::ranges::transform(result.grid, result.grid.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    }
    result.weightError = stored.isExact ? std::optional(0.0) : stored.weightError;
    if (result.metricError)
        result.metricError = stored.isExact ? std::optional(0.0) : stored.metricError;
    if (result.method == "keep") {
        result.weightErrorRank0 = result.weightError;
        result.metricErrorRank0 = result.metricError;
    }
}

/// One run from its journal's lock to the files' names.
class Run
{
public:
    Run(const ExportRequest& request, const ExporterRow& row, ComputeBackend& backend, const RunOptions& options,
        const JobContext& job)
        : m_request(request)
        , m_checkpoint(*request.checkpoint)
        , m_row(row)
        , m_backend(backend)
        , m_options(options)
        , m_job(job)
    {
        m_request.stop = job.stop;
    }

    [[nodiscard]] Result<RunResult> execute()
    {
        const auto start = std::chrono::steady_clock::now();
        auto journal
            = Journal::open(m_request.output, m_request.system != nullptr ? *m_request.system : FileSystem::real());
        if (!journal)
            return passOn(std::move(journal));
        m_journal.emplace(std::move(*journal));
        Status done = work();
        if (!done) {
            if (m_exporter && m_journal->layerCount() == 0)
                m_exporter->discard();
            Error error = done.error();
            if (m_exporter && m_journal->layerCount() > 0 && m_begun)
                error.detail += fmt::format("; {} of {} tensors are finished and kept for this run to be resumed",
                                            m_journal->layerCount(), m_exporter->order().size());
            return tl::unexpected<Error>(std::move(error));
        }
        m_run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        return std::move(m_run);
    }

private:
    [[nodiscard]] Status work();
    [[nodiscard]] Status askAboutEarlier();
    [[nodiscard]] Status look();
    [[nodiscard]] Status openExporter();
    [[nodiscard]] Status planWork();
    [[nodiscard]] Status runLayers();
    [[nodiscard]] Status runLayer(std::size_t tensor);
    [[nodiscard]] Result<bool> takeUp(std::size_t tensor);
    [[nodiscard]] Status leaveOpen(std::size_t tensor, const Error& error);
    [[nodiscard]] Status writeLayer(std::size_t tensor, LayerOutcome& outcome);
    [[nodiscard]] Status checkpointDisk();
    [[nodiscard]] Status finish();
    [[nodiscard]] Status measureOutputs();
    [[nodiscard]] Error failedLayers() const;
    [[nodiscard]] JobContext part(std::string subject = {});
    void report(std::string_view subject);

    ExportRequest m_request; // its plan is the prepared one after look()
    const Checkpoint& m_checkpoint;
    const ExporterRow& m_row;
    ComputeBackend& m_backend;
    const RunOptions& m_options;
    const JobContext& m_job;
    std::optional<Journal> m_journal;
    std::optional<EarlierRun> m_earlier; // to be continued
    std::unique_ptr<Exporter> m_exporter;
    RunFingerprint m_fingerprint;
    Reasons m_reasons;
    std::vector<std::pair<std::size_t, Error>> m_failures;
    RunResult m_run;
    Bytes m_unsynced = 0;
    bool m_begun = false; // the journal is this run's
    std::mutex m_mutex; // progress comes from worker threads
    WorkModel m_model;
    double m_fraction = 0;
};

void Run::report(std::string_view subject)
{
    double fraction = 0;
    std::optional<double> left;
    {
        const std::scoped_lock lock(m_mutex);
        m_fraction = std::clamp(m_model.fraction(), m_fraction, 1.0);
        fraction = m_fraction;
        left = m_model.secondsLeft();
    }
    if (m_options.onTimeLeft)
        m_options.onTimeLeft(left);
    m_job.report(fraction, subject);
}

/// The job as seen from the part that runs now.
JobContext Run::part(std::string subject)
{
    JobContext inside{.stop = m_job.stop};
    inside.ran = m_job.ran;
    inside.progress = [this, subject = std::move(subject)](double fraction, std::string_view found) {
        {
            const std::scoped_lock lock(m_mutex);
            m_model.advance(fraction);
        }
        report(found.empty() ? std::string_view(subject) : found);
    };
    return inside;
}

Status Run::work()
{
    if (Status asked = askAboutEarlier(); !asked)
        return asked;
    if (!m_earlier) {
        // First of all whether the output may be written: nobody waits for a look at the values to hear that.
        if (Status opened = openExporter(); !opened)
            return opened;
    }
    if (Status looked = look(); !looked)
        return looked;
    if (Status planned = planWork(); !planned)
        return planned;
    if (Status ran = runLayers(); !ran)
        return ran;
    if (!m_failures.empty())
        return tl::unexpected<Error>(failedLayers());
    return finish();
}

Status Run::askAboutEarlier()
{
    const auto& earlier = m_journal->earlier();
    if (!earlier)
        return {};
    if (m_options.unfinished == Unfinished::Discard)
        return m_journal->clear();
    if (m_options.unfinished == Unfinished::Resume) {
        m_earlier = earlier;
        return {};
    }
    return fail(ErrorCode::UnfinishedRun, {.file = m_request.output.string()},
                fmt::format("a run that was cut short has finished {} of {} tensors of this output; it can be resumed, "
                            "or remove {} to begin anew",
                            earlier->layers.size(), earlier->fingerprint.tensors.size(),
                            escaped(m_journal->path().string(), 4096)));
}

/// The values, before anything depends on them: what cannot be coded, and what the journal must know them by.
Status Run::look()
{
    const auto elements = static_cast<double>(m_checkpoint.totalElements());
    m_model.plan(Kind::Look, 2 * elements);
    for (std::size_t i = 0; i < m_request.plan.layers.size(); ++i)
        m_model.plan(kindOf(m_request.plan.layers[i]), unitsOf(m_checkpoint.tensors()[i], m_request.plan.layers[i]));
    m_model.begin(Kind::Look, elements);
    auto looked = preflight(m_checkpoint, m_request.plan, m_backend, part());
    m_model.end();
    if (!looked)
        return passOn(looked);
    const bool isOther = !(looked->plan == m_request.plan);
    for (std::size_t i = 0; i < looked->plan.layers.size(); ++i) {
        const LayerPlan& before = m_request.plan.layers[i];
        const LayerPlan& after = looked->plan.layers[i];
        m_model.plan(kindOf(before), -unitsOf(m_checkpoint.tensors()[i], before));
        m_model.plan(kindOf(after), unitsOf(m_checkpoint.tensors()[i], after));
    }
    m_request.plan = std::move(looked->plan);
    addReasons(m_reasons, m_options.known);
    addReasons(m_reasons, looked->fallbacks);
    addReasons(m_reasons, metricFallbacks(m_checkpoint, m_request.plan, m_request.calibration));
    if (m_options.refuseFallback && !m_reasons.empty())
        return tl::unexpected<Error>(refusal(m_checkpoint, m_reasons));

    m_model.begin(Kind::Look, elements);
    const auto contents = contentsOf(m_checkpoint, part());
    m_model.end();
    if (!contents)
        return passOn(contents);
    m_fingerprint = fingerprintOf(m_request, m_row.id, m_backend, *contents);
    if (!m_earlier && isOther) {
        m_exporter->discard();
        m_exporter.reset();
        return openExporter();
    }
    return {};
}

Status Run::openExporter()
{
    m_request.journaled = Journaled{.takeUp = m_earlier.has_value()};
    if (m_earlier)
        m_request.journaled->placedInodes = m_earlier->placing;
    auto exporter = m_row.make(m_request);
    if (!exporter)
        return passOn(std::move(exporter));
    m_exporter = std::move(*exporter);
    return {};
}

/// Compares with the run to be continued before its files are touched; sums up what is to be done.
Status Run::planWork()
{
    const auto mismatch = [this](const std::string& what) {
        return fail(ErrorCode::JournalMismatch, {.file = m_journal->path().string()},
                    "cannot be resumed, these differ: " + what);
    };
    if (m_earlier) {
        // The layout is known only to an exporter, and making one writes headers: all else must agree first.
        RunFingerprint known = m_fingerprint;
        known.layout = m_earlier->fingerprint.layout;
        known.outputs = m_earlier->fingerprint.outputs;
        if (const std::string found = differences(m_earlier->fingerprint, known); !found.empty())
            return mismatch(found);
        if (Status opened = openExporter(); !opened)
            return opened;
    }
    m_fingerprint.layout = m_exporter->layoutChecksum();
    m_run.estimate = m_exporter->estimate();
    m_run.elements = m_checkpoint.totalElements();
    for (OutputFile output : m_run.estimate.outputs) {
        output.path = escaped(output.path.filename().string(), 4096);
        m_fingerprint.outputs.push_back(std::move(output));
    }
    if (m_earlier) {
        if (const std::string found = differences(m_earlier->fingerprint, m_fingerprint); !found.empty())
            return mismatch(found);
    } else if (Status begun = m_journal->begin(m_fingerprint); !begun) {
        return begun;
    }
    m_begun = true;
    m_model.plan(Kind::Verify, static_cast<double>(m_run.estimate.total));
    return {};
}

Status Run::runLayers()
{
    for (const std::size_t tensor : m_exporter->order()) {
        if (m_job.cancelled())
            return cancelledError();
        report(m_checkpoint.tensors()[tensor].name);
        const auto taken = takeUp(tensor);
        if (!taken)
            return passOn(taken);
        if (*taken)
            continue;
        Status ran = runLayer(tensor);
        releasePages(m_checkpoint, tensor);
        if (!ran)
            return ran;
    }
    return m_job.cancelled() ? cancelledError() : Status();
}

/// False if there is no such layer, or its bytes are not what the journal says: it is computed again.
Result<bool> Run::takeUp(std::size_t tensor)
{
    if (!m_earlier)
        return false;
    const auto found = m_earlier->layers.find(tensor);
    if (found == m_earlier->layers.end())
        return false;
    const Status taken = m_exporter->takeUp(tensor, found->second.receipt, {.stop = m_job.stop});
    if (!taken && (taken.error().code == ErrorCode::Cancelled || taken.error().code == ErrorCode::IoFailed))
        return passOn(taken);
    if (!taken)
        return false;
    TensorResult result = std::move(found->second.result);
    result.name = m_checkpoint.tensors()[tensor].name;
    if (m_options.onLayer)
        m_options.onLayer(result);
    m_run.tensors.push_back(std::move(result));
    const LayerPlan& plan = m_request.plan.layers[tensor];
    m_model.skip(kindOf(plan), unitsOf(m_checkpoint.tensors()[tensor], plan));
    return true;
}

Status Run::runLayer(std::size_t tensor)
{
    const LayerPlan& plan = m_request.plan.layers[tensor];
    const TensorInfo& source = m_checkpoint.tensors()[tensor];
    m_model.begin(kindOf(plan), unitsOf(source, plan));
    auto outcome = quantizeLayer(m_checkpoint, tensor, plan, m_request.calibration, m_request.plan.seed, m_backend,
                                 part(source.name));
    Status written = outcome ? writeLayer(tensor, *outcome) : passOn(outcome);
    m_model.end();
    if (written)
        return checkpointDisk();
    return endsTheRun(written.error()) ? written : leaveOpen(tensor, written.error());
}

Status Run::writeLayer(std::size_t tensor, LayerOutcome& outcome)
{
    if (outcome.correctionFailed && m_options.refuseFallback)
        return fail(ErrorCode::NotConverged, outcome.result.fallback);
    if (const auto reason = m_reasons.find(tensor); reason != m_reasons.end())
        addReason(outcome.result.fallback, reason->second);
    // add() reads kept tensors from the file again, so the file is asked once more before it counts.
    const Status added = m_exporter->add(outcome.layer, {.stop = m_job.stop});
    if (const Status same = m_checkpoint.checkUnchanged(tensor); !same)
        return same;
    if (!added)
        return added;
    if (const auto stored = m_exporter->storedForm())
        adopt(outcome.result, *stored, m_checkpoint.tensors()[tensor].elements());
    JournaledLayer layer{.tensor = tensor, .receipt = m_exporter->receipt(), .result = std::move(outcome.result)};
    if (Status noted = m_journal->add(layer); !noted)
        return noted;
    for (const WrittenRange& range : layer.receipt.ranges)
        m_unsynced += range.end - range.begin;
    if (m_options.onLayer)
        m_options.onLayer(layer.result);
    m_run.tensors.push_back(std::move(layer.result));
    return {};
}

Status Run::checkpointDisk()
{
    if (m_unsynced < kSyncStep)
        return {};
    m_unsynced = 0;
    if (Status flushed = m_exporter->flush(m_job.stop); !flushed)
        return flushed;
    return m_journal->sync(m_job.stop);
}

Status Run::leaveOpen(std::size_t tensor, const Error& error)
{
    m_failures.emplace_back(tensor, error);
    if (m_options.onFailure)
        m_options.onFailure(tensor, error);
    return m_exporter->leaveOpen();
}

Error Run::failedLayers() const
{
    constexpr std::size_t kNamed = 5;
    std::string names;
    for (std::size_t i = 0; i < std::min(kNamed, m_failures.size()); ++i)
        names += (i == 0 ? "" : "; ") + m_failures[i].second.detail;
    if (m_failures.size() > kNamed)
        names += fmt::format("; and {} more", m_failures.size() - kNamed);
    return {ErrorCode::LayersFailed,
            fmt::format("{} of {} layers could not be computed: {}", m_failures.size(), m_exporter->order().size(),
                        names)};
}

Status Run::finish()
{
    m_model.begin(Kind::Verify, static_cast<double>(m_run.estimate.total));
    Status verified = m_exporter->verify(part());
    m_model.end();
    if (!verified)
        return verified;
    if (Status flushed = m_exporter->flush(m_job.stop); !flushed)
        return flushed;
    // From here on names change: whoever takes this run up must know which files are its own.
    if (Status noted = m_journal->addPlacing(m_exporter->inodes()); !noted)
        return noted;
    if (Status synced = m_journal->sync(m_job.stop); !synced)
        return synced;
    if (m_job.cancelled())
        return cancelledError();
    if (Status placed = m_exporter->place(); !placed)
        return placed;
    m_exporter.reset();
    m_journal->remove();
    if (Status found = measureOutputs(); !found)
        return found;
    m_job.report(1.0, {});
    return {};
}

Status Run::measureOutputs()
{
    m_run.outputs = m_run.estimate.outputs;
    for (OutputFile& output : m_run.outputs) {
        std::error_code error;
        const auto size = std::filesystem::file_size(output.path, error);
        if (error)
            return fail(ErrorCode::VerifyFailed, {.file = output.path.string()},
                        "written, but not there: " + error.message());
        output.bytes = size;
        m_run.writtenBytes += size;
    }
    if (m_run.writtenBytes != m_run.estimate.total)
        return fail(ErrorCode::VerifyFailed,
                    {.file = m_run.outputs.empty() ? std::string() : m_run.outputs.front().path.string()},
                    fmt::format("expected {} bytes in all, found {}", m_run.estimate.total, m_run.writtenBytes));
    return {};
}

} // namespace

Result<RunResult> quantize(const ExportRequest& request, const ExporterRow& exporter, ComputeBackend& backend,
                           const RunOptions& options, const JobContext& job)
{
    return Run(request, exporter, backend, options, job).execute();
}

} // namespace sigmascope
