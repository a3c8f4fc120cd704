// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"

#include <cstddef>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sigmascope {

/// Patterns of a recipe's rules, compiled: ECMAScript, searched in a tensor's name, the first match wins.
///
/// A recipe is a file from somewhere, so no pattern may hang or crash the program: matching takes polynomial time
/// (hence no back-references), patterns are limited in length, repetition and look-ahead, and only the first 1,024
/// bytes of a name are searched. Exact names ("^blk\.0\.ffn_down\.weight$") are looked up, not searched: a
/// recipe with a rule for each of 100,000 tensors stays linear.
/// Immutable; firstMatch is thread-safe.
class NameMatcher {
public:
    /// InvalidRecipe naming the pattern and why it is refused.
    [[nodiscard]] static Result<NameMatcher> compile(const std::vector<std::string>& patterns);
    /// Index of the first pattern found in @p name.
    [[nodiscard]] std::optional<std::size_t> firstMatch(std::string_view name) const;

private:
    struct Search {
        std::size_t index = 0;
        std::regex expression;
    };
    std::unordered_map<std::string, std::size_t> m_exact;  // first index of each exact name
    std::vector<Search> m_searches;                        // ascending index
};

/// Where a pattern breaks: the longest beginning that is a pattern by itself ends before this byte.
struct PatternFault {
    std::size_t at = 0;
    std::string detail;  ///< as compile() says it
};
/// Nothing if compile() takes the pattern.
[[nodiscard]] std::optional<PatternFault> faultOf(std::string_view pattern);

/// The pattern that matches this name and no other.
[[nodiscard]] std::string exactPattern(std::string_view name);

}  // namespace sigmascope
