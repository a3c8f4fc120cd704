// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/checkpoint/ModelTopology.h"
#include "core/plan/Plan.h"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// One file an export will write.
struct OutputFile {
    std::filesystem::path path;
    std::string kind;      ///< "model", "adapter"
    Bytes bytes = 0;       ///< exact, before the run
};

/// Exact sizes of everything a plan would write, to the byte.
struct SizeEstimate {
    std::vector<OutputFile> outputs;
    Bytes total = 0;
    Bytes codes = 0;       ///< quantized tensors: codes and scales
    Bytes kept = 0;        ///< tensors stored as they are
    Bytes factors = 0;     ///< low-rank factors
    Bytes overhead = 0;    ///< headers, metadata, padding
    std::vector<std::string> notes;  ///< what the files leave out and why, one line each, safe to show
    [[nodiscard]] double bitsPerWeight(std::uint64_t elements) const
    {
        return elements == 0 ? 0 : 8.0 * static_cast<double>(total) / static_cast<double>(elements);
    }
};

/// A finished layer on its way to the file.
struct QuantizedLayer {
    std::size_t tensor = 0;                     ///< index in the checkpoint
    std::optional<QuantizedTensor> quantized{}; ///< absent: kept as it is
    std::optional<StoredFactors> factors{};
};

/// Writes one model for one runtime. Prepared for a plan, then fed layer by layer in order(); nothing stands
/// at the target path unless finish() succeeded.
class Exporter {
public:
    virtual ~Exporter() = default;
    [[nodiscard]] virtual const SizeEstimate& estimate() const = 0;
    /// Tensor indices in the order add() wants them.
    [[nodiscard]] virtual const std::vector<std::size_t>& order() const = 0;
    [[nodiscard]] virtual Status add(const QuantizedLayer& layer) = 0;
    /// Verifies, then gives the files their names. Cancelled is possible until the first of them has it.
    [[nodiscard]] virtual Status finish(const JobContext& job = {}) = 0;
};

struct ExportRequest {
    std::shared_ptr<const Checkpoint> checkpoint;
    QuantizationPlan plan;
    std::filesystem::path output;                 ///< the model; the adapter lies beside it as NAME-lora.gguf
    std::shared_ptr<const Checkpoint> templateGguf{};  ///< keys and tokenizer from here; else from the HF folder
    const Imatrix* calibration = nullptr;         ///< for provenance keys
    bool overwrite = false;
    /// For tests and comparisons: store the decoded values of quantized tensors as F32, adapter as F32.
    bool dequantized = false;
    /// With `dequantized`: fold Q + L R into the model and write no adapter.
    bool merged = false;
};

/// Type a tensor has in the exported file when it is kept: of a GGUF as it is, byte for byte; from HF in its own type
/// where llama.cpp computes with it, but norms, vectors and F64 as F32.
[[nodiscard]] DType keptType(const Checkpoint& checkpoint, std::size_t tensor);

/// Exact sizes of the files for a plan. Computed from the same layout that is written; O(tensors), so that
/// the budget follows a drag.
[[nodiscard]] Result<SizeEstimate> estimateGguf(const ExportRequest& request);
/// Refuses (OutputIsInput, WouldOverwrite, NotRepresentable, NoSpace, PermissionDenied) before any work.
[[nodiscard]] Result<std::unique_ptr<Exporter>> makeGgufExporter(ExportRequest request);

struct ExporterRow {
    std::string_view id;       ///< "gguf", as in --to
    std::string_view title;    ///< "GGUF for llama.cpp"
    Result<std::unique_ptr<Exporter>> (*make)(ExportRequest);
    Result<SizeEstimate> (*estimate)(const ExportRequest&);
    /// The command that loads the files.
    std::string (*loadCommand)(const SizeEstimate&);
};
[[nodiscard]] std::span<const ExporterRow> exporters();
[[nodiscard]] const ExporterRow* findExporter(std::string_view id);

}  // namespace sigmascope
