// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/ModelTopology.h"
#include "core/grid/Grid.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sigmascope {

/// Which GGUF type each tensor gets: one everywhere, or llama-quantize's mixtures by their names there.
enum class GgufMix {
    PlainQ4_0, PlainQ4_1, PlainQ5_0, PlainQ5_1, PlainQ8_0,
    PlainQ2_K, PlainQ3_K, PlainQ4_K, PlainQ5_K, PlainQ6_K,
    PlainIQ4_NL, PlainIQ4_XS, PlainMXFP4, PlainNVFP4, PlainTQ1_0, PlainTQ2_0, PlainQ1_0, PlainQ2_0,
    Q2_K, Q3_K_S, Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M, Q6_K,
    IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, Q1_0, Q2_0,
};

/// The type that a mixture starts from.
[[nodiscard]] DType baseTypeOf(GgufMix mix);

/// llama.cpp's number of a mixture (general.file_type); nothing for one type everywhere.
[[nodiscard]] std::optional<std::uint32_t> fileTypeOf(GgufMix mix);

/// A tensor as the choice sees it.
struct MixTensor {
    std::string name{};        ///< in GGUF: "blk.3.ffn_down.weight"
    std::uint64_t cols = 0;
    std::size_t dimensions = 2;
    bool byHand = false;       ///< its type is given: it is not counted when the others' are chosen, as there
};

/// What the choice knows of the model.
struct MixModel {
    int layers = 0;
    int experts = 0;           ///< 0 and 1: dense
    int queriesPerKey = 1;     ///< heads / key heads
    bool isFalcon = false;
    bool is70B = false;        ///< 80 layers of a llama-like model
    bool isCalibrated = false; ///< there is an importance matrix: IQ4 raises no early layers then
};

/// llama-quantize's choice (src/llama-quant.cpp of llama.cpp), before rows that do not divide fall back; nothing for what
/// it leaves as it is. Tensors may come in any order: they are counted in the order of their layers, as there.
[[nodiscard]] std::vector<std::optional<DType>> mixedTypes(GgufMix mix, std::span<const MixTensor> tensors, const MixModel& model);

/// A tensor of a checkpoint, HF or GGUF, as GGUF has it, for an expert of a folder the stack of them all; nothing where it
/// has no GGUF name.
[[nodiscard]] std::optional<MixTensor> mixTensorOf(const TensorInfo& tensor);
/// Whether llama-quantize quantizes a tensor at all, by its name and dimensions.
[[nodiscard]] bool isMixable(const MixTensor& tensor);

/// The same for the tensors of a checkpoint, HF or GGUF, as grids; null for what is left as it is, or has no GGUF name.
/// @param byHand  for each tensor its type by hand or null; may be empty.
/// @param isCalibrated  see MixModel.
[[nodiscard]] std::vector<const Grid*> mixedGrids(GgufMix mix, const Checkpoint& checkpoint, const ModelTopology& topology,
                                                  std::span<const Grid* const> byHand = {}, bool isCalibrated = false);

/// What a row that a GGUF type's super-blocks do not divide is stored as instead (formats.md §2.5): Q4_0 for Q2_K, Q3_K,
/// TQ1_0, TQ2_0 and Q2_0, Q5_0 for Q4_K, Q5_1 for Q5_K, Q8_0 for Q6_K, IQ4_NL for IQ4_XS. Null where that does not fit either,
/// or there is none.
[[nodiscard]] const Grid* gridForOddRows(const Grid& grid, std::uint64_t cols);

}  // namespace sigmascope
