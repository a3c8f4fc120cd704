// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/checkpoint/layouts/CheckpointLayout.h"
#include "core/checkpoint/readers/Findings.h"

#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

namespace sigmascope {

/// Matrices found among stored tensors, and which of these they take the place of.
struct PackedFold {
    static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
    std::vector<std::shared_ptr<const PackedMatrix>> matrices;
    std::vector<std::size_t> owner;  ///< by stored tensor: its matrix, or kNone
    bool isWhole = true;  ///< no quantized tensor was left as it is stored
};

/// The names of a set of tensors, or a quantization config, make it worth while to look closer.
[[nodiscard]] bool mayBePacked(std::span<const TensorInfo> tensors, const Json& config);

/// quantization_config of a config.json; null config and method if there is none. InvalidMetadata if it is no object,
/// or names no method.
[[nodiscard]] Result<LayoutSettings> layoutSettings(const Json& config, std::string file);

/// Puts matrices together. What cannot be read is a finding, and its tensors stay as they are stored; the others are
/// not touched by it. The first finding's error in strict mode; Cancelled.
[[nodiscard]] Result<PackedFold> foldPacked(std::span<const TensorInfo> tensors, const StoredTensors& stored,
                                            const LayoutSettings& settings, Findings& findings, const JobContext& job);

}  // namespace sigmascope
