// SPDX-License-Identifier: GPL-3.0-or-later
// compressed-tensors, format pack-quantized (formats.md §5.1): words along the inputs of each output, zero points along
// the outputs, and a config that names which modules have which scheme.
#include "core/export/PackedModel.h"
#include "core/export/writers/PackedWriters.h"

#include <fmt/format.h>

#include <algorithm>

namespace sigmascope {

namespace {

std::vector<PackedTensor> compressedTensors(std::uint64_t rows, std::uint64_t cols, const IntForm& form, bool)
{
    const PackedLayout codes = compressedTensorsCodes(form.bits);
    const std::uint64_t groups = form.groups(cols);
    std::vector<PackedTensor> tensors{
        {.name = "weight_shape", .part = PackedPart::OutIn, .dtype = DType::I64, .shape = {2}},
        {.name = "weight_packed", .part = PackedPart::Codes, .shape = packedShape(codes, rows, cols), .layout = codes}};
    if (form.isAsymmetric) {
        const PackedLayout zeros = compressedTensorsZeros(form.bits);
        tensors.push_back({.name = "weight_zero_point",
                           .part = PackedPart::Zeros,
                           .shape = packedShape(zeros, rows, groups),
                           .layout = zeros});
    }
    tensors.push_back({.name = "weight_scale",
                       .part = PackedPart::Scales,
                       .dtype = form.scale == ScaleType::F32 ? DType::F32 : DType::F16,
                       .shape = {rows, groups}});
    return tensors;
}

std::string whyNoCompressedTensors(std::uint64_t rows, std::uint64_t cols, const IntForm& form)
{
    const auto each = static_cast<std::uint64_t>(32 / form.bits);
    if (cols % each != 0)
        return fmt::format("has rows of {}, {} codes fill a word and kernels read whole words; nearest: keep it", cols,
                           each);
    if (form.isAsymmetric && rows % each != 0)
        return fmt::format(
            "has {} rows, zero points of {} fill a word and kernels read whole words; nearest: a symmetric grid", rows,
            each);
    // Eight bytes are what the next tensor's values stand on, and shapes of 64 bit are the widest.
    Bytes bytes = 0;
    for (const PackedTensor& part : compressedTensors(rows, cols, form, false))
        bytes += checkedByteSize(part.dtype, part.shape).value_or(0);
    if (bytes % sizeof(std::int64_t) != 0)
        return fmt::format("has {} rows, whose scales would leave the tensor behind them misaligned; nearest: keep it", rows);
    return {};
}

Json schemeOf(const IntForm& form)
{
    const bool isGroup = form.group != 0;
    return {{"num_bits", form.bits},
            {"type", "int"},
            {"symmetric", !form.isAsymmetric},
            {"strategy", isGroup ? "group" : "channel"},
            {"group_size", isGroup ? Json(form.group) : Json(nullptr)},
            {"dynamic", false},
            {"actorder", nullptr},
            {"block_structure", nullptr},
            {"observer", "minmax"},
            {"observer_kwargs", Json::object()}};
}

/// One group with all linear layers where there is one scheme; else every group names its modules, so that the order of
/// groups decides nothing.
Json compressedConfig(std::span<const PackedModule> modules)
{
    std::vector<const Grid*> grids;
    Json ignore = Json::array();
    bool hasHead = false;
    bool isHeadPacked = false;
    for (const PackedModule& module : modules) {
        hasHead = hasHead || module.path == "lm_head";
        isHeadPacked = isHeadPacked || (module.path == "lm_head" && module.grid != nullptr);
        if (module.grid == nullptr)
            ignore.push_back(module.path);
        else if (std::ranges::find(grids, module.grid) == grids.end())
            grids.push_back(module.grid);
    }
    if (!hasHead)  // tied to the embedding: a module all the same
        ignore.push_back("lm_head");
    Json groups = Json::object();
    for (std::size_t i = 0; i < grids.size(); ++i) {
        Json targets = Json::array();
        for (const PackedModule& module : modules) {
            if (module.grid == grids[i] && grids.size() > 1)
                targets.push_back(module.path);
        }
        if (grids.size() == 1)
            targets.push_back("Linear");
        if (grids.size() == 1 && isHeadPacked)
            targets.push_back("lm_head");  // vLLM's class for it is no Linear
        groups[fmt::format("group_{}", i)] = {{"targets", std::move(targets)},
                                              {"input_activations", nullptr},
                                              {"output_activations", nullptr},
                                              {"weights", schemeOf(*intFormOf(*grids[i]))}};
    }
    return {{"quant_method", "compressed-tensors"}, {"format", "pack-quantized"}, {"quantization_status", "compressed"},
            {"global_compression_ratio", nullptr},  {"kv_cache_scheme", nullptr}, {"ignore", std::move(ignore)},
            {"config_groups", std::move(groups)}};
}

void addCompressedRemarks(const Json& config, bool hasAdapter, std::vector<std::string>& remarks)
{
    const Json& groups = config["config_groups"];
    if (std::ranges::any_of(groups, [](const Json& group) { return group["weights"]["symmetric"] == false; }))
        remarks.emplace_back("compressed-tensors 0.18 to 0.20 load no zero points in transformers, those they wrote "
                             "themselves neither; 0.17, which vLLM asks for, does");
    const auto namesHead = [](const Json& group) {
        return std::ranges::find(group["targets"], Json("lm_head")) != group["targets"].end();
    };
    if (std::ranges::any_of(groups, namesHead))
        remarks.emplace_back("the output matrix is quantized, which newer versions of vLLM read and older ones take for "
                             "plain weights");
    if (hasAdapter)
        remarks.emplace_back("vLLM is reported to apply adapters over compressed-tensors wrongly (vllm#50059, open); "
                             "over gptq it is documented. PEFT needs the model loaded with "
                             "CompressedTensorsConfig(dequantize=True)");
}

constexpr PackedFormat kCompressedTensors{.target = "compressed-tensors",
                                          .takesHead = true,
                                          .tensors = compressedTensors,
                                          .whyNot = whyNoCompressedTensors,
                                          .config = compressedConfig,
                                          .addRemarks = addCompressedRemarks};

}  // namespace

Result<SizeEstimate> estimateCompressedTensors(const ExportRequest& request)
{
    return estimatePacked(request, kCompressedTensors);
}

PlanVerdict acceptsCompressedTensors(const ExportRequest& request)
{
    return acceptsPacked(request, kCompressedTensors);
}

Result<std::unique_ptr<Exporter>> makeCompressedTensorsExporter(ExportRequest request)
{
    return makePackedExporter(std::move(request), kCompressedTensors);
}

}  // namespace sigmascope
