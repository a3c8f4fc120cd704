// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"
#include "core/plan/Plan.h"

#include <cstddef>
#include <optional>
#include <string>

namespace sigmascope {

/// How lossy the stored form of a tensor is already: "Q8_0", "GPTQ int4 g128", the grid of a research container. Empty
/// for numbers that stand for themselves.
[[nodiscard]] std::string quantizedAs(const Checkpoint& checkpoint, std::size_t tensor);

/// Layers that a plan rewrites and whose weights were quantized before. The errors of such a run are the loss added to
/// what the model stores, not the distance from the weights it was made of.
struct Requantizing {
    std::size_t quantized = 0;  ///< of them; not 0
    std::size_t layers = 0;  ///< rewritten in all
    std::string formats;  ///< "GPTQ int4 g128", "Q4_K, Q6_K, …": the most frequent ones; safe to show
};

/// Nothing if the plan rewrites none. A layer that is kept is rewritten if it is stored packed.
[[nodiscard]] std::optional<Requantizing> requantizing(const Checkpoint& checkpoint, const QuantizationPlan& plan);
/// One line.
[[nodiscard]] std::string noteOf(const Requantizing& again);

}  // namespace sigmascope
