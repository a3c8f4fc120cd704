// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The sample as tests of files that llama.cpp runs want it, and how far apart two runs' logits lie.

#include "core/calibration/Imatrix.h"
#include "core/checkpoint/Checkpoint.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sigmascope::test {

inline const std::filesystem::path kSample = std::filesystem::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";

struct SampleModel {
    std::shared_ptr<const Checkpoint> model;
    Imatrix imatrix;
};

/// Nothing with @p problem set if it does not open.
inline std::optional<SampleModel> openSample(std::string& problem)
{
    auto model = Checkpoint::open(kSample);
    auto imatrix = readImatrix(kSample / "imatrix.gguf");
    if (model && imatrix)
        return SampleModel{std::move(*model), std::move(*imatrix)};
    problem = model ? imatrix.error().detail : model.error().detail;
    return std::nullopt;
}

inline double largest(const std::vector<float>& values)
{
    double most = 0;
    for (const float value : values)
        most = std::max(most, std::abs(double{value}));
    return most;
}

/// Infinite where sizes differ or a difference is no number.
inline double largestDifference(const std::vector<float>& a, const std::vector<float>& b)
{
    if (a.size() != b.size() || a.empty())
        return std::numeric_limits<double>::infinity();
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double difference = std::abs(double{a[i]} - double{b[i]});
        if (std::isnan(difference))
            return std::numeric_limits<double>::infinity();
        most = std::max(most, difference);
    }
    return most;
}

}  // namespace sigmascope::test
