// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/Importances.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sigmascope {

namespace {

bool isUsable(float importance)
{
    return std::isfinite(importance) && importance >= 0;
}

}  // namespace

std::string Importances::inWords(std::uint64_t unweighed, std::uint64_t blocks) const
{
    std::string note;
    if (repaired > 0)
        note = fmt::format(
            "calibration of {} of {} runs of {} columns is zero or not finite: coded as equally important", repaired,
            values.size() / run, run);
    if (unweighed > 0)
        note += fmt::format("{}{} of {} blocks coded without the calibration: their weighted scales are no f16",
                            note.empty() ? "" : "; ", unweighed, blocks);
    return note;
}

Importances usableImportances(std::span<const float> given, std::uint64_t run)
{
    Importances result{.values = {given.begin(), given.end()}, .run = run};
    for (std::uint64_t first = 0; first + run <= given.size(); first += run) {
        const auto part = std::span(result.values).subspan(first, run);
        double sum = 0;
        std::size_t good = 0;
        for (const float value : part) {
            good += isUsable(value) ? 1 : 0;
            sum += isUsable(value) ? value : 0;
        }
        if (good == part.size() && sum > 0)
            continue;
        ++result.repaired;
        if (sum > 0)
            std::ranges::replace_if(
                part, [](float value) { return !isUsable(value); },
                static_cast<float>(sum / static_cast<double>(good)));
        else
            std::ranges::fill(part, 1.0F);
    }
    return result;
}

Status nonFiniteWeights(std::span<const float> weights, std::uint64_t cols)
{
    const auto isBad = [](float w) { return !std::isfinite(w); };
    const auto first = static_cast<std::uint64_t>(std::ranges::find_if(weights, isBad) - weights.begin());
    return fail(ErrorCode::NonFinite,
                fmt::format("non-finite values: {}, first at row {}, column {}", std::ranges::count_if(weights, isBad),
                            first / cols, first % cols));
}

}  // namespace sigmascope
