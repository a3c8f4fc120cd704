// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/Pipeline.h"

#include "core/project/LayerRun.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <numeric>
#include <system_error>

#include <fmt/format.h>

namespace sigmascope
{

namespace
{

/// Share of a run that looking at the values takes, for the progress bar.
constexpr double kPreflightShare = 0.05;

/// Relative work of one layer, for progress and time left: a correction costs some ten products with the matrix.
double workOf(const TensorInfo& tensor, const LayerPlan& plan)
{
    const auto elements = static_cast<double>(std::max<std::uint64_t>(1, tensor.elements()));
    if (plan.keep)
        return 0.1 * elements;
    return elements * (1.0 + (plan.rank > 0 ? 5.0 + static_cast<double>(plan.rank) / 8.0 : 0.0));
}

/// The same job seen from inside a part of it.
JobContext partOf(const JobContext& job, double begin, double end)
{
    JobContext part{.stop = job.stop};
    if (job.progress)
        part.progress = [report = job.progress, begin, end](double fraction, std::string_view subject) {
            report(begin + (end - begin) * std::clamp(fraction, 0.0, 1.0), subject);
        };
    return part;
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

Status runLayers(const ExportRequest& request, Exporter& exporter, const Reasons& reasons, ComputeBackend& backend,
                 const RunOptions& options, const JobContext& job, RunResult& run)
{
    const Checkpoint& checkpoint = *request.checkpoint;
    const auto work
        = [&](std::size_t tensor) { return workOf(checkpoint.tensors()[tensor], request.plan.layers[tensor]); };
    const double all
        = std::transform_reduce(exporter.order().begin(), exporter.order().end(), 1e-9, std::plus<>(), work);
    double done = 0;
    for (const std::size_t tensor : exporter.order()) {
        const double begin = kPreflightShare + (1 - kPreflightShare) * done / all;
        done += work(tensor);
        const double end = kPreflightShare + (1 - kPreflightShare) * done / all;
        job.report(begin, checkpoint.tensors()[tensor].name);
        auto outcome = quantizeLayer(checkpoint, tensor, request.plan.layers[tensor], request.calibration,
                                     request.plan.seed, backend, partOf(job, begin, end));
        if (!outcome)
            return passOn(outcome);
        if (const auto reason = reasons.find(tensor); reason != reasons.end())
            addReason(outcome->result.fallback, reason->second);
        // add() reads kept tensors from the file again, so the file is asked once more before it counts.
        const Status added = exporter.add(outcome->layer);
        if (const Status same = checkpoint.checkUnchanged(tensor); !same)
            return passOn(same);
        if (!added)
            return passOn(added);
        if (options.onLayer)
            options.onLayer(outcome->result);
        run.tensors.push_back(std::move(outcome->result));
        if (job.cancelled())
            return cancelledError();
    }
    return {};
}

Status measureOutputs(RunResult& run)
{
    run.outputs = run.estimate.outputs;
    for (OutputFile& output : run.outputs) {
        std::error_code error;
        const auto size = std::filesystem::file_size(output.path, error);
        if (error)
            return fail(ErrorCode::VerifyFailed, {.file = output.path.string()},
                        "written, but not there: " + error.message());
        output.bytes = size;
        run.writtenBytes += size;
    }
    if (run.writtenBytes != run.estimate.total)
        return fail(ErrorCode::VerifyFailed,
                    {.file = run.outputs.empty() ? std::string() : run.outputs.front().path.string()},
                    fmt::format("expected {} bytes in all, found {}", run.estimate.total, run.writtenBytes));
    return {};
}

} // namespace

Result<RunResult> quantize(const ExportRequest& request, const ExporterRow& exporter, ComputeBackend& backend,
                           const RunOptions& options, const JobContext& job)
{
    const auto start = std::chrono::steady_clock::now();
    const Checkpoint& checkpoint = *request.checkpoint;
    // First of all whether the output may be written: nobody waits for a look at the values to hear that.
    auto writer = exporter.make(request);
    if (!writer)
        return passOn(writer);
    auto looked = preflight(checkpoint, request.plan, backend, partOf(job, 0, kPreflightShare));
    if (!looked)
        return passOn(looked);
    ExportRequest prepared = request;
    prepared.plan = std::move(looked->plan);
    Reasons reasons;
    addReasons(reasons, options.known);
    addReasons(reasons, looked->fallbacks);
    addReasons(reasons, metricFallbacks(checkpoint, prepared.plan, prepared.calibration));
    if (options.refuseFallback && !reasons.empty())
        return tl::unexpected<Error>(refusal(checkpoint, reasons));

    if (!(prepared.plan == request.plan)) {
        writer->reset();
        writer = exporter.make(prepared);
        if (!writer)
            return passOn(writer);
    }
    RunResult run;
    run.estimate = (*writer)->estimate();
    run.elements = checkpoint.totalElements();
    if (const Status ran = runLayers(prepared, **writer, reasons, backend, options, job, run); !ran)
        return passOn(ran);
    if (const Status finished = (*writer)->finish(job); !finished)
        return passOn(finished);
    writer->reset();
    if (const Status found = measureOutputs(run); !found)
        return passOn(found);
    job.report(1.0, {});
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return run;
}

} // namespace sigmascope
