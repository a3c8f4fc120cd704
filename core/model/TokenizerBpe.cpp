// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/TokenizerBpe.h"

#include "core/model/PreTokenizers.h"
#include "core/base/Utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

/// The files of one folder, read once.
struct Sources {
    fs::path path;             ///< of the file with the vocabulary
    Json tokenizer;            ///< tokenizer.json, or an object of the same form made of vocab.json and merges.txt
    bool hasDefinition = false;  ///< tokenizer.json is there
    Json config, specialMap, added, generation;
};

tl::unexpected<Error> invalid(const fs::path& path, std::string_view what, ErrorCode code = ErrorCode::InvalidMetadata)
{
    return fail(code, Where{path.string(), {}, {}}, what);
}

std::string inQuotes(std::string_view text)
{
    return fmt::format("\"{}\"", escaped(text, 80));
}

/// Tokens by id and by text, as they are found.
class Vocabulary {
public:
    Vocabulary(const fs::path& path, std::uint32_t size) : m_path(path), m_size(size) {}

    [[nodiscard]] Status add(const std::string& text, const Json& id, TokenType type)
    {
        if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= m_size)
            return invalid(m_path, fmt::format("the token {} has the id {}, the embedding has {} rows", inQuotes(text),
                                               escaped(dumpJson(id), 40), m_size));
        const auto number = id.get<std::uint32_t>();
        if (text.find('\0') != std::string::npos)
            return invalid(m_path, fmt::format("the token {} holds a NUL, which llama.cpp's cannot", inQuotes(text)),
                           ErrorCode::NotRepresentable);
        const auto [byId, newId] = m_texts.try_emplace(number, Entry{text, type});
        const auto [byText, newText] = m_ids.try_emplace(text, number);
        if (byId->second.text != text)
            return invalid(m_path, fmt::format("the id {} is given to {} and to {}", number, inQuotes(byId->second.text), inQuotes(text)));
        if (byText->second != number)
            return invalid(m_path, fmt::format("the token {} has the ids {} and {}", inQuotes(text), byText->second, number));
        if (type != TokenType::Normal)
            byId->second.type = type;
        return {};
    }
    [[nodiscard]] std::optional<std::uint32_t> idOf(const std::string& text) const
    {
        const auto found = m_ids.find(text);
        return found == m_ids.end() ? std::nullopt : std::optional(found->second);
    }
    [[nodiscard]] std::string textOf(std::uint32_t id) const
    {
        const auto found = m_texts.find(id);
        return found == m_texts.end() ? std::string() : found->second.text;
    }
    [[nodiscard]] std::uint32_t size() const { return m_size; }

    /// All ids in order; those without a token as unused ones, under names that no token has.
    [[nodiscard]] std::vector<Token> tokens() const
    {
        std::vector<Token> tokens;
        tokens.reserve(m_size);
        for (std::uint32_t id = 0; id < m_size; ++id) {
            if (const auto found = m_texts.find(id); found != m_texts.end()) {
                tokens.push_back({found->second.text, 0, found->second.type});
                continue;
            }
            std::string name = fmt::format("[PAD{}]", id);
            while (m_ids.contains(name))
                name += '_';
            tokens.push_back({std::move(name), 0, TokenType::Unused});
        }
        return tokens;
    }

private:
    struct Entry {
        std::string text;
        TokenType type;
    };
    const fs::path& m_path;
    std::uint32_t m_size;
    std::unordered_map<std::uint32_t, Entry> m_texts;
    std::unordered_map<std::string, std::uint32_t> m_ids;
};

/// Lines "left right" of a merges.txt; the first may name a version.
Json mergesOf(std::string_view text)
{
    Json merges = Json::array();
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (!line.empty() && !(at == 0 && line.starts_with("#version")))
            merges.push_back(line);
        at = end + 1;
    }
    return merges;
}

/// vocab.json and merges.txt in the form of a tokenizer.json.
Status readTwoFiles(const fs::path& folder, Sources& sources)
{
    sources.path = folder / "vocab.json";
    auto vocabulary = tokenizerJson(sources.path);
    if (!vocabulary)
        return passOn(std::move(vocabulary));
    const auto merges = tokenizerText(folder / "merges.txt");
    if (!merges)
        return passOn(merges);
    if (vocabulary->empty() || !*merges)
        return invalid(folder / "tokenizer.json",
                       "is absent, and so is tokenizer.model, or vocab.json with merges.txt: without a tokenizer a GGUF is of no use. "
                       "Take keys and tokenizer of a GGUF of the same model (--template)",
                       ErrorCode::NotRepresentable);
    if (firstInvalidUtf8(**merges))
        return invalid(folder / "merges.txt", "is not valid UTF-8", ErrorCode::InvalidUtf8);
    sources.tokenizer = Json{{"model", {{"type", "BPE"}, {"vocab", std::move(*vocabulary)}, {"merges", mergesOf(**merges)}}}};
    return {};
}

Result<Sources> readSources(const fs::path& folder, Json tokenizer)
{
    Sources sources;
    sources.path = folder / "tokenizer.json";
    sources.hasDefinition = !tokenizer.empty();
    sources.tokenizer = std::move(tokenizer);
    const std::array<std::pair<const char*, Json*>, 4> others{{{"tokenizer_config.json", &sources.config},
                                                               {"special_tokens_map.json", &sources.specialMap},
                                                               {"added_tokens.json", &sources.added},
                                                               {"generation_config.json", &sources.generation}}};
    for (const auto& [name, target] : others) {
        auto json = tokenizerJson(folder / name);
        if (!json)
            return passOn(std::move(json));
        *target = std::move(*json);
    }
    if (!sources.hasDefinition) {
        if (auto read = readTwoFiles(folder, sources); !read)
            return passOn(std::move(read));
    }
    return sources;
}

/// tokenizer.json's model, or null. Vocabulary and merges are large: never copied.
const Json& modelOf(const Sources& sources)
{
    static const Json none;
    const auto model = sources.tokenizer.find("model");
    return model == sources.tokenizer.end() ? none : *model;
}

/// What of a BPE model llama.cpp has no word for.
Status checkModel(const Sources& sources, const Json& model)
{
    const std::string type = textIn(model, "type");
    if (!model.is_object() || (!type.empty() && type != "BPE") || !model.contains("vocab") || !model["vocab"].is_object()
        || !model.contains("merges") || !model["merges"].is_array())
        return invalid(sources.path,
                       fmt::format("holds a tokenizer of the kind {}, not byte-level BPE with vocabulary and merges; take keys and "
                                   "tokenizer of a GGUF of the same model (--template)",
                                   inQuotes(type.empty() ? "unknown" : type)),
                       ErrorCode::NotRepresentable);
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
        if (!textIn(model, key).empty())
            return invalid(sources.path, fmt::format("model.{} is {}, llama.cpp's BPE has none", key, inQuotes(textIn(model, key))),
                           ErrorCode::NotRepresentable);
    }
    const auto dropout = model.find("dropout");
    if (dropout != model.end() && dropout->is_number() && dropout->get<double>() != 0)
        return invalid(sources.path, "model.dropout makes its tokens random", ErrorCode::NotRepresentable);
    return {};
}

Status addToken(const Json& description, const Json& id, Vocabulary& vocabulary, std::vector<std::string>& notes)
{
    const std::string text = textIn(description, "content");
    if (text.empty())
        return {};
    const bool control = flagIn(description, "special").value_or(false) || looksSpecial(text);
    for (const char* flag : {"lstrip", "rstrip", "single_word"}) {
        if (flagIn(description, flag).value_or(false))
            notes.push_back(fmt::format("the added token {} is read with {}, llama.cpp takes it as it stands", inQuotes(text), flag));
    }
    return vocabulary.add(text, id, control ? TokenType::Control : TokenType::UserDefined);
}

/// Tokens beside the model: in tokenizer.json, in tokenizer_config.json by id, in added_tokens.json by text.
Status addAddedTokens(const Sources& sources, Vocabulary& vocabulary, std::vector<std::string>& notes)
{
    if (const auto list = sources.tokenizer.find("added_tokens"); list != sources.tokenizer.end() && list->is_array()) {
        for (const Json& item : *list) {
            if (!item.is_object())
                return invalid(sources.path, "an added token is not an object");
            if (auto added = addToken(item, item.value("id", Json()), vocabulary, notes); !added)
                return added;
        }
    }
    if (const auto byId = sources.config.find("added_tokens_decoder"); byId != sources.config.end() && byId->is_object()) {
        for (const auto& [idText, item] : byId->items()) {
            const auto id = wholeNumber(idText);
            if (!id || !item.is_object() || vocabulary.idOf(textIn(item, "content")) == *id)
                continue;
            if (auto added = addToken(item, *id, vocabulary, notes); !added)
                return added;
        }
    }
    for (const auto& [text, id] : sources.added.items()) {
        if (vocabulary.idOf(text))
            continue;
        if (auto added = vocabulary.add(text, id, looksSpecial(text) ? TokenType::Control : TokenType::UserDefined); !added)
            return added;
    }
    return {};
}

/// Both halves of a merge, which a tokenizer.json gives as "left right" or as a pair.
std::optional<std::pair<std::string, std::string>> halvesOf(const Json& merge)
{
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
        return std::pair{merge[0].get<std::string>(), merge[1].get<std::string>()};
    if (!merge.is_string())
        return std::nullopt;
    const auto text = merge.get<std::string>();
    const std::size_t space = text.find(' ');
    if (space == std::string::npos)
        return std::nullopt;
    return std::pair{text.substr(0, space), text.substr(space + 1)};
}

Result<std::vector<std::string>> mergesIn(const Sources& sources, const Json& list, const Vocabulary& vocabulary)
{
    std::vector<std::string> merges;
    merges.reserve(list.size());
    for (const Json& item : list) {
        const auto halves = halvesOf(item);
        if (!halves || halves->first.empty() || halves->second.empty() || halves->first.find(' ') != std::string::npos
            || halves->second.find(' ') != std::string::npos)
            return invalid(sources.path, fmt::format("merge {} is {}, two texts without spaces are expected", merges.size(),
                                                     escaped(dumpJson(item), 80)));
        for (const std::string& text : {halves->first, halves->second, halves->first + halves->second}) {
            if (!vocabulary.idOf(text))
                return invalid(sources.path, fmt::format("merge {} ({}) needs the token {}, which the vocabulary lacks", merges.size(),
                                                         escaped(dumpJson(item), 80), inQuotes(text)));
        }
        merges.push_back(halves->first + " " + halves->second);
    }
    return merges;
}

/// An id as configs have it: a number, or the first of a list.
std::optional<std::uint32_t> idIn(const Json& object, const std::string& key, std::uint32_t size)
{
    const auto entry = object.find(key);
    if (entry == object.end())
        return std::nullopt;
    const Json& value = entry->is_array() && !entry->empty() ? entry->front() : *entry;
    return value.is_number_unsigned() && value.get<std::uint64_t>() < size ? std::optional(value.get<std::uint32_t>()) : std::nullopt;
}

/// By text in tokenizer_config.json or special_tokens_map.json, else by number in config.json or generation_config.json.
std::optional<std::uint32_t> specialIdOf(std::string_view kind, const Sources& sources, const Json& config, const Vocabulary& vocabulary)
{
    const std::string textKey = fmt::format("{}_token", kind);
    for (const Json* object : {&sources.config, &sources.specialMap}) {
        const std::string text = specialText(*object, textKey.c_str());
        if (const auto id = text.empty() ? std::nullopt : vocabulary.idOf(text))
            return id;
    }
    const std::string idKey = fmt::format("{}_token_id", kind);
    for (const Json* object : {&config, &sources.generation}) {
        if (const auto id = idIn(*object, idKey, vocabulary.size()))
            return id;
    }
    return std::nullopt;
}

/// Texts that the post-processor's template puts before and behind a single text; empty where there is none.
std::pair<std::string, std::string> templateEnds(const Json& processor)
{
    if (!processor.is_object())
        return {};
    if (const auto parts = processor.find("processors"); parts != processor.end() && parts->is_array()) {
        for (const Json& part : *parts) {
            if (auto ends = templateEnds(part); !ends.first.empty() || !ends.second.empty())
                return ends;
        }
    }
    const auto single = processor.find("single");
    if (single == processor.end() || !single->is_array() || single->size() < 2)
        return {};
    const auto special = [](const Json& step) {
        const auto entry = step.is_object() ? step.find("SpecialToken") : step.end();
        return step.is_object() && entry != step.end() && entry->is_object() ? textIn(*entry, "id") : std::string();
    };
    return {special(single->front()), special(single->back())};
}

/// Whether BOS and EOS are put around a text: tokenizer_config.json's word, else the post-processor's doing.
void setAdded(const Sources& sources, const Vocabulary& vocabulary, TokenizerBpe& tokenizer)
{
    const auto [first, last] = templateEnds(sources.tokenizer.value("post_processor", Json()));
    const auto decide = [&](const char* flag, const std::string& text, std::optional<std::uint32_t>& id, std::string_view place) {
        const auto found = text.empty() ? std::nullopt : vocabulary.idOf(text);
        if (!id)
            id = found;
        if (found && found != id)
            tokenizer.notes.push_back(fmt::format("the tokenizer puts {} {} every text, llama.cpp does not", inQuotes(text), place));
        return flagIn(sources.config, flag).value_or(found && found == id) && id.has_value();
    };
    tokenizer.addBos = decide("add_bos_token", first, tokenizer.bosId, "before");
    tokenizer.addEos = decide("add_eos_token", last, tokenizer.eosId, "behind");
}

/// The token that ends a turn where it is not EOS: the one further end in generation_config.json that the chat template
/// writes, as long as it does not write EOS itself. llama.cpp finds the usual ones by their text.
std::optional<std::uint32_t> endOfTurn(const Sources& sources, const Vocabulary& vocabulary, const TokenizerBpe& tokenizer)
{
    if (const auto named = specialIdOf("eot", sources, Json::object(), vocabulary))
        return named;
    const auto ends = sources.generation.find("eos_token_id");
    const auto& chat = tokenizer.chatTemplates.main;
    constexpr std::size_t kMostEnds = 64;  // each is looked for in the whole template
    if (ends == sources.generation.end() || !ends->is_array() || ends->size() > kMostEnds || !chat || !tokenizer.eosId)
        return std::nullopt;
    const auto writes = [&](std::uint32_t id) {
        const std::string text = vocabulary.textOf(id);
        return !text.empty() && chat->find(text) != std::string::npos;
    };
    if (writes(*tokenizer.eosId))
        return std::nullopt;
    std::optional<std::uint32_t> found;
    for (const Json& end : *ends) {
        if (!end.is_number_unsigned() || end.get<std::uint64_t>() >= vocabulary.size() || end.get<std::uint32_t>() == *tokenizer.eosId
            || !writes(end.get<std::uint32_t>()))
            continue;
        if (found && *found != end.get<std::uint32_t>())
            return std::nullopt;
        found = end.get<std::uint32_t>();
    }
    return found;
}

/// What is done to text before merges apply: by name, or SentencePiece's way.
Status setPreparation(const Sources& sources, const Json& config, TokenizerBpe& tokenizer)
{
    if (flagIn(modelOf(sources), "byte_fallback").value_or(false)) {
        const auto prefix = putsSpaceBeforeText(sources.tokenizer, sources.path.string());
        if (!prefix)
            return passOn(prefix);
        tokenizer.spacePrefix = *prefix;
        return {};
    }
    const std::string modelType = textIn(config, "model_type");
    const PreTokenizerHints hints{modelType, flagIn(sources.config, "clean_up_tokenization_spaces").value_or(true)};
    auto name = sources.hasDefinition
                    ? preTokenizerName(sources.tokenizer, hints, sources.path.string())
                    : preTokenizerNameOfClass(textIn(sources.config, "tokenizer_class"), hints, sources.path.string());
    if (!name)
        return passOn(std::move(name));
    tokenizer.pre = std::move(*name);
    return {};
}

/// Ids, flags and templates; tokens and merges are there.
Status fillSpecials(const fs::path& folder, const Sources& sources, const Json& config, const Vocabulary& vocabulary,
                    TokenizerBpe& tokenizer)
{
    auto templates = chatTemplatesOf(folder, sources.config);
    if (!templates)
        return passOn(std::move(templates));
    tokenizer.chatTemplates = std::move(*templates);
    tokenizer.bosId = specialIdOf("bos", sources, config, vocabulary);
    tokenizer.eosId = specialIdOf("eos", sources, config, vocabulary);
    tokenizer.unknownId = specialIdOf("unk", sources, config, vocabulary);
    tokenizer.padId = specialIdOf("pad", sources, config, vocabulary);
    setAdded(sources, vocabulary, tokenizer);
    tokenizer.eotId = endOfTurn(sources, vocabulary, tokenizer);
    return {};
}

}  // namespace

Result<TokenizerBpe> readTokenizerBpe(const fs::path& folder, Json tokenizerFile, const Json& config, std::uint32_t vocabularySize)
{
    auto sources = readSources(folder, std::move(tokenizerFile));
    if (!sources)
        return passOn(std::move(sources));
    if (vocabularySize > kMostTokens)
        return invalid(sources->path, fmt::format("a vocabulary of {} tokens is more than {}", vocabularySize, kMostTokens));
    const Json& model = modelOf(*sources);
    if (auto fits = checkModel(*sources, model); !fits)
        return passOn(std::move(fits));
    TokenizerBpe tokenizer;
    if (auto set = setPreparation(*sources, config, tokenizer); !set)
        return passOn(std::move(set));
    Vocabulary vocabulary(sources->path, vocabularySize);
    for (const auto& [text, id] : model["vocab"].items()) {
        if (auto added = vocabulary.add(text, id, TokenType::Normal); !added)
            return passOn(std::move(added));
    }
    if (auto added = addAddedTokens(*sources, vocabulary, tokenizer.notes); !added)
        return passOn(std::move(added));
    auto merges = mergesIn(*sources, model["merges"], vocabulary);
    if (!merges)
        return passOn(std::move(merges));
    tokenizer.merges = std::move(*merges);
    tokenizer.tokens = vocabulary.tokens();
    if (auto filled = fillSpecials(folder, *sources, config, vocabulary, tokenizer); !filled)
        return passOn(std::move(filled));
    return tokenizer;
}

}  // namespace sigmascope
