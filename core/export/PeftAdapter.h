// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/PackedModel.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sigmascope {

/// The low-rank correction as a PEFT adapter (formats.md §4): y = W x + (alpha / r) B (A x), A = R and B = L. The
/// config says r = alpha = the smallest rank of vLLM's list that all fit in, and rank_pattern and alpha_pattern the
/// same of each layer's own rank: whether a runtime reads the patterns or not, the factor is 1.

/// A and B of one module. NotRepresentable for factor types that PEFT lacks; the caller says of which tensor.
[[nodiscard]] Result<std::vector<SafetensorsSpec>> adapterTensorsOf(const std::string& path, std::uint64_t rows,
                                                                    std::uint64_t cols, const LayerPlan& plan);

struct CorrectedModule {
    std::string path;
    std::uint32_t rank = 0;
};
/// The rank that a runtime must make room for: 8, 16, 32, 64, 128, 256, 320 or 512; above, the highest itself.
[[nodiscard]] std::uint32_t adapterRankOf(std::span<const CorrectedModule> corrected);
/// adapter_config.json. @param all  paths of all linear modules, @param base  what the corrected model is called.
[[nodiscard]] Json adapterConfigOf(std::span<const CorrectedModule> corrected, std::span<const PackedModule> all,
                                   const std::string& base);

}  // namespace sigmascope
