// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/Checkpoint.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace sigmascope {

/// What a tensor does in a llama-like model.
enum class Role : std::uint8_t {
    Embedding, Output, OutputNorm,
    AttnNorm, AttnQ, AttnK, AttnV, AttnQkv, AttnOutput, AttnQNorm, AttnKNorm, AttnPostNorm,
    FfnNorm, FfnPreNorm, FfnGate, FfnUp, FfnGateUp, FfnDown, FfnPostNorm,
    Other,
};

/// Short id as in HF names: "q_proj", "down_proj", "embed_tokens"; "other".
[[nodiscard]] std::string_view id(Role role);

/// Tensors that a runtime may need to treat alike: q/k/v, gate/up.
enum class FusedGroup : std::uint8_t { None, Qkv, GateUp };

struct TensorPlace {
    std::int32_t block = -1;  ///< -1: outside the blocks
    Role role = Role::Other;
    FusedGroup group = FusedGroup::None;
    bool bias = false;        ///< a ".bias", not a ".weight"
    std::int32_t expert = -1; ///< of a mixture whose experts have tensors of their own; -1: none
};

/// Tensors sorted into blocks and roles by their names, HF or GGUF. Every tensor has exactly one place;
/// names that are not llama-like get Role::Other and still list and inspect.
class ModelTopology {
public:
    explicit ModelTopology(const Checkpoint& checkpoint);

    [[nodiscard]] const TensorPlace& place(std::size_t tensor) const { return m_places[tensor]; }
    [[nodiscard]] std::size_t blockCount() const { return m_blocks; }
    /// True for matrices that a quantization plan covers by default: the blocks' linear layers (two or more
    /// dimensions, not norm, embedding or output).
    [[nodiscard]] bool isQuantizable(std::size_t tensor) const { return m_quantizable[tensor]; }

private:
    std::vector<TensorPlace> m_places;
    std::vector<bool> m_quantizable;
    std::size_t m_blocks = 0;
};

/// Sorts places into the order in which a token meets them: embedding, blocks, then the rest; in a block by role.
[[nodiscard]] std::tuple<int, int, int> depthOf(const TensorPlace& place);

/// The name that a tensor of the text model has where this stands alone: models that take images too have it under
/// "language_model." or "model.language_model.". Every other name as it is.
[[nodiscard]] std::string textNameOf(std::string_view tensorName);

/// Place of one name by itself.
[[nodiscard]] TensorPlace placeOf(std::string_view tensorName);
/// "model.layers.3.mlp.down_proj.weight" -> "blk.3.ffn_down.weight"; nothing if the name has no GGUF twin.
/// A name that is a GGUF name already maps to itself.
[[nodiscard]] std::optional<std::string> ggufNameOf(std::string_view tensorName);

/// GGUF keeps the experts' matrices of one kind in one tensor: "model.layers.3.mlp.experts.7.up_proj.weight" is the
/// eighth part of "blk.3.ffn_up_exps.weight".
struct ExpertPart {
    std::string stack;          ///< GGUF's name of the whole
    std::uint32_t expert = 0;
};
/// Nothing for names that are no expert's weight.
[[nodiscard]] std::optional<ExpertPart> expertPartOf(std::string_view tensorName);

}  // namespace sigmascope
