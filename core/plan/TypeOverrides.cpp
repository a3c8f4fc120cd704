// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/TypeOverrides.h"

#include "core/base/Parallel.h"
#include "core/plan/NameMatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace sigmascope {

namespace {

std::string lowered(std::string_view text)
{
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lower;
}

tl::unexpected<Error> refused(std::string_view text, std::string_view why)
{
    return fail(ErrorCode::InvalidOption, fmt::format("tensor type '{}': {}", escaped(text, 120), why));
}

/// Grids that GGUF has a type for, by the type's own name.
Result<const Grid*> gridOfType(std::string_view type)
{
    auto grid = findGrid(type);
    if (grid && *grid != nullptr && (*grid)->ggufType())
        return *grid;
    std::string known;
    for (const GridFamily& family : gridFamilies()) {
        const auto other = findGrid(family.id);
        if (other && (*other)->ggufType())
            known += (known.empty() ? "" : ", ") + std::string((*other)->id());
    }
    const bool isFloat = type == "f32" || type == "f16" || type == "bf16";
    return fail(ErrorCode::InvalidOption,
                isFloat ? fmt::format("{} is no type that tensors are coded in; a recipe's rule with \"skip\" keeps them as they are", type)
                        : fmt::format("no type '{}' can be written; expected one of {}", escaped(type, 40), known));
}

bool isBlank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

std::vector<std::string> patternsOf(const Recipe& recipe)
{
    std::vector<std::string> patterns;
    for (const TypeOverride& type : recipe.types)
        patterns.push_back(type.match);
    return patterns;
}

}  // namespace

Result<TypeOverride> parseTypeOverride(std::string_view text)
{
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size())
        return refused(text, "expected REGEX=TYPE");
    TypeOverride type{.match = lowered(text.substr(0, equals)), .type = lowered(text.substr(equals + 1))};
    if (const auto grid = gridOfType(type.type); !grid)
        return refused(text, grid.error().detail);
    if (const auto fault = faultOf(type.match))
        return refused(text, fault->detail);
    return type;
}

Result<std::vector<TypeOverride>> parseTypeOverrides(std::string_view text, std::string_view file)
{
    std::vector<TypeOverride> types;
    for (std::size_t at = 0; at < text.size();) {
        if (isBlank(text[at])) {
            ++at;
            continue;
        }
        const auto* end = std::find_if(text.data() + at, text.data() + text.size(), isBlank);
        const std::string_view entry = text.substr(at, static_cast<std::size_t>(end - (text.data() + at)));
        auto type = parseTypeOverride(entry);
        if (!type)
            return fail(type.error().code, Where{std::string(file), {}, at}, type.error().detail);
        types.push_back(std::move(*type));
        at += entry.size();
    }
    return types;
}

Status checkTypeOverrides(const Recipe& recipe)
{
    if (recipe.types.empty())
        return {};
    if (recipe.target != "gguf")
        return fail(ErrorCode::InvalidRecipe, fmt::format("tensor types are GGUF's, the target is {}", escaped(recipe.target, 40)));
    for (std::size_t i = 0; i < recipe.types.size(); ++i) {
        if (const auto grid = gridOfType(recipe.types[i].type); !grid)
            return fail(ErrorCode::InvalidRecipe, fmt::format("tensor_types[{}]: {}", i, grid.error().detail));
    }
    const auto matcher = NameMatcher::compile(patternsOf(recipe));
    return matcher ? Status() : passOn(matcher);
}

Result<std::vector<std::size_t>> decidingTypes(const Recipe& recipe, const Checkpoint& checkpoint)
{
    std::vector<std::size_t> deciding;
    if (recipe.types.empty())
        return deciding;
    const auto matcher = NameMatcher::compile(patternsOf(recipe));
    if (!matcher)
        return passOn(matcher);
    deciding.resize(checkpoint.tensors().size(), SIZE_MAX);
    // Patterns are matched slowly: 100,000 names are worth all threads.
    constexpr std::size_t kNames = 256;
    parallelFor((deciding.size() + kNames - 1) / kNames, [&](std::size_t chunk) {
        for (std::size_t i = chunk * kNames; i < std::min(deciding.size(), (chunk + 1) * kNames); ++i) {
            const auto mixed = mixTensorOf(checkpoint.tensors()[i]);
            if (mixed && isMixable(*mixed))
                deciding[i] = matcher->firstMatch(mixed->name).value_or(SIZE_MAX);
        }
    });
    return deciding;
}

Result<std::vector<const Grid*>> overriddenGrids(const Recipe& recipe, const Checkpoint& checkpoint)
{
    const auto deciding = decidingTypes(recipe, checkpoint);
    if (!deciding)
        return passOn(deciding);
    std::vector<const Grid*> ofType;
    for (const TypeOverride& type : recipe.types) {
        const auto grid = gridOfType(type.type);
        if (!grid)
            return passOn(grid);
        ofType.push_back(*grid);
    }
    std::vector<const Grid*> grids;
    for (const std::size_t override : *deciding)
        grids.push_back(override == SIZE_MAX ? nullptr : ofType[override]);
    return grids;
}

}  // namespace sigmascope
