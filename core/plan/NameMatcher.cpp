// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/NameMatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace sigmascope {

namespace {

constexpr std::size_t kLongestPattern = 1000;
constexpr std::size_t kLongestName = 1024;
constexpr std::uint64_t kMostRepetition = 100;
constexpr std::size_t kMostLookAheads = 2;
constexpr std::string_view kMeta = R"(^$\.*+?()[]{}|/)";

/// The name that "^…$" with nothing but plain and escaped characters between stands for.
std::optional<std::string> exactName(std::string_view pattern)
{
    if (pattern.size() < 2 || pattern.front() != '^' || pattern.back() != '$')
        return std::nullopt;
    pattern = pattern.substr(1, pattern.size() - 2);
    std::string name;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '\\') {
            ++i;
            if (i == pattern.size() || kMeta.find(pattern[i]) == std::string_view::npos)
                return std::nullopt;
        } else if (kMeta.find(pattern[i]) != std::string_view::npos) {
            return std::nullopt;
        }
        name += pattern[i];
    }
    return name;
}

/// Product of the larger counts of all {n,m}: how much longer the compiled form is than the text, at worst.
std::uint64_t repetition(std::string_view pattern)
{
    std::uint64_t product = 1;
    for (std::size_t brace = pattern.find('{'); brace != std::string_view::npos; brace = pattern.find('{', brace + 1)) {
        std::uint64_t largest = 1;
        const char* at = pattern.data() + brace + 1;
        const char* end = pattern.data() + pattern.size();
        for (int part = 0; part < 2 && at != end; ++part) {
            std::uint64_t count = 0;
            const auto [after, error] = std::from_chars(at, end, count);
            if (error == std::errc::result_out_of_range)
                return kMostRepetition + 1;
            largest = std::max(largest, count);
            at = after != end && *after == ',' ? after + 1 : end;
        }
        product *= std::min(largest, kMostRepetition + 1);
        if (product > kMostRepetition)
            return product;
    }
    return product;
}

std::size_t lookAheads(std::string_view pattern)
{
    std::size_t count = 0;
    for (std::size_t at = pattern.find("(?"); at != std::string_view::npos; at = pattern.find("(?", at + 2))
        count += pattern.substr(at + 2, 1) == ":" ? 0 : 1;
    return count;
}

Status checkLimits(std::string_view pattern)
{
    const auto refuse = [&](std::string why) {
        return fail(ErrorCode::InvalidRecipe, fmt::format("pattern '{}': {}", escaped(pattern, 80), why));
    };
    if (pattern.empty())
        return refuse("empty");
    if (pattern.size() > kLongestPattern)
        return refuse(fmt::format("{} bytes long, {} at most", pattern.size(), kLongestPattern));
    if (repetition(pattern) > kMostRepetition)
        return refuse(fmt::format("counted repetitions multiply to more than {}", kMostRepetition));
    if (lookAheads(pattern) > kMostLookAheads)
        return refuse(fmt::format("more than {} look-aheads", kMostLookAheads));
    return {};
}

/// libstdc++'s breadth-first matcher: its time and stack do not grow exponentially with pattern or name, and it
/// refuses back-references, with which nobody can promise that.
constexpr auto kFlags =
    std::regex_constants::ECMAScript | std::regex_constants::nosubs | std::regex_constants::__polynomial;

}  // namespace

Result<NameMatcher> NameMatcher::compile(const std::vector<std::string>& patterns)
{
    NameMatcher matcher;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        if (auto name = exactName(patterns[i])) {
            matcher.m_exact.emplace(std::move(*name), i);
            continue;
        }
        if (Status fine = checkLimits(patterns[i]); !fine)
            return passOn(fine);
        try {
            matcher.m_searches.push_back({i, std::regex(patterns[i], kFlags)});
        } catch (const std::regex_error& error) {
            const bool backReference = error.code() == std::regex_constants::error_complexity;
            return fail(ErrorCode::InvalidRecipe,
                        fmt::format("pattern '{}': {}", escaped(patterns[i], 80),
                                    backReference ? "back-references are not supported" : error.what()));
        }
    }
    return matcher;
}

std::optional<std::size_t> NameMatcher::firstMatch(std::string_view name) const
{
    const auto it = m_exact.find(std::string(name));
    const std::size_t exact = it == m_exact.end() ? SIZE_MAX : it->second;
    const std::string_view searched = name.substr(0, kLongestName);
    for (const Search& search : m_searches) {
        if (search.index > exact)
            break;
        if (std::regex_search(searched.begin(), searched.end(), search.expression))
            return search.index;
    }
    if (exact == SIZE_MAX)
        return std::nullopt;
    return exact;
}

std::optional<PatternFault> faultOf(std::string_view pattern)
{
    const auto compiled = NameMatcher::compile({std::string(pattern)});
    if (compiled)
        return std::nullopt;
    PatternFault fault{.at = std::min(pattern.size(), kLongestPattern), .detail = compiled.error().detail};
    while (fault.at > 0 && !NameMatcher::compile({std::string(pattern.substr(0, fault.at))}))
        --fault.at;
    return fault;
}

std::string exactPattern(std::string_view name)
{
    std::string pattern = "^";
    for (const char character : name) {
        if (kMeta.find(character) != std::string_view::npos)
            pattern += '\\';
        pattern += character;
    }
    return pattern + "$";
}

}  // namespace sigmascope
