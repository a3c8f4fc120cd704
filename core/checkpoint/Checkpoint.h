// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/base/Json.h"
#include "core/base/MappedFile.h"
#include "core/base/Result.h"
#include "core/checkpoint/CodedTensors.h"
#include "core/checkpoint/GgufMetadata.h"
#include "core/tensor/TensorView.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace sigmascope {

struct PackedMatrix;

enum class CheckpointFormat { Safetensors, Gguf };

enum class TensorState {
    Ok,
    Truncated,   ///< its range ends past the file: listed, analysis refused before reading
    Missing,     ///< named by the index, its shard is absent
};

/// One tensor of a checkpoint, validated. Kept small: a set can hold 100,000 of them.
struct TensorInfo {
    std::string name;
    Shape shape{};
    /// The file's own word when dtype is Unknown; the grid of a coded tensor, the format of a packed one ("GPTQ int4 g128"),
    /// whose dtype is what they decode to, F32; else empty.
    std::string unknownDtype{};
    std::uint64_t offset = 0;    ///< absolute, in its shard's file
    Bytes bytes = 0;
    std::uint32_t shard = 0;     ///< index into shards()
    DType dtype = DType::F32;
    TensorState state = TensorState::Ok;

    [[nodiscard]] std::uint64_t elements() const { return checkedElementCount(shape).value_or(0); }
    /// What it is stored as, to show: unknownDtype where there is one (not escaped), else the dtype's name.
    [[nodiscard]] std::string_view typeName() const
    {
        return unknownDtype.empty() ? info(dtype).name : std::string_view(unknownDtype);
    }
};

/// Something odd that lenient mode lives with and strict mode refuses.
struct CheckpointWarning {
    ErrorCode code;
    std::string detail;  ///< names file, tensor, offset as an Error does
};

/// One entry of a safetensors file's free text, made safe to show: the value is escaped and cut.
struct HeaderNote {
    std::string key;
    std::string value;
};

struct OpenOptions {
    bool strict = false;
    /// Who decodes the matrices of a research container; null: its stored tensors are listed one by one.
    const CodedFormats* coded = nullptr;
    /// One file of a model in several, looked at by itself. GGUF only.
    bool alone = false;
};

/// An opened, validated model: one safetensors file, a sharded set by its index, a folder holding
/// either, or a GGUF file. Headers only are read; every offset is validated before the first view exists.
/// Immutable and thread-safe; jobs hold a shared_ptr, so closing the document under them is safe.
class Checkpoint {
public:
    /// @param path  *.safetensors, *.index.json, *.gguf (told apart by content), or a folder with one of these.
    /// Polls the job's stop token between shards and reports "N of M shards".
    [[nodiscard]] static Result<std::shared_ptr<const Checkpoint>> open(const std::filesystem::path& path,
                                                                        OpenOptions options = {},
                                                                        const JobContext& job = {});

    [[nodiscard]] CheckpointFormat format() const { return m_format; }
    /// As given to open().
    [[nodiscard]] const std::filesystem::path& path() const { return m_path; }
    /// Where the weights and their side files (config.json, tokenizer.model) lie.
    [[nodiscard]] std::filesystem::path folder() const;
    [[nodiscard]] std::span<const TensorInfo> tensors() const { return m_tensors; }
    [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;
    [[nodiscard]] std::span<const CheckpointWarning> warnings() const { return m_warnings; }
    [[nodiscard]] std::size_t shardCount() const { return m_files.size(); }
    /// Null for a shard that is absent.
    [[nodiscard]] const MappedFile* shard(std::size_t index) const { return m_files[index].get(); }
    /// Of an absent shard too: where it was looked for.
    [[nodiscard]] const std::filesystem::path& shardPath(std::size_t index) const { return m_shardPaths[index]; }
    /// Files are missing, or shorter than their headers say: a download may still be running, and opening the same
    /// path again may find more. (A single safetensors file cut short is refused with Truncated instead.)
    [[nodiscard]] bool isIncomplete() const;

    /// Truncated, MissingShard or UnknownType when there is nothing to look at. Does not touch the data, but for a coded
    /// tensor: its view owns the decoded values, made by this call.
    [[nodiscard]] Result<TensorView> view(std::size_t index) const;
    /// What a matrix of a research container is stored as; null for all other tensors.
    [[nodiscard]] const CodedTensor* coded(std::size_t index) const;
    /// How a quantized safetensors checkpoint (GPTQ, AWQ, compressed-tensors, bitsandbytes) stores a weight
    /// (core/checkpoint/layouts); null for all other tensors. Its view, too, owns values made by view().
    [[nodiscard]] const PackedMatrix* packed(std::size_t index) const;
    [[nodiscard]] bool hasPacked() const { return !m_packed.empty(); }
    /// Rows [first, first + count) of a packed weight, without a view of the whole. InvalidNumber naming the place of a
    /// stored value that cannot be. Thread-safe. @pre packed(index), out holds count x columns.
    [[nodiscard]] Status readPackedRows(std::size_t index, std::uint64_t first, std::uint64_t count, std::span<float> out) const;
    /// FileChanged or FileBroken if the tensor's file is no longer what was opened; ask before and after use.
    [[nodiscard]] Status checkUnchanged(std::size_t index) const;

    /// Key/values of a GGUF file; empty for safetensors.
    [[nodiscard]] const GgufMetadata& gguf() const { return m_gguf; }
    /// config.json beside safetensors, parsed when opened; null if there is none (or it is not JSON: a warning). Without
    /// its quantization_config where every tensor that it speaks of is listed as a packed() one.
    [[nodiscard]] const Json& config() const { return m_config; }

    /// The __metadata__ of the first shard that has any, at most 64 entries of 256 bytes; empty for GGUF.
    [[nodiscard]] std::span<const HeaderNote> notes() const { return m_notes; }

    /// Sum over tensors.
    [[nodiscard]] std::uint64_t totalElements() const;
    [[nodiscard]] Bytes totalBytes() const;

private:
    friend class CheckpointBuilder;
    Checkpoint() = default;

    /// Bytes of the parts, in order; what is wrong with them.
    [[nodiscard]] Result<std::vector<std::span<const std::byte>>> partsOf(const PackedMatrix& matrix) const;
    [[nodiscard]] Result<TensorView> packedView(const PackedMatrix& matrix) const;

    CheckpointFormat m_format = CheckpointFormat::Safetensors;
    std::filesystem::path m_path;
    std::vector<std::unique_ptr<const MappedFile>> m_files;
    std::vector<std::filesystem::path> m_shardPaths;  // parallel to m_files
    std::vector<TensorInfo> m_tensors;
    std::unordered_map<std::string_view, std::size_t> m_byName;  // views into m_tensors' names
    std::vector<CheckpointWarning> m_warnings;
    GgufMetadata m_gguf;
    Json m_config;
    std::vector<HeaderNote> m_notes;
    std::unordered_map<std::size_t, CodedTensor> m_coded;  // by tensor
    const CodedFormats* m_formats = nullptr;
    std::unordered_map<std::size_t, std::shared_ptr<const PackedMatrix>> m_packed;  // by tensor
};

}  // namespace sigmascope
