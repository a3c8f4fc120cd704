// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/tensor/TensorView.h"

#include <span>

namespace sigmascope {

/// Turns whole blocks into floats. @pre info(dtype).decodable, in.size() holds exactly
/// out.size() / blockElements blocks. Unaligned input is fine. 64-bit integers and F64 round to nearest.
/// Bit-equal to ggml's to_float for its types (tests/interop).
void decode(DType dtype, std::span<const std::byte> in, std::span<float> out);

/// Elements [first, first + count) of a view, which begin and end with whole blocks of its type.
[[nodiscard]] std::span<const std::byte> bytesOf(const TensorView& view, std::uint64_t first, std::uint64_t count);

/// Rows [first, first + count) of a view; UnsupportedType if the type is not decodable.
/// @pre out.size() == count * view.cols().
[[nodiscard]] Status decodeRows(const TensorView& view, std::uint64_t first, std::uint64_t count, std::span<float> out);

}  // namespace sigmascope
