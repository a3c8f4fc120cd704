// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/layouts/Schemes.h"

#include <algorithm>

namespace sigmascope {

namespace {

constexpr std::size_t kMostSchemes = 64;

/// Two positive numbers of a [rows, columns] array; zeros if there is none.
Result<std::array<std::uint64_t, 2>> blockIn(const LayoutSettings& settings, const Json& object, const char* key)
{
    std::array<std::uint64_t, 2> block{};
    const auto found = object.find(key);
    if (found == object.end() || found->is_null())
        return block;
    const bool isPair = found->is_array() && found->size() == 2;
    for (std::size_t i = 0; isPair && i < block.size(); ++i)
        block[i] = (*found)[i].is_number_unsigned() ? (*found)[i].get<std::uint64_t>() : 0;
    if (block[0] == 0 || block[1] == 0)
        return fail(ErrorCode::InvalidMetadata, settings.where(key),
                    "expected two numbers over 0, found " + escaped(dumpJson(*found), 60));
    return block;
}

Result<QuantizationScheme> schemeIn(const LayoutSettings& settings, const Json& weights)
{
    QuantizationScheme scheme;
    const auto bits = settings.number(weights, "num_bits");
    if (!bits)
        return passOn(bits);
    if (!*bits || **bits < 1 || **bits > 8)
        return fail(ErrorCode::InvalidMetadata, settings.where("config_groups.weights.num_bits"),
                    "expected 1 to 8, found " + (*bits ? std::to_string(**bits) : std::string("none")));
    scheme.bits = static_cast<int>(**bits);
    const auto size = settings.number(weights, "group_size");
    if (!size)
        return passOn(size);
    if (*size && **size != -1 && **size <= 0)
        return fail(ErrorCode::InvalidMetadata, settings.where("config_groups.weights.group_size"),
                    "expected -1, null or more than 0, found " + std::to_string(**size));
    scheme.groupSize = *size && **size > 0 ? static_cast<std::uint64_t>(**size) : 0;
    const auto symmetric = weights.find("symmetric");
    scheme.isSymmetric = symmetric == weights.end() || !symmetric->is_boolean() || symmetric->get<bool>();
    const auto block = blockIn(settings, weights, "block_structure");
    if (!block)
        return passOn(block);
    scheme.block = *block;
    return scheme;
}

template <class Word>
std::string joinedWords(const std::vector<QuantizationScheme>& schemes, std::string_view none, Word wordOf)
{
    std::vector<std::string> words;
    for (const QuantizationScheme& scheme : schemes)
        if (std::string word = wordOf(scheme); std::ranges::find(words, word) == words.end())
            words.push_back(std::move(word));
    std::string joined;
    for (const std::string& word : words)
        joined += (joined.empty() ? "" : " or ") + word;
    return joined.empty() ? std::string(none) : joined;
}

}  // namespace

Result<std::vector<QuantizationScheme>> schemesOf(const LayoutSettings& settings)
{
    std::vector<QuantizationScheme> schemes;
    const auto block = blockIn(settings, settings.config, "weight_block_size");
    if (!block)
        return passOn(block);
    if ((*block)[0] != 0)
        schemes.push_back({.bits = 8, .block = *block});
    const auto groups = settings.config.find("config_groups");
    if (groups == settings.config.end())
        return schemes;
    if (!groups->is_object() || groups->size() > kMostSchemes)
        return fail(ErrorCode::InvalidMetadata, settings.where("config_groups"),
                    "expected an object of at most " + std::to_string(kMostSchemes) + " groups");
    for (const auto& [name, group] : groups->items()) {
        const auto weights = group.find("weights");
        if (weights == group.end() || weights->is_null())
            continue;  // activations only
        if (!weights->is_object())
            return fail(ErrorCode::InvalidMetadata, settings.where("config_groups." + escaped(name, 40) + ".weights"),
                        "expected an object, found " + escaped(dumpJson(*weights), 60));
        auto scheme = schemeIn(settings, *weights);
        if (!scheme)
            return passOn(scheme);
        schemes.push_back(*scheme);
    }
    return schemes;
}

std::string bitsOf(const std::vector<QuantizationScheme>& schemes)
{
    return joinedWords(schemes, "1 to 8", [](const QuantizationScheme& scheme) { return std::to_string(scheme.bits); });
}

std::string groupsIn(const std::vector<QuantizationScheme>& schemes)
{
    return joinedWords(schemes, "any size", [](const QuantizationScheme& scheme) {
        return scheme.groupSize == 0 ? std::string("a row") : std::to_string(scheme.groupSize);
    });
}

}  // namespace sigmascope
