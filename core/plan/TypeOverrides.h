// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"

#include <cstddef>
#include <string_view>
#include <vector>

// llama-quantize's --tensor-type and --tensor-type-file. Included by core/plan and the command line.

namespace sigmascope {

/// "REGEX=TYPE", cut at the first '='. The pattern is lower-cased as llama-quantize does (\D becomes \d there too), the
/// type may be in either case. InvalidOption for what is no pattern or no type that can be written.
[[nodiscard]] Result<TypeOverride> parseTypeOverride(std::string_view text);

/// A file of them, separated by white space, in order. @p file names it in errors.
[[nodiscard]] Result<std::vector<TypeOverride>> parseTypeOverrides(std::string_view text, std::string_view file);

/// Whatever the model: types of a target that has none, patterns and types that are none.
[[nodiscard]] Status checkTypeOverrides(const Recipe& recipe);

/// The override that decides each tensor: the first whose pattern is found in the GGUF name; SIZE_MAX where none is, or
/// llama-quantize would not quantize the tensor. Empty without overrides. InvalidRecipe for a pattern that is none.
[[nodiscard]] Result<std::vector<std::size_t>> decidingTypes(const Recipe& recipe, const Checkpoint& checkpoint);

/// The type that an override gives each tensor: of the first whose pattern is found in the GGUF name; null where none is,
/// or llama-quantize would not quantize the tensor. Empty without overrides. @pre checkTypeOverrides(recipe).
[[nodiscard]] Result<std::vector<const Grid*>> overriddenGrids(const Recipe& recipe, const Checkpoint& checkpoint);

}  // namespace sigmascope
