// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/ModelConfig.h"

#include "core/model/ConfigReader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>

namespace sigmascope {

namespace {

/// Which blocks see a window only. Not a question where the file names no window.
enum class Sliding { Never, Always, FromBlock, Alternating };

/// A class of transformers that is understood.
struct ModelClass {
    std::string_view name;
    std::string_view architecture;
    std::string_view activation = "silu";
    Sliding sliding = Sliding::Never;
    std::uint32_t fullEvery = 0;  ///< Alternating, where the file does not tell
    bool isMixture = false;
    /// JSON: what its "text_config" need not say. Null: the file is about text alone.
    const char* textDefaults = nullptr;
};

/// transformers' Gemma3TextConfig; published folders name only what differs.
constexpr const char* kGemma3Defaults
    = R"({"vocab_size":262208,"hidden_size":2304,"intermediate_size":9216,"num_hidden_layers":26,"num_attention_heads":8,
    "num_key_value_heads":4,"head_dim":256,"hidden_activation":"gelu_pytorch_tanh","max_position_embeddings":131072,
    "rms_norm_eps":1e-6,"tie_word_embeddings":true,"rope_theta":1000000.0,"query_pre_attn_scalar":256,
    "sliding_window":4096,"rope_local_base_freq":10000.0})";

constexpr auto kClasses = std::to_array<ModelClass>({
    {"LlamaForCausalLM", "llama"},
    {"MistralForCausalLM", "llama", "silu", Sliding::Always},
    {"MixtralForCausalLM", "llama", "silu", Sliding::Always, 0, true},
    {"SmolLM3ForCausalLM", "smollm3", "silu", Sliding::FromBlock},
    {"Qwen2ForCausalLM", "qwen2", "silu", Sliding::FromBlock},
    {"Qwen3ForCausalLM", "qwen3", "silu", Sliding::FromBlock},
    {"Qwen2MoeForCausalLM", "qwen2moe", "silu", Sliding::FromBlock, 0, true},
    {"Qwen3MoeForCausalLM", "qwen3moe", "silu", Sliding::FromBlock, 0, true},
    {"GemmaForCausalLM", "gemma", "gelu"},
    {"Gemma2ForCausalLM", "gemma2", "gelu", Sliding::Alternating, 2},
    {"Gemma3ForCausalLM", "gemma3", "gelu", Sliding::Alternating, 6},
    {"Gemma3ForConditionalGeneration", "gemma3", "gelu", Sliding::Alternating, 6, false, kGemma3Defaults},
    {"Phi3ForCausalLM", "phi3", "silu", Sliding::Always},
    {"Olmo2ForCausalLM", "olmo2"},
    {"Olmo3ForCausalLM", "olmo2", "silu", Sliding::Alternating, 4},
});

/// Nobody has more; a hostile number must not become a loop of hours.
constexpr std::uint32_t kMostBlocks = 100'000;
constexpr std::size_t kMostFactors = 4096;

/// The class of this name; null if it is not understood.
const ModelClass* classNamed(std::string_view name)
{
    const auto found = std::ranges::find(kClasses, name, &ModelClass::name);
    return found == kClasses.end() ? nullptr : &*found;
}

Result<const ModelClass*> classOf(const ConfigReader& reader)
{
    const Json* architectures = reader.find("architectures");
    if (architectures == nullptr)
        return reader.missing("architectures");
    if (!architectures->is_array() || architectures->empty() || !architectures->front().is_string())
        return reader.wrong("architectures", "a list of class names", *architectures);
    const auto& name = architectures->front().get_ref<const std::string&>();
    const ModelClass* found = classNamed(name);
    if (found == nullptr)
        return reader.notRepresentable(fmt::format("GGUF files are not written from folders of a {}", escaped(name, 80)));
    if (const Json* text = reader.find("text_config"); found->textDefaults != nullptr && text != nullptr)
        return reader.wrong("text_config", "an object", *text);  // textConfigOf() takes those away
    return found;
}

Status checkActivation(const ConfigReader& reader, const ModelClass& modelClass)
{
    const Json* activation = reader.find("hidden_activation");  // gemma's own key goes before the common one
    if (activation == nullptr)
        activation = reader.find("hidden_act");
    if (activation == nullptr || *activation == modelClass.activation)
        return {};
    // The first gemma's files say "gelu" and mean this approximation.
    if (modelClass.activation == "gelu" && *activation == "gelu_pytorch_tanh")
        return {};
    return reader.notRepresentable(
        fmt::format("the activation {} is not {}'s", escaped(dumpJson(*activation), 60), modelClass.architecture));
}

Status refuseOtherModels(const ConfigReader& reader, const ModelClass& modelClass)
{
    if (auto activation = checkActivation(reader, modelClass); !activation)
        return activation;
    if (!modelClass.isMixture && (reader.find("num_local_experts") != nullptr || reader.find("num_experts") != nullptr))
        return reader.notRepresentable(
            fmt::format("a {} is no mixture of experts, this one names their number", modelClass.name));
    if (const Json* how = reader.find("quantization_config"))
        return reader.notRepresentable("the folder is quantized already: " + escaped(dumpJson(*how), 80));
    return {};
}

struct CountField {
    const char* key;
    std::uint32_t ModelConfig::*field;
    bool required;
};

Status readFields(const ConfigReader& reader, std::span<const CountField> fields, ModelConfig& config)
{
    for (const CountField& field : fields) {
        const auto value = reader.count(field.key);
        if (!value)
            return passOn(value);
        if (!*value && field.required)
            return reader.missing(field.key);
        config.*field.field = value->value_or(0);
    }
    return {};
}

Status readCounts(const ConfigReader& reader, ModelConfig& config)
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
    if (auto read = readFields(reader, kFields, config); !read)
        return read;
    if (config.blockCount > kMostBlocks)
        return fail(
            ErrorCode::InvalidMetadata, Where{std::string(reader.file()), {}, {}},
            fmt::format("\"num_hidden_layers\": at most {} are expected, found {}", kMostBlocks, config.blockCount));
    if (config.kvHeads == 0)
        config.kvHeads = config.heads;
    if (config.headLength == 0)
        config.headLength = config.embeddingLength / config.heads;
    if (config.headLength == 0 || config.headLength % 2 != 0)
        return fail(ErrorCode::InvalidMetadata,
                    fmt::format("config.json: heads of {} values cannot be rotated in pairs (hidden_size {}, "
                                "num_attention_heads {})",
                                config.headLength, config.embeddingLength, config.heads));
    if (config.heads % config.kvHeads != 0)
        return fail(ErrorCode::InvalidMetadata,
                    fmt::format("config.json: {} attention heads cannot share {} key/value heads", config.heads,
                                config.kvHeads));
    return {};
}

Status readExperts(const ConfigReader& reader, ModelConfig& config)
{
    const char* number = reader.find("num_local_experts") != nullptr ? "num_local_experts" : "num_experts";
    const std::array<CountField, 4> fields{{
        {number, &ModelConfig::experts, true},
        {"num_experts_per_tok", &ModelConfig::expertsUsed, true},
        {"moe_intermediate_size", &ModelConfig::expertFeedForward, false},
        {"shared_expert_intermediate_size", &ModelConfig::sharedFeedForward, false},
    }};
    if (auto read = readFields(reader, fields, config); !read)
        return read;
    if (config.expertsUsed > config.experts)
        return fail(ErrorCode::InvalidMetadata, Where{std::string(reader.file()), {}, {}},
                    fmt::format("\"num_experts_per_tok\": {} of {} experts", config.expertsUsed, config.experts));
    return {};
}

/// The blocks that a list of "sliding_attention" and "full_attention" names must be those that the rule names.
Status checkLayerTypes(const ConfigReader& reader, const ModelConfig& config)
{
    const Json* types = reader.find("layer_types");
    if (types == nullptr)
        return {};
    if (!types->is_array() || types->size() != config.blockCount)
        return reader.wrong("layer_types", fmt::format("a list of {} words", config.blockCount), *types);
    for (std::uint32_t block = 0; block < config.blockCount; ++block) {
        const Json& type = (*types)[block];
        if (type != (config.slides(block) ? "sliding_attention" : "full_attention"))
            return reader.notRepresentable(
                fmt::format("\"layer_types\": block {} is {}, which llama.cpp's {} cannot do there", block,
                            escaped(dumpJson(type), 40), config.architecture));
    }
    return {};
}

Status readSliding(const ConfigReader& reader, const ModelClass& modelClass, ModelConfig& config)
{
    if (modelClass.sliding == Sliding::Never)
        return {};
    const auto window = reader.countOrZero("sliding_window");
    if (!window)
        return passOn(window);
    const auto isUsed = reader.flag("use_sliding_window");
    if (!isUsed)
        return passOn(isUsed);
    config.slidingWindow = window->value_or(0);
    if (modelClass.sliding == Sliding::FromBlock) {
        const auto first = reader.countOrZero("max_window_layers");
        if (!first)
            return passOn(first);
        config.firstSliding = first->value_or(0);
        if (!isUsed->value_or(false))
            config.slidingWindow = 0;
    } else if (modelClass.sliding == Sliding::Alternating) {
        auto pattern = reader.count("sliding_window_pattern");
        if (pattern && !*pattern)
            pattern = reader.count("_sliding_window_pattern");
        if (!pattern)
            return passOn(pattern);
        config.fullEvery = pattern->value_or(modelClass.fullEvery);
    }
    return checkLayerTypes(reader, config);
}

Status readLongRope(const ConfigReader& reader, const ModelConfig& config, RopeScaling& rope)
{
    for (const char* key : {"short_mscale", "long_mscale"}) {
        if (reader.find(key) != nullptr)
            return reader.notRepresentable(fmt::format("rope scaling with \"{}\" is not known", key));
    }
    struct Row {
        const char* key;
        std::vector<float>* factors;
    };
    for (const Row& row : {Row{"short_factor", &rope.shortFactors}, Row{"long_factor", &rope.longFactors}}) {
        auto factors = reader.reals(row.key, kMostFactors);
        if (!factors)
            return passOn(std::move(factors));
        if (factors->size() != config.rotaryLength / 2)
            return fail(ErrorCode::InvalidMetadata, Where{std::string(reader.file()), {}, {}},
                        fmt::format("\"{}\": {} factors are expected, found {}", row.key, config.rotaryLength / 2,
                                    factors->size()));
        *row.factors = std::move(*factors);
    }
    if (!rope.originalContext)
        return reader.missing("original_max_position_embeddings");
    const auto attention = reader.real("attention_factor");
    if (!attention)
        return passOn(attention);
    const double trained = *rope.originalContext;
    const double stretch = config.contextLength / trained;
    if (*attention)
        rope.attentionFactor = **attention;
    else if (stretch > 1 && trained > 1)
        rope.attentionFactor = static_cast<float>(std::sqrt(1 + std::log(stretch) / std::log(trained)));
    return {};
}

/// What yarn may say beyond factor and context, and the value that llama.cpp takes for granted.
Status checkYarn(const ConfigReader& reader, const RopeScaling& rope)
{
    struct Fixed {
        const char* key;
        double value;
    };
    const double attention = 0.1 * std::log(static_cast<double>(rope.factor)) + 1;
    for (const Fixed& fixed : {Fixed{"beta_fast", 32}, Fixed{"beta_slow", 1}, Fixed{"attention_factor", attention},
                               Fixed{"mscale", 1}, Fixed{"mscale_all_dim", 0}}) {
        const Json* value = reader.find(fixed.key);
        if (value == nullptr)
            continue;
        if (!value->is_number() || std::abs(value->get<double>() - fixed.value) > 1e-4)
            return reader.notRepresentable(fmt::format("yarn's \"{}\" is {}, llama.cpp computes with {:.4g}", fixed.key,
                                                       escaped(dumpJson(*value), 40), fixed.value));
    }
    if (const Json* truncate = reader.find("truncate"); truncate != nullptr && *truncate != true)
        return reader.notRepresentable("yarn's \"truncate\" is not true");
    return {};
}

Status readScaling(const ConfigReader& reader, const ModelConfig& config, RopeScaling& rope)
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
    else if (*type == "longrope" || *type == "su")
        rope.kind = RopeScaling::Kind::LongRope;
    else
        return reader.notRepresentable(
            fmt::format("rope scaling of type {} is not known", escaped(dumpJson(*type), 60)));
    rope.factor = rope.kind == RopeScaling::Kind::Llama3 ? 8.0F : 1.0F;

    const auto original = reader.count("original_max_position_embeddings");
    if (!original)
        return passOn(original);
    if (*original)
        rope.originalContext = *original;
    struct RealField {
        const char* key;
        float* value;
    };
    for (const RealField& field :
         {RealField{"factor", &rope.factor}, RealField{"low_freq_factor", &rope.lowFrequencyFactor},
          RealField{"high_freq_factor", &rope.highFrequencyFactor}}) {
        const auto value = reader.real(field.key);
        if (!value)
            return passOn(value);
        *field.value = value->value_or(*field.value);
    }
    if (rope.kind == RopeScaling::Kind::LongRope)
        return readLongRope(reader, config, rope);
    return rope.kind == RopeScaling::Kind::Yarn ? checkYarn(reader, rope) : Status{};
}

/// The newest files have one object for the blocks that see all and one for those that slide.
Status readRopeByKind(const Json& parameters, std::string_view file, ModelConfig& config)
{
    const ConfigReader byKind(parameters, file);
    for (const char* key : {"full_attention", "sliding_attention"}) {
        const Json* part = byKind.find(key);
        if (part == nullptr || !part->is_object())
            return byKind.missing(key);
    }
    const ConfigReader full(*byKind.find("full_attention"), file);
    const ConfigReader sliding(*byKind.find("sliding_attention"), file);
    const auto base = full.real("rope_theta");
    const auto slidingBase = sliding.real("rope_theta");
    if (!base || !slidingBase)
        return passOn(!base ? base : slidingBase);
    config.ropeBase = base->value_or(config.ropeBase);
    config.slidingRopeBase = slidingBase->value_or(0.0F);
    if (const Json* type = sliding.find("rope_type"); type != nullptr && *type != "default")
        return sliding.notRepresentable(
            fmt::format("rope scaling {} of the sliding blocks is not known", escaped(dumpJson(*type), 60)));
    return readScaling(full, config, config.rope);
}

Status readRope(const ConfigReader& reader, ModelConfig& config)
{
    const auto original = reader.count("original_max_position_embeddings");
    const auto slidingBase = reader.real("rope_local_base_freq");
    // Newer files gather it all in rope_parameters; older ones have rope_theta at the top and rope_scaling.
    const Json* parameters = reader.find("rope_parameters");
    auto rotated = reader.real("partial_rotary_factor");
    if (rotated && !*rotated && parameters != nullptr && parameters->is_object())
        rotated = ConfigReader(*parameters, reader.file()).real("partial_rotary_factor");
    if (!original)
        return passOn(original);
    if (!slidingBase || !rotated)
        return passOn(!slidingBase ? slidingBase : rotated);
    config.rope.originalContext = *original;
    config.slidingRopeBase = slidingBase->value_or(0.0F);
    // A share is written in decimals: 0.7 of 80 are 56, not the 55.999998 of its nearest float.
    const double share = std::min(static_cast<double>(rotated->value_or(1.0F)), 1.0);
    config.rotaryLength = static_cast<std::uint32_t>(static_cast<double>(config.headLength) * share + 1e-3);
    if (config.rotaryLength == 0 || config.rotaryLength % 2 != 0)
        return reader.wrong("partial_rotary_factor", fmt::format("a share of {} that is even", config.headLength),
                            Json(share));
    const Json* scaling = parameters != nullptr ? parameters : reader.find("rope_scaling");
    if (scaling != nullptr && !scaling->is_object())
        return reader.wrong(parameters != nullptr ? "rope_parameters" : "rope_scaling", "an object", *scaling);
    if (scaling != nullptr && scaling->contains("full_attention"))
        return readRopeByKind(*scaling, reader.file(), config);
    auto base = reader.real("rope_theta");
    if (base && !*base && scaling != nullptr)
        base = ConfigReader(*scaling, reader.file()).real("rope_theta");
    if (!base)
        return passOn(base);
    config.ropeBase = base->value_or(config.ropeBase);
    return scaling == nullptr ? Status{} : readScaling(ConfigReader(*scaling, reader.file()), config, config.rope);
}

Status readNumbers(const ConfigReader& reader, ModelConfig& config)
{
    const auto epsilon = reader.real("rms_norm_eps");
    if (!epsilon)
        return passOn(epsilon);
    if (!*epsilon)
        return reader.missing("rms_norm_eps");
    config.rmsEpsilon = **epsilon;
    struct Row {
        const char* key;
        std::optional<float>* value;
    };
    for (const Row& row :
         {Row{"attn_logit_softcapping", &config.attentionSoftcap}, Row{"final_logit_softcapping", &config.finalSoftcap},
          Row{"query_pre_attn_scalar", &config.queryScalar}}) {
        const auto value = reader.real(row.key);
        if (!value)
            return passOn(value);
        *row.value = *value;
    }
    const auto tied = reader.flag("tie_word_embeddings");
    if (!tied)
        return passOn(tied);
    config.tiedEmbeddings = *tied;
    return {};
}

}  // namespace

Json textConfigOf(const Json& config)
{
    const auto classes = config.find("architectures");
    const bool isList = classes != config.end() && classes->is_array() && !classes->empty();
    const std::string* name = isList ? classes->front().get_ptr<const std::string*>() : nullptr;
    const ModelClass* known = name != nullptr ? classNamed(*name) : nullptr;
    if (known == nullptr || known->textDefaults == nullptr)
        return config;
    const Json nothing = Json::object();
    const auto given = config.find("text_config");
    const Json& told = given == config.end() || given->is_null() ? nothing : *given;
    if (!told.is_object())
        return config;
    // Appended, for an ordered object looks for each name among all before it; of a name that comes twice the first
    // counts. The text part may name a class of its own, which is not the one that is asked for here.
    Json::object_t text{{"architectures", *classes}};
    const Json defaults = parseJson(known->textDefaults, "defaults").value_or(nothing);
    for (const Json* part : {&told, &config, &defaults}) {
        for (const auto& [key, value] : part->items()) {
            if (!value.is_null() && key != "text_config" && key != "vision_config")
                text.push_back({key, value});
        }
    }
    return text;
}

Result<ModelConfig> modelConfigFromHf(const Json& whole, std::string_view file)
{
    if (!whole.is_object())
        return fail(ErrorCode::InvalidMetadata, Where{std::string(file), {}, {}}, "a JSON object is expected");
    const Json json = textConfigOf(whole);
    const ConfigReader reader(json, file);
    const auto modelClass = classOf(reader);
    if (!modelClass)
        return passOn(modelClass);
    ModelConfig config;
    config.architecture = (*modelClass)->architecture;
    config.modelClass = (*modelClass)->name;
    if (auto suitable = refuseOtherModels(reader, **modelClass); !suitable)
        return passOn(std::move(suitable));
    Status read = readCounts(reader, config);
    if (read && (*modelClass)->isMixture)
        read = readExperts(reader, config);
    if (read)
        read = readNumbers(reader, config);
    if (read)
        read = readRope(reader, config);
    if (read)
        read = readSliding(reader, **modelClass, config);
    if (!read)
        return passOn(std::move(read));
    return config;
}

std::vector<std::string_view> modelClasses()
{
    std::vector<std::string_view> names;
    for (const ModelClass& modelClass : kClasses)
        names.push_back(modelClass.name);
    return names;
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
