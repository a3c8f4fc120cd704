// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/TokenizerSpm.h"

#include "core/base/MappedFile.h"
#include "core/base/Utf8.h"
#include "core/model/TokenizerFiles.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

/// One field of a protobuf message.
struct Field {
    std::uint32_t number = 0;
    std::uint64_t value = 0;               ///< of a varint or fixed field
    std::span<const std::byte> bytes{};    ///< of a length-delimited one
    std::uint64_t offset = 0;              ///< in the file
    enum class Wire : std::uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 } wire = Wire::Varint;
};

/// Walks the fields of one message. Every length is checked against what is left before it is used.
class FieldReader {
public:
    FieldReader(std::span<const std::byte> bytes, std::uint64_t offset, std::string_view file)
        : m_rest(bytes), m_offset(offset), m_file(file)
    {
    }

    [[nodiscard]] bool atEnd() const { return m_rest.empty(); }

    [[nodiscard]] Result<Field> next()
    {
        Field field;
        field.offset = m_offset;
        const auto key = varint();
        if (!key)
            return passOn(key);
        field.number = static_cast<std::uint32_t>(*key >> 3);
        field.wire = static_cast<Field::Wire>(*key & 7);
        switch (field.wire) {
        case Field::Wire::Varint:
            return withValue(field, varint());
        case Field::Wire::Fixed64:
            return withValue(field, fixed(8));
        case Field::Wire::Fixed32:
            return withValue(field, fixed(4));
        case Field::Wire::Bytes: {
            const auto length = varint();
            if (!length)
                return passOn(length);
            if (*length > m_rest.size())
                return broken(fmt::format("a field of {} bytes where {} are left", *length, m_rest.size()));
            field.offset = m_offset;
            field.bytes = m_rest.first(static_cast<std::size_t>(*length));
            skip(field.bytes.size());
            return field;
        }
        }
        return broken(fmt::format("wire type {} is none of protobuf's", *key & 7));
    }

private:
    [[nodiscard]] tl::unexpected<Error> broken(std::string_view what) const
    {
        return fail(ErrorCode::MalformedHeader, Where{std::string(m_file), {}, m_offset},
                    fmt::format("not a SentencePiece model: {}", what));
    }
    [[nodiscard]] static Result<Field> withValue(Field field, const Result<std::uint64_t>& value)
    {
        if (!value)
            return passOn(value);
        field.value = *value;
        return field;
    }
    [[nodiscard]] Result<std::uint64_t> varint()
    {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (m_rest.empty())
                return broken("ends inside a number");
            const auto byte = std::to_integer<std::uint64_t>(m_rest.front());
            skip(1);
            value |= (byte & 0x7F) << shift;
            if (byte < 0x80)
                return value;
        }
        return broken("a number of more than 64 bits");
    }
    [[nodiscard]] Result<std::uint64_t> fixed(std::size_t size)
    {
        if (m_rest.size() < size)
            return broken("ends inside a number");
        std::uint64_t value = 0;
        std::memcpy(&value, m_rest.data(), size);
        skip(size);
        return value;
    }
    void skip(std::size_t count)
    {
        m_rest = m_rest.subspan(count);
        m_offset += count;
    }

    std::span<const std::byte> m_rest;
    std::uint64_t m_offset;
    std::string_view m_file;
};

std::string_view textOf(std::span<const std::byte> bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class OnField>
Status forEachField(std::span<const std::byte> bytes, std::uint64_t offset, std::string_view file, const OnField& onField)
{
    FieldReader reader(bytes, offset, file);
    while (!reader.atEnd()) {
        const auto field = reader.next();
        if (!field)
            return passOn(field);
        if (Status status = onField(*field); !status)
            return status;
    }
    return {};
}

// Field numbers of sentencepiece_model.proto.
constexpr std::uint32_t kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3;
constexpr std::uint32_t kPieceText = 1, kPieceScore = 2, kPieceType = 3;
constexpr std::uint32_t kModelType = 3, kUnkId = 40, kBosId = 41, kEosId = 42, kPadId = 43;
constexpr std::uint32_t kAddDummyPrefix = 3;
constexpr std::uint64_t kBpe = 2;

Result<Token> pieceOf(const Field& message, std::string_view file)
{
    Token token;
    Status status = forEachField(message.bytes, message.offset, file, [&](const Field& field) -> Status {
        const Where where{std::string(file), {}, field.offset};
        if (field.number == kPieceText && field.wire == Field::Wire::Bytes) {
            if (firstInvalidUtf8(textOf(field.bytes)))
                return fail(ErrorCode::InvalidUtf8, where, "a piece is not valid UTF-8");
            token.text = textOf(field.bytes);
        } else if (field.number == kPieceScore && field.wire == Field::Wire::Fixed32) {
            const auto bits = static_cast<std::uint32_t>(field.value);
            std::memcpy(&token.score, &bits, sizeof bits);
        } else if (field.number == kPieceType && field.wire == Field::Wire::Varint) {
            if (field.value < 1 || field.value > 6)
                return fail(ErrorCode::MalformedHeader, where, fmt::format("{} is no kind of piece (1 to 6)", field.value));
            token.type = static_cast<TokenType>(field.value);
        }
        return {};
    });
    if (!status)
        return passOn(std::move(status));
    return token;
}

/// Ids are int32 in the file; -1 says "none".
std::optional<std::uint32_t> idOf(std::uint64_t value)
{
    const auto id = static_cast<std::int64_t>(value);
    return id < 0 || id > 0x7FFFFFFF ? std::nullopt : std::optional(static_cast<std::uint32_t>(id));
}

void readTrainerField(const Field& field, SentencePieceModel& model)
{
    if (field.wire != Field::Wire::Varint)
        return;
    switch (field.number) {
    case kModelType: model.isBpe = field.value == kBpe; break;
    case kUnkId: model.unknownId = idOf(field.value); break;
    case kBosId: model.bosId = idOf(field.value); break;
    case kEosId: model.eosId = idOf(field.value); break;
    case kPadId: model.padId = idOf(field.value); break;
    default: break;
    }
}

void put(std::vector<Token>& tokens, std::uint64_t id, std::string text, TokenType type)
{
    constexpr float kAddedScore = -1000;
    if (id < tokens.size())
        tokens[static_cast<std::size_t>(id)] = {std::move(text), kAddedScore, type};
}

/// Tokens that transformers added beside the SentencePiece model: name -> id, or id -> description.
void applyAddedTokens(const Json& added, const Json& config, std::vector<Token>& tokens)
{
    for (const auto& [text, id] : added.items()) {
        if (id.is_number_unsigned())
            put(tokens, id.get<std::uint64_t>(), text, TokenType::UserDefined);
    }
    const auto decoder = config.find("added_tokens_decoder");
    if (decoder == config.end() || !decoder->is_object())
        return;
    for (const auto& [idText, description] : decoder->items()) {
        const auto id = wholeNumber(idText);
        if (!id || !description.is_object())
            continue;
        const auto content = description.find("content");
        if (content == description.end() || !content->is_string())
            continue;
        auto text = content->get<std::string>();
        const auto special = description.find("special");
        if ((special != description.end() && *special == true) || looksSpecial(text)) {
            put(tokens, *id, std::move(text), TokenType::Control);
            continue;
        }
        constexpr std::string_view kBlank = "\u2581";  // the runtime matches these against plain text
        for (std::size_t at = text.find(kBlank); at != std::string::npos; at = text.find(kBlank, at))
            text.replace(at, kBlank.size(), " ");
        put(tokens, *id, std::move(text), TokenType::UserDefined);
    }
}

/// Id of a special token: by its text in tokenizer_config.json, by number in config.json, or SentencePiece's own.
std::optional<std::uint32_t> specialId(std::string_view kind, const Json& tokenizerConfig, const Json& config,
                                       std::optional<std::uint32_t> fromModel, const std::vector<Token>& tokens)
{
    if (const auto entry = tokenizerConfig.find(fmt::format("{}_token", kind)); entry != tokenizerConfig.end()) {
        const Json& text = entry->is_object() && entry->contains("content") ? (*entry)["content"] : *entry;
        const auto found = std::find_if(tokens.begin(), tokens.end(),
                                        [&](const Token& token) { return text.is_string() && text == token.text; });
        if (found != tokens.end())
            return static_cast<std::uint32_t>(found - tokens.begin());
    }
    if (const auto entry = config.find(fmt::format("{}_token_id", kind));
        entry != config.end() && entry->is_number_unsigned() && entry->get<std::uint64_t>() < tokens.size())
        return entry->get<std::uint32_t>();
    return fromModel && *fromModel < tokens.size() ? fromModel : std::nullopt;
}

}  // namespace

Result<SentencePieceModel> parseSentencePiece(std::span<const std::byte> bytes, std::string_view file)
{
    SentencePieceModel model;
    Status status = forEachField(bytes, 0, file, [&](const Field& field) -> Status {
        if (field.wire != Field::Wire::Bytes)
            return {};
        if (field.number == kPieces) {
            auto piece = pieceOf(field, file);
            if (!piece)
                return passOn(std::move(piece));
            model.pieces.push_back(std::move(*piece));
        } else if (field.number == kTrainerSpec) {
            return forEachField(field.bytes, field.offset, file, [&](const Field& inner) -> Status {
                readTrainerField(inner, model);
                return {};
            });
        } else if (field.number == kNormalizerSpec) {
            return forEachField(field.bytes, field.offset, file, [&](const Field& inner) -> Status {
                if (inner.number == kAddDummyPrefix && inner.wire == Field::Wire::Varint)
                    model.addsDummyPrefix = inner.value != 0;
                return {};
            });
        }
        return {};
    });
    if (!status)
        return passOn(std::move(status));
    if (model.pieces.empty())
        return fail(ErrorCode::MalformedHeader, Where{std::string(file), {}, 0}, "not a SentencePiece model: it has no pieces");
    return model;
}

Result<std::vector<std::int32_t>> encodeWithSentencePiece(const fs::path& model, std::string_view text)
{
    const auto file = MappedFile::open(model);
    if (!file)
        return passOn(file);
    try {
        sentencepiece::SentencePieceProcessor processor;
        const auto loaded = processor.LoadFromSerializedProto(textOf((*file)->bytes()));
        std::vector<int> ids;
        const auto encoded = loaded.ok() ? processor.Encode(std::string(text), &ids) : loaded;
        if (!encoded.ok())
            return fail(ErrorCode::InvalidMetadata, Where{model.string(), {}, {}}, encoded.ToString());
        return std::vector<std::int32_t>(ids.begin(), ids.end());
    } catch (const std::exception& exception) {
        return fail(ErrorCode::Internal, Where{model.string(), {}, {}}, exception.what());
    }
}

Result<TokenizerSpm> readTokenizerSpm(const fs::path& folder, const Json& config, std::uint32_t vocabularySize)
{
    const fs::path path = folder / "tokenizer.model";
    const auto bytes = tokenizerText(path);
    if (!bytes)
        return passOn(bytes);
    if (!*bytes)
        return fail(ErrorCode::NotRepresentable, Where{path.string(), {}, {}},
                    "is absent: a GGUF is written from a folder with a SentencePiece tokenizer, or with a GGUF of the same model "
                    "as template");
    auto model = parseSentencePiece(std::as_bytes(std::span((*bytes)->data(), (*bytes)->size())), path.string());
    if (!model)
        return passOn(std::move(model));
    if (!model->isBpe)
        return fail(ErrorCode::NotRepresentable, Where{path.string(), {}, {}},
                    "is not of SentencePiece's BPE kind, which is the one llama.cpp reproduces; use a GGUF of the same model as "
                    "template");
    const auto tokenizerConfig = tokenizerJson(folder / "tokenizer_config.json");
    if (!tokenizerConfig)
        return passOn(tokenizerConfig);
    const auto added = tokenizerJson(folder / "added_tokens.json");
    if (!added)
        return passOn(added);
    auto chatTemplates = chatTemplatesOf(folder, *tokenizerConfig);
    if (!chatTemplates)
        return passOn(std::move(chatTemplates));

    TokenizerSpm tokenizer;
    tokenizer.tokens = std::move(model->pieces);
    tokenizer.tokens.resize(std::min<std::size_t>(tokenizer.tokens.size(), vocabularySize));
    for (std::size_t i = tokenizer.tokens.size(); i < vocabularySize; ++i)
        tokenizer.tokens.push_back({fmt::format("[PAD{}]", i), -10000.0F, TokenType::Unused});
    applyAddedTokens(*added, *tokenizerConfig, tokenizer.tokens);
    tokenizer.bosId = specialId("bos", *tokenizerConfig, config, model->bosId, tokenizer.tokens);
    tokenizer.eosId = specialId("eos", *tokenizerConfig, config, model->eosId, tokenizer.tokens);
    tokenizer.unknownId = specialId("unk", *tokenizerConfig, config, model->unknownId, tokenizer.tokens);
    tokenizer.padId = specialId("pad", *tokenizerConfig, config, model->padId, tokenizer.tokens);
    tokenizer.addBos = flagIn(*tokenizerConfig, "add_bos_token");
    tokenizer.addEos = flagIn(*tokenizerConfig, "add_eos_token");
    tokenizer.addSpacePrefix = flagIn(*tokenizerConfig, "add_prefix_space").value_or(model->addsDummyPrefix);
    tokenizer.chatTemplates = std::move(*chatTemplates);
    return tokenizer;
}

}  // namespace sigmascope
