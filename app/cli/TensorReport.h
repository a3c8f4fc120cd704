// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/Histogram.h"
#include "core/base/Json.h"
#include "core/calibration/Imatrix.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/compute/ComputeBackend.h"
#include "core/compute/TensorNotes.h"
#include "core/grid/Grid.h"
#include "core/lowrank/Spectrum.h"
#include "core/solve/Solver.h"

#include <optional>
#include <string>
#include <vector>

namespace sigmascope::cli
{

/// What `inspect` is asked to look at.
struct InspectOptions {
    bool histogram = false;
    std::size_t bins = 64;
    std::size_t spectrumCount = 0; ///< 0 = no spectrum
    const Grid* grid = nullptr; ///< spectrum of E = W - Q instead of W
    const Solver* solver = nullptr; ///< that chooses Q; null: nearest
    const Imatrix* calibration = nullptr; ///< singular values of W S or E S
};

struct SpectrumReport {
    Spectrum spectrum;
    std::string grid{}; ///< empty for W itself
    std::string solver{}; ///< that was asked for; empty: nearest, or W itself
    std::string metric{}; ///< "plain" or the metric's id
    double weightEnergy = 0; ///< ||W S||_F^2
};

/// Everything `inspect` found out about one tensor. What does not exist is absent, `problem` says why.
struct TensorReport {
    const TensorInfo* tensor = nullptr;
    std::optional<TensorStats> stats{};
    std::optional<Histogram> histogram{};
    std::optional<SpectrumReport> spectrum{};
    std::vector<TensorNote> notes{}; ///< odd, but looked at
    std::optional<Error> problem{};
};

/// @param mustWork  the tensor was named by the user: what cannot be analysed is an error, not a note.
/// FileChanged and FileBroken are errors in any case.
[[nodiscard]] Result<TensorReport> inspectTensor(const Checkpoint& checkpoint, std::size_t tensor,
                                                 const InspectOptions& options, ComputeBackend& backend, bool mustWork,
                                                 const JobContext& job);

/// One element of product.md's `tensors`.
[[nodiscard]] Json toJson(const TensorReport& report, const InspectOptions& options);
/// Of everything that is stored for a tensor, a weight; nothing where there are none, or their file is absent.
[[nodiscard]] std::optional<double> storedBits(const TensorInfo& tensor);
/// Elements of `warnings`: what the checkpoint and the reports have to say. `tensor` is null for the checkpoint's own,
/// whose text names file, tensor and offset itself.
[[nodiscard]] Json warningsJson(const Checkpoint& checkpoint, const std::vector<TensorReport>& reports);
/// The notes of all reports under a heading; empty if there are none.
[[nodiscard]] std::string notesText(const std::vector<TensorReport>& reports);
[[nodiscard]] std::string histogramText(const TensorReport& report);
[[nodiscard]] std::string spectrumText(const TensorReport& report);

} // namespace sigmascope::cli
