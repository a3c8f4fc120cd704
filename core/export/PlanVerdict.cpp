// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/PlanVerdict.h"

#include <fmt/format.h>

#include <utility>

namespace sigmascope {

std::optional<Error> refusalOf(const PlanVerdict& verdict)
{
    if (verdict.refusals.empty())
        return std::nullopt;
    Error first = verdict.refusals.front();
    if (const std::size_t more = verdict.refusals.size() - 1; more > 0)
        first.detail += fmt::format("; {} more tensor{} cannot be carried", more, more == 1 ? "" : "s");
    return first;
}

void refuse(PlanVerdict& verdict, Error error, std::size_t tensor)
{
    verdict.refusals.push_back(std::move(error));
    verdict.refused.push_back(tensor);
}

std::vector<CarriedPart> partsOf(const QuantizationPlan& plan)
{
    std::vector<CarriedPart> parts;
    for (const PlanPart part : {PlanPart::Codes, PlanPart::Correction, PlanPart::Factors, PlanPart::Kept,
                                PlanPart::Tokenizer, PlanPart::Recipe})
        parts.push_back({.part = part});
    const auto count = [&parts](PlanPart part) -> std::size_t& { return parts[static_cast<std::size_t>(part)].layers; };
    for (const LayerPlan& layer : plan.layers) {
        ++count(layer.keep ? PlanPart::Kept : PlanPart::Codes);
        if (!layer.keep && layer.rank > 0) {
            ++count(PlanPart::Correction);
            ++count(PlanPart::Factors);
        }
    }
    return parts;
}

CarriedPart& partIn(PlanVerdict& verdict, PlanPart part)
{
    return verdict.parts[static_cast<std::size_t>(part)];
}

const CarriedPart& partIn(const PlanVerdict& verdict, PlanPart part)
{
    return verdict.parts[static_cast<std::size_t>(part)];
}

void carry(PlanVerdict& verdict, PlanPart part, Carriage carriage, std::string reason)
{
    CarriedPart& found = partIn(verdict, part);
    if (found.layers == 0 && part != PlanPart::Tokenizer && part != PlanPart::Recipe)
        return;
    found.carriage = carriage;
    found.reason = std::move(reason);
}

}  // namespace sigmascope
