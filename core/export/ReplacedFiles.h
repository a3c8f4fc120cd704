// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/Exporter.h"

#include <filesystem>
#include <span>
#include <vector>

// Which files an export takes off the disk: used by the exporters, which remove them, and by whoever asks beforehand.

namespace sigmascope {

/// What an earlier GGUF export left under the name and would be taken for part of this one: its adapter where there is
/// none now, its model where that came in another number of files. Only what this program wrote; opens headers.
/// @param outputs    of the new export.
/// @param withAside  also what a run that was cut short had set aside.
[[nodiscard]] std::vector<std::filesystem::path> obsoleteGgufFiles(const std::filesystem::path& output,
                                                                   std::span<const OutputFile> outputs, bool withAside);

/// Of the safetensors model in @p folder that is replaced. The index always, and first, so that there is no model while
/// its files change; then shards or a whole file that the new one lacks, an adapter of ours where there is none now,
/// and GPTQModel's own configuration, which would make any model one of GPTQ.
[[nodiscard]] std::vector<std::filesystem::path>
obsoleteFolderFiles(const std::filesystem::path& folder, std::span<const OutputFile> outputs, bool withAside);

/// All files that are there and that this export replaces or removes, each once: what the user is asked about.
[[nodiscard]] std::vector<std::filesystem::path> filesThatGo(const ExportRequest& request, const ExporterRow& exporter,
                                                             const SizeEstimate& sizes);

}  // namespace sigmascope
