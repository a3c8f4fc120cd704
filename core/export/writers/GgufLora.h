// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/GgufPlanner.h"
#include "core/export/GgufSource.h"
#include "core/export/GgufWriter.h"
#include "core/lowrank/LowRank.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

// A low-rank correction as llama.cpp's LoRA adapter (formats.md 3): y = W x + B (A x) at scale 1 for every rank.

namespace sigmascope {

/// "NAME.gguf" -> "NAME-lora.gguf".
[[nodiscard]] std::filesystem::path adapterPathFor(const std::filesystem::path& output);

/// @param architecture  must be the base model's own word, or the adapter is refused.
[[nodiscard]] GgufKeys adapterKeys(std::string_view architecture);

/// The two tensors that carry a correction of @p rank of the matrix @p spec: lora_a, lora_b; of an expert its parts of them.
[[nodiscard]] std::vector<GgufTensorSpec> adapterSpecs(const GgufTarget& target, const GgufTensorSpec& spec, std::uint32_t rank,
                                                       FactorType type);
[[nodiscard]] DType ggufTypeOf(FactorType type);

/// Writes R as lora_a and L as lora_b to their places, rows of L in the order of the base's rows. The places' rank is the
/// planned one: missing columns of L and rows of R are zero, so that sizes known before the run hold.
/// @pre factors.rank <= places.rank.
[[nodiscard]] Status writeFactors(GgufWriter& writer, const StoredFactors& factors, const FactorPlaces& places, const GgufTarget& target);

}  // namespace sigmascope
