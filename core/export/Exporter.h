// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/AtomicFile.h"
#include "core/base/Job.h"
#include "core/checkpoint/ModelTopology.h"
#include "core/export/PlanVerdict.h"
#include "core/plan/Plan.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

class GgufPlanner;

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
    std::uint32_t adapterRank = 0;   ///< that a runtime has to make room for; 0 where it needs not be told
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

/// Bytes of one layer as they stand in one of the files.
struct WrittenRange {
    std::size_t output = 0;      ///< index in estimate().outputs
    Bytes begin = 0, end = 0;
    std::uint64_t checksum = 0;  ///< core/base/Checksum.h
    friend bool operator==(const WrittenRange&, const WrittenRange&) = default;
};

/// What a journal keeps of a finished layer, so that a later process can tell whether it still stands in the files.
struct LayerReceipt {
    std::vector<WrittenRange> ranges;
    std::string note;  ///< the exporter's own word on what else the files owe to this layer; short, ASCII
};

/// How a layer stands in a file that holds neither codes nor factors, measured after the last rounding.
struct StoredForm {
    DType type = DType::BF16;
    Bytes bytes = 0;
    bool isExact = false;  ///< copied bit for bit
    std::optional<double> weightError{};
    std::optional<double> metricError{};  ///< absent for the plain metric
};

/// Writes one model for one runtime. Prepared for a plan, then fed layer by layer, each once, in any order; nothing
/// stands at the target path unless finish() succeeded. Where every byte will stand is fixed when the exporter is made,
/// so a layer's place does not depend on the layers before it: the files are the same in whatever order they come. A
/// layer that could not be computed, or whose add() failed, leaves its place open: verify() fails until it has come.
///
/// **Taking up a run that was cut short** needs nothing but this interface:
/// - made with ExportRequest::journaled, temporary files have fixed names and outlive the process;
/// - after each add() the run stores receipt() in its journal (core/project/Journal.h);
/// - a later exporter, made for the same plan with Journaled::takeUp, is offered each stored receipt by takeUp()
///   instead of add(). It reads the bytes back; if they are not those of the receipt the layer is simply added again.
/// What is not covered by receipts (headers, extras, index) an exporter writes anew each time; it must come out the
/// same, which layoutChecksum() stands for. A new exporter implements the pure functions and builds on AtomicFile.
class Exporter {
public:
    virtual ~Exporter() = default;
    [[nodiscard]] virtual const SizeEstimate& estimate() const = 0;
    /// Tensor indices as they lie in the files: the order in which they are written fastest.
    [[nodiscard]] virtual const std::vector<std::size_t>& order() const = 0;
    /// Writes a layer to its place. Polls the job about once a megabyte.
    [[nodiscard]] virtual Status add(const QuantizedLayer& layer, const JobContext& job = {}) = 0;

    /// Of the layer that add() took last; absent where the file holds the codes and factors themselves.
    [[nodiscard]] virtual std::optional<StoredForm> storedForm() const { return std::nullopt; }
    /// Of the layer that came last.
    [[nodiscard]] virtual LayerReceipt receipt() const = 0;
    /// Instead of add(): the layer stands in the files already. VerifyFailed if it does not, whole and with these
    /// checksums: add() takes it then. A receipt comes from a file and may hold anything.
    [[nodiscard]] virtual Status takeUp(std::size_t tensor, const LayerReceipt& receipt, const JobContext& job) = 0;
    /// Of everything that is fixed before the first layer: names, types, shapes, metadata, places.
    [[nodiscard]] virtual std::uint64_t layoutChecksum() const = 0;
    /// Writes what no layer stands for, reads the files back and compares tensor by tensor. VerifyFailed,
    /// Cancelled.
    [[nodiscard]] virtual Status verify(const JobContext& job) = 0;

    /// All bytes so far are on the disk. A stop request ends the wait (Cancelled).
    [[nodiscard]] Status flush(const std::stop_token& stop = {});
    /// Of the files, in the order of estimate().outputs: what Journaled::placedInodes wants to know.
    [[nodiscard]] std::vector<std::uint64_t> inodes();
    /// Gives the files their names, all or none. @pre verify() and flush() succeeded.
    [[nodiscard]] Status place();
    /// verify(), flush(), place(). Cancelled is possible until the first file has its name.
    [[nodiscard]] Status finish(const JobContext& job = {});
    /// The temporary files of a journaled export go after all when this is destroyed.
    void discard();

protected:
    /// In the order of estimate().outputs. Not owned, never null.
    [[nodiscard]] virtual std::vector<AtomicFile*> files() = 0;
    /// Files of an earlier export that would be taken for part of this one: removed by place().
    [[nodiscard]] virtual std::vector<std::filesystem::path> obsoleteFiles() const { return {}; }
};

/// For exports whose finished layers are kept in a journal.
struct Journaled {
    bool takeUp = false;  ///< continue in the temporary files that an earlier process left
    /// With takeUp, when the earlier process was already giving names: inodes() of its files.
    std::vector<std::uint64_t> placedInodes{};
};

struct ExportRequest {
    std::shared_ptr<const Checkpoint> checkpoint;
    QuantizationPlan plan;
    std::filesystem::path output;                 ///< the model; the adapter lies beside it as NAME-lora.gguf
    std::shared_ptr<const Checkpoint> templateGguf{};  ///< keys and tokenizer from here; else from the HF folder
    /// What ExporterRow::prepare read of this checkpoint and this template; null: each call reads it again.
    std::shared_ptr<const GgufPlanner> prepared{};
    const Imatrix* calibration = nullptr;         ///< for provenance keys
    bool overwrite = false;
    Bytes splitMaxBytes = 5'000'000'000;          ///< of one file, where the target comes in several
    /// GGUF in several files, NAME-00001-of-0000N.gguf: what one may hold (core/export/GgufSplit.h); 0: no limit.
    Bytes ggufMaxBytes = 0;
    std::uint32_t ggufMaxTensors = 0;
    /// For tests and comparisons: store the decoded values of quantized tensors as F32, adapter as F32.
    bool dequantized = false;
    /// With `dequantized`: fold Q + L R into the model and write no adapter.
    bool merged = false;
    /// Absent: temporary files have names of their own and vanish with the exporter.
    std::optional<Journaled> journaled{};
    std::stop_token stop{};        ///< ends the reservation of large files
    FileSystem* system = nullptr;  ///< for tests; null: the real one
};

/// What every exporter refuses before any work. OutputIsInput: an output, or a name that its temporary, backup or
/// journal file will have, reaches an input by whatever name (links, another case). WouldOverwrite: an output exists
/// and nobody said it may go; a file that the journaled run had placed there itself does not count.
[[nodiscard]] Status checkOutputs(const ExportRequest& request, std::span<const OutputFile> outputs,
                                  std::span<const std::filesystem::path> inputs);
/// Options for the AtomicFile of one output.
[[nodiscard]] AtomicFileOptions fileOptionsOf(const ExportRequest& request, std::size_t output);

/// Type a tensor has in the exported file when it is kept: of a GGUF as it is, byte for byte; from HF in its own type
/// where llama.cpp computes with it, but norms, vectors and F64 as F32.
[[nodiscard]] DType keptType(const Checkpoint& checkpoint, std::size_t tensor);

/// Exact sizes of the files for a plan. Computed from the same layout that is written; O(tensors), so that
/// the budget follows a drag.
[[nodiscard]] Result<SizeEstimate> estimateGguf(const ExportRequest& request);
/// Part by part, and every tensor that stands against it. Takes a plan exactly where the estimate finds its sizes.
[[nodiscard]] PlanVerdict acceptsGguf(const ExportRequest& request);
void prepareGguf(ExportRequest& request);
/// Refuses (OutputIsInput, WouldOverwrite, NotRepresentable, NoSpace, PermissionDenied) before any work.
[[nodiscard]] Result<std::unique_ptr<Exporter>> makeGgufExporter(ExportRequest request);

/// The weights decoded again, as BF16, labelled as such: a folder that runtimes of safetensors load, or one file.
[[nodiscard]] Result<SizeEstimate> estimateBf16(const ExportRequest& request);
[[nodiscard]] PlanVerdict acceptsBf16(const ExportRequest& request);
[[nodiscard]] Result<std::unique_ptr<Exporter>> makeBf16Exporter(ExportRequest request);

/// Codes, scales and factors of any grid (docs/research-container.md): a folder, or one file.
[[nodiscard]] Result<SizeEstimate> estimateResearch(const ExportRequest& request);
[[nodiscard]] PlanVerdict acceptsResearch(const ExportRequest& request);
[[nodiscard]] Result<std::unique_ptr<Exporter>> makeResearchExporter(ExportRequest request);

struct ExporterRow {
    std::string_view id;       ///< "gguf", as in --to
    std::string_view title;    ///< "GGUF for llama.cpp"
    Result<std::unique_ptr<Exporter>> (*make)(ExportRequest);
    Result<SizeEstimate> (*estimate)(const ExportRequest&);
    /// The command that loads the files.
    std::string (*loadCommand)(const SizeEstimate&);
    /// What the target makes of a plan. Reads headers and the tokenizer, no weights; O(tensors).
    PlanVerdict (*accepts)(const ExportRequest&) = nullptr;
    /// The files hold the codes themselves, so that a run's errors and bits are those of the plan.
    bool holdsCodes = true;
    std::string_view runtime{};    ///< who loads it: "llama.cpp"; a name, not translated
    std::string_view suffix{};     ///< of a proposed output's name: "-bf16", ".gguf" with the model's stem before it
    /// Reads once, into the request, what estimate, accepts and make would each read again; they tell what is wrong with
    /// it. Null where nothing is.
    void (*prepare)(ExportRequest&) = nullptr;
};
[[nodiscard]] std::span<const ExporterRow> exporters();
[[nodiscard]] const ExporterRow* findExporter(std::string_view id);
/// A NotRepresentable that an exporter refused with, with all that it has against the plan; any other error as it is.
[[nodiscard]] Error withAllReasons(Error error, const ExporterRow& exporter, const ExportRequest& request);

}  // namespace sigmascope
