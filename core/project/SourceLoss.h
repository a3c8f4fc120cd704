// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"
#include "core/plan/Plan.h"

#include <cstddef>
#include <optional>
#include <string>

namespace sigmascope {

/// How lossy the stored form of a tensor is already: "Q8_0", "GPTQ int4 g128", the grid of a research container. Empty for
/// numbers that stand for themselves.
[[nodiscard]] std::string quantizedAs(const Checkpoint& checkpoint, std::size_t tensor);

/// "28 of 28 layers were quantized already (GPTQ int4 g128) …": what the errors of a run on such a model mean. Nothing if
/// the plan quantizes none of them.
[[nodiscard]] std::optional<std::string> requantizingNote(const Checkpoint& checkpoint, const QuantizationPlan& plan);

}  // namespace sigmascope
