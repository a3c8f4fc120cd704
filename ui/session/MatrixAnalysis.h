// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/MatrixRows.h"
#include "core/calibration/Imatrix.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/plan/Plan.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope::ui {

class Session;

/// Everything the error of a layer depends on, as a value that a job may own. The rank is not part of it.
struct MatrixSubject {
    std::shared_ptr<const Checkpoint> checkpoint;
    std::shared_ptr<const Imatrix> calibration;  ///< may be null
    std::size_t tensor = 0;
    std::string grid{};  ///< empty for a kept layer
    MetricKind metric = MetricKind::Plain;
    std::string solver{};  ///< empty for a kept layer
    bool isFinite = true;  ///< false: known to hold NaN or Inf, so there is no error to look at

    friend bool operator==(const MatrixSubject&, const MatrixSubject&) = default;
};

/// Of the layer looked at; nothing if there is none.
[[nodiscard]] std::optional<MatrixSubject> currentSubject(const Session& session);

/// Rows of the subject: its weights, what its grid leaves of them as its solver codes them, and its metric. Holds the
/// checkpoint.
[[nodiscard]] Result<MatrixRows> matrixRows(const MatrixSubject& subject);
/// Root mean square of each input, [cols]; empty without usable calibration.
[[nodiscard]] std::vector<double> activationScale(const MatrixSubject& subject);
/// Why there is no E S; empty if there is.
[[nodiscard]] std::string plainReason(const MatrixSubject& subject);

}  // namespace sigmascope::ui
