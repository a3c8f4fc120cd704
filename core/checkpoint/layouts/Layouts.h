// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/layouts/CheckpointLayout.h"

namespace sigmascope {

// One a file of its own. Each lives for the process.
[[nodiscard]] const CheckpointLayout& gptqLayout();  ///< qweight, qzeros, scales, g_idx: packed along the inputs
[[nodiscard]] const CheckpointLayout& awqLayout();  ///< the same names, packed along the outputs (GEMM)
[[nodiscard]] const CheckpointLayout& packedTensorsLayout();  ///< compressed-tensors, pack-quantized
[[nodiscard]] const CheckpointLayout&
scaledCodesLayout();  ///< int8 or FP8 weights with scales: compressed-tensors, fp8
[[nodiscard]] const CheckpointLayout& floatCodesLayout();  ///< NVFP4 and MXFP4: compressed-tensors, ModelOpt, gpt-oss
[[nodiscard]] const CheckpointLayout& blockCodesLayout();  ///< bitsandbytes NF4 and FP4
[[nodiscard]] const CheckpointLayout& rowScaledLayout();  ///< bitsandbytes int8

}  // namespace sigmascope
