// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/checkpoint/Checkpoint.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope {

/// One tensor that both models hold.
struct TensorDifference {
    std::size_t a = 0, b = 0;             ///< indices in the checkpoints
    std::string name;                     ///< as in A
    /// ||A - B||_F / ||A||_F over decoded values; 0 where both are zero, absent where they were not compared or A is zero.
    std::optional<double> relativeError{};
    std::optional<double> largest{};      ///< max |A - B|
    bool sameBytes = false;               ///< same type and same stored bytes
    std::string reason;                   ///< why the values were not compared; empty if they were
};

struct ModelComparison {
    std::vector<TensorDifference> tensors;  ///< in A's order
    std::vector<std::size_t> onlyA, onlyB;
    /// Of a folder beside a GGUF: the part for images, which llama.cpp has in a file of its own, and scales of the cache.
    /// Not in onlyA or onlyB.
    std::vector<std::size_t> apart{};
    /// Over all compared tensors together, ||A - B|| / ||A||; absent if nothing was compared.
    std::optional<double> relativeError{};
};

/// Compares two opened models value by value. Tensors pair by name, HF names with their GGUF twins; what GGUF changes is
/// met as it stands there: interleaved q and k rows, norms one greater, experts' matrices as parts of one tensor. Non-finite values of either make a tensor incomparable, unless
/// the bytes are the same. Streams rows: memory is a few megabytes a thread, whatever the models' size. Sums in double,
/// fixed chunks: same result at any thread count.
/// NotRepresentable if A and B are HF and GGUF of an architecture whose row order is not known; FileChanged, FileBroken,
/// Cancelled.
[[nodiscard]] Result<ModelComparison> compareModels(const Checkpoint& a, const Checkpoint& b, const JobContext& job = {});

}  // namespace sigmascope
