// SPDX-License-Identifier: GPL-3.0-or-later
// GPTQ (formats.md §5.2): words along the inputs, one column an output; zero points along the outputs. Modules that are
// not as most are stand in `dynamic`, by expressions that also match the fused modules of vLLM.
#include "core/export/PackedModel.h"
#include "core/export/writers/PackedWriters.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <unordered_set>

namespace sigmascope {

namespace {

constexpr std::uint64_t kGptqMultiple = 32;
constexpr std::string_view kGptqHead = "lm_head";

std::vector<PackedTensor> gptqTensors(std::uint64_t rows, std::uint64_t cols, const IntForm& form, bool anyAsymmetric)
{
    const PackedLayout codes = gptqCodes(form.bits);
    const PackedLayout zeros = gptqZeros(form.bits);
    const std::uint64_t groups = form.groups(cols);
    return {{.name = "qweight", .part = PackedPart::Codes, .shape = packedShape(codes, rows, cols), .layout = codes},
            {.name = "qzeros",
             .part = PackedPart::Zeros,
             .shape = packedShape(zeros, rows, groups),
             .layout = zeros,
             .zeroOffset = anyAsymmetric ? 0 : -1},
            {.name = "g_idx", .part = PackedPart::GroupIndex, .shape = {cols}},
            {.name = "scales",
             .part = PackedPart::Scales,
             .dtype = DType::F16,
             .shape = {groups, rows},
             .isTransposed = true}};
}

std::string whyNoGptq(std::uint64_t rows, std::uint64_t cols, const IntForm&)
{
    if (rows % kGptqMultiple != 0 || cols % kGptqMultiple != 0)
        return fmt::format("has the shape [{}, {}], GPTQ runtimes take multiples of {}; nearest: keep it", rows, cols,
                           kGptqMultiple);
    return {};
}

std::int64_t groupSizeOf(const IntForm& form)
{
    return form.group == 0 ? -1 : static_cast<std::int64_t>(form.group);
}

/// Matches a module by its own name and by that of the fused one it becomes part of.
std::string patternOf(const PackedModule& module)
{
    if (module.fused.empty())
        return fmt::format("^{}$", regexOf(module.path));
    if (module.fused.ends_with(".experts"))
        return fmt::format(R"(^{}(\..*)?$)", regexOf(module.fused));
    const std::string parent = module.fused.substr(0, module.fused.rfind('.'));
    const std::string_view members
        = module.fused.ends_with(".qkv_proj") ? "q_proj|k_proj|v_proj|qkv_proj" : "gate_proj|up_proj|gate_up_proj";
    return fmt::format("^{}\\.({})$", regexOf(parent), members);
}

Json dynamicOf(std::span<const PackedModule> modules, const IntForm& base)
{
    // Appended: an ordered object would look for each name among all before it.
    Json::object_t rows;
    std::unordered_set<std::string> named;
    for (const PackedModule& module : modules) {
        const bool isUsual = module.grid != nullptr && module.form == base;
        if (isUsual || (module.path == kGptqHead && module.grid == nullptr))  // which "lm_head" below keeps by itself
            continue;
        std::string key = (module.grid == nullptr ? "-:" : "+:") + patternOf(module);
        if (!named.insert(key).second)
            continue;
        Json scheme = Json::object();
        if (module.grid != nullptr)
            scheme = {{"bits", module.form.bits},
                      {"group_size", groupSizeOf(module.form)},
                      {"sym", !module.form.isAsymmetric},
                      {"desc_act", false}};
        rows.push_back({std::move(key), std::move(scheme)});
    }
    return rows;
}

Json gptqConfig(std::span<const PackedModule> modules)
{
    const IntForm base = *intFormOf(*usualGrid(modules));
    const bool isV2 = std::ranges::any_of(
        modules, [](const PackedModule& module) { return module.grid != nullptr && module.form.isAsymmetric; });
    const bool hasHead = std::ranges::any_of(
        modules, [](const PackedModule& module) { return module.path == kGptqHead && module.grid != nullptr; });
    Json config{{"quant_method", "gptq"},
                {"bits", base.bits},
                {"group_size", groupSizeOf(base)},
                {"desc_act", false},
                {"sym", !base.isAsymmetric},
                {"lm_head", hasHead},
                {"checkpoint_format", isV2 ? "gptq_v2" : "gptq"},
                {"pack_dtype", "int32"}};
    if (Json dynamic = dynamicOf(modules, base); !dynamic.empty())
        config["dynamic"] = std::move(dynamic);
    config["meta"] = {{"quantizer", Json::array({"sigmascope:" SIGMASCOPE_VERSION})}};
    return config;
}

/// vLLM 0.20 to 0.33 look at every scheme when they load, and at no other than these.
bool isTakenByVllm(const Json& scheme)
{
    return scheme.empty() || (scheme["sym"] == true && (scheme["bits"] == 4 || scheme["bits"] == 8));
}

void addGptqRemarks(const Json& config, bool, std::vector<std::string>& remarks)
{
    if (textIn(config, "checkpoint_format") == "gptq_v2")
        remarks.emplace_back("zero points that differ are stored as gptq_v2: older runtimes read gptq only, for which "
                             "the plan needs symmetric grids");
    if (config.value("lm_head", false))
        remarks.emplace_back("the output matrix is quantized (\"lm_head\": true), which vLLM and GPTQModel read; plain "
                             "transformers leaves it at random values without a word");
    if (config.contains("dynamic"))
        remarks.emplace_back("layers that differ stand in `dynamic`, which GPTQModel, vLLM and SGLang read and plain "
                             "transformers does not");
    const bool isForVllm = isTakenByVllm(config)
        && (!config.contains("dynamic") || std::ranges::all_of(config["dynamic"], isTakenByVllm));
    if (!isForVllm)
        remarks.emplace_back("vLLM takes symmetric GPTQ of 4 and 8 bits only; GPTQModel takes the rest");
}

constexpr PackedFormat kGptq{.target = "gptq",
                             .takesHead = true,
                             .tensors = gptqTensors,
                             .whyNot = whyNoGptq,
                             .config = gptqConfig,
                             .configFile = "quantize_config.json",
                             .addRemarks = addGptqRemarks};

}  // namespace

Result<SizeEstimate> estimateGptq(const ExportRequest& request)
{
    return estimatePacked(request, kGptq);
}

PlanVerdict acceptsGptq(const ExportRequest& request)
{
    return acceptsPacked(request, kGptq);
}

Result<std::unique_ptr<Exporter>> makeGptqExporter(ExportRequest request)
{
    return makePackedExporter(std::move(request), kGptq);
}

}  // namespace sigmascope
