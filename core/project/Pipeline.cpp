// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/Pipeline.h"

#include "core/project/Journal.h"
#include "core/project/LayerRun.h"
#include "core/project/RunParts.h"
#include "core/project/SourceLoss.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace sigmascope
{

namespace
{

using Kind = WorkModel::Kind;

/// Bytes written between two times that everything is put on the disk: what a power cut may cost.
constexpr Bytes kSyncStep = Bytes{64} << 20;

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
        , m_queue(options.queue ? options.queue : std::make_shared<WorkQueue>())
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
        Status done;
        try {
            done = work();
        } catch (const std::bad_alloc&) {
            done = fail(ErrorCode::OutOfMemory, {.file = m_request.output.string()}, "not enough memory for this run");
        }
        if (!done) {
            if (m_exporter && m_journal->layerCount() == 0)
                m_exporter->discard();
            Error error = done.error();
            if (m_exporter && m_journal->layerCount() > 0 && m_begun)
                error.detail += fmt::format("; {} of {} tensors are finished and kept for this run to be resumed",
                                            m_journal->layerCount(), m_exporter->order().size());
            return tl::unexpected<Error>(std::move(error));
        }
        m_run.seconds
            = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() - m_queue->waited().count();
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
    void noteFailure(std::size_t tensor, const Error& error);
    void sortResults();
    [[nodiscard]] Status standStill();
    void stage(RunStage stage, std::optional<std::size_t> tensor = {}) const;
    [[nodiscard]] Status writeLayer(std::size_t tensor, LayerOutcome& outcome);
    [[nodiscard]] Status checkpointDisk();
    [[nodiscard]] Status finish();
    [[nodiscard]] Status measureOutputs();
    [[nodiscard]] JobContext part(std::string subject = {});
    void report(std::string_view subject);

    ExportRequest m_request; // its plan is the prepared one after look()
    const Checkpoint& m_checkpoint;
    const ExporterRow& m_row;
    ComputeBackend& m_backend;
    const RunOptions& m_options;
    const JobContext& m_job;
    const std::shared_ptr<WorkQueue> m_queue;
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
    double m_waited = 0; // seconds that the model knows of
    double m_fraction = 0;
};

void Run::stage(RunStage stage, std::optional<std::size_t> tensor) const
{
    if (m_options.onStage)
        m_options.onStage(stage, tensor);
}

/// Between two parts of the work: here a run waits while it is paused.
Status Run::standStill()
{
    const bool goesOn = m_queue->waitWhilePaused(m_job.stop);
    const double waited = m_queue->waited().count();
    const std::scoped_lock lock(m_mutex);
    m_model.exclude(waited - m_waited);
    m_waited = waited;
    return goesOn ? Status() : cancelledError();
}

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
        static_cast<void>(standStill()); // a stop is seen by who reports
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
        return tl::unexpected<Error>(failedLayers(m_failures, m_exporter->order().size()));
    return finish();
}

Status Run::askAboutEarlier()
{
    const auto& earlier = m_journal->earlier();
    if (!earlier)
        return {};
    if (m_options.unfinished == Unfinished::Discard) {
        // It may have come in another number of files, whose parts nothing would open again.
        FileSystem& system = m_request.system != nullptr ? *m_request.system : FileSystem::real();
        for (const OutputFile& output : earlier->fingerprint.outputs) {
            if (output.path.has_filename() && output.path == output.path.filename())
                system.remove(partialPathFor(folderOf(m_request.output) / output.path).c_str());
        }
        return m_journal->clear();
    }
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
    m_model.plan(Kind::Look, elements);
    for (std::size_t i = 0; i < m_request.plan.layers.size(); ++i)
        m_model.plan(workKindOf(m_request.plan.layers[i]), workUnitsOf(m_checkpoint.tensors()[i], m_request.plan.layers[i]));
    stage(RunStage::Look);
    m_model.begin(Kind::Look, elements);
    std::vector<std::uint64_t> contents;
    auto looked = preflight(m_checkpoint, m_request.plan, m_backend, part(), &contents);
    m_model.end();
    if (!looked)
        return passOn(looked);
    const bool isOther = !(looked->plan == m_request.plan);
    for (std::size_t i = 0; i < looked->plan.layers.size(); ++i) {
        const LayerPlan& before = m_request.plan.layers[i];
        const LayerPlan& after = looked->plan.layers[i];
        m_model.plan(workKindOf(before), -workUnitsOf(m_checkpoint.tensors()[i], before));
        m_model.plan(workKindOf(after), workUnitsOf(m_checkpoint.tensors()[i], after));
    }
    m_request.plan = std::move(looked->plan);
    addReasons(m_reasons, m_options.known);
    addReasons(m_reasons, looked->fallbacks);
    addReasons(m_reasons, metricFallbacks(m_checkpoint, m_request.plan, m_request.calibration));
    if (m_options.refuseFallback && !m_reasons.empty())
        return tl::unexpected<Error>(refusedFallbacks(m_checkpoint, m_reasons));

    m_fingerprint = fingerprintOf(m_request, m_row.id, m_backend, contents);
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
    if (m_row.prepare != nullptr)  // opened anew after the look, where that changed the plan
        m_row.prepare(m_request);
    auto exporter = m_row.make(m_request);
    if (!exporter)
        return tl::unexpected<Error>(withAllReasons(std::move(exporter).error(), m_row, m_request));
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
    if (const auto again = requantizing(m_checkpoint, m_request.plan))
        m_run.estimate.notes.push_back(noteOf(*again));
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
    m_queue->begin(m_exporter->order());
    if (m_options.onLayers)
        m_options.onLayers(m_exporter->order());
    return {};
}

Status Run::runLayers()
{
    for (;;) {
        if (Status goesOn = standStill(); !goesOn)
            return goesOn;
        const auto tensor = m_queue->next();
        if (!tensor)
            break;
        report(m_checkpoint.tensors()[*tensor].name);
        const auto taken = takeUp(*tensor);
        if (!taken)
            return passOn(taken);
        if (*taken)
            continue;
        Status ran = runLayer(*tensor);
        releasePages(m_checkpoint, *tensor);
        if (!ran)
            return ran;
    }
    sortResults();
    return m_job.cancelled() ? cancelledError() : Status();
}

void Run::sortResults()
{
    std::vector<std::size_t> place(m_checkpoint.tensors().size());
    for (std::size_t i = 0; i < m_exporter->order().size(); ++i)
        place[m_exporter->order()[i]] = i;
    std::ranges::sort(m_run.tensors, {}, [&place](const TensorResult& result) { return place[result.tensor]; });
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
    m_model.skip(workKindOf(plan), workUnitsOf(m_checkpoint.tensors()[tensor], plan));
    return true;
}

Status Run::runLayer(std::size_t tensor)
{
    const LayerPlan& plan = m_request.plan.layers[tensor];
    const TensorInfo& source = m_checkpoint.tensors()[tensor];
    std::erase_if(m_failures, [tensor](const auto& failure) { return failure.first == tensor; }); // tried again
    JobContext job = part(source.name);
    if (!plan.keep)
        stage(RunStage::Codes, tensor);
    if (!plan.keep && plan.rank > 0)
        job.ran = [this, tensor, before = job.ran, isCoded = false](std::string_view op, std::string_view device,
                                                                   std::string_view why) mutable {
            if (before)
                before(op, device, why);
            if (!std::exchange(isCoded, true)) // the first op is the solver's
                stage(RunStage::Factors, tensor);
        };
    m_model.begin(workKindOf(plan), workUnitsOf(source, plan));
    auto outcome = quantizeLayer(m_checkpoint, tensor, plan, m_request.calibration, m_request.plan.seed, m_backend, job);
    if (outcome)
        stage(RunStage::Write, tensor);
    Status written = outcome ? writeLayer(tensor, *outcome) : passOn(outcome);
    m_model.end();
    if (written)
        return checkpointDisk();
    if (endsTheRun(written.error()))
        return written;
    noteFailure(tensor, written.error());
    return {};
}

Status Run::writeLayer(std::size_t tensor, LayerOutcome& outcome)
{
    if (outcome.correctionFailed && m_options.refuseFallback)
        return fail(ErrorCode::NotConverged, outcome.result.fallback);
    if (const auto reason = m_reasons.find(tensor); reason != m_reasons.end())
        addReason(outcome.result.fallback, reason->second);
    // add() reads kept tensors from the file again, so the file is asked once more before it counts.
    Status added = m_exporter->add(outcome.layer, {.stop = m_job.stop});
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

/// The layer's place in the files stays open, for another try.
void Run::noteFailure(std::size_t tensor, const Error& error)
{
    m_failures.emplace_back(tensor, error);
    if (m_options.onFailure)
        m_options.onFailure(tensor, error);
}

Status Run::finish()
{
    stage(RunStage::Compare);
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
