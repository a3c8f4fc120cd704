// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/project/LayerRun.h"

#include <memory>

namespace sigmascope {

/// What a layer's correction starts from. Borrowed for the call, but for the residual: it may outlive it.
struct CorrectionProblem {
    std::span<const float> weights{};  ///< W [rows x cols]
    std::shared_ptr<FloatBuffer> residual;  ///< E = W - Q, as large
    const QuantizedTensor& quantized;
    const Metric& metric;
    std::size_t rank = 0;
    std::uint64_t seed = 0;  ///< the layer's own
};

/// The low-rank correction of E, its products formed on the backend's device where that has them. A cancel is seen at
/// once: on a CPU, whose eigen-solvers cannot be interrupted, the thread is left behind (core/base/Parallel.h).
/// NonFinite and NotConverged leave the codes as good as they are.
[[nodiscard]] Result<LowRankCorrection> correctLayer(const CorrectionProblem& problem, ComputeBackend& backend,
                                                     const JobContext& job);

}  // namespace sigmascope
