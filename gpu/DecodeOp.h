// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/OpContext.h"

namespace sigmascope::gpu {

/// Types that decode.comp loads.
[[nodiscard]] bool canDecode(DType type);

[[nodiscard]] Status decode(OpContext& context, const TensorView& view, std::span<float> out, const JobContext& job);

}  // namespace sigmascope::gpu
