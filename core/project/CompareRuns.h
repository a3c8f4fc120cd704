// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/project/Pipeline.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace sigmascope {

/// A run as it is compared: what it measured, and how large the layers are.
struct ComparedRun {
    std::vector<TensorResult> layers;
    std::vector<std::uint64_t> elements;  ///< parallel to layers; 0 where the model is not at hand
};

/// Which error two runs are compared by: metricError or weightError. A layer that is kept exactly has 0 of both.
enum class ErrorKind { Output, Weight };

/// What B is, seen from A. Errors are measured on the stored bytes, so nothing is left to chance; a difference under
/// kNoDifference of the larger error is in no digit that is shown, and counts as none.
enum class LayerVerdict {
    Better,
    Same,     ///< no difference shown, and planned alike
    Changed,  ///< planned otherwise, with no difference in error that could be shown
    Worse,
};
inline constexpr double kNoDifference = 0.005;

/// One layer that both runs wrote.
struct RunDifference {
    std::size_t a = 0, b = 0;  ///< places in the runs' layers
    std::optional<double> errorA{}, errorB{};
    LayerVerdict verdict = LayerVerdict::Same;

    /// errorB / errorA − 1; absent unless both are known and A's is above zero.
    [[nodiscard]] std::optional<double> change() const;
};

/// Over layers that both runs quantized: geometric mean of B's error over A's, and its paired 95 % interval with each
/// layer as one observation (Student's t on the logarithms).
struct ErrorRatio {
    double mean = 1, lower = 1, upper = 1;
    std::size_t layers = 0;

    /// Better and Worse only where the interval excludes 1.
    [[nodiscard]] LayerVerdict verdict() const;
};

/// Sums of one side.
struct RunTotals {
    std::optional<Bytes> bytes{};            ///< of all its tensors as stored; absent where a layer's size is not known
    std::optional<double> bitsPerWeight{};   ///< the same over their weights
    /// Root mean square over the quantized layers of the pairs, by weights where known: as a block's mean is shown.
    std::optional<double> error{};
};

struct RunComparison {
    ErrorKind kind = ErrorKind::Output;
    std::vector<RunDifference> layers;       ///< in A's order
    std::vector<std::size_t> onlyA, onlyB;   ///< places of layers that the other run has not
    RunTotals a, b;
    std::optional<ErrorRatio> ratio{};       ///< absent under four layers with an error above zero in both
};

/// True if some layer has this error in both runs.
[[nodiscard]] bool canCompareBy(ErrorKind kind, const ComparedRun& a, const ComparedRun& b);

/// Layers pair by name, HF names with their GGUF twins; the first of a name counts.
/// @pre elements parallel to layers in both.
[[nodiscard]] RunComparison compareRuns(const ComparedRun& a, const ComparedRun& b, ErrorKind kind);

}  // namespace sigmascope
