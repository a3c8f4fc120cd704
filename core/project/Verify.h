// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/base/Units.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/project/Compare.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope {

/// Something a reader of the file would stumble over, or a tensor that is not what the model has.
struct Finding {
    std::string tensor;  ///< empty: of the file as a whole
    std::string text;
};

struct Verification {
    std::vector<Finding> findings;   ///< of the file first, then in its order, then of the comparison; empty: all is well
    std::size_t tensors = 0;
    Bytes bytes = 0;                 ///< of tensors
    std::uint64_t values = 0;        ///< read, decoded and looked at
    std::size_t undecoded = 0;       ///< tensors whose type holds no values this program knows; not a finding
    std::optional<ModelComparison> against{};  ///< A: the model, B: the file
};

/// Reads every value of an opened file and tells what is wrong with it: what opening warned of, values that are not
/// finite, and beside @p model tensors that are missing, added, of another shape or not to be compared. How large the
/// errors of the rest are is in `against`, and no finding: what was asked for is not known here.
/// Memory is a few megabytes a thread. FileChanged, FileBroken, Cancelled; NotRepresentable as compareModels().
[[nodiscard]] Result<Verification> verifyModel(const Checkpoint& file, const Checkpoint* model, const JobContext& job = {});

}  // namespace sigmascope
