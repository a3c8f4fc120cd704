// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/base/Result.h"

#include <cstdint>
#include <span>
#include <string>

namespace sigmascope {

/// Two panels of row vectors of one length, row-major.
struct PanelPair {
    std::span<const float> a{};  ///< [rowsA x length]
    std::uint64_t rowsA = 0;
    std::span<const float> b{};  ///< [rowsB x length]
    std::uint64_t rowsB = 0;
    std::uint64_t length = 0;
};

/// Products of thin panels with a matrix E [rows x cols] that a device holds, and the Gram matrices of such panels.
/// Panels are kept transposed, one vector a row. Tolerance of an element of a product, against exact arithmetic:
/// 32 eps |p| |e| with |p| and |e| the lengths of the vector and of the row or column met (sums of 32 products in
/// float, joined with the rounding errors kept). Of a Gram element: 32 eps |a| |b|, alike.
///
/// Same input, same device: same bits, whatever the memory it has. Cancelled; DeviceFailed; OutOfMemory.
class MatrixProducts {
public:
    virtual ~MatrixProducts() = default;

    /// P [vectors x rows] times E: out [vectors x cols].
    [[nodiscard]] virtual Status timesRows(std::span<const float> panel, std::uint64_t vectors, std::span<float> out,
                                           const JobContext& job)
        = 0;
    /// P [vectors x cols] times E^T: out [vectors x rows].
    [[nodiscard]] virtual Status timesCols(std::span<const float> panel, std::uint64_t vectors, std::span<float> out,
                                           const JobContext& job)
        = 0;
    /// A B^T: out [rowsA x rowsB].
    [[nodiscard]] virtual Status gram(const PanelPair& panels, std::span<double> out, const JobContext& job) = 0;
};

}  // namespace sigmascope
