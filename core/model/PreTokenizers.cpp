// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/PreTokenizers.h"

#include "core/model/TokenizerFiles.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

// Patterns as published in the models' tokenizer.json; names and what they do from llama.cpp's src/llama-vocab.cpp
// (its table of pre-tokenizers quotes most of the originals) and conversion/base.py (which model has which name).

namespace sigmascope {

namespace {

using Steps = std::vector<std::string>;

constexpr std::string_view kContractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
// openai-community/gpt2; what the ByteLevel step does by itself.
constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// meta-llama/Meta-Llama-3-8B; also cl100k of tiktoken (dbrx, OLMo 2, phi-4).
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Qwen/Qwen1.5-7B and later.
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Qwen 3.5: marks belong to letters.
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// ByteDance-Seed/Seed-Coder-8B: newlines do not follow punctuation.
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
// mistralai/Mistral-Nemo-Base-2407.
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// o200k of tiktoken; microsoft/Phi-4-mini-instruct.
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// deepseek-ai/deepseek-llm-7b-base, its second step.
constexpr std::string_view kDeepSeekLlm =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
// deepseek-ai/DeepSeek-V3, its third step.
constexpr std::string_view kDeepSeek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string cut(std::string_view pattern)
{
    return fmt::format("split {}", pattern);
}

/// A definition that llama.cpp has under a name, and other names of the same cuts for particular models.
struct Known {
    Steps steps;
    bool ignoresMerges = false;  ///< a word that is a token is that token, whatever the merges say
    std::string_view name;
    std::string_view nameUncleaned{};  ///< where spaces are not cleaned up in what is shown
    std::vector<std::pair<std::string_view, std::string_view>> byModelType{};
};

const std::vector<Known>& knownDefinitions()
{
    static const std::vector<Known> kKnown{
        {{cut(kLlama3), "bytes"}, true, "llama-bpe", {}, {}},
        {{cut(kLlama3), "bytes"},
         false,
         "smaug-bpe",
         {},
         {{"olmo2", "dbrx"}, {"olmo3", "dbrx"}, {"dbrx", "dbrx"}, {"phi3", "dbrx"}, {"glm", "glm4"}, {"glm4", "glm4"}, {"chatglm", "chatglm-bpe"}}},
        {{cut(kQwen2), "bytes"}, false, "qwen2", {}, {{"stablelm", "stablelm2"}}},
        {{cut(kQwen35), "bytes"}, false, "qwen35", {}, {}},
        {{cut(kSeedCoder), "bytes"}, false, "seed-coder", {}, {}},
        {{cut(kGpt2), "bytes"}, false, "gpt-2", {}, {{"phi", "phi-2"}, {"olmo", "olmo"}, {"mpt", "mpt"}, {"jais", "jais"}}},
        // HuggingFaceTB/SmolLM, bigcode/starcoder2, smallcloudai/Refact, CohereForAI/c4ai-command-r.
        {{"digit by digit", cut(kGpt2), "bytes"},
         false,
         "starcoder",
         "smollm",
         {{"cohere", "command-r"}, {"cohere2", "command-r"}, {"gpt_refact", "refact"}, {"codeshell", "codeshell"}, {"exaone", "exaone"}}},
        // tiiuae/falcon-7b.
        {{"punctuation Contiguous", cut(kGpt2), "bytes", "runs of digits", cut("[0-9][0-9][0-9]")}, false, "falcon", {}, {}},
        {{cut(kTekken), "bytes"}, true, "tekken", {}, {}},
        {{cut(kGpt4o), "bytes"}, false, "gpt-4o", {}, {}},
        // deepseek-ai/deepseek-coder-6.7b-base.
        {{cut(R"([\r\n])"), cut(R"(\s?\p{L}+)"), cut(R"(\s?\p{P}+)"), cut("[一-龥ࠀ-一가-퟿]+"), "digit by digit", "bytes"},
         false,
         "deepseek-coder",
         {},
         {}},
        {{cut(R"([\r\n])"), cut(kDeepSeekLlm), cut(R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)"), cut(R"(\s+$)"), cut("[一-龥ࠀ-一가-퟿]+"),
          "digit by digit", "bytes"},
         false,
         "deepseek-llm",
         {},
         {}},
        {{cut(R"(\p{N}{1,3})"), cut("[一-龥぀-ゟ゠-ヿ]+"), cut(kDeepSeek3), "bytes"}, false, "deepseek-v3", {}, {}},
    };
    return kKnown;
}

void replaceAll(std::string& text, std::string_view from, std::string_view to)
{
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
}

/// One spelling for patterns that match alike. Possessive ? and + lose nothing before a class that excludes what they
/// took; \s*[\r\n] takes all newlines of a run as \s*[\r\n]+ does, since \s* is greedy.
std::string oneSpelling(std::string pattern)
{
    constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kSame{{
        {"\r", R"(\r)"},
        {"\n", R"(\n)"},
        {"\t", R"(\t)"},
        {"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", kContractions},
        {"'(?i:[sdmt]|ll|ve|re)", kContractions},
        {R"(]?+\p{L}+)", R"(]?\p{L}+)"},
        {R"(]++[\r\n)", R"(]+[\r\n)"},
        {R"(\s*[\r\n]|)", R"(\s*[\r\n]+|)"},
        {R"(\p{L}++)", R"(\p{L}+)"},
        {R"(|\p{N}{1}|)", R"(|\p{N}|)"},
    }};
    for (const auto& [from, to] : kSame)
        replaceAll(pattern, from, to);
    return pattern;
}

std::string splitStep(const Json& step)
{
    const auto pattern = step.find("pattern");
    const bool hasRegex = pattern != step.end() && pattern->is_object() && !textIn(*pattern, "Regex").empty();
    if (!hasRegex)
        return fmt::format("Split by {}", pattern == step.end() ? "nothing" : escaped(dumpJson(*pattern), 80));
    constexpr std::size_t kLongest = 4096;  // of all known ones the longest has some 400
    std::string written = textIn(*pattern, "Regex");
    if (written.size() > kLongest)
        return fmt::format("Split by a pattern of {} bytes", written.size());
    const std::string regex = oneSpelling(std::move(written));
    const std::string behavior = textIn(step, "behavior");
    const bool inverted = flagIn(step, "invert").value_or(false);
    // What lies between matches goes, but the pattern leaves nothing between: files converted from tiktoken.
    const bool wholeCover = behavior == "Removed" && inverted && regex.ends_with(R"(|\s+)");
    if (wholeCover || (behavior == "Isolated" && !inverted))
        return regex == R"(\p{N})" ? "digit by digit" : cut(regex);
    return fmt::format("Split by {} ({}{})", regex, behavior, inverted ? ", inverted" : "");
}

/// What a pre_tokenizer does, step by step. Unknown kinds are named as they are, so they match nothing.
void addSteps(const Json& definition, Steps& steps)
{
    if (!definition.is_object())
        return;
    const std::string type = textIn(definition, "type");
    if (type == "Sequence") {
        const auto parts = definition.find("pretokenizers");
        for (const Json& part : parts != definition.end() && parts->is_array() ? *parts : Json::array())
            addSteps(part, steps);
    } else if (type == "Split") {
        steps.push_back(splitStep(definition));
    } else if (type == "Digits") {
        steps.emplace_back(flagIn(definition, "individual_digits").value_or(false) ? "digit by digit" : "runs of digits");
    } else if (type == "Punctuation") {
        steps.push_back("punctuation " + textIn(definition, "behavior"));
    } else if (type == "ByteLevel") {
        if (flagIn(definition, "add_prefix_space").value_or(true))
            steps.emplace_back("a space before the text");
        if (flagIn(definition, "use_regex").value_or(true))
            steps.push_back(cut(kGpt2));
        steps.emplace_back("bytes");
    } else {
        steps.push_back(escaped(type, 40));
    }
}

/// What changes the text before it is cut, where that is more than NFC.
std::string foreignNormalizer(const Json& definition)
{
    if (definition.is_null())
        return {};
    const std::string type = definition.is_object() ? textIn(definition, "type") : std::string("of no type");
    if (type == "NFC")
        return {};
    const auto parts = definition.is_object() ? definition.find("normalizers") : definition.end();
    if (type != "Sequence" || parts == definition.end() || !parts->is_array())
        return type.empty() ? std::string("of no type") : type;
    for (const Json& part : *parts) {
        if (std::string foreign = foreignNormalizer(part); !foreign.empty())
            return foreign;
    }
    return {};
}

std::string nameFor(const Known& known, const PreTokenizerHints& hints)
{
    for (const auto& [modelType, name] : known.byModelType) {
        if (modelType == hints.modelType)
            return std::string(name);
    }
    return std::string(hints.cleansSpaces || known.nameUncleaned.empty() ? known.name : known.nameUncleaned);
}

/// The steps of a definition or of the list in it, in order.
std::vector<Json> flattened(const Json& definition, const char* list)
{
    if (!definition.is_object())
        return {};
    const auto parts = definition.find(list);
    if (textIn(definition, "type") != "Sequence" || parts == definition.end() || !parts->is_array())
        return {definition};
    std::vector<Json> steps;
    for (const Json& part : *parts) {
        for (Json& step : flattened(part, list))
            steps.push_back(std::move(step));
    }
    return steps;
}

tl::unexpected<Error> failUnknown(std::string_view file, std::string_view what)
{
    return fail(ErrorCode::NotRepresentable, Where{std::string(file), {}, {}},
                fmt::format("{}; llama.cpp would cut text differently. Take keys and tokenizer of a GGUF of the same model "
                            "(--template)",
                            what));
}

}  // namespace

Result<std::string> preTokenizerName(const Json& tokenizer, const PreTokenizerHints& hints, std::string_view file)
{
    if (const std::string foreign = foreignNormalizer(tokenizer.value("normalizer", Json())); !foreign.empty())
        return failUnknown(file, fmt::format("its normalizer {} is none that llama.cpp has for byte-level BPE", escaped(foreign, 40)));
    Steps steps;
    addSteps(tokenizer.value("pre_tokenizer", Json()), steps);
    const auto model = tokenizer.find("model");
    const bool ignoresMerges
        = model != tokenizer.end() && model->is_object() && flagIn(*model, "ignore_merges").value_or(false);
    bool isKnown = false;
    for (const Known& known : knownDefinitions()) {
        if (known.steps != steps)
            continue;
        if (known.ignoresMerges == ignoresMerges)
            return nameFor(known, hints);
        isKnown = true;
    }
    if (isKnown)
        return failUnknown(file, fmt::format("its words are cut in a known way, but with ignore_merges {} they become other tokens",
                                             ignoresMerges));
    return failUnknown(file, fmt::format("its pre-tokenizer ({}) is none of the known ones",
                                         steps.empty() ? "none" : escaped(fmt::format("{}", fmt::join(steps, "; ")), 400)));
}

Result<std::string> preTokenizerNameOfClass(std::string_view tokenizerClass, const PreTokenizerHints& hints, std::string_view file)
{
    // The patterns are in the classes of transformers.
    constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kClasses{{{"GPT2Tokenizer", kGpt2},
                                                                                     {"GPT2TokenizerFast", kGpt2},
                                                                                     {"CodeGenTokenizer", kGpt2},
                                                                                     {"CodeGenTokenizerFast", kGpt2},
                                                                                     {"Qwen2Tokenizer", kQwen2},
                                                                                     {"Qwen2TokenizerFast", kQwen2}}};
    for (const auto& [name, pattern] : kClasses) {
        if (name != tokenizerClass)
            continue;
        for (const Known& known : knownDefinitions()) {
            if (known.steps == Steps{cut(pattern), "bytes"})
                return nameFor(known, hints);
        }
    }
    return failUnknown(file, fmt::format("tokenizer_class \"{}\" of tokenizer_config.json does not tell how words are cut, and there is "
                                         "no tokenizer.json",
                                         escaped(tokenizerClass, 60)));
}

Result<bool> putsSpaceBeforeText(const Json& tokenizer, std::string_view file)
{
    constexpr std::string_view kBlank = "\u2581";
    bool prefixed = false;
    bool marked = false;
    std::vector<Json> steps = flattened(tokenizer.value("normalizer", Json()), "normalizers");
    for (Json& step : flattened(tokenizer.value("pre_tokenizer", Json()), "pretokenizers"))
        steps.push_back(std::move(step));
    for (const Json& step : steps) {
        const std::string type = textIn(step, "type");
        const std::string pattern = textIn(step.value("pattern", Json()), "String");
        if (type == "Prepend" && textIn(step, "prepend") == kBlank) {
            prefixed = true;
        } else if (type == "Replace" && pattern == " " && textIn(step, "content") == kBlank) {
            marked = true;
        } else if (type == "Metaspace" && step.value("replacement", Json(kBlank)) == kBlank) {
            const std::string scheme = textIn(step, "prepend_scheme");
            prefixed = prefixed || scheme == "always" || scheme == "first" || (scheme.empty() && flagIn(step, "add_prefix_space").value_or(true));
            marked = true;
        } else if (!(type == "Split" && pattern == " ")) {  // no spaces are left to split at
            return failUnknown(file, fmt::format("its step {} is none of SentencePiece's", escaped(dumpJson(step), 120)));
        }
    }
    if (!marked)
        return failUnknown(file, "it does not write spaces as U+2581");
    return prefixed;
}

}  // namespace sigmascope
