// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What the run and its preflight share about one tensor. Internal to core/project.

#include "core/grid/Grid.h"
#include "core/project/Pipeline.h"

#include <span>
#include <vector>

namespace sigmascope
{

/// The whole tensor as floats, on all threads.
[[nodiscard]] Result<std::vector<float>> decodedTensor(const TensorView& view);

/// Overwrites W [rows x cols] with E = W - Q.
void subtractDecoded(const QuantizedTensor& quantized, std::span<float> weights);

/// Puts the tensor's name and file before an error that only knows rows and columns.
[[nodiscard]] tl::unexpected<Error> failIn(const Checkpoint& checkpoint, std::size_t tensor, const Error& error);

/// The metric errors are reported in: the plan's own if it has one, else the RMS of the calibration.
[[nodiscard]] Metric reportingMetric(const LayerPlan& plan, const Imatrix* calibration, std::string_view name,
                                     std::uint64_t cols);

} // namespace sigmascope
