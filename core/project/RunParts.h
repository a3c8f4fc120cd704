// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What a run says of its layers and its failures. Internal to core/project.

#include "core/project/Pipeline.h"
#include "core/project/WorkModel.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sigmascope {

[[nodiscard]] WorkModel::Kind workKindOf(const LayerPlan& plan);
/// Work of one layer in units of its kind: a correction costs some ten products with the matrix.
[[nodiscard]] double workUnitsOf(const TensorInfo& tensor, const LayerPlan& plan);

/// Puts the tensor's name and file before an error that only knows rows and columns.
[[nodiscard]] tl::unexpected<Error> failIn(const Checkpoint& checkpoint, std::size_t tensor, const Error& error);

/// Why a tensor does not become what was planned, by tensor.
using Reasons = std::map<std::size_t, std::string>;
void addReason(std::string& text, const std::string& reason);
void addReasons(Reasons& reasons, const std::vector<Fallback>& fallbacks);
/// @pre there is a reason. Of a run that is to refuse fallbacks.
[[nodiscard]] Error refusedFallbacks(const Checkpoint& checkpoint, const Reasons& reasons);

/// Errors that are not one layer's: the input or the output is gone, or nobody wants the result any more.
[[nodiscard]] bool endsTheRun(const Error& error);
/// A file without codes and factors: what counts is what stands in it.
void adopt(TensorResult& result, const StoredForm& stored, std::uint64_t elements);
/// LayersFailed, naming the first few. @param planned  layers of the run.
[[nodiscard]] Error failedLayers(std::span<const std::pair<std::size_t, Error>> failures, std::size_t planned);

}  // namespace sigmascope
