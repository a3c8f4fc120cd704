// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"

#include <cstddef>

// An export needs every tensor; what lies on the disk may be part of a download.

namespace sigmascope {

/// Refuses a tensor that is not there, or not wholly.
[[nodiscard]] Status checkWhole(const Checkpoint& checkpoint, std::size_t tensor);

/// Refuses an absent file. A split GGUF has no list of what its files hold: the tensors of one that is missing are not even
/// known, so that none of them could be refused.
[[nodiscard]] Status checkFilesThere(const Checkpoint& checkpoint);

}  // namespace sigmascope
