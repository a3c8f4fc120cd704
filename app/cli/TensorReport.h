// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/Histogram.h"
#include "core/base/Json.h"
#include "core/calibration/Imatrix.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/compute/ComputeBackend.h"
#include "core/grid/Grid.h"
#include "core/lowrank/Spectrum.h"

#include <optional>
#include <string>

namespace sigmascope::cli
{

/// What `inspect` is asked to look at.
struct InspectOptions {
    bool histogram = false;
    std::size_t bins = 64;
    std::size_t spectrumCount = 0; ///< 0 = no spectrum
    const Grid* grid = nullptr; ///< spectrum of E = W - Q instead of W
    const Imatrix* calibration = nullptr; ///< singular values of W S or E S
};

struct SpectrumReport {
    Spectrum spectrum;
    std::string grid{}; ///< empty for W itself
    std::string metric{}; ///< "plain" or the metric's id
    double weightEnergy = 0; ///< ||W S||_F^2
};

/// Everything `inspect` found out about one tensor. What does not exist is absent, `note` says why.
struct TensorReport {
    const TensorInfo* tensor = nullptr;
    std::optional<TensorStats> stats{};
    std::optional<Histogram> histogram{};
    std::optional<SpectrumReport> spectrum{};
    std::string note{};
};

/// @param mustWork  the tensor was named by the user: what cannot be analysed is an error, not a note.
/// FileChanged and FileBroken are errors in any case.
[[nodiscard]] Result<TensorReport> inspectTensor(const Checkpoint& checkpoint, std::size_t tensor,
                                                 const InspectOptions& options, ComputeBackend& backend, bool mustWork,
                                                 const JobContext& job);

/// One element of product.md's `tensors`.
[[nodiscard]] Json toJson(const TensorReport& report, const InspectOptions& options);
[[nodiscard]] std::string histogramText(const TensorReport& report);
[[nodiscard]] std::string spectrumText(const TensorReport& report);

} // namespace sigmascope::cli
