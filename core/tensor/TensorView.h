// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/tensor/DType.h"

#include <cstddef>
#include <memory>
#include <span>

namespace sigmascope {

/// The bytes of one stored tensor. Row-major, little-endian, possibly unaligned (load by memcpy).
/// Invariant: bytes.size() == *checkedByteSize(dtype, shape). Borrowed: valid while its Checkpoint lives, and its owner if it has one.
struct TensorView {
    DType dtype = DType::F32;
    Shape shape{};
    std::span<const std::byte> bytes{};
    std::shared_ptr<const void> owner{};  ///< of the bytes, where they were made for this view

    [[nodiscard]] std::uint64_t elements() const { return checkedElementCount(shape).value_or(0); }
    /// Length of the last dimension: the input features of a Linear. 1 for a scalar.
    [[nodiscard]] std::uint64_t cols() const { return shape.empty() ? 1 : shape.back(); }
    /// All other dimensions folded: the output features of a Linear; experts stacked.
    [[nodiscard]] std::uint64_t rows() const { return cols() == 0 ? 0 : elements() / cols(); }
    [[nodiscard]] Bytes rowBytes() const { return rows() == 0 ? 0 : bytes.size() / rows(); }
};

}  // namespace sigmascope
