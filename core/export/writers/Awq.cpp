// SPDX-License-Identifier: GPL-3.0-or-later
// AWQ's GEMM layout (formats.md §5.3): words along the outputs, in the order 0 2 4 6 1 3 5 7, one row an input. What
// AWQ does to the channels before it quantizes is no part of the format.
#include "core/export/PackedModel.h"
#include "core/export/writers/PackedWriters.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace sigmascope {

namespace {

std::vector<PackedTensor> awqTensors(std::uint64_t rows, std::uint64_t cols, const IntForm& form, bool)
{
    const std::uint64_t groups = form.groups(cols);
    return {{.name = "qweight",
             .part = PackedPart::Codes,
             .shape = packedShape(awqCodes(), rows, cols),
             .layout = awqCodes()},
            {.name = "qzeros",
             .part = PackedPart::Zeros,
             .shape = packedShape(awqCodes(), rows, groups),
             .layout = awqCodes()},
            {.name = "scales",
             .part = PackedPart::Scales,
             .dtype = DType::F16,
             .shape = {groups, rows},
             .isTransposed = true}};
}

std::string whyNoAwq(std::uint64_t rows, std::uint64_t, const IntForm&)
{
    if (rows % 8 != 0)
        return fmt::format("has {} rows, AWQ packs eight of them into a word; nearest: keep it", rows);
    return {};
}

/// Runtimes look for these words anywhere in a module's path, so fused ones are named too.
Json notConverted(std::span<const PackedModule> modules)
{
    Json names = Json::array({"lm_head"});
    std::set<std::string> named{"lm_head"};
    for (const PackedModule& module : modules) {
        if (module.grid != nullptr)
            continue;
        for (const std::string& path : {module.path, module.fused}) {
            if (!path.empty() && named.insert(path).second)
                names.push_back(path);
        }
    }
    return names;
}

/// The same for GPTQModel, which does not read modules_to_not_convert and would leave kept modules without weights.
Json skippedOf(std::span<const PackedModule> modules)
{
    Json::object_t skipped;  // appended: every path is there once
    for (const PackedModule& module : modules) {
        if (module.grid == nullptr && module.path != "lm_head")
            skipped.push_back({"-:^" + regexOf(module.path) + "$", Json::object()});
    }
    return skipped;
}

Json awqConfig(std::span<const PackedModule> modules)
{
    const IntForm form = *intFormOf(*usualGrid(modules));
    Json config{{"quant_method", "awq"},
                {"bits", form.bits},
                {"group_size", form.group == 0 ? -1 : static_cast<std::int64_t>(form.group)},
                {"zero_point", true},
                {"version", "gemm"},
                {"modules_to_not_convert", notConverted(modules)}};
    if (Json skipped = skippedOf(modules); !skipped.empty())
        config["dynamic"] = std::move(skipped);
    return config;
}

constexpr PackedFormat kAwq{
    .target = "awq", .isUniform = true, .tensors = awqTensors, .whyNot = whyNoAwq, .config = awqConfig};

}  // namespace

Result<SizeEstimate> estimateAwq(const ExportRequest& request)
{
    return estimatePacked(request, kAwq);
}

PlanVerdict acceptsAwq(const ExportRequest& request)
{
    return acceptsPacked(request, kAwq);
}

Result<std::unique_ptr<Exporter>> makeAwqExporter(ExportRequest request)
{
    return makePackedExporter(std::move(request), kAwq);
}

}  // namespace sigmascope
