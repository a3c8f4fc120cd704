// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/FileSystem.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/plan/Plan.h"
#include "core/project/Pipeline.h"

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sigmascope
{

/// A session as it is saved: what was planned, what was measured, and how it was looked at. The model itself is only
/// referred to. The file (docs/session-file.md) is HDF5 behind a block of 512 bytes with a checksum.
struct ProjectFile {
    /// A measured result and the plan of the layer that it belongs to.
    struct MeasuredLayer {
        TensorResult result;
        LayerPlan plan;
    };

    std::string program; ///< version that wrote it; set by saveProject()
    std::filesystem::path checkpoint; ///< as it was opened, absolute
    std::string fingerprint; ///< of structureOf()
    std::filesystem::path calibration; ///< empty: none, or the one beside the model
    std::vector<std::string> tensors; ///< names, parallel to plan.layers
    QuantizationPlan plan;
    std::optional<Recipe> recipe; ///< that the plan grew out of: its default and rules; absent in older files
    std::vector<MeasuredLayer> results; ///< result.tensor is not stored: names find their tensors
    std::string view; ///< JSON of the studio: selection, page, tab
};

/// Sixteen hexadecimal digits of what the headers say: names, types, shapes, places, file sizes. Reads no weights, so
/// it finds another model, not a changed weight.
[[nodiscard]] std::string structureOf(const Checkpoint& checkpoint);

/// The whole file in memory. InvalidOption if the columns differ in length, WriteFailed.
[[nodiscard]] Result<std::vector<std::byte>> encodeProject(const ProjectFile& project);
/// @param name  of the file, for errors: WrongMagic, UnsupportedVersion (written by a newer program), Truncated,
/// MalformedHeader, InvalidRecipe. The bytes are hostile; nothing is read by HDF5 before the checksum fits.
[[nodiscard]] Result<ProjectFile> decodeProject(std::span<const std::byte> bytes, const std::string& name);

/// Replaces @p path whole or not at all.
[[nodiscard]] Status saveProject(const ProjectFile& project, const std::filesystem::path& path,
                                 FileSystem& system = FileSystem::real());
/// HeaderTooLarge for files over 1 GB; else as decodeProject().
[[nodiscard]] Result<ProjectFile> loadProject(const std::filesystem::path& path);

} // namespace sigmascope
