// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/plan/Plan.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope {

/// What of a model and its plan a target is asked about.
enum class PlanPart { Codes, Correction, Factors, Kept, Tokenizer, Recipe };

/// How a target carries it.
enum class Carriage {
    None,  ///< there is none of it in the plan
    Exact,  ///< as planned, or as stored in the model
    Adapter,  ///< in a file of its own beside the model
    Inside,  ///< in the model's file or its metadata
    Copied,  ///< files beside the model, unchanged
    Converted,  ///< in another type of the same values, as its runtime reads them
    Widened,  ///< in a larger type than was planned
    Decoded,  ///< as the values that the codes stand for
    Folded,  ///< added to the weights
    Left,  ///< not written
    Refused,  ///< the target cannot carry it: there is no export of this plan
};

struct CarriedPart {
    PlanPart part{};
    Carriage carriage = Carriage::None;
    std::size_t layers = 0;  ///< of the plan that have this part; 0 where it is one thing of the whole model
    std::size_t changed = 0;  ///< of these, not as planned
    std::string reason{};  ///< why it is not as planned, in English; empty if it is
};

/// What a target makes of a plan, known before anything is written.
struct PlanVerdict {
    std::vector<CarriedPart> parts;  ///< in the order of PlanPart, each once
    std::vector<Error> refusals;  ///< empty: the target takes the plan. Each names its tensor
    std::vector<std::size_t> refused{};  ///< parallel to refusals: index of its tensor, kWholeModel where it is of no one
};

/// Stands for no tensor: what a target has against the model itself, or against the plan as a whole.
inline constexpr std::size_t kWholeModel = SIZE_MAX;
/// Adds a refusal.
void refuse(PlanVerdict& verdict, Error error, std::size_t tensor = kWholeModel);

/// The first refusal, with the number of further ones; absent if the target takes the plan. The one sentence that the
/// command line and the studio show.
[[nodiscard]] std::optional<Error> refusalOf(const PlanVerdict& verdict);

/// Parts of a plan with the number of layers that have them; the target fills in the rest. For exporters.
[[nodiscard]] std::vector<CarriedPart> partsOf(const QuantizationPlan& plan);
/// @pre all parts are there.
[[nodiscard]] CarriedPart& partIn(PlanVerdict& verdict, PlanPart part);
[[nodiscard]] const CarriedPart& partIn(const PlanVerdict& verdict, PlanPart part);
/// Sets how a part is carried, unless the plan has none of it.
void carry(PlanVerdict& verdict, PlanPart part, Carriage carriage, std::string reason = {});

}  // namespace sigmascope
