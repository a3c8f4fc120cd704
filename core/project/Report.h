// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/project/Pipeline.h"

#include <string>
#include <utility>
#include <vector>

namespace sigmascope {

/// What a report tells of: one run and where it came from. Every number in it is shown, none is added.
struct ReportInput {
    std::string model;                                        ///< title
    /// "Model", "Calibration", "Device", "Program" … with their values, in the order shown.
    std::vector<std::pair<std::string, std::string>> facts{};
    RunResult run;                                            ///< without outputs, as of a saved session: nothing is said of files
    std::vector<std::string> sha256{};                        ///< of run.outputs, in their order; empty: not computed
    std::string recipe{};                                     ///< JSON
};

/// One self-contained HTML page, no script, nothing fetched: files with sizes and hashes, error, bits and rank of every
/// layer as inline SVG, errors by block and role, the worst layers, the whole table, the recipe, and what each number
/// means. Follows the reader's dark or light scheme and prints in black on white. Same input, same bytes.
[[nodiscard]] std::string htmlReport(const ReportInput& input);

}  // namespace sigmascope
