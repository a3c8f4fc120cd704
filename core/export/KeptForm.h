// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"

#include <cstddef>
#include <string_view>

namespace sigmascope {

/// How a tensor that is kept stands in the files of a target.
struct KeptForm {
    DType type = DType::F32;
    Bytes bytes = 0;
};

/// GGUF has norms and vectors as F32; safetensors have every tensor as it is listed, the dequantized copy as BF16 what
/// safetensors have no type for. @pre checkTarget(target).
[[nodiscard]] KeptForm keptForm(std::string_view target, const Checkpoint& checkpoint, std::size_t tensor);

}  // namespace sigmascope
