// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/Exporter.h"

namespace sigmascope {

/// Quantized safetensors folders for vLLM and its kin. Each takes the linear layers of the blocks on INT grids, and a
/// low-rank correction as a PEFT adapter in the folder `lora` inside. Refused with the nearest plan: other grids and
/// widths, embedding and output head, siblings of one fused matrix that differ.

/// pack-quantized: 4 and 8 bits, symmetric and not, groups of 32, 64, 128 or the row, several schemes in one model.
[[nodiscard]] Result<SizeEstimate> estimateCompressedTensors(const ExportRequest& request);
[[nodiscard]] PlanVerdict acceptsCompressedTensors(const ExportRequest& request);
[[nodiscard]] Result<std::unique_ptr<Exporter>> makeCompressedTensorsExporter(ExportRequest request);

/// 2, 3, 4 and 8 bits. checkpoint_format "gptq" (v1: zero points less one) where all grids are symmetric, "gptq_v2"
/// else: v1 has no way to say zero point 0 that all kernels read alike.
[[nodiscard]] Result<SizeEstimate> estimateGptq(const ExportRequest& request);
[[nodiscard]] PlanVerdict acceptsGptq(const ExportRequest& request);
[[nodiscard]] Result<std::unique_ptr<Exporter>> makeGptqExporter(ExportRequest request);

/// GEMM layout: 4 bits, asymmetric, one grid for the model. Codes alone: no channel scaling is implied.
[[nodiscard]] Result<SizeEstimate> estimateAwq(const ExportRequest& request);
[[nodiscard]] PlanVerdict acceptsAwq(const ExportRequest& request);
[[nodiscard]] Result<std::unique_ptr<Exporter>> makeAwqExporter(ExportRequest request);

}  // namespace sigmascope
