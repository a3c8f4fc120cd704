// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/Verify.h"

#include "core/compute/ops/Statistics.h"

#include <fmt/format.h>

namespace sigmascope {

namespace {

/// A part of a job that reports as a whole.
JobContext partOf(const JobContext& job, double from, double to)
{
    JobContext part{.stop = job.stop};
    if (job.progress)
        part.progress = [&job, from, to](double fraction, std::string_view subject) {
            job.report(from + fraction * (to - from), subject);
        };
    return part;
}

Status readValues(const Checkpoint& file, std::size_t index, Verification& found, const JobContext& job)
{
    const TensorInfo& tensor = file.tensors()[index];
    const auto view = file.view(index);
    if (!view) {
        found.findings.push_back({tensor.name, view.error().detail});
        return {};
    }
    const auto stats = moments(*view, {.stop = job.stop});
    if (!stats && stats.error().code == ErrorCode::UnsupportedType)
        ++found.undecoded;
    else if (!stats)
        return passOn(stats);
    if (Status same = file.checkUnchanged(index); !same)
        return same;
    if (!stats)
        return {};
    found.values += stats->count;
    if (stats->finite != stats->count)
        found.findings.push_back({tensor.name, fmt::format("{} NaN and {} infinite of {} values, the first at element {}",
                                                           stats->nan, stats->inf, stats->count,
                                                           stats->firstNonFinite.value_or(0))});
    return {};
}

void addDifferences(const Checkpoint& file, const Checkpoint& model, Verification& found)
{
    for (const std::size_t i : found.against->onlyA)
        found.findings.push_back({model.tensors()[i].name, "missing: the model has it, the file does not"});
    for (const std::size_t i : found.against->onlyB)
        found.findings.push_back({file.tensors()[i].name, "added: the file has it, the model does not"});
    for (const TensorDifference& one : found.against->tensors)
        if (!one.reason.empty() && !one.sameBytes)
            found.findings.push_back({file.tensors()[one.b].name, "not compared with the model: " + one.reason});
}

}  // namespace

Result<Verification> verifyModel(const Checkpoint& file, const Checkpoint* model, const JobContext& job)
{
    Verification found{.findings = {}, .tensors = file.tensors().size(), .bytes = file.totalBytes()};
    for (const CheckpointWarning& warning : file.warnings())
        found.findings.push_back({{}, warning.detail});
    const JobContext reading = partOf(job, 0, model != nullptr ? 0.4 : 1);
    double done = 0;
    for (std::size_t i = 0; i < file.tensors().size(); ++i) {
        if (job.cancelled())
            return cancelledError();
        reading.report(done / (static_cast<double>(file.totalBytes()) + 1), file.tensors()[i].name);
        if (const Status read = readValues(file, i, found, job); !read)
            return passOn(read);
        done += static_cast<double>(file.tensors()[i].bytes);
    }
    if (model != nullptr) {
        auto compared = compareModels(*model, file, partOf(job, 0.4, 1));
        if (!compared)
            return passOn(compared);
        found.against = std::move(*compared);
        addDifferences(file, *model, found);
    }
    job.report(1.0, {});
    return found;
}

}  // namespace sigmascope
