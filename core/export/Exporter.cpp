// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/Exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace sigmascope {

namespace fs = std::filesystem;

Status Exporter::flush(const std::stop_token& stop)
{
    for (AtomicFile* file : files()) {
        if (Status flushed = file->flush(stop); !flushed)
            return flushed;
    }
    return {};
}

std::vector<std::uint64_t> Exporter::inodes()
{
    std::vector<std::uint64_t> all;
    for (const AtomicFile* file : files())
        all.push_back(file->inode());
    return all;
}

Status Exporter::place()
{
    // The last first: who sees the model also sees what belongs to it.
    std::vector<AtomicFile*> all = files();
    std::ranges::reverse(all);
    const std::vector<fs::path> obsolete = obsoleteFiles();
    if (all.empty())
        return {};
    return placeTogether(all, obsolete, all.front()->system());
}

Status Exporter::finish(const JobContext& job)
{
    if (Status verified = verify(job); !verified)
        return verified;
    if (Status flushed = flush(job.stop); !flushed)
        return flushed;
    if (job.cancelled())
        return cancelledError();
    return place();
}

void Exporter::discard()
{
    for (AtomicFile* file : files())
        file->discard();
}

Status checkOutputs(const ExportRequest& request, std::span<const OutputFile> outputs, std::span<const fs::path> inputs)
{
    for (const OutputFile& output : outputs) {
        const fs::path& path = output.path;
        for (const fs::path& name : {path, partialPathFor(path), backupPathFor(path), journalPathFor(path)}) {
            for (const fs::path& input : inputs) {
                if (isSameFile(name, input))
                    return fail(ErrorCode::OutputIsInput, Where{name.string(), {}, {}},
                                fmt::format("is the input {}", escaped(input.string(), 4096)));
            }
            if (request.calibration != nullptr && isSameFile(name, request.calibration->path))
                return fail(ErrorCode::OutputIsInput, Where{name.string(), {}, {}}, "is the calibration file");
        }
    }
    // A run that takes up another is judged file by file: what it had placed itself may stand there.
    if (request.overwrite || (request.journaled && request.journaled->takeUp))
        return {};
    for (const OutputFile& output : outputs) {
        std::error_code error;
        if (fs::exists(fs::symlink_status(output.path, error)))
            return fail(ErrorCode::WouldOverwrite, Where{output.path.string(), {}, {}}, "exists already");
    }
    return {};
}

AtomicFileOptions fileOptionsOf(const ExportRequest& request, std::size_t output)
{
    AtomicFileOptions options{.overwrite = request.overwrite, .resumable = request.journaled.has_value(), .stop = request.stop};
    if (request.journaled) {
        options.resume = request.journaled->takeUp;
        if (output < request.journaled->placedInodes.size())
            options.placedInode = request.journaled->placedInodes[output];
    }
    return options;
}

}  // namespace sigmascope
