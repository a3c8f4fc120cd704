// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/Plan.h"
#include "core/plan/TargetGrids.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <vector>

namespace sigmascope {

namespace {

constexpr std::string_view kRtnSource = "round to nearest, the target's own encoder";
constexpr std::string_view kLqerSource = "Zhang et al., LQER, ICML 2024 (arXiv 2402.02446)";
/// LQER's ranks at 4, 3 and 2 bits (methods-lowrank §3.5).
constexpr std::uint32_t kLqerRank = 32;
constexpr std::uint32_t kLqerRank3 = 64;
constexpr std::uint32_t kLqerRank2 = 256;

constexpr std::string_view kMixSource = "llama-quantize of llama.cpp, its choice tensor by tensor";
constexpr std::string_view kPlainSource = "llama-quantize --pure of llama.cpp";

/// Uses a calibration where there is one, as llama-quantize does an importance matrix.
constexpr Preset ggufPreset(std::string_view id, std::string_view title, GgufMix mix, int bits, std::string_view source)
{
    return {id, title, source, "", bits, 0, MetricKind::DiagonalRms, "imatrix", mix};
}

constexpr std::array kPresets{
    // A width that GGUF lacks.
    Preset{"rtn-w7", "RTN, 7 bit", kRtnSource, "", 7, 0, MetricKind::Plain},
    Preset{"lqer-w7", "LQER, 7 bit", kLqerSource, "", 7, kLqerRank, MetricKind::Plain},
    Preset{"l2qer-w7", "L²QER, 7 bit", kLqerSource, "calibration", 7, kLqerRank, MetricKind::DiagonalRms},
    // Every target.
    Preset{"rtn-w2", "RTN, 2 bit", kRtnSource, "", 2, 0, MetricKind::Plain},
    Preset{"rtn-w3", "RTN, 3 bit", kRtnSource, "", 3, 0, MetricKind::Plain},
    Preset{"rtn-w4", "RTN, 4 bit", kRtnSource, "", 4, 0, MetricKind::Plain},
    Preset{"rtn-w5", "RTN, 5 bit", kRtnSource, "", 5, 0, MetricKind::Plain},
    Preset{"rtn-w6", "RTN, 6 bit", kRtnSource, "", 6, 0, MetricKind::Plain},
    Preset{"rtn-w8", "RTN, 8 bit", kRtnSource, "", 8, 0, MetricKind::Plain},
    Preset{"lqer-w2", "LQER, 2 bit", kLqerSource, "", 2, kLqerRank2, MetricKind::Plain},
    Preset{"lqer-w3", "LQER, 3 bit", kLqerSource, "", 3, kLqerRank3, MetricKind::Plain},
    Preset{"lqer-w4", "LQER, 4 bit", kLqerSource, "", 4, kLqerRank, MetricKind::Plain},
    Preset{"lqer-w5", "LQER, 5 bit", kLqerSource, "", 5, kLqerRank, MetricKind::Plain},
    Preset{"lqer-w6", "LQER, 6 bit", kLqerSource, "", 6, kLqerRank, MetricKind::Plain},
    Preset{"lqer-w8", "LQER, 8 bit", kLqerSource, "", 8, kLqerRank, MetricKind::Plain},
    Preset{"l2qer-w2", "L²QER, 2 bit", kLqerSource, "calibration", 2, kLqerRank2, MetricKind::DiagonalRms},
    Preset{"l2qer-w3", "L²QER, 3 bit", kLqerSource, "calibration", 3, kLqerRank3, MetricKind::DiagonalRms},
    Preset{"l2qer-w4", "L²QER, 4 bit", kLqerSource, "calibration", 4, kLqerRank, MetricKind::DiagonalRms},
    Preset{"l2qer-w5", "L²QER, 5 bit", kLqerSource, "calibration", 5, kLqerRank, MetricKind::DiagonalRms},
    Preset{"l2qer-w6", "L²QER, 6 bit", kLqerSource, "calibration", 6, kLqerRank, MetricKind::DiagonalRms},
    Preset{"l2qer-w8", "L²QER, 8 bit", kLqerSource, "calibration", 8, kLqerRank, MetricKind::DiagonalRms},
    // GGUF types.
    ggufPreset("gguf-q2_k", "GGUF Q2_K mixture", GgufMix::Q2_K, 2, kMixSource),
    ggufPreset("gguf-q3_k_s", "GGUF Q3_K_S mixture", GgufMix::Q3_K_S, 3, kMixSource),
    ggufPreset("gguf-q3_k_m", "GGUF Q3_K_M mixture", GgufMix::Q3_K_M, 3, kMixSource),
    ggufPreset("gguf-q3_k_l", "GGUF Q3_K_L mixture", GgufMix::Q3_K_L, 3, kMixSource),
    ggufPreset("gguf-q4_k_s", "GGUF Q4_K_S mixture", GgufMix::Q4_K_S, 4, kMixSource),
    ggufPreset("gguf-q4_k_m", "GGUF Q4_K_M mixture", GgufMix::Q4_K_M, 4, kMixSource),
    ggufPreset("gguf-q5_k_s", "GGUF Q5_K_S mixture", GgufMix::Q5_K_S, 5, kMixSource),
    ggufPreset("gguf-q5_k_m", "GGUF Q5_K_M mixture", GgufMix::Q5_K_M, 5, kMixSource),
    ggufPreset("gguf-iq4_nl-mix", "GGUF IQ4_NL mixture", GgufMix::IQ4_NL, 4, kMixSource),
    ggufPreset("gguf-iq4_xs-mix", "GGUF IQ4_XS mixture", GgufMix::IQ4_XS, 4, kMixSource),
    ggufPreset("gguf-tq1_0-mix", "GGUF TQ1_0 mixture", GgufMix::TQ1_0, 2, kMixSource),
    ggufPreset("gguf-tq2_0-mix", "GGUF TQ2_0 mixture", GgufMix::TQ2_0, 2, kMixSource),
    ggufPreset("gguf-q1_0-mix", "GGUF Q1_0 mixture", GgufMix::Q1_0, 1, kMixSource),
    ggufPreset("gguf-q2_0-mix", "GGUF Q2_0 mixture", GgufMix::Q2_0, 2, kMixSource),
    ggufPreset("gguf-q4_0", "GGUF Q4_0 everywhere", GgufMix::PlainQ4_0, 4, kPlainSource),
    ggufPreset("gguf-q4_1", "GGUF Q4_1 everywhere", GgufMix::PlainQ4_1, 4, kPlainSource),
    ggufPreset("gguf-q5_0", "GGUF Q5_0 everywhere", GgufMix::PlainQ5_0, 5, kPlainSource),
    ggufPreset("gguf-q5_1", "GGUF Q5_1 everywhere", GgufMix::PlainQ5_1, 5, kPlainSource),
    ggufPreset("gguf-q8_0", "GGUF Q8_0 everywhere", GgufMix::PlainQ8_0, 8, kPlainSource),
    ggufPreset("gguf-q2_k-pure", "GGUF Q2_K everywhere", GgufMix::PlainQ2_K, 2, kPlainSource),
    ggufPreset("gguf-q3_k", "GGUF Q3_K everywhere", GgufMix::PlainQ3_K, 3, kPlainSource),
    ggufPreset("gguf-q4_k", "GGUF Q4_K everywhere", GgufMix::PlainQ4_K, 4, kPlainSource),
    ggufPreset("gguf-q5_k", "GGUF Q5_K everywhere", GgufMix::PlainQ5_K, 5, kPlainSource),
    ggufPreset("gguf-q6_k", "GGUF Q6_K everywhere", GgufMix::PlainQ6_K, 6, kPlainSource),
    ggufPreset("gguf-iq4_nl", "GGUF IQ4_NL everywhere", GgufMix::PlainIQ4_NL, 4, kPlainSource),
    ggufPreset("gguf-iq4_xs", "GGUF IQ4_XS everywhere", GgufMix::PlainIQ4_XS, 4, kPlainSource),
    ggufPreset("gguf-mxfp4", "GGUF MXFP4 everywhere", GgufMix::PlainMXFP4, 4, kPlainSource),
    ggufPreset("gguf-nvfp4", "GGUF NVFP4 everywhere", GgufMix::PlainNVFP4, 4, kPlainSource),
    ggufPreset("gguf-tq1_0", "GGUF TQ1_0 everywhere", GgufMix::PlainTQ1_0, 2, kPlainSource),
    ggufPreset("gguf-tq2_0", "GGUF TQ2_0 everywhere", GgufMix::PlainTQ2_0, 2, kPlainSource),
    ggufPreset("gguf-q1_0", "GGUF Q1_0 everywhere", GgufMix::PlainQ1_0, 1, kPlainSource),
    ggufPreset("gguf-q2_0", "GGUF Q2_0 everywhere", GgufMix::PlainQ2_0, 2, kPlainSource),
};
constexpr std::size_t kBeyondGguf = 3;  ///< the first ones
/// The last ones.
constexpr auto kGgufOnly = static_cast<std::size_t>(std::ranges::count_if(kPresets, [](const Preset& preset) { return preset.mix.has_value(); }));

constexpr int kLeastBits = 2;
constexpr int kMostBits = 8;

struct Method {
    std::string_view id;
    std::string_view nearest;  ///< itself, or the built method that comes closest
};

constexpr std::array kMethods{
    Method{"rtn", "rtn"},         Method{"lqer", "lqer"},       Method{"l2qer", "l2qer"},
    Method{"qera", "l2qer"},      Method{"flrq", "l2qer"},      Method{"gptq", "rtn"},
    Method{"awq", "rtn"},         Method{"daq", "rtn"},         Method{"gptvq-1d", "rtn"},
    Method{"gptvq-2d", "rtn"},    Method{"gptvq-4d", "rtn"},
};

/// "l2qer-w3" -> l2qer and 3; nothing for other words.
std::optional<std::pair<Method, int>> split(std::string_view presetId)
{
    const std::size_t dash = presetId.rfind("-w");
    if (dash == std::string_view::npos)
        return std::nullopt;
    const auto method = std::ranges::find(kMethods, presetId.substr(0, dash), &Method::id);
    int bits = 0;
    const char* end = presetId.data() + presetId.size();
    const auto [after, error] = std::from_chars(presetId.data() + dash + 2, end, bits);
    if (method == kMethods.end() || error != std::errc() || after != end)
        return std::nullopt;
    return std::pair{*method, bits};
}

std::string lowerWord(std::string_view word)
{
    std::string lower(word);
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lower;
}

/// For a word of llama-quantize's, with or without "gguf-": the preset of this very name, or one of as many bits, which the
/// first digit tells; of a word without it the mixture, where there is one. Empty for words that are none of its.
std::string_view nearestGgufPreset(std::string_view word)
{
    const std::string lower = lowerWord(word);
    const std::string id = lower.starts_with("gguf-") ? lower : "gguf-" + lower;
    // There a type's name stands for a mixture of it; the type alone is its --pure.
    for (const char* mixture : {"-mix", "_m"}) {
        if (const Preset* preset = lower == id ? nullptr : findPreset(id + mixture); preset != nullptr)
            return preset->id;
    }
    if (const Preset* preset = findPreset(id); preset != nullptr)
        return preset->id;
    const std::string type = id.substr(5);
    const std::size_t digit = type.find_first_of("123456789");
    const bool isType = digit != std::string::npos && digit > 0 && type[digit - 1] == 'q' && type.find('_', digit) == digit + 1;
    if (!isType)
        return lower.starts_with("gguf-") ? "gguf-q4_k_m" : "";
    switch (type[digit]) {
    case '1':
    case '2': return "gguf-q2_k";
    case '3': return "gguf-q3_k_m";
    case '4': return "gguf-q4_k_m";
    case '5': return "gguf-q5_k_m";
    case '6': return "gguf-q6_k";
    default: return "gguf-q8_0";
    }
}

}  // namespace

std::span<const Preset> presets(std::string_view target)
{
    const std::span<const Preset> all(kPresets);
    if (target == "gguf")
        return all.subspan(kBeyondGguf);
    const auto open = all.first(all.size() - kGgufOnly);
    if (!needsFusedAlike(target))
        return open;
    static const std::map<std::string_view, std::vector<Preset>> ofWidths = [open] {
        std::map<std::string_view, std::vector<Preset>> found;
        for (const std::string_view packed : {"compressed-tensors", "gptq", "awq"}) {
            for (const Preset& preset : open) {
                if (ownGrid(packed, preset.bits, {}))
                    found[packed].push_back(preset);
            }
        }
        return found;
    }();
    return ofWidths.at(target);
}

const Preset* findPreset(std::string_view id)
{
    const auto it = std::ranges::find(kPresets, id, &Preset::id);
    return it == kPresets.end() ? nullptr : &*it;
}

std::string nearestPreset(std::string_view presetId, std::string_view target)
{
    if (!checkTarget(target))
        return {};
    if (const auto carried = presets(target); std::ranges::find(carried, presetId, &Preset::id) != carried.end())
        return std::string(presetId);
    if (const auto asked = split(presetId))
        return fmt::format("{}-w{}", asked->first.nearest, nearestBits(target, std::clamp(asked->second, kLeastBits, kMostBits)));
    const std::string_view typed = nearestGgufPreset(presetId);
    if (typed.empty() || target == "gguf")
        return std::string(typed);
    // The types are GGUF's: what is left of the word is its width.
    return fmt::format("rtn-w{}", nearestBits(target, std::max(findPreset(typed)->bits, kLeastBits)));
}

Result<Recipe> recipeFromPreset(std::string_view presetId, std::string_view target)
{
    if (Status known = checkTarget(target); !known)
        return passOn(known);
    if (const auto carried = presets(target); std::ranges::find(carried, presetId, &Preset::id) != carried.end()) {
        Recipe recipe{.target = std::string(target)};
        recipe.defaults.preset = presetId;
        return recipe;
    }
    const std::string nearest = nearestPreset(presetId, target);
    if (const auto asked = split(presetId)) {
        const auto& [method, bits] = *asked;
        if (bits < kLeastBits || bits > kMostBits)
            return fail(ErrorCode::InvalidOption, fmt::format("preset '{}': {} bits are out of range, {} to {}", presetId, bits,
                                                              kLeastBits, kMostBits));
        if (const auto grid = ownGrid(target, bits, method.nearest); !grid)
            return fail(grid.error().code, fmt::format("preset '{}': {}", presetId, grid.error().detail));
        return fail(ErrorCode::NotRepresentable, fmt::format("preset '{}' is not built in this version; nearest: {}", presetId, nearest));
    }
    if (findPreset(presetId) != nullptr)
        return fail(ErrorCode::NotRepresentable, fmt::format("preset '{}' chooses GGUF types, target '{}' has none; nearest: {}",
                                                             presetId, target, nearest));
    if (presetId.starts_with("gguf-") && !nearest.empty() && lowerWord(presetId) != nearest)
        return fail(ErrorCode::NotRepresentable, fmt::format("preset '{}' is not built in this version; nearest: {}",
                                                             escaped(presetId), nearest));
    std::string known;
    for (const Preset& preset : presets(target))
        known += (known.empty() ? "" : ", ") + std::string(preset.id);
    return fail(ErrorCode::InvalidOption, fmt::format("no preset '{}'{}; expected one of {}", escaped(presetId),
                                                      nearest.empty() ? "" : "; nearest: " + nearest, known));
}

}  // namespace sigmascope
