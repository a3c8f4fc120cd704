// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/ModelConfig.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace sigmascope {

namespace {

constexpr std::string_view kUseTemplate = "; a GGUF of the same model, given as template, can carry it";

/// Typed look-ups that remember the file for their errors. A null value counts as absent, as in transformers.
class Reader {
public:
    Reader(const Json& object, std::string_view file) : m_object(object), m_file(file) {}

    [[nodiscard]] const Json* find(const char* key) const
    {
        const auto found = m_object.find(key);
        return found == m_object.end() || found->is_null() ? nullptr : &*found;
    }

    [[nodiscard]] Result<std::optional<std::uint32_t>> count(const char* key) const
    {
        const Json* value = find(key);
        if (value == nullptr)
            return std::optional<std::uint32_t>{};
        if (!value->is_number_unsigned() || value->get<std::uint64_t>() == 0
            || value->get<std::uint64_t>() > std::numeric_limits<std::int32_t>::max())
            return wrong(key, "a positive integer of 31 bits", *value);
        return std::optional{value->get<std::uint32_t>()};
    }

    [[nodiscard]] Result<std::optional<float>> real(const char* key) const
    {
        const Json* value = find(key);
        if (value == nullptr)
            return std::optional<float>{};
        const float number = value->is_number() ? value->get<float>() : 0.0F;
        if (!std::isfinite(number) || number <= 0)
            return wrong(key, "a positive number", *value);
        return std::optional{number};
    }

    [[nodiscard]] tl::unexpected<Error> wrong(const char* key, std::string_view expected, const Json& found) const
    {
        return fail(ErrorCode::InvalidMetadata, Where{std::string(m_file), {}, {}},
                    fmt::format("\"{}\": {} is expected, found {}", key, expected, escaped(dumpJson(found), 60)));
    }
    [[nodiscard]] tl::unexpected<Error> missing(const char* key) const
    {
        return fail(ErrorCode::InvalidMetadata, Where{std::string(m_file), {}, {}}, fmt::format("\"{}\" is missing", key));
    }
    [[nodiscard]] tl::unexpected<Error> notRepresentable(std::string_view what) const
    {
        return fail(ErrorCode::NotRepresentable, Where{std::string(m_file), {}, {}}, fmt::format("{}{}", what, kUseTemplate));
    }

private:
    const Json& m_object;
    std::string_view m_file;
};

Status refuseOtherModels(const Reader& reader)
{
    const Json* architectures = reader.find("architectures");
    if (architectures == nullptr)
        return reader.missing("architectures");
    if (!architectures->is_array() || architectures->empty() || !architectures->front().is_string())
        return reader.wrong("architectures", "a list of class names", *architectures);
    const auto& name = architectures->front().get_ref<const std::string&>();
    if (name != "LlamaForCausalLM" && name != "MistralForCausalLM")
        return reader.notRepresentable(
            fmt::format("GGUF files are written from Llama and Mistral folders, this one holds a {}", escaped(name, 80)));
    if (const Json* activation = reader.find("hidden_act"); activation != nullptr && *activation != "silu")
        return reader.notRepresentable(fmt::format("the activation {} is not llama's", escaped(dumpJson(*activation), 60)));
    if (reader.find("num_local_experts") != nullptr || reader.find("num_experts") != nullptr)
        return reader.notRepresentable("a mixture of experts is not written from a folder");
    if (reader.find("quantization_config") != nullptr)
        return reader.notRepresentable("the folder is quantized already");
    return {};
}

struct CountField {
    const char* key;
    std::uint32_t ModelConfig::*field;
    bool required;
};

Status readCounts(const Reader& reader, ModelConfig& config)
{
    constexpr std::array<CountField, 8> kFields{{
        {"max_position_embeddings", &ModelConfig::contextLength, true},
        {"hidden_size", &ModelConfig::embeddingLength, true},
        {"num_hidden_layers", &ModelConfig::blockCount, true},
        {"intermediate_size", &ModelConfig::feedForwardLength, true},
        {"num_attention_heads", &ModelConfig::heads, true},
        {"num_key_value_heads", &ModelConfig::kvHeads, false},
        {"head_dim", &ModelConfig::headLength, false},
        {"vocab_size", &ModelConfig::vocabularySize, true},
    }};
    for (const CountField& field : kFields) {
        const auto value = reader.count(field.key);
        if (!value)
            return passOn(value);
        if (!*value && field.required)
            return reader.missing(field.key);
        config.*field.field = value->value_or(0);
    }
    if (config.kvHeads == 0)
        config.kvHeads = config.heads;
    if (config.headLength == 0)
        config.headLength = config.embeddingLength / config.heads;
    if (config.headLength == 0 || config.headLength % 2 != 0)
        return fail(ErrorCode::InvalidMetadata, fmt::format("config.json: heads of {} values cannot be rotated in pairs (hidden_size {}, "
                                                            "num_attention_heads {})",
                                                            config.headLength, config.embeddingLength, config.heads));
    if (config.heads % config.kvHeads != 0)
        return fail(ErrorCode::InvalidMetadata, fmt::format("config.json: {} attention heads cannot share {} key/value heads", config.heads,
                                                            config.kvHeads));
    return {};
}

Status readScaling(const Reader& reader, RopeScaling& rope)
{
    const Json* type = reader.find("rope_type");
    if (type == nullptr)
        type = reader.find("type");
    if (type == nullptr || *type == "default")
        return {};
    if (*type == "linear")
        rope.kind = RopeScaling::Kind::Linear;
    else if (*type == "yarn")
        rope.kind = RopeScaling::Kind::Yarn;
    else if (*type == "llama3")
        rope.kind = RopeScaling::Kind::Llama3;
    else
        return reader.notRepresentable(fmt::format("rope scaling of type {} is not known", escaped(dumpJson(*type), 60)));
    rope.factor = rope.kind == RopeScaling::Kind::Llama3 ? 8.0F : 1.0F;

    const auto original = reader.count("original_max_position_embeddings");
    if (!original)
        return passOn(original);
    rope.originalContext = *original;
    struct RealField {
        const char* key;
        float* value;
    };
    for (const RealField& field : {RealField{"factor", &rope.factor}, RealField{"low_freq_factor", &rope.lowFrequencyFactor},
                                   RealField{"high_freq_factor", &rope.highFrequencyFactor}}) {
        const auto value = reader.real(field.key);
        if (!value)
            return passOn(value);
        *field.value = value->value_or(*field.value);
    }
    return {};
}

Status readRope(const Reader& reader, std::string_view file, ModelConfig& config)
{
    // Newer files gather it all in rope_parameters; older ones have rope_theta at the top and rope_scaling.
    const Json* parameters = reader.find("rope_parameters");
    const Json* scaling = parameters != nullptr ? parameters : reader.find("rope_scaling");
    if (scaling != nullptr && !scaling->is_object())
        return reader.wrong(parameters != nullptr ? "rope_parameters" : "rope_scaling", "an object", *scaling);
    auto base = reader.real("rope_theta");
    if (base && !*base && scaling != nullptr)
        base = Reader(*scaling, file).real("rope_theta");
    if (!base)
        return passOn(base);
    config.ropeBase = base->value_or(config.ropeBase);
    return scaling == nullptr ? Status{} : readScaling(Reader(*scaling, file), config.rope);
}

}  // namespace

Result<ModelConfig> modelConfigFromHf(const Json& json, std::string_view file)
{
    if (!json.is_object())
        return fail(ErrorCode::InvalidMetadata, Where{std::string(file), {}, {}}, "a JSON object is expected");
    const Reader reader(json, file);
    ModelConfig config;
    if (auto suitable = refuseOtherModels(reader); !suitable)
        return passOn(std::move(suitable));
    config.architecture = "llama";
    if (auto counts = readCounts(reader, config); !counts)
        return passOn(std::move(counts));
    const auto epsilon = reader.real("rms_norm_eps");
    if (!epsilon)
        return passOn(epsilon);
    if (!*epsilon)
        return reader.missing("rms_norm_eps");
    config.rmsEpsilon = **epsilon;
    if (auto rope = readRope(reader, file, config); !rope)
        return passOn(std::move(rope));
    if (const Json* tied = reader.find("tie_word_embeddings"); tied != nullptr) {
        if (!tied->is_boolean())
            return reader.wrong("tie_word_embeddings", "true or false", *tied);
        config.tiedEmbeddings = tied->get<bool>();
    }
    return config;
}

std::vector<float> ropeFrequencyFactors(const ModelConfig& config)
{
    if (config.rope.kind != RopeScaling::Kind::Llama3)
        return {};
    // Llama 3.1's rule: long waves are stretched by the factor, short ones kept, those between blended.
    const double low = config.rope.lowFrequencyFactor;
    const double high = config.rope.highFrequencyFactor;
    const double context = config.rope.originalContext.value_or(8192);
    const double factor = config.rope.factor;
    std::vector<float> factors(config.headLength / 2);
    for (std::size_t i = 0; i < factors.size(); ++i) {
        const double frequency = std::pow(double{config.ropeBase}, -2.0 * static_cast<double>(i) / config.headLength);
        const double wave = 2 * std::numbers::pi / frequency;
        if (wave < context / high) {
            factors[i] = 1;
        } else if (wave > context / low) {
            factors[i] = static_cast<float>(factor);
        } else {
            const double smooth = (context / wave - low) / (high - low);
            factors[i] = static_cast<float>(1 / ((1 - smooth) / factor + smooth));
        }
    }
    return factors;
}

}  // namespace sigmascope
