// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"

#include <string>

namespace sigmascope {

/// Why the shape of a llama-like tensor contradicts config.json (a shard of another revision); empty if it
/// does not, or if the model or the tensor is of a kind whose shapes are not known.
[[nodiscard]] std::string misfitToConfig(const TensorInfo& tensor, const Json& config);

}  // namespace sigmascope
