// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/Exporter.h"

#include <cstddef>
#include <string>
#include <vector>

namespace sigmascope {

/// One tensor of a plan that a target cannot carry as it was, and what it becomes.
struct PlanChange {
    std::size_t tensor = 0;
    std::string from;    ///< "int4-g128, rank 32", "q4_0, rank 32 in q8_0", "kept"
    std::string to;      ///< likewise
    double bits = 0;     ///< per weight, what it takes more than as it was: codes, scales and factors
    std::string reason;  ///< what the target has against it: one line of English; empty where it follows another tensor
};

/// A plan that the target takes, as near to the asked one as its formats allow.
struct NearestPlan {
    QuantizationPlan plan;
    std::vector<PlanChange> changes;  ///< in the order of the tensors; empty: the target takes the plan as it is
};

/// What stands against a plan gives way step by step, and as little as possible: a grid for the target's nearest of its
/// width, groups for narrower ones that divide the row, a rank for the highest that there is, a correction before the
/// codes, and codes last: then the tensor is kept. What a runtime fuses, or a file holds as one, gives way together.
///
/// Idempotent: the nearest plan of what it returns is that plan. The target's own refusal (see refusalOf()) where no plan of
/// this model will do.
///
/// Cost: a few times ExporterRow::accepts; reads no weights. @pre request.plan.target == exporter.id.
[[nodiscard]] Result<NearestPlan> nearestPlan(const ExporterRow& exporter, const ExportRequest& request);

/// "kept instead of int4-g128, +11.75 bits per weight".
[[nodiscard]] std::string wordsOf(const PlanChange& change);
/// "12 tensors: q4_0 instead of int4-g128, +0.375 bits per weight (GGUF has no type for …)", one line a kind of change, the
/// most frequent first and at most @p most of them. Safe to show.
[[nodiscard]] std::vector<std::string> summaryOf(const NearestPlan& nearest, const Checkpoint& checkpoint, std::size_t most = 6);

}  // namespace sigmascope
