// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/PeftAdapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace sigmascope {

namespace {

constexpr std::array<std::uint32_t, 8> kRanksOfVllm{8, 16, 32, 64, 128, 256, 320, 512};

std::string lastWord(const std::string& path)
{
    return path.substr(path.rfind('.') + 1);
}

}  // namespace

Result<std::vector<SafetensorsSpec>> adapterTensorsOf(const std::string& path, std::uint64_t rows, std::uint64_t cols,
                                                      const LayerPlan& plan)
{
    const DType dtype = plan.factors == FactorType::F32 ? DType::F32
        : plan.factors == FactorType::BF16              ? DType::BF16
                                                        : DType::F16;
    if (plan.factors != FactorType::F32 && plan.factors != FactorType::BF16 && plan.factors != FactorType::F16)
        return fail(
            ErrorCode::NotRepresentable,
            fmt::format("a PEFT adapter holds factors as F16, BF16 or F32, not as {}; nearest: factors of 16 bits",
                        factorName(plan.factors)));
    const std::string stem = "base_model.model." + path;
    return std::vector<SafetensorsSpec>{{.name = stem + ".lora_A.weight", .dtype = dtype, .shape = {plan.rank, cols}},
                                        {.name = stem + ".lora_B.weight", .dtype = dtype, .shape = {rows, plan.rank}}};
}

std::uint32_t adapterRankOf(std::span<const CorrectedModule> corrected)
{
    std::uint32_t highest = 0;
    for (const CorrectedModule& module : corrected)
        highest = std::max(highest, module.rank);
    const auto* fits = std::ranges::lower_bound(kRanksOfVllm, highest);
    return highest == 0 || fits == kRanksOfVllm.end() ? highest : *fits;
}

Json adapterConfigOf(std::span<const CorrectedModule> corrected, std::span<const PackedModule> all,
                     const std::string& base)
{
    const std::uint32_t rank = adapterRankOf(corrected);
    std::map<std::string, std::size_t> count;
    for (const PackedModule& module : all)
        ++count[lastWord(module.path)];
    for (const CorrectedModule& module : corrected)
        --count[lastWord(module.path)];
    // Where every module of a name is corrected the name says it all; otherwise each is named in full.
    std::set<std::string> named;
    Json targets = Json::array();
    Json::object_t ranks;  // appended: every path is there once
    for (const CorrectedModule& module : corrected) {
        const std::string word = lastWord(module.path);
        const std::string& target = count[word] == 0 ? word : module.path;
        if (named.insert(target).second)
            targets.push_back(target);
        if (module.rank != rank)
            ranks.push_back({module.path, module.rank});
    }
    return {{"peft_type", "LORA"},
            {"task_type", "CAUSAL_LM"},
            {"base_model_name_or_path", base},
            {"r", rank},
            {"lora_alpha", rank},
            {"rank_pattern", ranks},
            {"alpha_pattern", ranks},
            {"target_modules", std::move(targets)},
            {"modules_to_save", nullptr},
            {"bias", "none"},
            {"fan_in_fan_out", false},
            {"inference_mode", true},
            {"lora_dropout", 0.0},
            {"use_rslora", false},
            {"use_dora", false}};
}

}  // namespace sigmascope
