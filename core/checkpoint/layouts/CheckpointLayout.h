// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"
#include "core/base/Result.h"
#include "core/checkpoint/Checkpoint.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sigmascope {

class CheckpointLayout;

/// One stored tensor that a packed matrix is made of.
struct LayoutPart {
    std::string_view role;  ///< the layout's own word for it: "qweight"
    std::string name;  ///< as stored
    DType dtype = DType::U8;
    Shape shape{};
    std::uint32_t shard = 0;
    std::uint64_t offset = 0;  ///< absolute, in its shard's file
    Bytes bytes = 0;
};

/// A weight matrix that a quantized checkpoint stores as several tensors: codes, scales, zero points. Its sizes have
/// been checked against those of its parts.
struct PackedMatrix {
    const CheckpointLayout* layout = nullptr;
    std::string name{};  ///< of the weight: "model.layers.0.self_attn.q_proj.weight"
    std::string format{};  ///< to show: "GPTQ int4 g128"
    std::uint64_t rows = 0;  ///< outputs
    std::uint64_t cols = 0;  ///< inputs
    Shape shape{};  ///< of a stack of experts' matrices, [experts, outputs, inputs], whose rows are all outputs; else empty
    int bits = 0;
    std::uint64_t groupRows = 1;  ///< values that share a scale: so many rows …
    std::uint64_t groupCols
        = 0;  ///< … by so many columns, the last ones fewer; for blocks that run on over rows, values
    std::uint64_t rowUnit = 1;  ///< decode() wants first to be a multiple of it
    int zeroShift = 0;  ///< added to stored zero points, modulo 2^bits
    std::uint64_t nestedGroup = 0;  ///< scales that share a scale of their own; 0: scales are plain numbers
    float nestedOffset = 0;  ///< added to such scales
    std::vector<LayoutPart> parts{};

    /// Of all parts: codes, scales, zero points and whatever else is stored for the matrix.
    [[nodiscard]] Bytes bytes() const;
    /// Place of a role in parts; nothing if the matrix has no such part.
    [[nodiscard]] std::optional<std::size_t> find(std::string_view role) const;
};

/// Bytes of PackedMatrix::parts, in their order.
using PartBytes = std::span<const std::span<const std::byte>>;

/// A value of a part that no decoder could take.
struct PartFault {
    std::size_t part = 0;
    std::uint64_t offset = 0;  ///< in the part's bytes
    std::string what;
};

/// The stored tensors of a checkpoint, by name. Borrowed: valid while it is opened.
class StoredTensors {
public:
    using Bytes = std::function<std::span<const std::byte>(const TensorInfo&)>;
    StoredTensors(std::span<const TensorInfo> tensors, std::span<const std::filesystem::path> shards, Bytes bytes);

    /// Null if there is none.
    [[nodiscard]] const TensorInfo* find(std::string_view name) const;
    [[nodiscard]] std::size_t indexOf(std::string_view name) const { return m_byName.at(name); }
    /// What a tensor holds. @pre its state is Ok.
    [[nodiscard]] std::span<const std::byte> bytes(const TensorInfo& tensor) const { return m_bytes(tensor); }
    [[nodiscard]] Where where(const TensorInfo& tensor) const;

private:
    std::span<const TensorInfo> m_tensors;
    std::span<const std::filesystem::path> m_shards;
    Bytes m_bytes;
    std::unordered_map<std::string_view, std::size_t> m_byName;
};

/// What config.json (or quantize_config.json, or hf_quant_config.json) says about the quantization. The text is hostile.
struct LayoutSettings {
    std::string file{};  ///< for messages
    std::string method{};  ///< quant_method; empty: nobody says
    Json config{};  ///< quantization_config: an object, or null

    /// A whole number; nothing if the key is absent or null. InvalidMetadata for anything else.
    [[nodiscard]] Result<std::optional<std::int64_t>> number(const Json& object, const char* key) const;
    [[nodiscard]] Where where(std::string_view key) const;
};

/// How one family of quantized checkpoints stores a matrix. Stateless; lives for the process.
class CheckpointLayout {
public:
    virtual ~CheckpointLayout() = default;
    /// The tensor holds codes of this layout: by its name, type and neighbours.
    [[nodiscard]] virtual bool claims(const TensorInfo& stored, const StoredTensors& tensors,
                                      const LayoutSettings& settings) const = 0;
    /// Settings that would make every tensor unreadable: InvalidMetadata, naming file, key, what is expected and found.
    [[nodiscard]] virtual Status check(const LayoutSettings& settings) const = 0;
    /// Finds the parts and checks them against each other and against the settings. MissingTensor, UnsupportedType,
    /// ShapeMismatch, InvalidMetadata, naming file, tensor, offset, what is expected and what was found.
    /// @pre claims(codes), check(settings).
    [[nodiscard]] virtual Result<PackedMatrix> assemble(const TensorInfo& codes, const StoredTensors& tensors,
                                                        const LayoutSettings& settings) const = 0;
    /// Looks at what decode() relies on: indices of groups.
    [[nodiscard]] virtual std::optional<PartFault> fault(const PackedMatrix&, PartBytes) const { return std::nullopt; }
    /// Rows [first, first + count) as floats. @pre no fault(), first is a multiple of rowUnit, and count too unless the
    /// rows are the last ones; out holds count x cols.
    virtual void decode(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                        std::span<float> out) const = 0;
};

/// All layouts; the first that claims a tensor has it.
[[nodiscard]] std::span<const CheckpointLayout* const> checkpointLayouts();

/// Rows [first, first + count), any of them. @pre no fault(); out holds count x cols.
void decodePackedRows(const PackedMatrix& matrix, PartBytes parts, std::uint64_t first, std::uint64_t count,
                      std::span<float> out);

}  // namespace sigmascope
