// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/grid/Grid.h"

#include <cstdint>
#include <string_view>

namespace sigmascope {

/// InvalidRecipe for a word that is no target.
[[nodiscard]] Status checkTarget(std::string_view target);

/// The target's own grid of a width (product.md, "Presets and recipes"): gguf 2…6, 8 bits = q2_k, q3_k,
/// q4_0, q5_0, q6_k, q8_0;
/// compressed-tensors 4 and 8 bits, gptq 2, 3, 4, 8, awq 4 (asymmetric) INT group 128;
/// research and bf16 the paper's: LQER's and L²QER's block_fp (blocks of 16, of 32 at 3 bits), otherwise INT group 128.
/// NotRepresentable naming the nearest plan for other widths, with @p method in its name ("l2qer-w4") unless empty.
/// @pre checkTarget(target), 2 <= bits <= 8.
[[nodiscard]] Result<const Grid*> ownGrid(std::string_view target, int bits, std::string_view method);

/// NotRepresentable naming the nearest grid if the target has no such type. research and bf16 carry every grid.
[[nodiscard]] Status checkRepresentable(std::string_view target, const Grid& grid);

/// The width that the target has codes of and that comes closest: the narrowest that is not narrower, or else the widest; for
/// gguf the nearest, of two equally far the wider. @pre checkTarget(target), @p bits from 1.
[[nodiscard]] int nearestBits(std::string_view target, int bits);
/// The grid itself where checkRepresentable() takes it, else the one that it names; null if there is none.
[[nodiscard]] const Grid* nearestGrid(std::string_view target, const Grid& grid);

/// Runtimes of compressed-tensors, GPTQ and AWQ take whole groups only: the grid itself where its groups divide the row or
/// the target is another, else the widest narrower group that does, or one for the row (scales F16). Null if there is none.
[[nodiscard]] const Grid* gridForRows(std::string_view target, const Grid& grid, std::uint64_t cols);

/// True if the target's runtimes merge q/k/v and gate/up into one matrix each, so that their members need the same
/// grid and rank. llama.cpp keeps them apart. False for words that are no target.
[[nodiscard]] bool needsFusedAlike(std::string_view target);
/// True if the target can name one grid only, for all layers.
[[nodiscard]] bool needsOneScheme(std::string_view target);

}  // namespace sigmascope
