// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/project/Report.h"

#include <filesystem>

namespace sigmascope::ui {

/// Hashes the run's files and writes the report: PDF (A4, in the light scheme) if the name ends in ".pdf", else HTML.
/// Replaces @p path whole or not at all. For a worker thread. An output that is gone, or no longer of the size the run
/// wrote, is FileChanged: a report vouches for files that are there. Cancelled, WriteFailed, NoSpace, PermissionDenied.
[[nodiscard]] Status writeReport(ReportInput input, const std::filesystem::path& path, const JobContext& job);

}  // namespace sigmascope::ui
