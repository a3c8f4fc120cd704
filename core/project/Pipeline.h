// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/compute/ComputeBackend.h"
#include "core/export/Exporter.h"
#include "core/project/WorkQueue.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sigmascope
{

/// What became of one tensor; measured on the stored form, after every rounding.
struct TensorResult {
    std::size_t tensor = 0;
    std::string name;
    std::string preset;
    std::string grid; ///< "bf16", "f32" for kept ones
    std::string method; ///< the one that really ran: "l2qer", "lqer", "rtn", "keep"
    double bitsPerWeight = 0; ///< codes + scales + stored factors, over the tensor's elements
    double publishedBits = 0; ///< as LQER's tables count (denominator mn + k(m+n))
    std::uint32_t rank = 0;
    std::optional<double> weightError{}; ///< 0 for a tensor kept exactly; absent when not measurable (not decodable)
    std::optional<double> metricError{};
    std::optional<double> weightErrorRank0{}; ///< of the same codes without correction
    std::optional<double> metricErrorRank0{};
    double seconds = 0;
    std::string device; ///< that ran it: "cpu", "vulkan:0"; "vulkan:0, sketch cpu" where ops differ (DeviceLog)
    std::string fallback; ///< why it is not as planned; empty if it is
    /// What a search beyond the format's published encoder gained: 0.04 is an error 4 % below that encoder's (Solution).
    std::optional<double> searchGain{};
    bool resumed = false; ///< done by an earlier run that was cut short; `seconds` are those it took then
};

struct RunResult {
    std::vector<TensorResult> tensors; ///< as they lie in the file, in whatever order they were computed
    SizeEstimate estimate;
    Bytes writtenBytes = 0;
    std::uint64_t elements = 0;
    double seconds = 0; ///< pauses left out
    std::vector<OutputFile> outputs; ///< sizes as found on disk
};

/// Everything one layer needs, done: decode, encode, correct, store, measure. Used by the run, by the studio's
/// single-layer preview and by tests alike. FileChanged or FileBroken if the file is not what was opened, before or
/// after. NonFinite, ScaleOutOfRange (preflight() keeps such tensors), UnsupportedType, Cancelled; all name the tensor.
///
/// @param seed  the plan's; the layer's own stream is seedFor(seed, name), so layers may run in any order.
struct LayerOutcome {
    QuantizedLayer layer;
    TensorResult result;
    bool correctionFailed = false; ///< the codes are good; the result's fallback says why there is no correction
};
[[nodiscard]] Result<LayerOutcome> quantizeLayer(const Checkpoint& checkpoint, std::size_t tensor,
                                                 const LayerPlan& plan, const Imatrix* calibration, std::uint64_t seed,
                                                 ComputeBackend& backend, const JobContext& job);

/// Looks at the values before the run: a tensor that cannot be coded (non-finite values, a scale that would not
/// fit f16) is kept as it is and listed, so that sizes are known, and exact, before the first byte is written.
/// Reads the tensors to be quantized once.
///
/// @param contents  gets contentOf() every tensor, kept ones too, by the same reading; may be null.
[[nodiscard]] Result<ResolvedPlan> preflight(const Checkpoint& checkpoint, const QuantizationPlan& plan,
                                             ComputeBackend& backend, const JobContext& job,
                                             std::vector<std::uint64_t>* contents = nullptr);

/// Layers whose correction was to follow a calibrated metric that the calibration (null: there is none) does not
/// have for them: they are corrected under the plain metric, and every result says so.
[[nodiscard]] std::vector<Fallback> metricFallbacks(const Checkpoint& checkpoint, const QuantizationPlan& plan,
                                                    const Imatrix* calibration);

/// What to do with the journal of a run that was cut short (or cancelled, or of which a layer failed).
enum class Unfinished {
    Refuse, ///< UnfinishedRun: nobody said what to do with hours of work
    Resume, ///< continue it; if there is none, begin
    Discard, ///< begin anew, its finished layers are lost
};

/// What a run is at: with the whole model (Look, Compare), or with one layer.
enum class RunStage { Look, Codes, Factors, Write, Compare };

struct RunOptions {
    /// Steers the order of the layers and lets the run wait, while it runs. Null: as they lie in the file, no pauses.
    std::shared_ptr<WorkQueue> queue{};
    /// Called once all is known that the run will do, from the job's thread: its layers as they lie in the file.
    std::function<void(std::span<const std::size_t> tensors)> onLayers{};
    /// Called when the run goes on to something else, from the job's thread. @p tensor  absent for the whole model.
    std::function<void(RunStage stage, std::optional<std::size_t> tensor)> onStage{};
    /// Called after each layer, from the job's thread; also for those that an earlier run had finished.
    std::function<void(const TensorResult&)> onLayer{};
    /// Called for each layer that could not be computed, from the job's thread. The run goes on with the others.
    std::function<void(std::size_t tensor, const Error&)> onFailure{};
    /// Called beside the job's progress, from any thread: seconds left by what this run's own layers took so far;
    /// absent until 3 % of its work is done.
    std::function<void(std::optional<double>)> onTimeLeft{};
    /// What resolve() already had to change: repeated in the results of those tensors.
    std::vector<Fallback> known{};
    /// NotRepresentable, before anything is written, if any tensor would not become what was planned.
    bool refuseFallback = false;
    Unfinished unfinished = Unfinished::Refuse;
};

/// What an unfinished run beside @p output has done; absent if there is none. For asking before quantize().
struct UnfinishedRun {
    std::filesystem::path journal;
    std::size_t finished = 0; ///< layers
    std::size_t planned = 0;
};
[[nodiscard]] Result<std::optional<UnfinishedRun>> unfinishedRunAt(const std::filesystem::path& output);

/// preflight, then layer by layer: view -> decode -> encode -> correct -> export -> journal -> free, in memory of some
/// four times the largest tensor. Checks the file before and after each tensor (FileChanged, FileBroken end the run).
///
/// A journal beside the output keeps every finished layer. Cancelled, failed or killed, the run leaves it and the
/// temporary files behind (unless no layer was finished), and Unfinished::Resume continues to the same bytes as an
/// undisturbed run; JournalMismatch, naming what differs, if it would not. Nothing stands at the output's name before
/// all is verified. OutputBusy while another process writes there.
///
/// A layer that fails ends alone: the others are computed and journaled, then LayersFailed names those that failed and
/// why. Resumed, only they are tried again. A correction that cannot be computed is left out, and the result says so.
[[nodiscard]] Result<RunResult> quantize(const ExportRequest& request, const ExporterRow& exporter,
                                         ComputeBackend& backend, const RunOptions& options, const JobContext& job);

} // namespace sigmascope
