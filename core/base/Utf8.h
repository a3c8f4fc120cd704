// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sigmascope {

/// Bytes of the well-formed UTF-8 sequence at the start of @p text (1 to 4), 0 if it is not well formed
/// (stray continuation, overlong form, surrogate, above U+10FFFF, cut off) or @p text is empty.
[[nodiscard]] std::size_t utf8SequenceLength(std::string_view text);

/// Offset of the first byte that is not well-formed UTF-8; nothing if all of it is.
[[nodiscard]] std::optional<std::size_t> firstInvalidUtf8(std::string_view text);

/// True for one sequence that draws nothing yet changes what is seen: C1 controls, bidirectional
/// marks, zero-width characters, line and paragraph separators.
[[nodiscard]] bool isInvisibleControl(std::string_view sequence);

}  // namespace sigmascope
